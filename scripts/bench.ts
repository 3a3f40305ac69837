/**
 * `deno task bench`: what a window costs, side by side in one interleaved run, on MariaDB and on
 * MySQL. Not a test: the aims are printed beside what is reached.
 *
 *     deno task bench [--rounds 30]
 */

import { parseArgs } from "node:util";
import { type Caller, CALLER_TABLE } from "../lib/callers/table.ts";
import { hookText } from "../lib/hooks/hook_text.ts";
import { VERSION } from "../lib/base/version.ts";
import type { WindowRecord } from "../lib/window/record.ts";
import {
  connect,
  type Connection,
  type Flavor,
  type Server,
  startServer,
} from "../tests/support/server.ts";
import {
  benchVmware,
  HOST_SNAPSHOT_MS,
  VMWARE_FILESYSTEMS,
  VMWARE_WAYS,
  type VmwareWay,
} from "./bench_vmware.ts";
import { benchVmbackup, VMBACKUP_WAYS, type VmbackupWay } from "./bench_vmbackup.ts";
import type { WriterOrder, WriterSample } from "./bench_writer.ts";
import { build } from "./build.ts";
import {
  enterPrivateGuest,
  mustRun,
  pause,
  PROGRAM,
  requirePrivateGuest,
  runInPrivateGuest,
} from "./private_guest.ts";
import { provision } from "./provision.ts";
import { repositoryRoot, runOrFail, ScriptError, scriptMain } from "./shell.ts";

/** Enough for a median that two runs agree on within a few per cent. */
const ROUNDS = 30;

/** How long the disk is left alone after everything was written out, in milliseconds. */
const SETTLE_MS = 100;

/** How long a write must have been waiting before it counts as blocked, in milliseconds. */
const BLOCKED_MS = 50;

/** How long the writer writes before and after a window, in milliseconds. */
const WRITING_MS = 100;

/** How long a snapshot of README's table takes: the lock is held for it, in milliseconds. */
const SNAPSHOT_MS = 1_000;

/** How long the UPDATE of README's table runs, in seconds. */
const UPDATE_S = 4;

/** From this age on, in milliseconds, the guard takes a statement for long (`long_query_guard`). */
const GUARD_SEES_MS = 1_100;

/** One round of README's table for so many of the others: each takes half a minute. */
const ROUNDS_A_WAY = 10;

/** A window without a window: how long the writer is watched for its own spikes. */
const QUIET_MS = 300;

/** Clocks of two threads differ by less than this, in milliseconds. */
const CLOCK_SLACK_MS = 2;

/** The servers, and the lock that locktables chooses on each. */
const LOCKS: Readonly<Record<Flavor, Lock>> = {
  mariadb: {
    label: "BACKUP STAGE",
    acquire: ["BACKUP STAGE START", "BACKUP STAGE BLOCK_COMMIT"],
    release: "BACKUP STAGE END",
  },
  mysql: { label: "FTWRL", acquire: ["FLUSH TABLES WITH READ LOCK"], release: "UNLOCK TABLES" },
};

interface Lock {
  readonly label: string;
  readonly acquire: readonly string[];
  readonly release: string;
}

/** The hook that `locktables install vmware` makes: the shell releases, the program reports. */
const HOOK = "/etc/vmware-tools/backupScripts.d/99-locktables";

/** Columns of the table: what has no server, and the servers. */
type Column = Flavor | "both";

/** What the bench inside the guest is given. */
interface Programs {
  readonly dir: string;
  readonly binary: string;
  readonly hello: string;
  readonly imports: string;
}

/** Where the bench's own programs are in the guest. */
const PROBES = {
  hello: "/usr/local/sbin/hello",
  imports: "/usr/local/sbin/imports",
} as const;

/** Everything that is measured, in the order of the table. */
const MEASURES = {
  hello: "bare compiled hello, exec to exit (ms)",
  imports: "hello that loads what the hooks load, exec to exit (ms)",
  nothing: "post-thaw with nothing to thaw, exec to exit (ms)",
  preFreeze: "pre-freeze, exec to exit 0 (ms)",
  freedByHook: "post-thaw through the sh hook, exec to the blocked write's end (ms)",
  hookExit: "  the same, exec to exit (ms)",
  freedDirectly: "post-thaw directly, exec to the blocked write's end (ms)",
  directExit: "  the same, exec to exit (ms)",
  stallByHook: "writer's longest stall over a window, thawed through the sh hook (ms)",
  stallDirectly: "  the same, thawed directly (ms)",
  floor: "  floor: a connected client locks and unlocks (ms)",
  floorFtwrl: "  floor with FTWRL (ms)",
  floorSynced: "  floor that writes the data out under the lock: sync -f (ms)",
  quiet: "  no lock at all, the writer's own spikes (ms)",
  rss: "locker's memory while held, resident (MiB)",
  anonymous: "  of that anonymous, its own alone (MiB)",
} as const;

/** What README's table "What it costs" says of the longest wait of a writer. */
const WAYS = {
  heldWindow: "locktables",
  heldWindowBehind: `locktables, behind an UPDATE of ${UPDATE_S} s`,
  heldBare: "the bare lock statements",
  heldBareBehind: `the bare lock statements, behind an UPDATE of ${UPDATE_S} s`,
} as const;

type Measure = keyof typeof MEASURES | keyof typeof WAYS | VmwareWay | VmbackupWay;

/** What was measured. */
class Results {
  readonly #samples = new Map<string, number[]>();

  add(column: Column, measure: string, value: number): void {
    const key = `${column} ${measure}`;
    const samples = this.#samples.get(key) ?? [];
    samples.push(value);
    this.#samples.set(key, samples);
  }

  /** Ascending; empty where it was not measured. */
  of(column: Column, measure: string): number[] {
    return [...this.#samples.get(`${column} ${measure}`) ?? []].sort((a, b) => a - b);
  }

  median(column: Column, measure: string): number {
    return at(this.of(column, measure), 0.5);
  }
}

/** What the measurements work with. */
interface Bench {
  readonly results: Results;
  readonly hook: string;
  readonly writer: Writer;
  readonly guests: readonly Guest[];
}

/** A server and its clients. */
interface Guest {
  readonly flavor: Flavor;
  readonly server: Server;
  /** Its socket as the option file names it. */
  readonly socket: string;
  /** The client whose write is blocked. */
  readonly blocked: Connection;
  /** The client of the floor. */
  readonly client: Connection;
}

async function bench(args: readonly string[]): Promise<number> {
  const { rounds, inside } = parse(args);
  if (inside !== undefined) return await benchInside(rounds, inside);
  await requirePrivateGuest("The bench");
  await provision({ mariadb: true, mysql: true });
  const { binary } = await build();
  const hello = await buildProbe("hello", HELLO);
  const imports = await buildProbe("imports", IMPORTS);
  const code = await runInPrivateGuest(
    new URL(import.meta.url).pathname,
    [...args, `--binary=${binary}`, `--hello=${hello}`, `--imports=${imports}`],
  );
  if (code === 0) await benchCallers(Math.ceil(rounds / ROUNDS_A_WAY));
  return code;
}

/** What callers add by the way they call: each in a guest of its own, with a disk to freeze. */
async function benchCallers(rounds: number): Promise<void> {
  const results = new Results();
  const flavors: readonly Flavor[] = ["mariadb", "mysql"];
  for (const flavor of flavors) {
    const filesystem = VMWARE_FILESYSTEMS[flavor];
    await benchVmware(flavor, rounds, (way, stallMs) => results.add(flavor, way, stallMs));
    await benchVmbackup(
      flavor,
      filesystem,
      rounds,
      (way, ms) => results.add(flavor, way, ms),
      () => {},
    );
  }
  printTable(
    `longest wait of a writer, a snapshot of ${HOST_SNAPSHOT_MS} ms by VMware's looks (ms)`,
    { ...VMWARE_WAYS, ...VMBACKUP_WAYS },
    results,
    flavors.map((flavor) => ({ flavor, head: `${flavor} on ${VMWARE_FILESYSTEMS[flavor]}` })),
  );
}

function parse(args: readonly string[]): {
  rounds: number;
  inside: Programs | undefined;
} {
  let values;
  try {
    ({ values } = parseArgs({
      args: args[0] === "--" ? args.slice(1) : [...args],
      options: {
        rounds: { type: "string", default: String(ROUNDS) },
        // Internal: the script calls itself with these.
        binary: { type: "string" },
        hello: { type: "string" },
        imports: { type: "string" },
        inside: { type: "string" },
      },
    }));
  } catch (error) {
    throw new ScriptError(error instanceof Error ? error.message : String(error));
  }
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new ScriptError(`Bad --rounds ${values.rounds}: expected a number from 1`);
  }
  const { inside: dir, binary, hello, imports } = values;
  const isInside = dir !== undefined && binary !== undefined && hello !== undefined &&
    imports !== undefined;
  return { rounds, inside: isInside ? { dir, binary, hello, imports } : undefined };
}

/** The least program, built by the same build with the same permissions: the yardstick. */
const HELLO = 'console.log("hello");\n';

/** The same behind everything that both hooks load before they do anything. */
const IMPORTS = `import "./lib/callers/call.ts";
await import("./lib/commands/pre_freeze.ts");
await import("./lib/commands/post_thaw.ts");
${HELLO}`;

/** Builds a program of the bench's own out of our modules. */
async function buildProbe(name: string, main: string): Promise<string> {
  const root = `${repositoryRoot()}/build/${name}`;
  const config = JSON.parse(await Deno.readTextFile(`${repositoryRoot()}/deno.json`));
  await Deno.mkdir(root, { recursive: true });
  await runOrFail("Copying lib", ["cp", "-r", `${repositoryRoot()}/lib`, root]);
  await Deno.writeTextFile(`${root}/main.ts`, main);
  await Deno.writeTextFile(
    `${root}/deno.json`,
    JSON.stringify({
      version: config.version,
      imports: config.imports,
      nodeModulesDir: "none",
      lock: false,
      compile: config.compile,
    }),
  );
  const { binary } = await build({ root, log: () => {} });
  return binary;
}

/** The text of an installed hook. */
function hookOf(caller: Caller, path: string): string {
  for (const form of CALLER_TABLE[caller].forms) {
    const file = form.files.find((one) => one.path === path);
    if (file !== undefined) {
      return hookText({ caller, form, file, program: PROGRAM, version: VERSION });
    }
  }
  throw new ScriptError(`${caller} has no hook at ${path}`);
}

/** The bench proper, in the guest, so that every program is started directly. */
async function benchInside(
  rounds: number,
  { dir, binary, ...probes }: Programs,
): Promise<number> {
  // Kept before their folder may be covered, and then put beside the program: on the same file system.
  for (const [name, path] of Object.entries(probes)) {
    await mustRun(`Cannot copy ${name}`, 'cp "$1" "$2"', path, `${dir}/${name}`);
  }
  await enterPrivateGuest(dir, binary);
  for (const [name, shown] of Object.entries(PROBES)) {
    await mustRun(`Cannot show ${name}`, 'cp "$1" "$2"', `${dir}/${name}`, shown);
  }
  await mustRun("Cannot make the guest", STATE_SCRIPT, dir);
  const hook = `${dir}/99-locktables`;
  await Deno.writeTextFile(hook, hookOf("vmware", HOOK), { mode: 0o755 });
  const guests = [
    await openGuest(dir, "mariadb", "/run/mysqld"),
    await openGuest(dir, "mysql", "/run/mysql"),
  ];
  const results = new Results();
  const writer = openWriter();
  const all: Bench = { results, hook, writer, guests };

  // The first of everything pays for cold caches: it does not count.
  for (const measure of tasksOf({ ...all, results: new Results() })) await measure();
  const started = performance.now();
  for (let round = 1; round <= rounds; round++) {
    for (const measure of shuffled(tasksOf(all))) await measure();
    const leftS = (performance.now() - started) / round * (rounds - round) / 1000;
    if (round % ROUNDS_A_WAY === 0 || round === rounds) {
      for (const measure of shuffled(waysOf(all))) await measure();
    }
    if (round % 5 === 0) console.log(`round    ${round} of ${rounds}, ${Math.ceil(leftS)} s left`);
  }
  writer.close();
  for (const { server, blocked, client } of guests) {
    await blocked.close();
    await client.close();
    await server.kill9();
  }
  printTables(results, guests);
  printTimelines(results, guests);
  printAims(results, guests);
  return 0;
}

/** $1 is the guest's folder, on a real disk: the record is fsynced. */
const STATE_SCRIPT = `
mount -t tmpfs -o mode=0755 tmpfs /var/lib
mkdir -m 0700 /var/lib/locktables "$1/state"
mount --bind "$1/state" /var/lib/locktables
`;

async function openGuest(dir: string, flavor: Flavor, socketDir: string): Promise<Guest> {
  const server = await startServer(flavor, {
    dir: `${dir}/${flavor}`,
    // The same on both, and what careful people set.
    args: ["--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1"],
  });
  await mustRun(
    "Cannot show the socket",
    'mkdir "$2" && mount --bind "$1" "$2"',
    server.socketDir,
    socketDir,
  );
  const blocked = await connect(server);
  await blocked.query("CREATE DATABASE bench");
  await blocked.query(
    "CREATE TABLE bench.rows_of_bench (id BIGINT AUTO_INCREMENT PRIMARY KEY, at INT) ENGINE=InnoDB",
  );
  await blocked.query("CREATE TABLE bench.slow (n INT) ENGINE=InnoDB");
  await blocked.query("INSERT INTO bench.slow VALUES (1)");
  return {
    flavor,
    server,
    socket: `${socketDir}/mysqld.sock`,
    blocked,
    client: await connect(server),
  };
}

const INSERT = "INSERT INTO bench.rows_of_bench (at) VALUES (1)";

/** One round. */
function tasksOf(all: Bench): (() => Promise<void>)[] {
  const { results } = all;
  return [
    async () => {
      results.add("both", "hello", await settledExit([PROBES.hello]));
    },
    async () => {
      results.add("both", "imports", await settledExit([PROBES.imports]));
    },
    async () => {
      results.add("both", "nothing", await settledExit([PROGRAM, "post-thaw"]));
    },
    ...all.guests.flatMap((guest) => [
      () => measureWindow(all, guest, [all.hook, "thaw"], "freedByHook", "hookExit"),
      () => measureWindow(all, guest, [PROGRAM, "post-thaw"], "freedDirectly", "directExit"),
      () =>
        measureStall(all, guest, "stallByHook", () => oneWindow(all, guest, [all.hook, "thaw"])),
      () =>
        measureStall(
          all,
          guest,
          "stallDirectly",
          () => oneWindow(all, guest, [PROGRAM, "post-thaw"]),
        ),
      () => measureStall(all, guest, "floor", () => lockAndUnlock(guest, LOCKS[guest.flavor])),
      () => measureStall(all, guest, "floorFtwrl", () => lockAndUnlock(guest, LOCKS.mysql)),
      () =>
        measureStall(
          all,
          guest,
          "floorSynced",
          () =>
            lockAndUnlock(guest, LOCKS[guest.flavor], () =>
              settled(["sync", "--file-system", guest.server.datadir])),
        ),
      () => measureStall(all, guest, "quiet", () => pause(QUIET_MS)),
    ]),
  ];
}

/** One round of README's table: a snapshot of {@linkcode SNAPSHOT_MS} under the lock. */
function waysOf(all: Bench): (() => Promise<void>)[] {
  return all.guests.flatMap((guest) => {
    const held = () => pause(SNAPSHOT_MS);
    const window = async () => {
      await exitOf([PROGRAM, "pre-freeze"]);
      await held();
      await exitOf([all.hook, "thaw"]);
    };
    const bare = () => lockAndUnlock(guest, LOCKS[guest.flavor], held);
    return [
      () => measureStall(all, guest, "heldWindow", window),
      () => measureStall(all, guest, "heldWindowBehind", () => behindUpdate(guest, window)),
      () => measureStall(all, guest, "heldBare", bare),
      () => measureStall(all, guest, "heldBareBehind", () => behindUpdate(guest, bare)),
    ];
  });
}

/** Does something while an UPDATE of another table runs, old enough for the guard to see. */
async function behindUpdate({ blocked }: Guest, act: () => Promise<void>): Promise<void> {
  const update = blocked.query(
    `UPDATE bench.slow SET n = n + 1 WHERE SLEEP(${UPDATE_S}) = 0`,
  );
  await pause(GUARD_SEES_MS);
  await act();
  await update;
}

/** One window with one blocked write, and nobody else. */
async function measureWindow(
  { results }: Bench,
  guest: Guest,
  thaw: readonly string[],
  freed: Measure,
  exit: Measure,
): Promise<void> {
  await prepareFor(guest);
  results.add(guest.flavor, "preFreeze", await exitOf([PROGRAM, "pre-freeze"]));
  const memory = await memoryOf(await lockerPid());
  results.add(guest.flavor, "rss", memory.rssMiB);
  results.add(guest.flavor, "anonymous", memory.anonymousMiB);
  let freedAt: number | undefined;
  const blocked = guest.blocked.query(INSERT).then(() => {
    freedAt = performance.now();
  });
  await pause(BLOCKED_MS);
  if (freedAt !== undefined) throw new ScriptError("A write went through while frozen");
  const started = performance.now();
  results.add(guest.flavor, exit, await exitOf(thaw));
  await blocked;
  results.add(guest.flavor, freed, (freedAt ?? performance.now()) - started);
}

/** The writer's longest wait around something. */
async function measureStall(
  { results, writer }: Bench,
  guest: Guest,
  measure: Measure,
  act: () => Promise<void>,
): Promise<void> {
  await prepareFor(guest);
  await writer.start(guest.server.socket);
  await pause(WRITING_MS);
  const from = performance.timeOrigin + performance.now() - CLOCK_SLACK_MS;
  await act();
  const to = performance.timeOrigin + performance.now() + CLOCK_SLACK_MS;
  await pause(WRITING_MS);
  const samples = await writer.stop();
  const stalls = samples
    .filter(({ sentMs, ackedMs }) => ackedMs >= from && sentMs <= to)
    .map(({ sentMs, ackedMs }) => ackedMs - sentMs);
  results.add(guest.flavor, measure, Math.max(...stalls));
}

/** A window with a snapshot of 0 ms; remembers where its time went. */
async function oneWindow(
  { results }: Bench,
  guest: Guest,
  thaw: readonly string[],
): Promise<void> {
  await exitOf([PROGRAM, "pre-freeze"]);
  await exitOf(thaw);
  const record: WindowRecord = JSON.parse(
    await Deno.readTextFile("/var/lib/locktables/record.json"),
  );
  let before = 0;
  for (const { at_ms, event } of record.timeline) {
    const step = event.replace(/ \(.*/, "");
    results.add(guest.flavor, `${thaw[0] === PROGRAM ? "direct" : "hook"} ${step}`, at_ms - before);
    before = at_ms;
  }
}

async function lockAndUnlock(
  { client }: Guest,
  lock: Lock,
  between: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  for (const statement of lock.acquire) await client.query(statement);
  await between();
  await client.query(lock.release);
}

/** The same calm before everything that is measured, and the option file names the server. */
async function prepareFor({ socket }: Guest): Promise<void> {
  await Deno.writeTextFile("/root/.my.cnf", `[client]\nsocket=${socket}\n`, { mode: 0o600 });
  await settle();
}

async function settle(): Promise<void> {
  await runOrFail("sync", ["sync"]);
  await pause(SETTLE_MS);
}

async function settledExit(argv: readonly string[]): Promise<number> {
  await settle();
  return await exitOf(argv);
}

async function settled(argv: readonly string[]): Promise<void> {
  await exitOf(argv);
}

/** Starts a program that must succeed; milliseconds until its exit is known. */
async function exitOf([program, ...args]: readonly string[]): Promise<number> {
  const started = performance.now();
  const { code } = await new Deno.Command(program ?? "", {
    args,
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn().status;
  const tookMs = performance.now() - started;
  if (code !== 0) {
    throw new ScriptError(`${program} ${args.join(" ")} ended with exit code ${code}`);
  }
  return tookMs;
}

async function lockerPid(): Promise<number> {
  const record: WindowRecord = JSON.parse(await Deno.readTextFile("/run/veeam/window.json"));
  return record.locker_pid;
}

async function memoryOf(pid: number): Promise<{ rssMiB: number; anonymousMiB: number }> {
  const text = await Deno.readTextFile(`/proc/${pid}/smaps_rollup`);
  const mebibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? NaN) / 1024;
  return { rssMiB: mebibytes("Rss"), anonymousMiB: mebibytes("Anonymous") };
}

/** The writer on its thread. */
interface Writer {
  start(socket: string): Promise<void>;
  stop(): Promise<readonly WriterSample[]>;
  close(): void;
}

function openWriter(): Writer {
  const worker = new Worker(new URL("bench_writer.ts", import.meta.url), { type: "module" });
  const tell = (order: WriterOrder) => {
    const answer = new Promise<"writing" | WriterSample[]>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(`The writer failed: ${event.message}`));
    });
    worker.postMessage(order);
    return answer;
  };
  return {
    async start(socket) {
      await tell({ word: "write", socket, statement: INSERT });
    },
    async stop() {
      const samples = await tell({ word: "stop" });
      return samples === "writing" ? [] : samples;
    },
    close() {
      worker.terminate();
    },
  };
}

// ---------------------------------------------------------------------------------------------
// What is printed

function printTables(results: Results, guests: readonly Guest[]): void {
  const servers = guests.map(({ flavor, server }) => ({
    flavor,
    head: `${server.flavor} ${server.version}`,
  }));
  printTable("median (min, p90)", MEASURES, results, servers);
  printTable(
    `longest wait of a writer, lock held for ${SNAPSHOT_MS} ms (ms)`,
    WAYS,
    results,
    servers,
  );
}

function printTable(
  title: string,
  rows: Readonly<Record<string, string>>,
  results: Results,
  servers: readonly { readonly flavor: Flavor; readonly head: string }[],
): void {
  const columns: Column[] = ["both", ...servers.map(({ flavor }) => flavor)];
  const used = columns.filter((column) =>
    Object.keys(rows).some((measure) => results.of(column, measure).length > 0)
  );
  const heads = used.map((column) => servers.find(({ flavor }) => flavor === column)?.head ?? "");
  const width = Math.max(title.length, ...Object.values(rows).map((text) => text.length));
  console.log(`\n${title.padEnd(width)}  ${heads.map((head) => head.padEnd(24)).join("")}`);
  for (const [measure, text] of Object.entries(rows)) {
    const cells = used.map((column) => {
      const samples = results.of(column, measure);
      if (samples.length === 0) return "";
      const [median, min, p90] = [at(samples, 0.5), at(samples, 0), at(samples, 0.9)];
      return `${fixed(median)} (${fixed(min)}, ${fixed(p90)})`;
    });
    console.log(
      `${text.padEnd(width)}  ${cells.map((cell) => cell.padEnd(24)).join("")}`.trimEnd(),
    );
  }
}

/** The locker's own timeline under load, each step from the one before. */
const STEPS = [
  "preparing",
  "connected",
  "written out",
  "locking",
  "securing",
  "coordinates read",
  "on disk",
  "answering",
  "held",
  "releasing",
];

function printTimelines(results: Results, guests: readonly Guest[]): void {
  console.log("\nwhere a window's time goes (median ms since the step before, writer running)");
  const rows = guests.flatMap(({ flavor }) =>
    ["hook", "direct"].map((thaw) => ({ flavor, thaw, name: `${flavor}, ${thaw}` }))
  );
  console.log(`${"".padEnd(18)}${rows.map(({ name }) => name.padStart(18)).join("")}`);
  for (const step of STEPS) {
    const cells = rows.map(({ flavor, thaw }) => fixed(results.median(flavor, `${thaw} ${step}`)));
    console.log(`${step.padEnd(18)}${cells.map((cell) => cell.padStart(18)).join("")}`);
  }
}

function printAims(results: Results, guests: readonly Guest[]): void {
  const hello = results.median("both", "hello");
  console.log("\naims");
  const tell = (text: string, reached: number, limit: number, unit: string) => {
    const isReached = reached <= limit;
    const [is, aim] = unit === "ms"
      ? [`${fixed(reached)} ms`, `${fixed(limit)} ms`]
      : [`${reached.toFixed(2)} ${unit}`, `${limit} ${unit}`];
    console.log(`${isReached ? "reached" : "MISSED "}  ${text}: ${is}, aim ${aim}`);
  };
  tell("imports of the hook path, over hello", results.median("both", "imports") - hello, 3, "ms");
  for (const { flavor } of guests) {
    const of = (measure: Measure) => results.median(flavor, measure);
    const { label } = LOCKS[flavor];
    tell(
      `${flavor}: stall through the sh hook above the floor (${label})`,
      of("stallByHook") - of("floor"),
      30,
      "ms",
    );
    tell(`${flavor}: pre-freeze`, of("preFreeze") / hello, 4, "x hello");
    tell(`${flavor}: thaw through the sh hook`, of("freedByHook"), 12, "ms");
    tell(`${flavor}: post-thaw directly`, of("freedDirectly") / hello, 1.3, "x hello");
  }
}

/** A quantile of ascending samples. */
function at(ascending: readonly number[], quantile: number): number {
  const index = Math.min(ascending.length - 1, Math.floor(ascending.length * quantile));
  return ascending[index] ?? NaN;
}

function fixed(value: number): string {
  return value.toFixed(1);
}

/** A random order: what comes before what must not be the same in every round. */
function shuffled<T>(items: readonly T[]): T[] {
  return items.map((item) => ({ item, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

if (import.meta.main) await scriptMain(() => bench(Deno.args));
