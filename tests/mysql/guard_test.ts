import assert from "node:assert/strict";

import { capabilitiesOf } from "../../lib/mysql/flavor.ts";
import { describeBlocker, findBlockers, type GuardPolicy } from "../../lib/mysql/guard.ts";
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

type Kind = typeof READS;

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
  ["TABLE t", READS],
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
  ["-- report\nUPDATE t SET a = (\nSELECT 1)", WRITES],
  ["--\nUPDATE t SET a = (\nSELECT 1)", WRITES],
  ["# report\nUPDATE t SET a = (\nSELECT 1)", WRITES],
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
  ["TRUNCATE t", WRITES],
  // A commit holds what the last phase of the lock wants, as long as it lasts (semisync, disk).
  ["COMMIT", WRITES],
  ["XA COMMIT 'a'", WRITES],
  // The process list cuts statements off, and an ORM's comment may be longer than that.
  [`/* ${"route=/orders,".repeat(20)}`, WRITES],
  ["?", WRITES],

  ["", NEITHER],
  ["   ", NEITHER],
  ["SET GLOBAL innodb_buffer_pool_size = 1", NEITHER],
  ["KILL 7", NEITHER],
  ["DO SLEEP(100)", NEITHER],
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
    assert.equal(isBlocker({ Info: statement }, BACKUP_STAGE), false, "BACKUP STAGE");
  });
}

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

Deno.test("guard: a hostile statement is classified at once", () => {
  const started = performance.now();
  for (const text of ["/**/".repeat(50_000), "(".repeat(100_000), "/*".repeat(50_000)]) {
    findBlockers([session({ Info: text })], MYSQL);
  }
  assert.ok(performance.now() - started < 1_000);
});
