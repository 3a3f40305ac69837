import assert from "node:assert/strict";

import { capabilitiesOf } from "../../lib/mysql/flavor.ts";
import {
  type Blocker,
  byCause,
  describeBlocker,
  describeBlockers,
  findBlockers,
  findIdleBlockers,
  findVictims,
  type GuardPolicy,
} from "../../lib/mysql/guard.ts";
import { METHODS } from "../../lib/mysql/methods.ts";
import type { Row } from "../../lib/mysql/session.ts";
import { server } from "./servers.ts";

const MYSQL: GuardPolicy = {
  method: METHODS.ftwrl,
  can: capabilitiesOf(server("9.7.4")),
  ownIds: [100, 101],
  thresholdMs: 1_000,
};
const MARIADB: GuardPolicy = { ...MYSQL, can: capabilitiesOf(server("10.11.19-MariaDB")) };
const BACKUP_STAGE: GuardPolicy = { ...MARIADB, method: METHODS["backup-stage"] };
const OLD_MARIADB: GuardPolicy = { ...MYSQL, can: capabilitiesOf(server("10.4.34-MariaDB")) };

/** A row of SHOW PROCESSLIST: an application's statement, 40 s old. */
function session(row: Row): Row {
  return {
    Id: 12,
    User: "app",
    Host: "localhost",
    db: "shop",
    Command: "Query",
    Time: 40,
    State: "executing",
    Info: "UPDATE t SET a = 1",
    ...row,
  };
}

function isBlocker(row: Row, policy: GuardPolicy): boolean {
  return findBlockers([session(row)], policy).length === 1;
}

/** Who waits for whom: MySQL's FTWRL for both, MariaDB's for writers, BACKUP STAGE for nobody. */
const READS = { mysql: true, mariadb: false };
const WRITES = { mysql: true, mariadb: true };
const NEITHER = { mysql: false, mariadb: false };
/** BACKUP STAGE waits for these as well. */
const COMMITS = { mysql: true, mariadb: true, stage: true };

type Kind = typeof READS & { readonly stage?: true };

const STATEMENTS: readonly (readonly [statement: string, Kind])[] = [
  ["SELECT * FROM t", READS],
  ["select * from t", READS],
  ["  \n\tSELECT * FROM t", READS],
  ["(SELECT 1 FROM t) UNION (SELECT 2 FROM u)", READS],
  ["((SELECT 1 FROM t))", READS],
  ["/* report */ SELECT * FROM t", READS],
  ["/* report\nof two lines */ SELECT * FROM t", READS],
  ["/* one *//* two */(SELECT 1 FROM t)", READS],
  ["-- report\nSELECT *\nFROM t\nWHERE a = 1", READS],
  ["--\nSELECT *\nFROM t", READS],
  ["# report\nSELECT *\nFROM t\nWHERE a = 1", READS],
  ["SELECT /*!40001 SQL_NO_CACHE */ * FROM t", READS],
  ["/*!50000 SELECT */ * FROM t", READS],
  ["SHOW TABLE STATUS", READS],
  ["DESCRIBE t", READS],
  ["EXPLAIN ANALYZE SELECT * FROM t", READS],
  // Planning may take long, with the tables open.
  ["EXPLAIN SELECT * FROM t", READS],
  ["SELECT SLEEP(1) FROM t AS dual", READS],
  ["SELECT SLEEP(1) AS a, b FROM t", READS],
  ["TABLE t", READS],
  ["SET @x = (SELECT a FROM t)", READS],
  ["DO (SELECT SLEEP(100) FROM t)", READS],
  // A stored function may read a table.
  ["DO f(1)", READS],
  ["SELECT `sleep`(1)", READS],
  ["SELECT shop.sleep(1)", READS],
  ["SELECT SLEEP((SELECT 1))", READS],
  ["SELECT SLEEP(1), f()", READS],
  ["SELECT SLEEP(100) FROM t", READS],
  ["SET STATEMENT max_statement_time=9 FOR SELECT * FROM t", READS],
  ["ANALYZE SELECT * FROM t", READS],
  ["ANALYZE FORMAT=JSON SELECT * FROM t", READS],
  ["VALUES ROW(1)", READS],
  ["WITH c AS (SELECT * FROM t) SELECT * FROM c", READS],
  ["SELECT * FROM t LOCK IN SHARE MODE", READS],
  ["SELECT 'update' FROM t", READS],
  ["SELECT update_time FROM t", READS],

  ["SELECT * FROM t FOR UPDATE", WRITES],
  ["SELECT * FROM t FOR  \n UPDATE SKIP LOCKED", WRITES],
  [`SELECT ${"a, ".repeat(30)}b FROM t FOR UPDATE`, WRITES],
  ["WITH c AS (SELECT * FROM t) SELECT * FROM c FOR UPDATE", WRITES],
  ["WITH c AS (SELECT * FROM t) UPDATE u JOIN c USING (id) SET u.a = 1", WRITES],
  ["WITH c AS (SELECT * FROM t) DELETE FROM u WHERE id IN (SELECT id FROM c)", WRITES],
  ["UPDATE t SET a = 1", WRITES],
  ["SET STATEMENT max_statement_time=9 FOR UPDATE t SET a = 1", WRITES],
  ["-- report\nUPDATE t SET a = (\nSELECT 1)", WRITES],
  ["--\nUPDATE t SET a = (\nSELECT 1)", WRITES],
  ["# report\nUPDATE t SET a = (\nSELECT 1)", WRITES],
  ["ANALYZE UPDATE t SET a = 1", WRITES],
  ["ANALYZE TABLE t", WRITES],
  ["insert into t select * from u", WRITES],
  ["REPLACE INTO t VALUES (1)", WRITES],
  ["DELETE FROM t", WRITES],
  ["LOAD DATA INFILE 'x' INTO TABLE t", WRITES],
  ["CALL nightly()", WRITES],
  ["EXECUTE s", WRITES],
  ["ALTER TABLE t ADD b INT", WRITES],
  ["/*!40000 ALTER TABLE t ENABLE KEYS */", WRITES],
  ["/*M!100100 ALTER TABLE t ENABLE KEYS */", WRITES],
  ["OPTIMIZE TABLE t", WRITES],
  ["LOCK TABLES t WRITE", WRITES],
  ["TRUNCATE t", COMMITS],
  ["CREATE OR REPLACE TABLE t AS SELECT * FROM u", COMMITS],
  ["DROP TABLE t", COMMITS],
  ["RENAME TABLE t TO u", COMMITS],
  ["CREATE INDEX i ON t (a)", WRITES],
  ["ALTER TABLE t RENAME COLUMN a TO b", WRITES],
  ["ALTER TABLE t RENAME TO u", COMMITS],
  [
    "CREATE DEFINER=`root`@`localhost` TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a = 1",
    COMMITS,
  ],
  // A commit holds what the last phase of the lock wants, as long as it lasts (semisync, disk).
  ["COMMIT", COMMITS],
  ["XA COMMIT 'a'", COMMITS],
  // The process list cuts statements off, and an ORM's comment may be longer than that.
  [`/* ${"route=/orders,".repeat(20)}`, WRITES],
  ["?", WRITES],

  ["", NEITHER],
  ["   ", NEITHER],
  ["SET GLOBAL innodb_buffer_pool_size = 1", NEITHER],
  ["KILL 7", NEITHER],
  ["DO SLEEP(100)", NEITHER],
  ["SHOW BINLOG EVENTS", NEITHER],
  ["SELECT SLEEP(100)", NEITHER],
  ["SELECT SLEEP(100), GET_LOCK('a', 1);", NEITHER],
  ["SELECT GET_LOCK('a', 9) AS `got`, SLEEP(1) FROM DUAL", NEITHER],
  ["STOP REPLICA", NEITHER],
  ["BEGIN", NEITHER],
  ["ROLLBACK", NEITHER],
  ["START TRANSACTION", NEITHER],
  ["USE shop", NEITHER],
];

for (const [statement, kind] of STATEMENTS) {
  const blocks = [kind.mysql ? "MySQL" : "", kind.mariadb ? "MariaDB" : ""].filter(Boolean);
  const name = JSON.stringify(statement.length > 70 ? `${statement.slice(0, 70)}…` : statement);
  Deno.test(`${name} holds up FTWRL on ${blocks.join(" and ") || "no server"}`, () => {
    assert.equal(isBlocker({ Info: statement }, MYSQL), kind.mysql, "MySQL");
    assert.equal(isBlocker({ Info: statement }, MARIADB), kind.mariadb, "MariaDB");
    assert.equal(isBlocker({ Info: statement }, BACKUP_STAGE), kind.stage ?? false, "BACKUP STAGE");
    // What kill_long_queries=select may end is what holds up MySQL and not MariaDB: a mere reader.
    const [blocker] = findBlockers([session({ Info: statement })], MYSQL);
    const expected = kind.mariadb ? "writer" : kind.mysql ? "reader" : undefined;
    assert.equal(blocker?.kind, expected);
  });
}

Deno.test("guard: under BACKUP STAGE a write that waits for a replica's receipt is in its commit", () => {
  for (const name of ["slave", "replica"]) {
    assert.ok(isBlocker({ State: `Waiting for semi-sync ACK from ${name}` }, BACKUP_STAGE));
  }
  assert.ok(isBlocker({ State: "Waiting for prior transaction to commit" }, BACKUP_STAGE));
});

/** What waits for its table, and whom it is in the way of meanwhile (MariaDB: FTWRL, BACKUP STAGE). */
const WAITING: readonly (readonly [statement: string, ftwrl: boolean, stage: boolean])[] = [
  ["DROP TABLE t", false, false],
  ["DROP VIEW v", false, false],
  ["LOCK TABLES t WRITE", false, false],
  ["FLUSH TABLES t", false, false],
  ["EXPLAIN SELECT * FROM t", false, false],
  ["DROP INDEX k ON t", true, false],
  ["ALTER TABLE t ADD b INT", true, false],
  ["ALTER TABLE t RENAME TO u", true, true],
  ["DROP TRIGGER g", true, true],
  ["DROP DATABASE shop", true, true],
];
for (const [statement, ftwrl, stage] of WAITING) {
  Deno.test(`guard: whom ${statement} is in the way of while it waits for its table on MariaDB`, () => {
    const row = { Info: statement, State: "Waiting for table metadata lock" };
    assert.deepEqual([isBlocker(row, MARIADB), isBlocker(row, BACKUP_STAGE)], [ftwrl, stage]);
  });
}

Deno.test("guard: an EXPLAIN that waits for its table is not what MySQL's FTWRL waits for", () => {
  const row = { Info: "EXPLAIN SELECT * FROM t", State: "Waiting for table metadata lock" };
  assert.equal(isBlocker(row, MYSQL), false);
});

Deno.test("guard: DDL behind LOCK INSTANCE FOR BACKUP is in the way on MySQL, and a queue is not", () => {
  const row = { Info: "ALTER TABLE t ADD b INT", State: "Waiting for backup lock" };
  assert.deepEqual([isBlocker(row, MYSQL), isBlocker(row, MARIADB)], [true, false]);
});

Deno.test("guard: before 10.5 MariaDB's FTWRL waits for readers as MySQL's does", () => {
  assert.ok(isBlocker({ Info: "SELECT * FROM t" }, OLD_MARIADB));
});

/** Sessions that are not looked at, or are, whatever they run. */
const SESSIONS: readonly (readonly [sentence: string, row: Row, isBlocker: boolean])[] = [
  ["an application's statement counts", {}, true],
  ["an idle session does not, whatever it has locked: only lock_wait_timeout helps there", {
    Command: "Sleep",
    Info: null,
  }, false],
  ["a session that has just connected does not", { Command: "Connect", Info: null }, false],
  ["a prepared statement counts", { Command: "Execute" }, true],
  ["an event of the event scheduler counts: it runs as its definer", { Command: "Connect" }, true],
  ["the event scheduler itself does not", {
    User: "event_scheduler",
    Command: "Daemon",
    Info: null,
  }, false],
  ["a replication applier does not, even while it applies a statement", {
    User: "system user",
    Command: "Query",
  }, false],
  ["a MariaDB applier does not", { User: "system user", Command: "Slave_SQL" }, false],
  ["a MariaDB receiver does not", { Command: "Slave_IO" }, false],
  ["a binlog dump does not", { Command: "Binlog Dump" }, false],
  ["a binlog dump by GTID does not", { Command: "Binlog Dump GTID", Info: null }, false],
  ["our own lock session does not", { Id: 100 }, false],
  ["our own control session does not, even where the driver gives ids as text", {
    Id: "101",
  }, false],
  ["a statement of less than the threshold does not", { Time: 0 }, false],
  ["a statement of exactly the threshold counts", { Time: 1 }, true],
  ["a session without a time is new", { Time: null }, false],
];

for (const [sentence, row, expected] of SESSIONS) {
  Deno.test(`guard: ${sentence}`, () => {
    assert.equal(isBlocker(row, MYSQL), expected);
  });
}

Deno.test("guard: with a threshold of 0 every statement counts", () => {
  assert.ok(isBlocker({ Time: 0 }, { ...MYSQL, thresholdMs: 0 }));
});

Deno.test("guard: a threshold between two seconds counts from the next whole second", () => {
  const policy = { ...MYSQL, thresholdMs: 1_500 };
  assert.deepEqual([isBlocker({ Time: 1 }, policy), isBlocker({ Time: 2 }, policy)], [false, true]);
});

Deno.test("guard: blockers come in the order of the process list", () => {
  const rows = [session({ Id: 3 }), session({ Id: 100 }), session({ Id: 2, Command: "Sleep" })];
  const blockers = findBlockers([...rows, session({ Id: 1 })], MYSQL);
  assert.deepEqual(blockers.map(({ id }) => id), [3, 1]);
  assert.deepEqual(findBlockers([], MYSQL), []);
});

Deno.test("guard: a blocker says who, how long, in what state, and what, in one line", () => {
  const [blocker] = findBlockers([session({ Info: "UPDATE t\n   SET a = 1" })], MYSQL);
  assert.ok(blocker !== undefined);
  assert.equal(describeBlocker(blocker), "id 12 (app, 40 s, executing): UPDATE t SET a = 1");
  assert.equal(
    describeBlocker({ ...blocker, state: "" }),
    "id 12 (app, 40 s): UPDATE t SET a = 1",
  );
});

Deno.test("guard: only the first 80 characters of a statement are told", () => {
  const [blocker] = findBlockers([session({ Info: `UPDATE ${"x".repeat(200)}` })], MYSQL);
  assert.equal(blocker?.statement.length, 80);
});

/** A row of the statement for idle locks. */
function idle(row: Row): Row {
  return { id: 12, user: "app", age_s: 40, held: "shop.t", ...row };
}

const IDLE: Blocker = {
  id: 12,
  user: "app",
  age_s: 40,
  state: "Sleep",
  statement: "holds shop.t by LOCK TABLES or HANDLER",
  kind: "idle",
};

/** Who waits for a sleeping session with LOCK TABLES or HANDLER, where the server shows it. */
const WAITS_FOR_IDLE: readonly (readonly [sentence: string, GuardPolicy, waits: boolean])[] = [
  ["holds up FTWRL on MySQL", MYSQL, true],
  ["holds up FTWRL on an old MariaDB", OLD_MARIADB, true],
  ["holds up no FTWRL on MariaDB", MARIADB, false],
  ["holds up no BACKUP STAGE", BACKUP_STAGE, false],
];

for (const [sentence, policy, waits] of WAITS_FOR_IDLE) {
  Deno.test(`guard: a sleeping session with a lock ${sentence}`, () => {
    assert.deepEqual(findIdleBlockers([idle({})], policy), waits ? [IDLE] : []);
  });
}

/** Rows for idle locks, and whose ids are in the way of MySQL's FTWRL. */
const IDLE_ROWS: readonly (readonly [sentence: string, rows: readonly Row[], ids: number[]])[] = [
  ["nobody sleeps on a lock", [], []],
  ["they come in the order of the rows", [idle({ id: 3 }), idle({ id: 1 })], [3, 1]],
  ["our own two sessions do not count", [idle({ id: 100 }), idle({ id: 12 }), idle({ id: 101 })], [
    12,
  ]],
  ["ids may come as text, our own too", [idle({ id: "101" }), idle({ id: "12" })], [12]],
  // It ends by itself no sooner for being young, unlike a statement.
  ["a lock of this very second counts: long_query_guard is of statements", [idle({ age_s: 0 })], [
    12,
  ]],
  ["a lock without an age counts", [idle({ age_s: null })], [12]],
];

for (const [sentence, rows, ids] of IDLE_ROWS) {
  Deno.test(`guard: idle locks: ${sentence}`, () => {
    assert.deepEqual(findIdleBlockers(rows, MYSQL).map(({ id }) => id), ids);
  });
}

Deno.test("guard: a lock without an age is told as new, not as NaN", () => {
  assert.deepEqual(findIdleBlockers([idle({ age_s: null })], MYSQL).map(({ age_s }) => age_s), [0]);
});

Deno.test("guard: an idle blocker says who sleeps on what", () => {
  assert.equal(
    describeBlocker(IDLE),
    "id 12 (app, 40 s, Sleep): holds shop.t by LOCK TABLES or HANDLER",
  );
});

const READER: Blocker = {
  id: 12,
  user: "app",
  age_s: 40,
  state: "executing",
  statement: "SELECT * FROM t",
  kind: "reader",
};
const WRITER: Blocker = { ...READER, id: 13, statement: "UPDATE t SET a = 1", kind: "writer" };

/** What may be killed under each setting, once everything was seen twice. */
const KILLS: readonly (readonly ["off" | "select" | "all", Blocker["kind"][]])[] = [
  ["off", []],
  ["select", ["reader"]],
  ["all", ["reader", "writer"]],
];

for (const [setting, kinds] of KILLS) {
  Deno.test(`kill_long_queries=${setting} ends ${kinds.join(" and ") || "nothing"}, and never a session that sleeps`, () => {
    const blockers = [READER, WRITER, { ...IDLE, id: 14 }];
    const victims = findVictims(blockers, blockers, setting);
    assert.deepEqual(victims.map(({ kind }) => kind), kinds);
  });
}

/** The same id at the look before, and whether it may be killed now. */
const SEEN_TWICE: readonly (readonly [sentence: string, before: Blocker[], isVictim: boolean])[] = [
  ["a statement that goes on is killed", [{ ...READER, age_s: 39 }], true],
  ["a statement seen twice in one second is killed", [READER], true],
  ["a statement in another state is still the same", [{ ...READER, state: "Sending data" }], true],
  ["a statement seen for the first time is not", [], false],
  ["a statement that began anew is not", [{ ...READER, age_s: 41 }], false],
  ["another statement of the session is not", [{ ...READER, statement: "SELECT 1 FROM u" }], false],
  ["another user's session under a used id is not", [{ ...READER, user: "backup" }], false],
  ["another session with the same statement is not", [{ ...READER, id: 11 }], false],
  [
    "one match among many is enough",
    [{ ...READER, id: 11 }, READER, { ...READER, user: "b" }],
    true,
  ],
];

for (const [sentence, before, isVictim] of SEEN_TWICE) {
  Deno.test(`kill_long_queries: ${sentence}`, () => {
    for (const setting of ["select", "all"] as const) {
      assert.deepEqual(findVictims(before, [READER], setting), isVictim ? [READER] : []);
    }
    assert.deepEqual(findVictims(before, [READER], "off"), []);
  });
}

Deno.test("kill_long_queries: whoever has gone since the look before is not killed", () => {
  assert.deepEqual(findVictims([READER, WRITER], [WRITER], "all"), [WRITER]);
  assert.deepEqual(findVictims([READER, WRITER], [], "all"), []);
});

/** What waits for a table, and whether its end can help. */
const CHAINED: readonly (readonly [statement: string, state: string, isVictim: boolean])[] = [
  ["UPDATE t SET a = 1", "Waiting for table metadata lock", false],
  ["UPDATE t SET a = 1", "Waiting for table level lock", false],
  ["SELECT * FROM t", "Waiting for table metadata lock", false],
  ["ALTER TABLE t ADD b INT", "Waiting for table metadata lock", true],
  ["UPDATE t SET a = 1", "updating", true],
];

for (const [Info, State, isVictim] of CHAINED) {
  Deno.test(`kill_long_queries: ${Info} (${State}) is ${isVictim ? "" : "not "}killed`, () => {
    const blockers = findBlockers([session({ Info, State })], MYSQL);
    assert.equal(blockers.length, 1);
    assert.deepEqual(findVictims(blockers, blockers, "all"), isVictim ? blockers : []);
  });
}

Deno.test("those who wait for a table are named after those they wait for", () => {
  const states = ["Waiting for table level lock", "updating", "Waiting for table metadata lock"];
  const blockers = findBlockers(states.map((State, at) => session({ Id: at + 1, State })), MYSQL);
  assert.deepEqual(byCause(blockers).map(({ id }) => id), [2, 1, 3]);
});

Deno.test("kill_long_queries: what takes rows for writing is no mere reader", () => {
  const rows = ["SELECT * FROM t FOR UPDATE", "WITH c AS (SELECT 1) DELETE FROM t"].map((Info) =>
    session({ Info })
  );
  const blockers = findBlockers(rows, MYSQL);
  assert.equal(blockers.length, 2);
  assert.deepEqual(findVictims(blockers, blockers, "select"), []);
});

/** Statements with a password, and how they are told. */
const MASKED: readonly (readonly [statement: string, told: string])[] = [
  ["ALTER USER a IDENTIFIED BY 's3cret'", "ALTER USER a IDENTIFIED BY …"],
  ["ALTER USER a identified by 's3cret'", "ALTER USER a identified by …"],
  ["ALTER USER a IDENTIFIED\n  BY\n  's3cret'", "ALTER USER a IDENTIFIED BY …"],
  [
    "CREATE USER a IDENTIFIED WITH mysql_native_password AS '*s3cret'",
    "CREATE USER a IDENTIFIED WITH …",
  ],
  ["CREATE USER a IDENTIFIED VIA ed25519 USING 's3cret'", "CREATE USER a IDENTIFIED VIA …"],
  ["CREATE USER a IDENTIFIED/**/BY 's3cret'", "CREATE USER a IDENTIFIED …"],
  ["GRANT ALL ON *.* TO a IDENTIFIED BY 's3cret'", "GRANT ALL ON *.* TO a IDENTIFIED BY …"],
  [
    "CREATE USER a IDENTIFIED BY 's3cret', b IDENTIFIED BY 's3cret'",
    "CREATE USER a IDENTIFIED BY …",
  ],
  ["SET PASSWORD FOR a = 's3cret'", "SET PASSWORD …"],
  ["SET PASSWORD = PASSWORD('s3cret')", "SET PASSWORD …"],
  ["UPDATE users SET password='s3cret' WHERE id=1", "UPDATE users SET password …"],
  ["UPDATE users SET user_password='s3cret'", "UPDATE users SET user_password …"],
  ["INSERT INTO u (password_hash) VALUES ('s3cret')", "INSERT INTO u (password_hash …"],
  [
    "CHANGE MASTER TO MASTER_HOST='h', MASTER_PASSWORD='s3cret'",
    "CHANGE MASTER TO MASTER_HOST='h', MASTER_PASSWORD …",
  ],
  [
    "CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD='s3cret'",
    "CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD …",
  ],
  ["START SLAVE USER='r' PASSWORD='s3cret'", "START SLAVE USER='r' PASSWORD …"],
  [
    "CREATE SERVER s OPTIONS (USER 'r', PASSWORD 's3cret')",
    "CREATE SERVER s OPTIONS (USER 'r', PASSWORD …",
  ],
  ["SELECT identified_at FROM t", "SELECT identified_at FROM t"],
  ["UPDATE t SET a = 1", "UPDATE t SET a = 1"],
];

for (const [statement, told] of MASKED) {
  Deno.test(`guard: ${JSON.stringify(statement)} is told without its password`, () => {
    const line = describeBlocker({ ...WRITER, statement });
    assert.equal(line, `id 13 (app, 40 s, executing): ${told}`);
    assert.ok(!line.includes("s3cret"));
  });
}

Deno.test("guard: a password stays hidden wherever the process list cuts the statement off", () => {
  const statement = "ALTER USER a IDENTIFIED BY 's3cret'";
  for (let length = 0; length <= statement.length; length += 1) {
    const line = describeBlocker({ ...WRITER, statement: statement.slice(0, length) });
    assert.ok(!line.includes("'s"), line);
  }
});

Deno.test("guard: a hostile statement is classified at once", () => {
  const started = performance.now();
  for (const text of ["/**/".repeat(50_000), "(".repeat(100_000), "/*".repeat(50_000)]) {
    findBlockers([session({ Info: text })], MYSQL);
  }
  assert.ok(performance.now() - started < 1_000);
});

Deno.test("guard: of ten thousand sessions ten are named, and the others counted", () => {
  const rows = Array.from(
    { length: 10_000 },
    (_, at) => session({ Id: 1_000 + at, Info: "SELECT 1 FROM t" }),
  );
  const blockers = findBlockers(rows, MYSQL);
  assert.equal(blockers.length, 10_000);
  const line = describeBlockers(blockers);
  assert.match(line, /^id 1000 .*; id 1009 .*; and 9990 more$/);
  assert.ok(line.length < 2_000, `${line.length}`);
  assert.equal(findVictims(blockers, blockers, "all").length, 10_000);
  assert.doesNotMatch(describeBlockers(blockers.slice(0, 10)), /more/);
});
