/** A MariaDB and a MySQL in one window: all or nothing, and each with its own verdict. */
import { growOld } from "../support/aged.ts";
import assert from "node:assert/strict";
import { assertOneLine, sleep, statusIn, until } from "../support/guest.ts";
import { openSandbox, processesOf, type Sandbox } from "../support/sandbox.ts";
import { connect, type Connection, type Server, startServer } from "../support/server.ts";
import { underLoad } from "../support/load.ts";

const SOCKET_DIRS = { main: "/run/mysqld", reporting: "/run/mariadb" } as const;
type InstanceName = keyof typeof SOCKET_DIRS;
const NAMES = ["main", "reporting"] as const;

/** A guest with two servers. */
interface Pair {
  readonly sandbox: Sandbox;
  readonly servers: Readonly<Record<InstanceName, Server>>;
  readonly admins: Readonly<Record<InstanceName, Connection>>;
  configure(options?: string): Promise<void>;
  locktables(...args: string[]): ReturnType<Sandbox["run"]>;
  status(): Promise<PairStatus>;
}

interface PairRecord {
  readonly phase: string;
  readonly outcome: string | null;
  readonly reason: string | null;
  readonly verdict: string | null;
  readonly locked_at: string | null;
  readonly deadline: string | null;
  readonly instances: readonly {
    readonly name: string;
    readonly flavor: string;
    readonly method: string;
    readonly connection_id: number;
    readonly verdict: string | null;
    readonly coordinates: { readonly file: string; readonly position: number } | null;
  }[];
}

interface PairStatus {
  readonly window: PairRecord | null;
  readonly last: PairRecord | null;
}

async function withPair(use: (pair: Pair) => Promise<void>): Promise<void> {
  const [main, reporting] = await Promise.all([
    startServer("mariadb"),
    // Where nothing but the binlog's end proves the hold.
    startServer("mysql", { args: ["--gtid-mode=OFF"] }),
  ]);
  const servers = { main, reporting };
  const sandbox = await openSandbox();
  const admins = { main: await connect(main), reporting: await connect(reporting) };
  try {
    for (const name of NAMES) {
      await sandbox.bindServer(servers[name], SOCKET_DIRS[name]);
      await admins[name].query("CREATE DATABASE shop");
      await admins[name].query("CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY)");
      await admins[name].query("INSERT INTO shop.orders VALUES (1), (2)");
    }
    await use({
      sandbox,
      servers,
      admins,
      configure: (options = "") =>
        sandbox.writeFile(
          "/root/.my.cnf",
          `[locktables]\ninstances=main,reporting\n${options}\n` +
            NAMES.map((name) => `[client_${name}]\nsocket=${SOCKET_DIRS[name]}/mysqld.sock\n`)
              .join(""),
        ),
      locktables: (...args) => sandbox.run([sandbox.binary, ...args], { timeoutMs: 30_000 }),
      status: () => statusIn(sandbox),
    });
  } finally {
    for (const name of NAMES) await admins[name].close();
    await sandbox.close();
    await Promise.all([main.stop(), reporting.stop()]);
  }
}

async function binlogEnd({ admins }: Pair, name: InstanceName): Promise<unknown[]> {
  const [row] = await admins[name].query(
    name === "main" ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS",
  );
  return [row?.["File"], row?.["Position"]];
}

/** A write on a session of its own, that may have to wait. */
async function startWrite(server: Server): Promise<{ isDone(): boolean; done: Promise<void> }> {
  const session = await connect(server);
  let isDone = false;
  const done = session.query("INSERT INTO shop.orders VALUES ()").then(async () => {
    isDone = true;
    await session.close();
  });
  return { isDone: () => isDone, done };
}

async function assertWritable(server: Server): Promise<void> {
  const write = await startWrite(server);
  await until("a write is done", 1_000, write.isDone);
  await write.done;
}

/** No process, no file, and no session on any server that answers. */
async function assertNothingLeft(pair: Pair, names: readonly InstanceName[] = NAMES) {
  await until(
    "no process is left",
    2_000,
    async () => (await processesOf(pair.sandbox)).every(({ cmdline }) => cmdline === ""),
  );
  assert.equal((await pair.sandbox.sh("ls -A /run/veeam")).stdout, "");
  for (const name of names) {
    await until(
      `no session is left on ${name}`,
      2_000,
      async () =>
        (await pair.admins[name].query("SHOW PROCESSLIST")).every((row) =>
          row["Id"] === pair.admins[name].id || row["User"] === "event_scheduler"
        ),
    );
    await assertWritable(pair.servers[name]);
  }
}

Deno.test("two servers are locked in one window, and each gets its verdict", () =>
  withPair(async (pair) => {
    await pair.configure();
    const frozen = await pair.locktables("pre-freeze");
    assert.equal(frozen.code, 0, frozen.stderr);
    assert.match(frozen.stdout, /main \(MariaDB .*backup-stage.*, reporting \(MySQL .*ftwrl/);
    const writes = await Promise.all(NAMES.map((name) => startWrite(pair.servers[name])));
    await sleep(300);
    assert.deepEqual(writes.map((write) => write.isDone()), [false, false]);
    const { window } = await pair.status();
    assert.deepEqual(window?.instances.map(({ name }) => name), [...NAMES]);
    const positions = await Promise.all(NAMES.map((name) => binlogEnd(pair, name)));
    assert.deepEqual(
      window?.instances.map(({ coordinates }) => [coordinates?.file, coordinates?.position]),
      positions,
      "the recorded coordinates are the servers'",
    );
    const thawed = await pair.locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    await Promise.all(writes.map(({ done }) => done));
    const { last } = await pair.status();
    assert.equal(last?.verdict, "application-consistent");
    assert.deepEqual(
      last?.instances.map(({ verdict }) => verdict),
      ["application-consistent", "application-consistent"],
    );
    await assertNothingLeft(pair);
  }));

Deno.test("two servers that both keep the lock waiting are waited for at the same time", () =>
  withPair(async (pair) => {
    await pair.configure("method=ftwrl\nlock_wait_timeout=5s\nlong_query_guard=15m");
    const updates = await Promise.all(NAMES.map((name) => connect(pair.servers[name])));
    const ends = updates.map((session) =>
      session.query("UPDATE shop.orders SET id = id WHERE id = 1 AND SLEEP(2.5) = 0")
    );
    await sleep(100);
    const frozen = await pair.locktables("pre-freeze");
    assert.equal(frozen.code, 0, frozen.stderr);
    assert.ok(frozen.ms > 1_500, `both were in the way: ${frozen.ms} ms`);
    assert.ok(frozen.ms < underLoad(4_000), `not one after the other: ${frozen.ms} ms`);
    const { window } = await pair.status();
    const heldMs = Date.parse(window?.deadline ?? "") - Date.parse(window?.locked_at ?? "");
    assert.equal(heldMs, 60_000, "one deadline, counted from the moment when all were locked");
    assert.equal((await pair.locktables("post-thaw")).code, 0);
    await Promise.all(ends);
    for (const session of updates) await session.close();
    await assertNothingLeft(pair);
  }));

interface RefusalCase {
  readonly name: string;
  /** Makes the trouble; returns how it ends. */
  readonly given: (pair: Pair) => Promise<() => Promise<void>>;
  readonly options?: string;
  readonly code: number;
  readonly line: RegExp;
  /** Those that answer and must be free. */
  readonly free: readonly InstanceName[];
}

const BUDGET = "freeze_timeout=3s\nlock_wait_timeout=1s";

/** A session that does something and is ended by KILL. */
async function blocking(
  pair: Pair,
  name: InstanceName,
  sql: string,
  state?: "in a statement" | "idle",
) {
  const session = await connect(pair.servers[name]);
  const ended = session.query(sql).catch(() => {});
  await growOld(session, pair.admins[name], state);
  return async () => {
    await pair.admins[name].query(`KILL ${session.id}`);
    await ended;
    await session.close();
  };
}

const REFUSALS: readonly RefusalCase[] = [
  {
    name: "MySQL is blocked by a SELECT that the guard sees",
    given: (pair) => blocking(pair, "reporting", "SELECT SLEEP(30) FROM shop.orders"),
    options: BUDGET,
    code: 10,
    line: /SELECT SLEEP\(30\)/,
    free: ["main"],
  },
  {
    name: "MariaDB is blocked by an idle session that the guard does not see",
    given: (pair) => blocking(pair, "main", "LOCK TABLES shop.orders WRITE", "idle"),
    options: BUDGET,
    code: 10,
    line: /was not granted within lock_wait_timeout \(1000 ms\) at \/run\/mysqld\/mysqld\.sock/,
    free: ["reporting"],
  },
  {
    name: "MySQL is down",
    given: async (pair) => {
      await pair.servers.reporting.kill9();
      return async () => {
        await pair.servers.reporting.restart();
        await pair.admins.reporting.close();
        Object.assign(pair.admins, { reporting: await connect(pair.servers.reporting) });
      };
    },
    code: 20,
    line: /Cannot log in as root at \/run\/mariadb\/mysqld\.sock: .*ECONNREFUSED/,
    free: ["main"],
  },
  {
    name: "an account is refused by one of them",
    given: async (pair) => {
      await pair.sandbox.sh("printf '[client_main]\\nuser=nobody\\n' >> /root/.my.cnf");
      return () => pair.configure();
    },
    code: 21,
    line: /Cannot log in as nobody at \/run\/mysqld\/mysqld\.sock/,
    free: ["reporting"],
  },
  {
    name: "both names lead to one server",
    given: async (pair) => {
      await pair.sandbox.sh("mount --bind /run/mysqld /run/mariadb");
      return async () => void await pair.sandbox.sh("umount /run/mariadb");
    },
    code: 22,
    line: /The instances main and reporting are one server/,
    free: NAMES,
  },
];

Deno.test("where one of two servers cannot be locked, none is", (test) =>
  withPair(async (pair) => {
    for (const { name, given, options, code, line, free } of REFUSALS) {
      await test.step(name, async () => {
        await pair.configure(options);
        const undo = await given(pair);
        const freezing = pair.locktables("pre-freeze");
        const frozen = await freezing;
        assert.equal(frozen.code, code, frozen.stderr);
        assertOneLine(frozen, line);
        assert.ok(frozen.ms < underLoad(5_000), `${frozen.ms} ms`);
        for (const name of free) await assertWritable(pair.servers[name]);
        assert.equal((await pair.status()).window, null);
        await undo();
        await assertNothingLeft(pair);
      });
    }
    await test.step("afterwards a window is good", async () => {
      await pair.configure();
      const frozen = await pair.locktables("pre-freeze");
      assert.equal(frozen.code, 0, frozen.stderr);
      assert.equal((await pair.locktables("post-thaw")).code, 0);
      await assertNothingLeft(pair);
    });
  }));

Deno.test("where one of two servers loses its lock, both are released and nothing is claimed", (test) =>
  withPair(async (pair) => {
    await pair.configure();
    for (const name of NAMES) {
      await test.step(`the session on ${name} killed`, async () => {
        assert.equal((await pair.locktables("pre-freeze")).code, 0);
        const id = (await pair.status()).window?.instances.find((one) => one.name === name)
          ?.connection_id;
        const writes = await Promise.all(NAMES.map((name) => startWrite(pair.servers[name])));
        await sleep(100);
        assert.deepEqual(writes.map((write) => write.isDone()), [false, false]);
        await pair.admins[name].query(`KILL ${id}`);
        await until("both are released", 1_000, () => writes.every((write) => write.isDone()));
        const thawed = await pair.locktables("post-thaw");
        assert.equal(thawed.code, 12, thawed.stdout);
        assertOneLine(thawed, new RegExp(`session-lost \\(${name}: `));
        const { last } = await pair.status();
        assert.deepEqual([last?.outcome, last?.verdict], ["lost", "crash-consistent"]);
        // Both: the other one was let go before the thaw, too.
        assert.deepEqual(
          last?.instances.map(({ verdict }) => verdict),
          ["crash-consistent", "crash-consistent"],
        );
        await assertNothingLeft(pair);
      });
    }
    await test.step("the binlog of one moved: the guest's verdict is the worst", async () => {
      assert.equal((await pair.locktables("pre-freeze")).code, 0);
      await pair.admins.reporting.query("FLUSH BINARY LOGS"); // without GTIDs no proof any more
      const thawed = await pair.locktables("post-thaw");
      assert.equal(thawed.code, 12, thawed.stdout);
      assertOneLine(thawed, /reporting/);
      const { last } = await pair.status();
      assert.equal(last?.verdict, "crash-consistent");
      assert.deepEqual(
        last?.instances.map(({ name, verdict }) => [name, verdict]),
        [["main", "application-consistent"], ["reporting", "crash-consistent"]],
      );
      await assertNothingLeft(pair);
    });
    await test.step("the locker killed", async () => {
      assert.equal((await pair.locktables("pre-freeze")).code, 0);
      const [locker] = (await processesOf(pair.sandbox)).filter(({ cmdline }) =>
        cmdline.includes(" locker")
      );
      assert.ok(locker !== undefined);
      Deno.kill(locker.pid, "SIGKILL");
      for (const name of NAMES) await assertWritable(pair.servers[name]);
      assert.equal((await pair.locktables("post-thaw")).code, 12);
      await assertNothingLeft(pair);
    });
  }));
