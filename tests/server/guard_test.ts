/**
 * What the guard may kill and what it leaves alone, two locktables on one server, and a binlog
 * that is rotated under the lock.
 */
import { growOld } from "../support/aged.ts";
import assert from "node:assert/strict";
import type { Instance } from "../../lib/mysql/instance.ts";
import { openInstance } from "../../lib/mysql/open_instance.ts";
import { isRefusal } from "../../lib/base/refusal.ts";
import { assertOneLine, FLAVORS, type Guest, openGuest, sleep, until } from "../support/guest.ts";
import { testOnEachServer } from "../support/guest.ts";
import { openBlocker } from "../support/blocker.ts";
import { startReplica, startSource } from "../support/replica.ts";
import { openSandbox } from "../support/sandbox.ts";
import { connect, type Server } from "../support/server.ts";

/** Servers count a statement's age in whole seconds. */
const AGED_MS = 1_100;

/** A statement on a session of its own. */
interface Running {
  readonly id: number;
  /** Whether the server still runs it. */
  isRunning(): Promise<boolean>;
  end(): Promise<void>;
}

async function start(server: Server, sql: string): Promise<Running> {
  const session = await connect(server);
  const admin = await connect(server);
  const ended = session.query(sql).catch(() => {});
  await growOld(session, admin);
  return {
    id: session.id,
    isRunning: async () =>
      (await admin.query("SHOW PROCESSLIST")).some((row) =>
        row["Id"] === session.id && row["Command"] === "Query"
      ),
    async end() {
      await admin.query(`KILL ${session.id}`).catch(() => {});
      await ended;
      await session.close();
      await admin.close();
    },
  };
}

const SELECT = "SELECT SLEEP(30) FROM shop.orders WHERE id = 1";
const UPDATE = "UPDATE shop.orders SET id = id WHERE id = 2 AND SLEEP(30) = 0";

async function fillOrders(server: Server): Promise<void> {
  const admin = await connect(server);
  await admin.query("INSERT INTO shop.orders VALUES (1), (2), (3)");
  await admin.close();
}

interface KillCase {
  readonly setting: "off" | "select" | "all";
  /** Which statements end, per server: SELECTs are in nobody's way on MariaDB. */
  readonly mysql: { readonly code: number; readonly killed: readonly ("select" | "update")[] };
  readonly mariadb: KillCase["mysql"];
}

const KILL_CASES: readonly KillCase[] = [
  { setting: "off", mysql: { code: 10, killed: [] }, mariadb: { code: 10, killed: [] } },
  {
    setting: "select",
    mysql: { code: 10, killed: ["select"] },
    mariadb: { code: 10, killed: [] },
  },
  {
    setting: "all",
    mysql: { code: 0, killed: ["select", "update"] },
    mariadb: { code: 0, killed: ["update"] },
  },
];

testOnEachServer(
  "kill_long_queries ends what it may and what is in the way",
  async (guest, step) => {
    await fillOrders(guest.server);
    for (const { setting, ...expected } of KILL_CASES) {
      const { code, killed } = expected[guest.flavor];
      await step.step(`${setting}: ${killed.join(" and ") || "nothing"}`, async () => {
        await guest.sandbox.writeFile(
          "/root/.my.cnf",
          `[locktables]\nmethod=ftwrl\nfreeze_timeout=4s\nlock_wait_timeout=1s\nkill_long_queries=${setting}\n`,
        );
        const running = {
          select: await start(guest.server, SELECT),
          update: await start(guest.server, UPDATE),
        };
        const frozen = await guest.locktables("pre-freeze");
        assert.equal(frozen.code, code, frozen.stderr);
        for (const kind of ["select", "update"] as const) {
          const isKilled = killed.includes(kind);
          assert.equal(await running[kind].isRunning(), !isKilled, `the ${kind} is running`);
          const told = `kill_long_queries=${setting}: killed the statement of id ${
            running[kind].id
          } `;
          const { window, last } = await guest.status();
          const warnings = (window ?? last)?.warnings ?? [];
          assert.equal(
            warnings.some((warning) => warning.startsWith(told)),
            isKilled,
            `${warnings}`,
          );
          if (code === 0 && isKilled) assert.ok(frozen.stderr.includes(told), frozen.stderr);
        }
        if (code === 0) assert.equal((await guest.locktables("post-thaw")).code, 0);
        else {assertOneLine(
            frozen,
            new RegExp(`KILL QUERY (${killed.includes("select") ? running.update.id : "\\d+"})\\b`),
          );}
        for (const { end } of Object.values(running)) await end();
        await guest.assertNothingLeft();
      });
    }
  },
);

/** Our own side of a server, as the locker opens it. */
async function openGuarded(server: Server): Promise<Instance> {
  const instance = await openInstance({
    name: "main",
    socket: server.socket,
    user: "root",
    password: null,
    method: "ftwrl",
    lockWaitTimeoutMs: 1_000,
    longQueryGuardMs: 1_000,
    killLongQueries: "all",
    connectionMark: null,
    onCrowded: () => {},
    onLost: () => {},
    onControlLost: () => {},
  });
  assert.ok(!isRefusal(instance), JSON.stringify(instance));
  return instance;
}

testOnEachServer("only a statement that was seen twice is killed", async (guest) => {
  await fillOrders(guest.server);
  const instance = await openGuarded(guest.server);
  const ids = async () => {
    const look = await instance.look(true);
    assert.ok(!isRefusal(look), JSON.stringify(look));
    const { blockers, killed } = look;
    return { blockers: blockers.map(({ id }) => id), killed: killed.map(({ id }) => id) };
  };
  try {
    const first = await start(guest.server, UPDATE);
    assert.deepEqual(await ids(), { blockers: [first.id], killed: [] });
    await first.end();
    // Another session with the same statement takes its place between two looks.
    const second = await start(guest.server, UPDATE);
    assert.deepEqual(await ids(), { blockers: [second.id], killed: [] });
    assert.ok(await second.isRunning());
    assert.deepEqual(await ids(), { blockers: [second.id], killed: [second.id] });
    await until("it is killed", 2_000, async () => !await second.isRunning());
    await second.end();

    // The same session with the same statement once more: its age has gone back.
    const session = await connect(guest.server);
    const admin = await connect(guest.server);
    const once = async () => {
      const ended = session.query(UPDATE).catch(() => {});
      await growOld(session, admin);
      return { ended };
    };
    const before = await once();
    // By far: on a busy machine the second look comes late as well.
    await sleep(4_000);
    assert.deepEqual(await ids(), { blockers: [session.id], killed: [] });
    await admin.query(`KILL QUERY ${session.id}`);
    await before.ended;
    const after = await once();
    assert.deepEqual(await ids(), { blockers: [session.id], killed: [] });
    await admin.query(`KILL QUERY ${session.id}`);
    await after.ended;
    await session.close();
    await admin.close();
  } finally {
    await instance.release();
  }
  await guest.assertNothingLeft();
});

testOnEachServer("the event scheduler is never taken for a blocker", async (guest) => {
  const admin = await connect(guest.server);
  await admin.query("SET GLOBAL event_scheduler = ON");
  const scheduler = async () =>
    (await admin.query("SHOW PROCESSLIST")).find((row) => row["User"] === "event_scheduler")
      ?.["Id"];
  await until("the scheduler runs", 2_000, async () => await scheduler() !== undefined);
  const id = await scheduler();
  await sleep(2 * AGED_MS);
  await guest.sandbox.writeFile(
    "/root/.my.cnf",
    "[locktables]\nmethod=ftwrl\nfreeze_timeout=4s\nkill_long_queries=all\n",
  );
  const frozen = await guest.locktables("pre-freeze");
  assert.equal(frozen.code, 0, frozen.stderr);
  assert.equal((await guest.locktables("post-thaw")).code, 0);
  const warnings = (await guest.status()).last?.warnings ?? [];
  assert.deepEqual(warnings.filter((line) => /kill/.test(line)), []);
  assert.equal(await scheduler(), id, "the same thread");
  await admin.query("SET GLOBAL event_scheduler = OFF");
  await admin.close();
  await guest.assertNothingLeft();
});

for (const flavor of FLAVORS) {
  Deno.test(`a replica's own threads are in the way and never killed (${flavor})`, async () => {
    // MySQL has no GTIDs unless asked; both sides write statements, so that the wait replicates.
    const args = flavor === "mysql" ? ["--gtid-mode=ON", "--enforce-gtid-consistency=ON"] : [];
    const source = await startSource(flavor, args);
    const replica = await startReplica(flavor, source, {}, args);
    const sandbox = await openSandbox();
    const [from, at] = await Promise.all([connect(source), connect(replica)]);
    try {
      await sandbox.bindServer(replica);
      await sandbox.writeFile(
        "/root/.my.cnf",
        "[locktables]\nmethod=ftwrl\nfreeze_timeout=3s\nlock_wait_timeout=1s\nkill_long_queries=all\n",
      );
      const [own] = await at.query("SELECT @@global.server_id AS id");
      await from.query("CREATE DATABASE shop");
      await from.query("CREATE TABLE shop.orders (id INT PRIMARY KEY, n INT)");
      await from.query("INSERT INTO shop.orders VALUES (1, 0)");
      await from.query("SET SESSION binlog_format = 'STATEMENT'");
      await from.query(
        `UPDATE shop.orders SET n = n + 1 WHERE SLEEP(IF(@@global.server_id = ${
          own?.["id"]
        }, 8, 0)) = 0`,
      );
      const applier = async () =>
        (await at.query("SHOW PROCESSLIST")).find((row) =>
          row["User"] === "system user" && /UPDATE shop/.test(String(row["Info"] ?? ""))
        )?.["Id"];
      await until("the replica applies it", 5_000, async () => await applier() !== undefined);
      const id = await applier();
      // It waits for the applier to end its statement, and is not what the lock waits for.
      const stopper = await connect(replica);
      const stopping = stopper.query(flavor === "mysql" ? "STOP REPLICA" : "STOP SLAVE");
      await sleep(2 * AGED_MS);
      const frozen = await sandbox.run([sandbox.binary, "pre-freeze"]);
      assert.equal(frozen.code, 10, frozen.stderr);
      assertOneLine(frozen, /was not granted within lock_wait_timeout/);
      assert.doesNotMatch(frozen.stderr, /STOP (REPLICA|SLAVE)/);
      assert.equal(await applier(), id, "it goes on");
      await stopping; // and was not killed
      await stopper.close();
      await until("it comes to its end", 10_000, async () => await applier() === undefined);
      const [row] = await at.query("SELECT n FROM shop.orders");
      // MariaDB's STOP leaves the transaction for the next START.
      assert.equal(row?.["n"], flavor === "mysql" ? 1 : 0);
    } finally {
      await Promise.all([from.close(), at.close()]);
      await sandbox.close();
      await replica.stop();
      await source.stop();
    }
  });
}

testOnEachServer(
  "an account without PROCESS is told, and a blocker that it cannot see costs one attempt",
  async (guest) => {
    await fillOrders(guest.server);
    const admin = await connect(guest.server);
    const grants = guest.flavor === "mariadb"
      ? "RELOAD, BINLOG MONITOR, SLAVE MONITOR"
      : "FLUSH_TABLES, REPLICATION CLIENT";
    await admin.query("CREATE USER blind@localhost IDENTIFIED BY 'secret'");
    await admin.query(`GRANT ${grants} ON *.* TO blind@localhost`);
    await admin.close();
    await guest.sandbox.writeFile(
      "/root/.my.cnf",
      "[client]\nuser=blind\npassword=secret\n[locktables]\nmethod=ftwrl\nfreeze_timeout=4s\nlock_wait_timeout=1s\nkill_long_queries=all\n",
    );
    const update = await start(guest.server, UPDATE);
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 10, frozen.stderr);
    assert.match(frozen.stderr, /was not granted within lock_wait_timeout/);
    assert.ok(await update.isRunning(), "an account may not kill another's statement");
    const { last } = await guest.status();
    assert.ok(last?.warnings.some((warning) => /blind/.test(warning)), `${last?.warnings}`);
    await update.end();
    await guest.assertNothingLeft();
  },
);

testOnEachServer("of two locktables on one server the second is refused", async (guest) => {
  const other = await openSandbox();
  try {
    await other.bindServer(guest.server);
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    const before = (await guest.status()).window;
    const second = await other.run([other.binary, "pre-freeze"]);
    assert.equal(second.code, 11, second.stderr);
    assertOneLine(second, /Another locktables has a window open on the server at \/run\/mysqld/);
    const write = await guest.write();
    await sleep(300);
    assert.equal(write.isDone(), false, "the first one's lock is there");
    assert.deepEqual((await guest.status()).window, before);
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    await write.finished(1_000);
    const now = await other.run([other.binary, "pre-freeze"]);
    assert.equal(now.code, 0, now.stderr);
    assert.equal((await other.run([other.binary, "post-thaw"])).code, 0);
  } finally {
    await other.close();
  }
  await guest.assertNothingLeft();
});

/** MariaDB gives every transaction a GTID, MySQL only when asked. */
const ROTATIONS = [
  { flavor: "mariadb", args: [], isProven: true },
  {
    flavor: "mysql",
    args: ["--gtid-mode=ON", "--enforce-gtid-consistency=ON"],
    isProven: true,
  },
  { flavor: "mysql", args: ["--gtid-mode=OFF"], isProven: false },
] as const;

for (const { flavor, args, isProven } of ROTATIONS) {
  const worth = isProven ? "leaves the snapshot what it is" : "cannot be told from a commit";
  Deno.test(`a rotation under the lock ${worth} (${[flavor, ...args].join(" ")})`, async (step) => {
    const guest = await openGuest(flavor, args);
    try {
      await step.step("once", () => assertRotation(guest, isProven, 1, false));
      await step.step("twice", () => assertRotation(guest, isProven, 2, false));
      await step.step("with a write that waits", () => assertRotation(guest, isProven, 1, true));
    } finally {
      await guest.close();
    }
  });
}

async function assertRotation(
  guest: Guest,
  isProven: boolean,
  rotations: number,
  isWriting: boolean,
): Promise<void> {
  const before = await guest.write();
  await before.finished(1_000);
  const frozen = await guest.locktables("pre-freeze");
  assert.equal(frozen.code, 0, frozen.stderr);
  const write = isWriting ? await guest.write() : null;
  const admin = await connect(guest.server);
  for (let done = 0; done < rotations; done += 1) await admin.query("FLUSH BINARY LOGS");
  await admin.close();
  const thawed = await guest.locktables("post-thaw");
  const { last } = await guest.status();
  if (isProven) {
    assert.equal(thawed.code, 0, thawed.stderr);
    assert.equal(last?.verdict, "application-consistent");
  } else {
    assert.equal(thawed.code, 12, thawed.stdout);
    assertOneLine(thawed, /the binlog moved from binlog\.\d+:\d+ to binlog\.\d+:\d+/);
    assert.deepEqual([last?.reason, last?.verdict], ["coordinates-moved", "crash-consistent"]);
  }
  await write?.finished(1_000);
  await guest.assertNothingLeft();
}

/** What a terminal gets where a line is written anew. */
const CLEARED = "\r\u001b[K";

Deno.test("at a terminal pre-freeze shows who is in the way, and rehearse what is left of its hold", async () => {
  const guest = await openGuest("mariadb");
  const { sandbox, locktables } = guest;
  /** Runs a command as a person does; what it shows goes into this file. */
  const atTerminal = (command: string, shown: string) =>
    sandbox.spawn(["/usr/bin/script", "-qfec", `${sandbox.binary} ${command}`, shown], {
      stdin: "null",
      stdout: "null",
      stderr: "null",
    });
  try {
    const blocker = await openBlocker(guest, "freeze_timeout=20s");
    const waiting = atTerminal("pre-freeze", "/run/waiting");
    const line = new RegExp(`waits, \\d+ s left: .*\\b${blocker.id}\\b`);
    await until(
      "the line",
      15_000,
      async () =>
        await sandbox.exists("/run/waiting") && line.test(await sandbox.read("/run/waiting")),
    );
    // Who asks meanwhile sees it, too.
    assert.match(
      (await locktables("status")).stdout,
      new RegExp(`^ {2}waits for +.*\\b${blocker.id}\\b`, "m"),
    );
    await blocker.end();
    assert.equal((await waiting.status).code, 0);
    assert.ok((await sandbox.read("/run/waiting")).includes(`${CLEARED}Frozen: `));
    const thawed = await locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    // Nothing of it where there is no terminal.
    const piped = await locktables("rehearse", "--hold", "600ms");
    assert.deepEqual([piped.code, piped.stderr], [0, ""]);
    const held = await atTerminal("rehearse --hold 600ms", "/run/held").status;
    assert.equal(held.code, 0);
    const shown = await sandbox.read("/run/held");
    assert.match(shown, /locked, 0\.\d s left: 0 sessions wait/);
    assert.ok(shown.includes(`${CLEARED}locked, `));
    await guest.assertNothingLeft();
  } finally {
    await guest.close();
  }
});
