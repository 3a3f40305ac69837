/**
 * `deno task demo`: one freeze window on a real server, and the proof that the copy of the disk is
 * whole. Sets this machine up, and leaves nothing but packages and a cache behind.
 *
 *     deno task demo [--server mariadb|mysql] [--method auto|ftwrl|backup-stage]
 *                    [--without-lock] [--durable]
 */

import { parseArgs } from "node:util";
import type { WindowRecord } from "../lib/window/record.ts";
import {
  connect,
  type Connection,
  type Flavor,
  type Server,
  startServer,
} from "../tests/support/server.ts";
import { build } from "./build.ts";
import {
  enterPrivateGuest,
  makeVirtualDisk,
  mountCopy,
  mustRun,
  pause,
  PROGRAM,
  requireLoopDevice,
  requirePrivateGuest,
  runInPrivateGuest,
} from "./private_guest.ts";
import { provision } from "./provision.ts";
import { run, runOrFail, ScriptError, scriptMain } from "./shell.ts";
import { startWriteLoad, type WriteLoad } from "./write_load.ts";

/** Customers: enough that some statement is always under way, few enough for two cores. */
const WRITERS = 6;

/** How long a client thinks between two rows, in milliseconds. */
const THINK_MS = 2;

/** How long the clients write before the window and after it, in milliseconds. */
const BEFORE_MS = 2_000;
const AFTER_MS = 500;

/** pre-freeze ends by itself after `freeze_timeout` (60 s) and a little. */
const HOOK_TIMEOUT_MS = 75_000;

/** Where the second machine has the copy's disk and its server, below the guest's folder. */
const COPY = "copy";

/** What to show. */
interface DemoOptions {
  readonly server: Flavor;
  readonly method: string;
  /** Copy the disk without pre-freeze, and say what is lost. */
  readonly withoutLock: boolean;
  /** Every commit is on disk before the client gets its answer. */
  readonly durable: boolean;
}

/** One thing that has to be true of the copy. */
interface Proof {
  readonly isTrue: boolean;
  readonly text: string;
}

/** What is known of the copied moment. */
interface Moment {
  /** Rows whose commit each client had seen when the lock was confirmed. */
  readonly acknowledged: readonly number[];
  /** The same when the copy was complete: more only where nothing locked. */
  readonly acknowledgedAfter: readonly number[];
  /** The window's record as the program tells it afterwards; null without a window. */
  readonly record: WindowRecord | null;
}

async function demo(args: readonly string[]): Promise<number> {
  const { options, inside } = parse(args);
  if (inside !== undefined) return await showInside(options, inside);
  await requirePrivateGuest("The demo");
  await requireLoopDevice("The demo");
  await provision({ mariadb: true, mysql: options.server === "mysql" });
  const { binary } = await build();
  return await runInPrivateGuest(
    new URL(import.meta.url).pathname,
    [...args, `--binary=${binary}`],
  );
}

function parse(
  args: readonly string[],
): { options: DemoOptions; inside: { dir: string; binary: string } | undefined } {
  let values;
  try {
    ({ values } = parseArgs({
      args: args[0] === "--" ? args.slice(1) : [...args],
      options: {
        "server": { type: "string", default: "mariadb" },
        "method": { type: "string", default: "auto" },
        "without-lock": { type: "boolean", default: false },
        "durable": { type: "boolean", default: false },
        // Internal: the script calls itself with these.
        "binary": { type: "string" },
        "inside": { type: "string" },
      },
    }));
  } catch (error) {
    throw new ScriptError(error instanceof Error ? error.message : String(error));
  }
  const { server, method, inside, binary } = values;
  if (server !== "mariadb" && server !== "mysql") {
    throw new ScriptError(`Unknown --server ${server}: wanted mariadb or mysql`);
  }
  return {
    options: { server, method, withoutLock: values["without-lock"], durable: values.durable },
    inside: inside === undefined || binary === undefined ? undefined : { dir: inside, binary },
  };
}

function say(label: string, text: string): void {
  console.log(`${label.padEnd(8)} ${text}`);
}

/** The demo proper, in the guest. */
async function showInside(
  options: DemoOptions,
  { dir, binary }: { dir: string; binary: string },
): Promise<number> {
  await enterPrivateGuest(dir, binary);
  await Deno.writeTextFile("/root/.my.cnf", `[locktables]\nmethod=${options.method}\n`, {
    mode: 0o600,
  });
  const disk = await makeVirtualDisk(dir, "/var/lib");
  await mustRun(
    "Cannot make directories",
    "mkdir /var/lib/mysql; mkdir -m 700 /var/lib/locktables",
  );
  say("disk", "an ext4 image on a loop device is /var/lib: the server's data and our record");

  const settings = serverSettings(options);
  const server = await startServer(options.server, {
    dir: `${dir}/server`,
    datadir: "/var/lib/mysql",
    args: settings,
  });
  await mustRun("Cannot show the socket", SHOW_SOCKET, server.socketDir);
  say("server", `${server.flavor} ${server.version}, ${settings.join(" ")}`);

  await createTables(server);
  // As on a server that has been there for a while: only what the clients write is at stake.
  await mustRun("Cannot write out the disk", "sync --file-system /var/lib");
  const load = await startWriteLoad(server, {
    writers: WRITERS,
    thinkMs: THINK_MS,
    statement: (writer, sequence) => `INSERT INTO demo.orders VALUES (${writer}, ${sequence})`,
  });
  await pause(BEFORE_MS);
  load.requireHealth();
  const usual = load.latencies(0, performance.now());
  say(
    "writers",
    `${WRITERS} sessions, ${sum(load.acknowledged())} rows in ${
      BEFORE_MS / 1000
    } s; one INSERT each ` +
      `into InnoDB, a trigger adds it to MyISAM; median ${ms(median(usual))}, longest ${
        ms(usual.at(-1) ?? 0)
      }`,
  );

  const image = `${dir}/copy.img`;
  const copy = async () => {
    const stoodStillMs = await disk.snapshot(image);
    const { blocks } = await Deno.stat(image);
    say(
      "snapshot",
      `disk image copied below the mount, ${Math.round((blocks ?? 0) / 2048)} MiB, in ${
        ms(stoodStillMs)
      }`,
    );
  };
  const moment = options.withoutLock
    ? await copyWithoutLock(load, copy)
    : await copyInWindow(load, copy);
  load.requireHealth();
  await load.stop();
  await server.kill9();

  const proofs = await prove(options, dir, image, moment);
  for (const { isTrue, text } of proofs) say(isTrue ? "proven" : "FAILED", text);
  return conclude(options, proofs, moment.record);
}

/** $1 is the folder that holds the server's socket. */
const SHOW_SOCKET = 'mkdir /run/mysqld && mount --bind "$1" /run/mysqld';

function serverSettings({ server, durable }: DemoOptions): string[] {
  const durability = durable
    ? ["--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1"]
    // The harder case: nothing but locktables makes the server's last second reach the disk.
    : ["--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0"];
  // MySQL with GTIDs refuses a statement that writes to both engines, and only one statement makes
  // tables of two engines agree at every moment.
  const gtids = server === "mysql" ? ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"] : [];
  return [...durability, ...gtids];
}

/** Two tables of different engines that must agree: one statement writes to both. */
async function createTables(server: Server): Promise<void> {
  const session = await connect(server);
  const columns = "writer INT NOT NULL, sequence INT NOT NULL, PRIMARY KEY (writer, sequence)";
  await session.query("CREATE DATABASE demo");
  await session.query(`CREATE TABLE demo.orders (${columns}) ENGINE=InnoDB`);
  await session.query(`CREATE TABLE demo.orders_log (${columns}) ENGINE=MyISAM`);
  await session.query(
    "CREATE TRIGGER demo.log_order AFTER INSERT ON demo.orders FOR EACH ROW " +
      "INSERT INTO demo.orders_log VALUES (NEW.writer, NEW.sequence)",
  );
  await session.close();
}

async function copyInWindow(load: WriteLoad, copy: () => Promise<void>): Promise<Moment> {
  const began = performance.now();
  const frozen = await hook("pre-freeze");
  // Acknowledgements that came before the exit but were not looked at yet count as before it.
  await pause(1);
  const acknowledged = load.acknowledged();
  say("freeze", `exit 0 after ${ms(frozen.ms)}: ${frozen.said}`);
  await copy();
  const acknowledgedAfter = load.acknowledged();
  const thawed = await hook("post-thaw");
  say("thaw", `exit 0 after ${ms(thawed.ms)}: ${thawed.said}`);
  const ended = performance.now();
  await pause(AFTER_MS);

  const stalls = load.latencies(began, ended);
  const status = await runOrFail("locktables status", [PROGRAM, "status", "--json"], BARE);
  const { last } = JSON.parse(status.stdout) as { last: WindowRecord | null };
  if (last === null) throw new ScriptError("locktables status --json knows of no window");
  for (const { at_ms, event } of last.timeline) {
    say("timeline", `${at_ms.toFixed(1).padStart(8)} ms  ${event}`);
  }
  say(
    "stall",
    `longest wait of a writer ${ms(stalls.at(-1) ?? 0)}, with the lock held for ${
      ms(last.held_ms ?? 0)
    }, copying included`,
  );
  return { acknowledged, acknowledgedAfter, record: last };
}

async function copyWithoutLock(load: WriteLoad, copy: () => Promise<void>): Promise<Moment> {
  say("freeze", "left out (--without-lock): the disk is copied as it is");
  const acknowledged = load.acknowledged();
  await copy();
  const acknowledgedAfter = load.acknowledged();
  await pause(AFTER_MS);
  return { acknowledged, acknowledgedAfter, record: null };
}

/** How hooks are often called: without any environment. */
const BARE = { clearEnv: true, env: {}, cwd: "/", timeoutMs: HOOK_TIMEOUT_MS } as const;

/** Runs a hook that must succeed. */
async function hook(verb: string): Promise<{ ms: number; said: string }> {
  const began = performance.now();
  const result = await run([PROGRAM, verb], BARE);
  const tookMs = performance.now() - began;
  const said = `${result.stdout}${result.stderr}`.trim();
  if (result.code === 0) return { ms: tookMs, said };
  throw new ScriptError(`locktables ${verb} ended with exit code ${result.code}: ${said}`);
}

/** Boots a second server on the copy and looks. */
async function prove(
  options: DemoOptions,
  dir: string,
  image: string,
  moment: Moment,
): Promise<Proof[]> {
  const at = `${dir}/${COPY}`;
  await mountCopy(image, at);
  const proofs: Proof[] = [];
  if (moment.record !== null) proofs.push(proveStandstill(moment));
  let second: Server;
  try {
    second = await startServer(options.server, {
      dir: `${dir}/second`,
      datadir: `${at}/mysql`,
      args: [
        ...serverSettings(options),
        // A repair on opening a table would hide what is wrong with the copy.
        "--myisam-recover-options=OFF",
        ...(options.server === "mariadb" ? ["--aria-recover-options=OFF"] : []),
      ],
    });
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    return [...proofs, {
      isTrue: false,
      text: `no server starts on the copy: ${essenceOf(error)}`,
    }];
  }
  say("boot", `a second ${second.flavor} on the copy has done its crash recovery`);
  const session = await connect(second);
  proofs.push(...await proveRows(session, moment), await proveByVerify(second, at, moment));
  await session.close();
  await second.kill9();
  return proofs;
}

/** No client saw a commit between the exit of pre-freeze and the start of post-thaw. */
function proveStandstill({ acknowledged, acknowledgedAfter }: Moment): Proof {
  const rows = sum(acknowledgedAfter) - sum(acknowledged);
  return {
    isTrue: rows === 0,
    text: rows === 0
      ? "no row was acknowledged while the disk was copied"
      : `${rows} rows were acknowledged under the lock`,
  };
}

/** What a server that would not start complained of. */
function essenceOf({ message }: ScriptError): string {
  const complaints = message.split("\n").filter((line) => line.includes("[ERROR]"))
    .map((line) => line.slice(line.indexOf("[ERROR]") + "[ERROR] ".length));
  return complaints.length === 0 ? message : complaints.join("; ");
}

/** Where the copy is shown to the program, which may read below its own directory. */
const IMAGE = "/var/lib/locktables/image";

/**
 * What the program itself says of the copy: the record, the end of the binlog, the transactions and the
 * tables. The writers' own knowledge is compared apart from it.
 */
async function proveByVerify(second: Server, at: string, moment: Moment): Promise<Proof> {
  await mustRun(
    "Cannot show the copy and its server",
    'mkdir "$1" && mount --bind "$2" "$1" && mount --bind "$3" /run/mysqld',
    IMAGE,
    at,
    second.socketDir,
  );
  const { code, stdout, stderr } = await run(
    [PROGRAM, "verify", "--full", "--datadir", `${IMAGE}/mysql`, "--verdict", "-"],
    { ...BARE, stdin: JSON.stringify({ last: moment.record }) },
  );
  for (const line of stdout.split("\n").filter((one) => /^(?: {2})?main: .*[.\]]$/.test(one))) {
    say("verify", line.trim());
  }
  const verdict = stdout.split("\n").find((line) =>
    /^[a-z-]+: /.test(line) && !line.startsWith("main")
  );
  return {
    isTrue: code === 0,
    text: `locktables verify --full: ${verdict ?? `exit ${code}, ${stderr.trim()}`}`,
  };
}

/** Every committed row is there, none that was committed later, and both tables agree. */
async function proveRows(session: Connection, moment: Moment): Promise<Proof[]> {
  const orders = await readTable(session, "orders");
  const log = await readTable(session, "orders_log");
  return [
    compareWithWriters("orders (InnoDB)", orders, moment),
    compareWithWriters("orders_log (MyISAM)", log, moment),
    compareTables(orders, log),
  ];
}

/** A table of the copy. */
interface TableContent {
  /** `writer:sequence` of every row; null where the server could not read it. */
  readonly rows: ReadonlySet<string> | null;
}

async function readTable(session: Connection, table: string): Promise<TableContent> {
  try {
    const rows = await session.query(`SELECT writer, sequence FROM demo.${table}`);
    return { rows: new Set(rows.map((row) => `${row["writer"]}:${row["sequence"]}`)) };
  } catch {
    return { rows: null }; // said as "cannot be read", and why by verify
  }
}

/**
 * What the writers know: all that was acknowledged before the lock was confirmed is there, and of
 * each writer at most the one row that was under way.
 */
function compareWithWriters(name: string, { rows }: TableContent, moment: Moment): Proof {
  if (rows === null) return { isTrue: false, text: `${name} cannot be read` };
  const wanted = moment.acknowledged;
  const missing = wanted.flatMap((count, writer) =>
    Array.from({ length: count }, (_, index) => `${writer}:${index + 1}`)
  ).filter((key) => !rows.has(key));
  const until = moment.record === null ? moment.acknowledgedAfter : wanted;
  const allowed = new Set(
    until.flatMap((count, writer) =>
      Array.from({ length: count + 1 }, (_, index) => `${writer}:${index + 1}`)
    ),
  );
  const foreign = [...rows].filter((key) => !allowed.has(key));
  const extra = rows.size - (sum(wanted) - missing.length) - foreign.length;
  const isTrue = missing.length === 0 && foreign.length === 0;
  const counts = `${sum(wanted)} acknowledged, ${rows.size} in the copy`;
  const detail = [
    ...(missing.length === 0 ? [] : [`${missing.length} committed rows are lost`]),
    ...(foreign.length === 0 ? [] : [`${foreign.length} rows are there that came later`]),
    ...(extra === 0 ? [] : [`${extra} of them under way at the moment`]),
  ];
  return { isTrue, text: `${name}: ${[counts, ...detail].join(", ")}` };
}

function compareTables(orders: TableContent, log: TableContent): Proof {
  if (orders.rows === null || log.rows === null) {
    return { isTrue: false, text: "the two tables cannot be compared" };
  }
  const differing = orders.rows.symmetricDifference(log.rows).size;
  return {
    isTrue: differing === 0,
    text: differing === 0
      ? `the two tables agree, row by row`
      : `the two tables differ in ${differing} rows`,
  };
}

/** The last lines, and the exit code. */
function conclude(
  { withoutLock }: DemoOptions,
  proofs: readonly Proof[],
  record: WindowRecord | null,
): number {
  const failed = proofs.filter(({ isTrue }) => !isTrue).length;
  if (withoutLock) {
    say(
      "verdict",
      failed === 0
        ? "this time the copy without a lock is whole: luck, and nothing recorded that says so"
        : `the copy without a lock is not what the clients were told: ${failed} of ${proofs.length} fail`,
    );
    return 0;
  }
  const isGood = failed === 0 && record?.verdict === "application-consistent";
  say(
    "verdict",
    `${record?.verdict}${
      failed === 0
        ? `, and so it is: ${proofs.length} of ${proofs.length} proven`
        : `, but ${failed} of ${proofs.length} FAILED`
    }`,
  );
  return isGood ? 0 : 1;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function median(ascending: readonly number[]): number {
  return ascending[Math.floor(ascending.length / 2)] ?? 0;
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

if (import.meta.main) await scriptMain(() => demo(Deno.args));
