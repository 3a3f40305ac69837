/**
 * Every kind of statement that the guard tells apart, beside the real lock statement: whoever is
 * named must keep the lock waiting, and whoever keeps it waiting must be named.
 */
import assert from "node:assert/strict";
import { capabilitiesOf, parseVersion } from "../../lib/mysql/flavor.ts";
import { findBlockers, findIdleBlockers } from "../../lib/mysql/guard.ts";
import { type MethodName, METHODS } from "../../lib/mysql/methods.ts";
import { sleep } from "../support/guest.ts";
import { connect, type Connection, discard, type Flavor, startServer } from "../support/server.ts";

type On = readonly (readonly [Flavor, MethodName])[];
const MYSQL: On = [["mysql", "ftwrl"]];
const MARIADB: On = [["mariadb", "ftwrl"], ["mariadb", "backup-stage"]];
const BOTH: On = [...MYSQL, ...MARIADB];

interface Case {
  readonly name: string;
  /** What another session does first, so that the statement has to wait for it. */
  readonly holder?: readonly string[];
  /** Statements that are done before the lock is tried, so that an idle session holds something. */
  readonly before?: readonly string[];
  /** A statement that runs meanwhile. */
  readonly running?: string;
  /** Whether commits wait for the receipt of a replica, which there is none. */
  readonly isSemisync?: true;
  readonly on: On;
  /** On which of them the lock waits. */
  readonly waits: On;
  /** The server does not show it: the lock waits, and nobody can be named (`docs/limits.md`). */
  readonly isUnseen?: true;
}

const SEMISYNC: Readonly<Record<"mysql" | "mariadb", { on: string; off: string }>> = {
  mysql: {
    on: "SET GLOBAL rpl_semi_sync_source_enabled=ON, GLOBAL rpl_semi_sync_source_timeout=20000",
    off: "SET GLOBAL rpl_semi_sync_source_enabled=OFF",
  },
  mariadb: {
    on: "SET GLOBAL rpl_semi_sync_master_enabled=ON, GLOBAL rpl_semi_sync_master_timeout=20000",
    off: "SET GLOBAL rpl_semi_sync_master_enabled=OFF",
  },
};

/** Planning it takes longer than the test: 22! orders of tables are tried. */
const LONG_PLAN = `EXPLAIN SELECT COUNT(*) FROM ${
  Array.from({ length: 22 }, (_, at) => `shop.many AS t${at}`).join(", ")
} WHERE ${Array.from({ length: 21 }, (_, at) => `t${at}.a + t${at + 1}.a > ${at}`).join(" AND ")}`;

const SLOW = "(SELECT COUNT(*) FROM shop.t WHERE SLEEP(20) = 0)";

const CASES: readonly Case[] = [
  { name: "SELECT of a table", running: "SELECT SLEEP(20) FROM shop.t", on: BOTH, waits: MYSQL },
  { name: "SELECT without a table", running: "SELECT SLEEP(20)", on: BOTH, waits: [] },
  { name: "SELECT of a subquery", running: `SELECT ${SLOW}`, on: BOTH, waits: MYSQL },
  { name: "DO without a table", running: "DO SLEEP(20)", on: BOTH, waits: [] },
  { name: "DO of a subquery", running: `DO ${SLOW}`, on: BOTH, waits: MYSQL },
  { name: "SET of a subquery", running: `SET @x = ${SLOW}`, on: BOTH, waits: MYSQL },
  { name: "SET without a table", running: "SET @x = SLEEP(20)", on: BOTH, waits: [] },
  { name: "DO of a stored function", running: "DO shop.slow()", on: BOTH, waits: MYSQL },
  { name: "SELECT of a stored function", running: "SELECT shop.slow()", on: BOTH, waits: MYSQL },
  {
    name: "SET STATEMENT … FOR UPDATE",
    running: "SET STATEMENT max_statement_time=30 FOR UPDATE shop.u SET a = 2 WHERE SLEEP(20) = 0",
    on: MARIADB,
    waits: [["mariadb", "ftwrl"]],
  },
  {
    name: "a common table expression",
    running: `WITH a AS ${SLOW} SELECT * FROM a`,
    on: BOTH,
    waits: MYSQL,
  },
  {
    name: "INSERT that computes",
    running: `INSERT INTO shop.u SELECT SLEEP(20)`,
    on: BOTH,
    waits: [["mysql", "ftwrl"], ["mariadb", "ftwrl"]],
  },
  {
    name: "UPDATE that computes",
    running: "UPDATE shop.u SET a = a + 1 WHERE SLEEP(20) = 0",
    on: BOTH,
    waits: [["mysql", "ftwrl"], ["mariadb", "ftwrl"]],
  },
  {
    name: "an idle transaction that has read",
    before: ["BEGIN", "SELECT COUNT(*) FROM shop.t"],
    on: BOTH,
    waits: [],
  },
  {
    name: "an idle transaction that has written",
    before: ["BEGIN", "INSERT INTO shop.u VALUES (7)"],
    on: BOTH,
    waits: [],
  },
  {
    name: "an idle LOCK TABLES READ",
    before: ["LOCK TABLES shop.t READ"],
    on: MYSQL,
    waits: MYSQL,
  },
  {
    name: "an idle LOCK TABLES WRITE",
    before: ["LOCK TABLES shop.t WRITE"],
    on: MYSQL,
    waits: MYSQL,
  },
  { name: "an idle HANDLER", before: ["HANDLER shop.t OPEN"], on: MYSQL, waits: MYSQL },
  {
    name: "an idle FLUSH TABLES … WITH READ LOCK",
    before: ["FLUSH TABLES shop.t WITH READ LOCK"],
    on: MYSQL,
    waits: MYSQL,
  },
  {
    name: "an idle FLUSH TABLES … FOR EXPORT",
    before: ["FLUSH TABLES shop.t FOR EXPORT"],
    on: MYSQL,
    waits: MYSQL,
  },
  {
    name: "an idle LOCK TABLES READ",
    before: ["LOCK TABLES shop.t READ"],
    on: MARIADB,
    waits: [],
  },
  {
    name: "an idle LOCK TABLES WRITE",
    before: ["LOCK TABLES shop.t WRITE"],
    on: MARIADB,
    waits: MARIADB,
    isUnseen: true,
  },
  {
    name: "an idle FLUSH TABLES … WITH READ LOCK",
    before: ["FLUSH TABLES shop.t WITH READ LOCK"],
    on: MARIADB,
    waits: [],
  },
  { name: "an idle HANDLER", before: ["HANDLER shop.t OPEN"], on: MARIADB, waits: [] },
  {
    name: "an idle FLUSH TABLES … FOR EXPORT",
    before: ["FLUSH TABLES shop.t FOR EXPORT"],
    on: MARIADB,
    waits: [],
  },
  { name: "a procedure that sleeps", running: "CALL shop.sleeps()", on: BOTH, waits: [] },
  {
    name: "a procedure that writes",
    running: "CALL shop.writes()",
    on: BOTH,
    waits: [["mysql", "ftwrl"], ["mariadb", "ftwrl"]],
  },
  { name: "a procedure that reads", running: "CALL shop.looks()", on: BOTH, waits: MYSQL },
  {
    name: "CREATE TABLE … SELECT",
    running: "CREATE TABLE shop.made AS SELECT SLEEP(20) AS a",
    on: BOTH,
    waits: BOTH,
  },
  {
    name: "ALTER TABLE that waits for an open transaction",
    running: "ALTER TABLE shop.read ADD COLUMN b INT",
    on: BOTH,
    waits: [["mysql", "ftwrl"], ["mariadb", "ftwrl"]],
  },
  {
    name: "ANALYZE of a SELECT",
    running: "ANALYZE SELECT SLEEP(20) FROM shop.t",
    on: MARIADB,
    waits: [],
  },
  {
    name: "ANALYZE of an UPDATE",
    running: "ANALYZE UPDATE shop.u SET a = 3 WHERE SLEEP(20) = 0",
    on: MARIADB,
    waits: [["mariadb", "ftwrl"]],
  },
  {
    name: "EXPLAIN ANALYZE of a SELECT",
    running: "EXPLAIN ANALYZE SELECT SLEEP(20) FROM shop.t",
    on: MYSQL,
    waits: MYSQL,
  },
  {
    name: "a commit that waits for a replica's answer",
    isSemisync: true,
    running: "INSERT INTO shop.u VALUES (8)",
    on: BOTH,
    waits: BOTH,
  },
  ...([
    ["DROP TABLE shop.read", MYSQL],
    ["DROP VIEW shop.seen", MYSQL],
    ["TRUNCATE shop.read", MYSQL],
    ["RENAME TABLE shop.read TO shop.gone", MYSQL],
    ["LOCK TABLES shop.read WRITE", MYSQL],
    ["ALTER TABLE shop.read RENAME TO shop.gone", BOTH],
    ["DROP TRIGGER shop.fired", BOTH],
    ["DROP DATABASE shop", BOTH],
    ["DROP INDEX k ON shop.read", [["mysql", "ftwrl"], ["mariadb", "ftwrl"]]],
  ] as const).map(([running, waits]): Case => ({
    name: `${running} that waits for an open transaction`,
    running,
    on: BOTH,
    waits,
  })),
  {
    name: "FLUSH TABLES of a table that waits for an open transaction",
    running: "FLUSH TABLES shop.read",
    on: MARIADB,
    waits: [],
  },
  {
    name: "ALTER TABLE that waits for another backup's LOCK INSTANCE",
    holder: ["LOCK INSTANCE FOR BACKUP"],
    running: "ALTER TABLE shop.u ADD COLUMN z INT",
    on: MYSQL,
    waits: MYSQL,
  },
  ...["UPDATE shop.u SET a = 5", "ALTER TABLE shop.t COMMENT 'x'"].map((running): Case => ({
    name: `${running.split(" ")[0]} that waits for another backup's global lock`,
    holder: ["FLUSH TABLES WITH READ LOCK"],
    running,
    on: BOTH,
    waits: [],
  })),
  {
    name: "EXPLAIN that plans for long",
    before: ["SET optimizer_search_depth=62, optimizer_prune_level=0"],
    running: LONG_PLAN,
    on: BOTH,
    waits: MYSQL,
  },
  {
    name: "SELECT of a waiting function under a name",
    running: "SELECT GET_LOCK('held', 20) AS got FROM DUAL",
    on: BOTH,
    waits: [],
  },
  { name: "a session in GET_LOCK", running: "SELECT GET_LOCK('held', 20)", on: BOTH, waits: [] },
];

for (const flavor of ["mysql", "mariadb"] as const) {
  Deno.test(`the guard names just those that keep the lock waiting (${flavor})`, async (test) => {
    const server = await startServer(flavor);
    const admin = await connect(server);
    try {
      await admin.query("CREATE DATABASE shop");
      await admin.query("CREATE TABLE shop.t (a INT) ENGINE=InnoDB");
      await admin.query("INSERT INTO shop.t VALUES (1)");
      await admin.query("CREATE TABLE shop.u (a INT) ENGINE=InnoDB");
      await admin.query("INSERT INTO shop.u VALUES (1)");
      await admin.query(
        `CREATE FUNCTION shop.slow() RETURNS INT READS SQL DATA RETURN ${SLOW}`,
      );
      for (
        const [name, body] of [
          ["sleeps", "DO SLEEP(20)"],
          ["writes", "UPDATE shop.u SET a = 4 WHERE SLEEP(20) = 0"],
          ["looks", "SELECT SLEEP(20) FROM shop.t"],
        ]
      ) await admin.query(`CREATE PROCEDURE shop.${name}() BEGIN ${body}; END`);
      await admin.query("CREATE TABLE shop.many (a INT) ENGINE=InnoDB");
      await admin.query("INSERT INTO shop.many VALUES (1), (2), (3), (4)");
      await admin.query("CREATE TABLE shop.read (a INT, KEY k (a)) ENGINE=InnoDB");
      await admin.query("CREATE VIEW shop.seen AS SELECT a FROM shop.read");
      await admin.query(
        "CREATE TRIGGER shop.fired BEFORE UPDATE ON shop.read FOR EACH ROW SET @fired = 1",
      );
      const reader = await connect(server);
      await reader.query("BEGIN");
      await reader.query("SELECT COUNT(*) FROM shop.seen");
      if (flavor === "mysql") {
        await admin.query("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'");
      }
      await admin.query("DO GET_LOCK('held', 0)");
      const [version] = await admin.query("SELECT @@version AS v, @@version_comment AS c");
      const parsed = parseVersion(String(version?.["v"]), String(version?.["c"]));
      assert.ok(parsed !== null);
      const can = capabilitiesOf(parsed);
      for (const { name, holder, before, running, isSemisync, on, waits, isUnseen } of CASES) {
        for (const [of, method] of on) {
          if (of !== flavor) continue;
          const doesWait = waits.some(([a, b]) => a === of && b === method);
          const isNamed = doesWait && isUnseen === undefined;
          const expected = `${doesWait ? "waits" : "does not wait"}, and it is ${
            isNamed ? "" : "not "
          }named`;
          await test.step(`${method}, ${name}: ${expected}`, async () => {
            const other = await connect(server);
            const held = holder === undefined ? null : await connect(server);
            for (const statement of holder ?? []) await held?.query(statement);
            for (const statement of before ?? []) await other.query(statement);
            if (isSemisync) await admin.query(SEMISYNC[flavor].on);
            const work = running === undefined ? null : other.query(running).catch(() => null);
            await sleep(running === undefined ? 50 : 250);
            try {
              const policy = { method: METHODS[method], can, ownIds: [admin.id], thresholdMs: 0 };
              const rows = await admin.query(
                "SELECT id AS Id, user AS User, command AS Command, time AS Time, state AS State, info AS Info FROM information_schema.processlist",
              );
              const idle = can.idleLocksStatement === null
                ? []
                : await admin.query(can.idleLocksStatement);
              const named = [
                ...findBlockers(rows, policy),
                ...findIdleBlockers(idle, policy),
              ].some(({ id }) => id === other.id);
              assert.deepEqual(
                { lockWaits: await waitsFor(server, method), named },
                { lockWaits: doesWait, named: isNamed },
              );
            } finally {
              if (isSemisync) await admin.query(SEMISYNC[flavor].off);
              await admin.query(`KILL ${other.id}`).catch(() => null);
              await work;
              await other.close().catch(() => null);
              await held?.close();
            }
          });
        }
      }
      await reader.close();
    } finally {
      await admin.close();
      await discard(server);
    }
  });
}

/** Whether the method's lock statements wait for longer than a second. */
async function waitsFor(
  server: Parameters<typeof connect>[0],
  method: MethodName,
): Promise<boolean> {
  const session: Connection = await connect(server);
  try {
    await session.query("SET SESSION lock_wait_timeout=1");
    for (const statement of METHODS[method].acquire) await session.query(statement);
    return false;
  } catch {
    return true;
  } finally {
    await session.query(METHODS[method].release).catch(() => null);
    await session.close();
  }
}
