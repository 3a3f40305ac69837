/**
 * Every method against everything that may be in its way, on real servers: what pre-freeze does,
 * what it says, what it costs the other clients, and that nothing of it stays on the server.
 * The expected results are `docs/locking.md#11-what-it-waits-for` and
 * `docs/locking.md#31-what-it-waits-for`.
 */
import { growOld } from "../support/aged.ts";
import assert from "node:assert/strict";
import { assertOneLine, sleep, statusIn, until, untilNothingLeft } from "../support/guest.ts";
import { openSandbox, processesOf, type Sandbox } from "../support/sandbox.ts";
import {
  connect,
  type Connection,
  type Server,
  type ServerKind,
  startServer,
} from "../support/server.ts";
import {
  BUSY_TABLE,
  mixedClients,
  OTHER_TABLE,
  startStatementLoad,
  type StatementLoad,
} from "../support/statement_load.ts";
import { underLoad } from "../support/load.ts";

const FREEZE_TIMEOUT_MS = 3_000;
const LOCK_WAIT_MS = 1_000;

/** What starting, reporting and ending two processes may take on a busy machine. */
const OVERHEAD_MS = 1_000;

/** What other clients may wait because of us: one attempt to lock, and a second. */
const stallLimitMs = () => LOCK_WAIT_MS + underLoad(1_000);

/** A statement that ends by itself only after the test. */
const LONG_S = 60;

/**
 * What pre-freeze does about a blocker.
 * - `locks`: at once, as if it was not there.
 * - `waits`: sends no lock statement that anybody could queue behind; locks when the blocker is
 *   gone, and refuses naming it when it stays.
 * - `tries`: cannot see it; sends the lock statement for `lock_wait_timeout`.
 */
type Answer = "locks" | "waits" | "tries";

type MethodName = "auto" | "ftwrl" | "backup-stage";

/** Something in the way, on a session of its own. */
interface Blocker {
  readonly name: string;
  /** Runs on the blocker's session; `running` is what is not waited for. */
  readonly begin: (session: Connection) => Promise<{ readonly running?: Promise<unknown> }>;
  /** Clients that it holds up itself, with or without us. */
  readonly holdsUp: readonly string[];
  /** How pre-freeze names it, where it can be named. */
  readonly says?: RegExp;
  /** Null: does not exist on that server. */
  readonly mariadb: Readonly<Record<MethodName, Answer>> | null;
  readonly mysql: Readonly<Record<"auto" | "ftwrl", Answer>> | null;
}

const NOBODY_WAITS = { auto: "locks", ftwrl: "locks", "backup-stage": "locks" } as const;
const FTWRL_WAITS = { auto: "locks", ftwrl: "waits", "backup-stage": "locks" } as const;
const MYSQL_WAITS = { auto: "waits", ftwrl: "waits" } as const;
const MYSQL_LOCKS = { auto: "locks", ftwrl: "locks" } as const;

const running = (sql: string) => (session: Connection) =>
  Promise.resolve({ running: session.query(sql).catch(() => {}) });

const idle = (...statements: string[]) => async (session: Connection) => {
  for (const sql of statements) await session.query(sql);
  return {};
};

const BLOCKERS: readonly Blocker[] = [
  {
    name: "a long SELECT",
    begin: running(`SELECT SLEEP(${LONG_S}) FROM ${BUSY_TABLE}`),
    holdsUp: [],
    says: /\(root, \d+ s, [^)]*\): SELECT SLEEP\(60\) FROM shop\.busy/,
    mariadb: NOBODY_WAITS,
    mysql: MYSQL_WAITS,
  },
  {
    name: "a long UPDATE",
    begin: running(`UPDATE ${BUSY_TABLE} SET n = n WHERE SLEEP(${LONG_S}) = 0`),
    holdsUp: ["write busy"],
    says: /\(root, \d+ s, [^)]*\): UPDATE shop\.busy/,
    mariadb: FTWRL_WAITS,
    mysql: MYSQL_WAITS,
  },
  {
    name: "an idle open transaction",
    begin: idle("START TRANSACTION", `SELECT COUNT(*) FROM ${BUSY_TABLE}`),
    holdsUp: [],
    mariadb: NOBODY_WAITS,
    mysql: MYSQL_LOCKS,
  },
  {
    name: "an idle transaction with an uncommitted write",
    begin: idle("START TRANSACTION", `UPDATE ${BUSY_TABLE} SET n = n + 1 WHERE id = 3`),
    holdsUp: [],
    mariadb: NOBODY_WAITS,
    mysql: MYSQL_LOCKS,
  },
  {
    name: "a running ALTER TABLE, ALGORITHM=COPY",
    // A column that takes 10 ms a row to compute.
    begin: running(
      `ALTER TABLE ${BUSY_TABLE} ADD COLUMN h CHAR(128)
       AS (SHA2(REPEAT(CONCAT('row ', id), 1500000), 512)) STORED, ALGORITHM=COPY`,
    ),
    holdsUp: ["write busy"],
    says: /\(root, \d+ s, [^)]*\): ALTER TABLE shop\.busy/,
    mariadb: FTWRL_WAITS,
    mysql: MYSQL_WAITS,
  },
  {
    name: "LOCK TABLES … READ, idle",
    begin: idle(`LOCK TABLES ${BUSY_TABLE} READ`),
    holdsUp: ["write busy"],
    says: /\(root, \d+ s, Sleep\): holds shop\.busy by LOCK TABLES or HANDLER/,
    mariadb: NOBODY_WAITS,
    mysql: MYSQL_WAITS,
  },
  {
    name: "LOCK TABLES … WRITE, idle",
    begin: idle(`LOCK TABLES ${BUSY_TABLE} WRITE`),
    holdsUp: ["read busy", "write busy"],
    says: /\(root, \d+ s, Sleep\): holds shop\.busy by LOCK TABLES or HANDLER/,
    mariadb: { auto: "tries", ftwrl: "tries", "backup-stage": "tries" },
    mysql: MYSQL_WAITS,
  },
  {
    name: "HANDLER … OPEN, idle",
    begin: idle(`HANDLER ${BUSY_TABLE} OPEN`),
    holdsUp: [],
    says: /\(root, \d+ s, Sleep\): holds shop\.busy by LOCK TABLES or HANDLER/,
    mariadb: NOBODY_WAITS,
    mysql: MYSQL_WAITS,
  },
  {
    name: "FLUSH TABLES WITH READ LOCK held by somebody else",
    begin: idle("FLUSH TABLES WITH READ LOCK"),
    holdsUp: ["write busy", "write other"],
    mariadb: NOBODY_WAITS,
    mysql: MYSQL_LOCKS,
  },
  {
    name: "BACKUP STAGE START held by somebody else",
    begin: idle("BACKUP STAGE START"),
    holdsUp: [],
    mariadb: { auto: "locks", ftwrl: "locks", "backup-stage": "tries" },
    mysql: null,
  },
  {
    // FTWRL is compatible with the stage, but not with statements that wait in it for their commit.
    name: "BACKUP STAGE BLOCK_COMMIT held by somebody else, with commits queued",
    begin: idle("BACKUP STAGE START", "BACKUP STAGE BLOCK_COMMIT"),
    holdsUp: ["write busy", "write other"],
    mariadb: { auto: "tries", ftwrl: "tries", "backup-stage": "tries" },
    mysql: null,
  },
];

/** Where auto goes on with its second choice. */
const FALLS_BACK = /STAGE START held/;

/** A server, a guest, and a session to look with. */
interface Bed {
  readonly server: Server;
  readonly sandbox: Sandbox;
  readonly admin: Connection;
  configure(options: Readonly<Record<string, string>>): Promise<void>;
  locktables(...args: string[]): ReturnType<Sandbox["run"]>;
  status(): Promise<BedStatus>;
  close(): Promise<void>;
}

interface BedStatus {
  readonly window: {
    readonly timeline: readonly { readonly at_ms: number; readonly event: string }[];
  } | null;
  readonly last: {
    readonly attempts: number;
    readonly outcome: string;
    readonly verdict: string;
    readonly held_ms: number | null;
    readonly instances: readonly { readonly method: string; readonly method_reason: string }[];
  } | null;
}

async function openBed(kind: ServerKind): Promise<Bed> {
  const server = await startServer(kind);
  const sandbox = await openSandbox();
  await sandbox.bindServer(server);
  const admin = await connect(server);
  await admin.query("CREATE DATABASE shop");
  for (const table of [BUSY_TABLE, OTHER_TABLE]) {
    await admin.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, n INT NOT NULL)`);
    const rows = Array.from({ length: 2_000 }, (_, index) => `(${index + 1}, 0)`);
    await admin.query(`INSERT INTO ${table} VALUES ${rows.join(", ")}`);
  }
  return {
    server,
    sandbox,
    admin,
    configure: (options) =>
      sandbox.writeFile(
        "/root/.my.cnf",
        ["[locktables]", ...Object.entries(options).map(([key, value]) => `${key}=${value}`), ""]
          .join("\n"),
      ),
    locktables: (...args) => sandbox.run([sandbox.binary, ...args], { timeoutMs: 30_000 }),
    status: () => statusIn(sandbox),
    async close() {
      await admin.close();
      await sandbox.close();
      await server.stop();
    },
  };
}

/** Sessions of the server but those of the test, as `id: statement`. */
async function foreignSessions({ admin }: Bed, known: readonly number[]): Promise<string[]> {
  return (await admin.query("SHOW PROCESSLIST"))
    .filter((row) => !["event_scheduler", "system user"].includes(String(row["User"])))
    .filter((row) => row["Id"] !== admin.id && !known.includes(Number(row["Id"])))
    .map((row) => `${row["Id"]}: ${row["Info"] ?? row["Command"]}`);
}

/** After any end of a window: no process, no file, no session, no waiting lock statement. */
async function assertNothingOfUs(bed: Bed, known: readonly number[]): Promise<void> {
  await untilNothingLeft(async () => {
    const processes = (await processesOf(bed.sandbox)).filter(({ cmdline }) => cmdline !== "");
    const { stdout } = await bed.sandbox.sh("ls -A /run/veeam; ls -A /var/lib/locktables/*.tmp");
    return [
      ...processes.map(({ pid, cmdline }) => `process ${pid} ${cmdline}`),
      ...stdout.split("\n").filter((file) => file !== ""),
      ...await foreignSessions(bed, known),
    ];
  });
}

/** A blocker at work. */
interface Blocking {
  readonly id: number;
  end(): Promise<void>;
}

async function begin(bed: Bed, blocker: Blocker): Promise<Blocking> {
  const session = await connect(bed.server);
  const { running } = await blocker.begin(session);
  await growOld(session, bed.admin, running === undefined ? "idle" : "in a statement");
  return {
    id: session.id,
    async end() {
      await bed.admin.query(`KILL ${session.id}`);
      await running;
      await session.close();
      await until(
        "the blocker is gone",
        5_000,
        async () =>
          !(await bed.admin.query("SHOW PROCESSLIST")).some((row) => row["Id"] === session.id),
      );
    },
  };
}

/** Clients that this blocker does not hold up itself. */
function freeClients({ holdsUp }: Blocker): string[] {
  return mixedClients.map(({ name }) => name).filter((name) => !holdsUp.includes(name));
}

/** Nobody but those that the blocker holds up has waited long because of us. */
function assertNoStall(load: StatementLoad, blocker: Blocker, sinceMs: number): void {
  assert.deepEqual(load.errors(), []);
  const longestMs = load.longestMs(freeClients(blocker), sinceMs);
  assert.ok(longestMs < stallLimitMs(), `a client waited ${longestMs} ms`);
}

/** The blocker stays. */
async function assertAnswer(
  bed: Bed,
  blocker: Blocker,
  blocking: Blocking,
  load: StatementLoad,
  answer: Answer,
): Promise<void> {
  const sinceMs = performance.now();
  const frozen = await bed.locktables("pre-freeze");
  assert.ok(
    frozen.ms < FREEZE_TIMEOUT_MS + underLoad(OVERHEAD_MS),
    `in its budget: ${frozen.ms} ms`,
  );
  if (answer === "locks") {
    assert.equal(frozen.code, 0, frozen.stderr);
    assert.ok(frozen.ms < underLoad(2 * OVERHEAD_MS), `at once: ${frozen.ms} ms`);
    const thawed = await bed.locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
  } else {
    assert.equal(frozen.code, 10, frozen.stderr + frozen.stdout);
    if (answer === "tries") {
      assertOneLine(frozen, /was not granted within lock_wait_timeout \(1000 ms\)/);
    } else {
      assertOneLine(frozen, blocker.says ?? /id \d+/);
      assert.match(frozen.stderr, new RegExp(`\\bid ${blocking.id} \\(`));
      assert.match(frozen.stderr, new RegExp(`KILL (QUERY )?${blocking.id}\\b`));
    }
  }
  await assertNothingOfUs(bed, [...load.sessionIds(), blocking.id]);
  const { last } = await bed.status();
  assert.equal(last?.verdict, answer === "locks" ? "application-consistent" : "not-quiesced");
  assert.equal(last?.attempts, answer === "waits" ? 0 : 1, "lock statements sent");
  const overMs = performance.now();
  for (const name of freeClients(blocker)) {
    await until(
      `${name} runs again`,
      1_000,
      () =>
        load.statements().some(({ client, sentMs, endedMs }) =>
          client === name && sentMs > overMs && endedMs !== null
        ),
    );
  }
  assertNoStall(load, blocker, sinceMs);
}

/** The blocker goes while pre-freeze waits. */
async function assertLocksAfter(
  bed: Bed,
  blocker: Blocker,
  blocking: Blocking,
  load: StatementLoad,
): Promise<void> {
  const sinceMs = performance.now();
  const freezing = bed.locktables("pre-freeze");
  await sleep(500);
  await blocking.end();
  const frozen = await freezing;
  assert.equal(frozen.code, 0, frozen.stderr);
  assert.ok(
    frozen.ms < FREEZE_TIMEOUT_MS + underLoad(OVERHEAD_MS),
    `in its budget: ${frozen.ms} ms`,
  );
  const thawed = await bed.locktables("post-thaw");
  assert.equal(thawed.code, 0, thawed.stderr);
  await assertNothingOfUs(bed, load.sessionIds());
  assertNoStall(load, blocker, sinceMs);
}

/** Each server's cells beside those of the others: they wait most of the time. */
const BESIDE = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false } as const;

async function meetEverything(bed: Bed, test: Deno.TestContext): Promise<void> {
  const { flavor } = bed.server;
  for (const blocker of BLOCKERS) {
    const answers = Object.entries(blocker[flavor] ?? {}) as [MethodName, Answer][];
    if (answers.length === 0) continue;
    const load = await startStatementLoad(bed.server, mixedClients);
    let blocking = await begin(bed, blocker);
    for (const [method, answer] of answers) {
      await bed.configure({
        method,
        freeze_timeout: `${FREEZE_TIMEOUT_MS}ms`,
        lock_wait_timeout: `${LOCK_WAIT_MS}ms`,
      });
      const cell = `${blocker.name}, ${method}: ${answer}`;
      await test.step({
        ...BESIDE,
        name: cell,
        fn: async () => {
          await assertAnswer(bed, blocker, blocking, load, answer);
          if (answer === "locks" && method === "auto" && flavor === "mariadb") {
            const [instance] = (await bed.status()).last?.instances ?? [];
            const isTaken = FALLS_BACK.test(blocker.name);
            assert.equal(instance?.method, isTaken ? "ftwrl" : "backup-stage");
            if (isTaken) assert.match(instance?.method_reason ?? "", /another session holds it/);
          }
        },
      });
      if (answer === "locks") continue;
      await test.step({
        ...BESIDE,
        name: `${cell}, and locks when it ends`,
        fn: () => assertLocksAfter(bed, blocker, blocking, load),
      });
      blocking = await begin(bed, blocker);
    }
    await blocking.end();
    await load.stop();
  }
  await assertNothingOfUs(bed, []);
}

Deno.test("every method meets every blocker", async (test) => {
  await Promise.all((["mariadb", "mariadb-11.8", "mysql"] as const).map((kind) =>
    test.step({
      ...BESIDE,
      name: `on ${kind}`,
      fn: (server) => withBed(kind, (bed) => meetEverything(bed, server)),
    })
  ));
});

async function withBed(kind: ServerKind, use: (bed: Bed) => Promise<void>): Promise<void> {
  const bed = await openBed(kind);
  try {
    await use(bed);
  } finally {
    await bed.close();
  }
}

/** A statement that runs until its session is ended or its own time is up. */
async function start(bed: Bed, sql: string): Promise<Statement> {
  const session = await connect(bed.server);
  const ended = session.query(sql).catch(() => {});
  return {
    id: session.id,
    growsOld: () => growOld(session, bed.admin),
    async end() {
      await bed.admin.query(`KILL ${session.id}`).catch(() => {});
      await ended;
      await session.close();
    },
  };
}

/** A statement that runs. */
interface Statement extends Blocking {
  growsOld(): Promise<void>;
}

async function isRunning({ admin }: Bed, id: number): Promise<boolean> {
  return (await admin.query("SHOW PROCESSLIST")).some((row) =>
    row["Id"] === id && row["Command"] === "Query"
  );
}

async function waitingLocks({ admin }: Bed): Promise<number[]> {
  return (await admin.query("SHOW PROCESSLIST"))
    .filter((row) => /WITH READ LOCK|BACKUP .*STAGE/.test(String(row["Info"] ?? "")))
    .map((row) => Number(row["Id"]));
}

const allClients = mixedClients.map(({ name }) => name);

Deno.test("behind a 4 s UPDATE on MariaDB, auto locks as if it was not there", () =>
  withBed("mariadb", async (bed) => {
    const update = await start(bed, `UPDATE ${BUSY_TABLE} SET n = n WHERE id = 1 AND SLEEP(4) = 0`);
    await update.growsOld();
    const load = await startStatementLoad(bed.server, mixedClients);
    const frozen = await bed.locktables("pre-freeze");
    assert.equal(frozen.code, 0, frozen.stderr);
    assert.ok(await isRunning(bed, update.id), "it still runs");
    const timeline = (await bed.status()).window?.timeline ?? [];
    const at = (event: string) => timeline.find((entry) => entry.event === event)?.at_ms ?? NaN;
    const tookMs = at("securing") - at("locking");
    assert.ok(
      tookMs < Math.min(2_000, underLoad(200)),
      `the lock took ${tookMs} ms, and the UPDATE had 2.5 s to go`,
    );
    const thawed = await bed.locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    assert.ok(await isRunning(bed, update.id), "it runs on, not killed");
    await update.end();
    await load.stop();
    assert.deepEqual(load.errors(), []);
    assert.ok(load.longestMs(["read busy", "read other"]) < stallLimitMs());
    await assertNothingOfUs(bed, []);
  }));

/** How long the SELECT has been running when pre-freeze comes. */
for (const [age, agedMs] of [["that has just begun", 0], ["of two seconds", 2_000]] as const) {
  Deno.test(`behind a 30 s SELECT ${age} on MySQL, pre-freeze gives up and nobody waits`, () =>
    withBed("mysql", async (bed) => {
      await bed.configure({ freeze_timeout: "4s", lock_wait_timeout: "1s" });
      const load = await startStatementLoad(bed.server, mixedClients);
      const select = await start(bed, `SELECT SLEEP(30) FROM ${BUSY_TABLE} WHERE id = 1`);
      await sleep(agedMs);
      const frozen = await bed.locktables("pre-freeze");
      assert.equal(frozen.code, 10, frozen.stderr);
      assertOneLine(frozen, new RegExp(`id ${select.id} .*SELECT SLEEP.*KILL QUERY ${select.id}`));
      assert.ok(frozen.ms < 4_000 + underLoad(OVERHEAD_MS), `${frozen.ms} ms`);
      assert.ok(await isRunning(bed, select.id), "not killed");
      await assertNothingOfUs(bed, [...load.sessionIds(), select.id]);
      await sleep(2_500); // readers that wait for a table flush would be seen now
      const longestMs = load.longestMs(allClients);
      await select.end();
      await load.stop();
      assert.deepEqual(load.errors(), []);
      assert.ok(longestMs < stallLimitMs(), `a client waited ${longestMs} ms`);
    }));
}

Deno.test("after an FTWRL that timed out while MySQL flushed tables, writers run at once", () =>
  withBed("mysql", async (bed) => {
    // The guard is blind to a SELECT so young.
    await bed.configure({
      freeze_timeout: "3s",
      lock_wait_timeout: "1s",
      long_query_guard: "15m",
    });
    const select = await start(bed, `SELECT SLEEP(30) FROM ${BUSY_TABLE} WHERE id = 1`);
    await select.growsOld();
    const load = await startStatementLoad(bed.server, mixedClients);
    const freezing = bed.locktables("pre-freeze");
    await until(
      "FTWRL waits for the table flush",
      2_000,
      async () =>
        (await bed.admin.query("SHOW PROCESSLIST")).some((row) =>
          row["State"] === "Waiting for table flush" && /READ LOCK/.test(String(row["Info"]))
        ),
    );
    const frozen = await freezing;
    assert.equal(frozen.code, 10, frozen.stderr);
    assertOneLine(frozen, /was not granted within lock_wait_timeout \(1000 ms\)/);
    const overMs = performance.now();
    assert.deepEqual(await waitingLocks(bed), []);
    await until(
      "writers run",
      200,
      () =>
        load.statements().some(({ client, sentMs, endedMs }) =>
          client === "write other" && sentMs > overMs && endedMs !== null
        ),
    );
    assert.ok(await isRunning(bed, select.id), "while the SELECT still runs");
    const others = ["write other", "read other"];
    assert.ok(load.longestMs(others) < stallLimitMs(), `${load.longestMs(others)} ms`);
    await select.end();
    await load.stop();
    await assertNothingOfUs(bed, []);
  }));

Deno.test("an FTWRL that waits for one thing after the other costs one lock_wait_timeout", () =>
  withBed("mysql", async (bed) => {
    await bed.configure({
      freeze_timeout: "5s",
      lock_wait_timeout: "2s",
      long_query_guard: "15m",
    });
    // First the global lock behind the UPDATE, then the table flush behind the SELECT.
    const select = await start(bed, `SELECT SLEEP(30) FROM ${BUSY_TABLE} WHERE id = 1`);
    await select.growsOld();
    const update = await start(
      bed,
      `UPDATE ${OTHER_TABLE} SET n = n WHERE id = 1 AND SLEEP(1.8) = 0`,
    );
    const load = await startStatementLoad(bed.server, mixedClients);
    const frozen = await bed.locktables("pre-freeze");
    assert.equal(frozen.code, 10, frozen.stderr);
    const longestMs = load.longestMs(["write other", "read other"]);
    assert.ok(longestMs < underLoad(3_000), `a client waited ${longestMs} ms`);
    await update.end();
    await select.end();
    await load.stop();
    await assertNothingOfUs(bed, []);
  }));

/** What FTWRL waits for, and in which phase. */
const WAITS: readonly (readonly [kind: ServerKind, sql: string])[] = [
  ["mariadb", `UPDATE ${BUSY_TABLE} SET n = n WHERE id = 1 AND SLEEP(30) = 0`],
  ["mysql", `UPDATE ${BUSY_TABLE} SET n = n WHERE id = 1 AND SLEEP(30) = 0`],
  ["mysql", `SELECT SLEEP(30) FROM ${BUSY_TABLE} WHERE id = 1`],
];

/** How long the lock statement has been waiting when the process is killed. */
const KILL_DELAYS_MS = [0, 10, 50, 200, 600, 1_200];

for (const victim of ["pre-freeze", "the locker", "both"] as const) {
  Deno.test(`SIGKILL for ${victim} at any moment of the wait leaves no waiting lock`, async (test) => {
    await Promise.all(WAITS.map(([kind, sql]) =>
      withBed(kind, async (bed) => {
        await bed.configure({
          method: "ftwrl",
          freeze_timeout: "60s",
          lock_wait_timeout: "30s",
          long_query_guard: "15m",
        });
        const blocking = await start(bed, sql);
        await blocking.growsOld();
        for (const delayMs of KILL_DELAYS_MS) {
          const name = `${kind}, behind ${sql.split(" ")[0]}, after ${delayMs} ms`;
          await test.step({
            ...BESIDE,
            name,
            fn: async () => {
              const hook = bed.sandbox.spawn([bed.sandbox.binary, "pre-freeze"]);
              await until(
                "the lock waits",
                5_000,
                async () => (await waitingLocks(bed)).length > 0,
              );
              await sleep(delayMs);
              if (victim !== "pre-freeze") {
                const lockers = (await processesOf(bed.sandbox))
                  .filter(({ cmdline }) => cmdline.includes(" locker"));
                assert.equal(lockers.length, 1);
                if (victim === "both") hook.kill("SIGKILL");
                for (const { pid } of lockers) Deno.kill(pid, "SIGKILL");
              } else hook.kill("SIGKILL");
              const { code, stderr } = await hook.output();
              assert.notEqual(code, 0);
              if (victim === "the locker") {
                assert.match(new TextDecoder().decode(stderr), /The locker ended without a word/);
              }
              // Who is left cleans up; where nobody is, post-thaw does, which every caller runs.
              if (victim === "both") {
                const thawed = await bed.locktables("post-thaw");
                assert.equal(thawed.code, 0, thawed.stderr);
              }
              await until(
                "no lock waits",
                1_500,
                async () => (await waitingLocks(bed)).length === 0,
              );
              const writer = await start(bed, `UPDATE ${OTHER_TABLE} SET n = n + 1 WHERE id = 3`);
              await until("a writer is done", 500, async () => !await isRunning(bed, writer.id));
              await writer.end();
              await assertNothingOfUs(bed, [blocking.id]);
            },
          });
        }
        await blocking.end();
      })
    ));
  });
}
