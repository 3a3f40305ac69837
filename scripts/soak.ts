/**
 * `deno task soak`: many windows under write load on real servers, and many windows that lose their
 * lock at a random moment. Not a test: it takes minutes. `tests/server/losses_injection_test.ts`
 * runs the same with small numbers.
 *
 *     deno task soak [--windows 1000] [--losses 200] [--server mariadb|mysql] [--seed NUMBER]
 */

import { parseArgs } from "node:util";
import { openSandbox, processesOf, type Sandbox } from "../tests/support/sandbox.ts";
import {
  connect,
  type Connection,
  type Flavor,
  type Server,
  startServer,
} from "../tests/support/server.ts";
import {
  type Client,
  startStatementLoad,
  type StatementLoad,
} from "../tests/support/statement_load.ts";
import { build } from "./build.ts";
import { provision } from "./provision.ts";
import { ScriptError, scriptMain } from "./shell.ts";

/** Every server that is soaked. */
const FLAVORS: readonly Flavor[] = ["mariadb", "mysql"];

const WINDOWS = 1_000;
const LOSSES = 200;

/** Windows before the first look at what is open: caches of the server fill in them. */
const WARM_UP = 5;

/** Windows with one method in a row, where a server has two. */
const METHOD_RUN = 25;

/** How often the leaks are looked at, in windows. */
const SAMPLE_EVERY = 50;

/** Longest hold of a good window, in milliseconds: what is proven there is not its length. */
const HOLD_MS = 30;

/** Hold of a window with a loss: about as long as opening and closing it, so that each is hit. */
const LOSS_HOLD_MS = 250;

/**
 * A loss comes this long after the start of pre-freeze at the latest, in milliseconds; on a machine
 * where the window before took longer, as long as that one took.
 */
const LOSS_WITHIN_MS = 600;

/** Clocks of two processes on one machine, rounded to milliseconds. */
const CLOCK_MS = 5;

/** Open files that a server may have more at the end: binlogs and tables come and go. */
const FILE_SLACK = 10;

/**
 * Share of windows whose control session may end without a goodbye: one that is just asking for
 * the number of connections when the lock is released is cut.
 */
const ABORTED_SHARE = 0.02;

/** Bound of one command, far above what any of them may take. */
const COMMAND_TIMEOUT_MS = 60_000;

/** How long something of a window may be there after post-thaw: sessions end a moment later. */
const GONE_LIMIT_MS = 3_000;

/** Writers in several engines; the binlog gets statements and rows of all of them. */
const WRITERS: readonly Client[] = [
  { name: "insert", statement: () => "INSERT INTO shop.orders VALUES ()" },
  { name: "update", statement: (n) => `UPDATE shop.stock SET n = n + 1 WHERE id = ${n % 50 + 1}` },
  { name: "MyISAM", statement: (n) => `UPDATE shop.clicks SET n = n + 1 WHERE id = ${n % 5 + 1}` },
];

/** A random number from 0 up to 1. */
export type Random = () => number;

/** Random numbers that come again with the same seed (mulberry32). */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// ---------------------------------------------------------------------------------------------
// A guest under load

interface Bed {
  readonly flavor: Flavor;
  readonly server: Server;
  readonly sandbox: Sandbox;
  readonly load: StatementLoad;
  /** A session to look with; a new one after a restart. */
  admin(): Connection;
  reconnect(): Promise<void>;
  locktables(...args: string[]): ReturnType<Sandbox["run"]>;
}

async function withBed<T>(flavor: Flavor, use: (bed: Bed) => Promise<T>): Promise<T> {
  const server = await startServer(flavor);
  const sandbox = await openSandbox();
  let admin = await connect(server);
  let load: StatementLoad | null = null;
  try {
    await sandbox.bindServer(server);
    for (
      const sql of [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY)",
        "CREATE TABLE shop.stock (id INT PRIMARY KEY, n INT)",
        "CREATE TABLE shop.clicks (id INT PRIMARY KEY, n INT) ENGINE=MyISAM",
        `INSERT INTO shop.stock VALUES ${rows(50)}`,
        `INSERT INTO shop.clicks VALUES ${rows(5)}`,
      ]
    ) await admin.query(sql);
    load = await startStatementLoad(server, WRITERS, { isPersistent: true });
    return await use({
      flavor,
      server,
      sandbox,
      load,
      admin: () => admin,
      async reconnect() {
        await admin.close();
        admin = await connect(server);
      },
      locktables: (...args) =>
        sandbox.run([sandbox.binary, ...args], { timeoutMs: COMMAND_TIMEOUT_MS }),
    });
  } finally {
    await load?.stop();
    await admin.close();
    await sandbox.close();
    await server.stop();
  }
}

function rows(count: number): string {
  return Array.from({ length: count }, (_, index) => `(${index + 1}, 0)`).join(", ");
}

/** Where the binlog ends, asked by somebody else than locktables; null where nobody answers. */
async function binlogEnd({ admin, flavor }: Bed): Promise<string | null> {
  try {
    const [row] = await admin().query(
      flavor === "mariadb" ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS",
    );
    return `${row?.["File"]}:${row?.["Position"]}`;
  } catch {
    return null;
  }
}

/** What is open on both sides. */
interface Opened {
  readonly threads: number;
  readonly serverFiles: number;
  readonly serverKib: number;
  readonly abortedClients: number;
}

async function look({ admin, server }: Bed): Promise<Opened> {
  const status = new Map(
    (await admin().query(
      "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Aborted_clients')",
    )).map((row) => [String(row["Variable_name"]), Number(row["Value"])]),
  );
  const files = [...Deno.readDirSync(`/proc/${server.pid}/fd`)].length;
  const memory = /^VmRSS:\s+(\d+) kB/m.exec(await Deno.readTextFile(`/proc/${server.pid}/status`));
  return {
    threads: status.get("Threads_connected") ?? NaN,
    serverFiles: files,
    serverKib: Number(memory?.[1] ?? NaN),
    abortedClients: status.get("Aborted_clients") ?? NaN,
  };
}

/** Processes, files and sessions of a window that are still there some time after it. */
async function leftovers(bed: Bed): Promise<string[]> {
  const deadline = performance.now() + GONE_LIMIT_MS;
  while (true) {
    const processes = (await processesOf(bed.sandbox)).filter(({ cmdline }) => cmdline !== "");
    const files = await bed.sandbox.sh("ls -A /run/veeam; ls -A /var/lib/locktables | grep tmp");
    const own = [bed.admin().id, ...bed.load.sessionIds()];
    const sessions = (await bed.admin().query("SHOW PROCESSLIST"))
      .filter((row) => !["event_scheduler", "system user"].includes(String(row["User"])))
      .filter((row) => !own.includes(Number(row["Id"])));
    const left = [
      ...processes.map(({ pid, cmdline }) => `process ${pid} ${cmdline}`),
      ...files.stdout.split("\n").filter((file) => file !== "").map((file) => `file ${file}`),
      // A client of the load that has just come back may not be in its list yet.
      ...sessions.map((row) => `session ${row["Id"]} ${row["Info"] ?? row["Command"]}`),
    ];
    if (left.length === 0 || performance.now() > deadline) return left;
    await pause(20);
  }
}

// ---------------------------------------------------------------------------------------------
// Good windows

/** What {@linkcode soakWindows} found. */
export interface WindowsReport {
  readonly windows: number;
  /** Everything that was not as it should be; empty is good. */
  readonly faults: readonly string[];
  /** For people. */
  readonly summary: readonly string[];
}

/** Opens and closes windows under write load, and looks for leaks. */
export async function soakWindows(
  flavor: Flavor,
  windows: number,
  random: Random,
): Promise<WindowsReport> {
  return await withBed(flavor, async (bed) => {
    const faults: string[] = [];
    const freezeMs: number[] = [];
    const thawMs: number[] = [];
    let before: Opened | null = null;
    const methods = flavor === "mariadb" ? ["auto", "ftwrl"] : ["auto"];
    const startedMs = performance.now();
    for (let at = 0; at < windows; at += 1) {
      if (at % METHOD_RUN === 0) {
        const method = methods[at / METHOD_RUN % methods.length];
        await bed.sandbox.writeFile("/root/.my.cnf", `[locktables]\nmethod=${method}\n`);
      }
      const frozen = await bed.locktables("pre-freeze");
      const atLock = await binlogEnd(bed);
      await pause(random() * HOLD_MS);
      const atThaw = await binlogEnd(bed);
      const thawed = await bed.locktables("post-thaw");
      const recorded = /(binlog\.\d+:\d+)\)/.exec(frozen.stdout)?.[1];
      const isGood = frozen.code === 0 && thawed.code === 0 &&
        thawed.stdout.includes("application-consistent");
      if (!isGood) {
        faults.push(
          `window ${at}: ${frozen.code} ${frozen.stderr} ${thawed.code} ${thawed.stderr}`,
        );
      }
      if (atLock === null || atLock !== atThaw || atLock !== recorded) {
        faults.push(`window ${at}: recorded ${recorded}, at lock ${atLock}, at thaw ${atThaw}`);
      }
      freezeMs.push(frozen.ms);
      thawMs.push(thawed.ms);
      if (at === Math.min(WARM_UP, windows) - 1) before = await look(bed);
      if ((at + 1) % SAMPLE_EVERY === 0 || at === windows - 1) {
        for (const left of await leftovers(bed)) faults.push(`after window ${at}: ${left}`);
      }
    }
    const tookS = (performance.now() - startedMs) / 1_000;
    const after = await look(bed);
    if (before !== null) {
      if (after.threads > before.threads) {
        faults.push(`connections grew from ${before.threads} to ${after.threads}`);
      }
      if (after.serverFiles > before.serverFiles + FILE_SLACK) {
        faults.push(`the server's files grew from ${before.serverFiles} to ${after.serverFiles}`);
      }
      const aborted = after.abortedClients - before.abortedClients;
      if (aborted > Math.ceil(ABORTED_SHARE * windows)) {
        faults.push(`sessions without a goodbye: ${aborted}`);
      }
    }
    faults.push(...bed.load.errors().map((error) => `a writer got: ${error}`));
    const statements = bed.load.statements().length;
    const names = WRITERS.map(({ name }) => name);
    return {
      windows,
      faults,
      summary: [
        `${windows} windows in ${tookS.toFixed(0)} s, ${windows - countOf(faults, /^window/)} good`,
        `pre-freeze ${spread(freezeMs)}, post-thaw ${spread(thawMs)}`,
        `${statements} writes, the longest took ${bed.load.longestMs(names).toFixed(0)} ms`,
        `connections ${before?.threads} -> ${after.threads}, ` +
        `server's files ${before?.serverFiles} -> ${after.serverFiles}, ` +
        `server's memory ${mib(before?.serverKib)} -> ${mib(after.serverKib)}, ` +
        `aborted clients ${before?.abortedClients} -> ${after.abortedClients}`,
      ],
    };
  });
}

function countOf(lines: readonly string[], pattern: RegExp): number {
  return lines.filter((line) => pattern.test(line)).length;
}

function spread(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, sorted.length * share | 0)] ?? NaN;
  return `median ${at(0.5).toFixed(0)} ms, p99 ${at(0.99).toFixed(0)} ms, longest ${
    at(1).toFixed(0)
  } ms`;
}

function mib(kib: number | undefined): string {
  return `${((kib ?? NaN) / 1024).toFixed(0)} MiB`;
}

// ---------------------------------------------------------------------------------------------
// Losses

/** A way to lose a lock. Resolves to whether there was something to hit. */
interface Loss {
  readonly name: string;
  /** Share of the losses; they add up to 1. */
  readonly share: number;
  readonly inject: (bed: Bed) => Promise<boolean>;
  /** Whether nothing of the window can go on after it, whatever it was just doing. */
  readonly isFinal: boolean;
  /** What has to be done after the window. */
  readonly repair?: (bed: Bed) => Promise<void>;
}

const signalLocker = (signal: Deno.Signal) => async ({ sandbox }: Bed) => {
  const lockers = (await processesOf(sandbox)).filter(({ cmdline }) =>
    / locker( |$)/.test(cmdline)
  );
  for (const { pid } of lockers) {
    try {
      Deno.kill(pid, signal);
    } catch {
      return false; // ended meanwhile
    }
  }
  return lockers.length > 0;
};

const LOSSES_BY_KIND: readonly Loss[] = [
  { name: "locker killed", share: 0.3, inject: signalLocker("SIGKILL"), isFinal: true },
  { name: "locker terminated", share: 0.2, inject: signalLocker("SIGTERM"), isFinal: false },
  {
    name: "session killed",
    share: 0.3,
    isFinal: true,
    async inject({ admin }) {
      const [row] = await admin().query("SELECT IS_USED_LOCK('locktables') AS id");
      const id = Number(row?.["id"] ?? 0);
      if (id === 0) return false;
      return await admin().query(`KILL ${id}`).then(() => true, () => false);
    },
  },
  {
    name: "lock file removed",
    share: 0.15,
    isFinal: false,
    inject: async ({ sandbox }) =>
      (await sandbox.sh("rm /run/veeam/waitforsnapshot 2>/dev/null")).code === 0,
  },
  {
    name: "server killed",
    share: 0.05,
    isFinal: true,
    async inject({ server }) {
      await server.kill9();
      return true;
    },
    async repair(bed) {
      await bed.server.restart();
      await bed.reconnect();
    },
  },
];

/** Where in the window a loss came. */
type Moment = "opening" | "held" | "closing" | "missed";
const MOMENTS: readonly Moment[] = ["opening", "held", "closing", "missed"];

/** What {@linkcode soakLosses} found. */
export interface LossesReport {
  /** Losses that hit something. */
  readonly hits: number;
  readonly faults: readonly string[];
  readonly summary: readonly string[];
}

/** Opens windows and injects a loss into each at a random moment. */
export async function soakLosses(
  flavor: Flavor,
  losses: number,
  random: Random,
): Promise<LossesReport> {
  return await withBed(flavor, async (bed) => {
    const faults: string[] = [];
    const counts = new Map<string, number>();
    const count = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);
    let hits = 0;
    let withinMs = LOSS_WITHIN_MS;
    const startedMs = performance.now();
    // A miss is none of the losses that were asked for; a machine too slow to hit must not hang.
    for (let at = 0; hits < losses && at < 3 * losses; at += 1) {
      const loss = pick(random());
      const end = await loseOne(bed, loss, random() * withinMs);
      withinMs = Math.max(LOSS_WITHIN_MS, end.openMs);
      if (end.moment !== "missed") hits += 1;
      count(`${loss.name}, ${end.moment}`);
      if (end.isClaimed && end.moment !== "missed") count(`claimed, ${end.moment}`);
      for (const fault of end.faults) {
        faults.push(`loss ${at}, ${loss.name}, ${end.moment}: ${fault}`);
      }
    }
    const tookS = (performance.now() - startedMs) / 1_000;
    const line = (name: string) =>
      `${name.padEnd(20)} ${
        MOMENTS.map((moment) => `${moment} ${counts.get(`${name}, ${moment}`) ?? 0}`).join(", ")
      }`;
    return {
      hits,
      faults,
      summary: [
        `${hits} losses in ${tookS.toFixed(0)} s, ${faults.length} faults`,
        ...LOSSES_BY_KIND.map(({ name }) => line(name)),
        `still application-consistent, and rightly: ${counts.get("claimed, closing") ?? 0}, ` +
        "all of them with the loss after the release had begun",
      ],
    };
  });
}

function pick(at: number): Loss {
  let sum = 0;
  const found = LOSSES_BY_KIND.find(({ share }) => (sum += share) > at);
  return found ?? LOSSES_BY_KIND[0] as Loss;
}

interface LossEnd {
  readonly moment: Moment;
  /** Whether post-thaw called the snapshot application-consistent. */
  readonly isClaimed: boolean;
  /** From the start of pre-freeze to that of post-thaw. */
  readonly openMs: number;
  readonly faults: readonly string[];
}

async function loseOne(bed: Bed, loss: Loss, delayMs: number): Promise<LossEnd> {
  const openingAtMs = Date.now();
  const injecting = pause(delayMs).then(async () => {
    const beganMs = Date.now();
    const isHit = await loss.inject(bed);
    return { isHit, beganMs, endedMs: Date.now() };
  });
  const frozen = await bed.locktables("pre-freeze");
  const frozenAtMs = Date.now();
  const isPromised = frozen.code === 0;
  let [atLock, atThaw]: (string | null)[] = [null, null];
  if (isPromised) {
    atLock = await binlogEnd(bed);
    await pause(LOSS_HOLD_MS);
    atThaw = await binlogEnd(bed);
  }
  const thawingAtMs = Date.now();
  const thawed = await bed.locktables("post-thaw");
  const injected = await injecting;
  await loss.repair?.(bed);
  const isClaimed = isPromised && thawed.code === 0 &&
    thawed.stdout.includes("application-consistent");
  const moment: Moment = !injected.isHit
    ? "missed"
    : injected.beganMs <= frozenAtMs
    ? "opening"
    : injected.endedMs < thawingAtMs
    ? "held"
    : "closing";

  const faults: string[] = [];
  const told = `${frozen.code} ${frozen.stderr.trim()} ${thawed.code} ${thawed.stderr.trim()}`;
  if (isClaimed) {
    const isBefore = injected.endedMs < thawingAtMs ||
      (loss.isFinal && injected.endedMs + CLOCK_MS < await releasedAtMs(bed));
    if (injected.isHit && isBefore) faults.push(`called consistent: ${told}`);
    if (atLock === null || atLock !== atThaw) {
      faults.push(`called consistent, and the binlog moved from ${atLock} to ${atThaw}`);
    }
  }
  if (moment === "missed" && loss.name !== "server killed" && (frozen.code !== 0 || !isClaimed)) {
    faults.push(`nothing was hit, and yet: ${told}`);
  }
  if (moment === "held" && thawed.code !== 12) faults.push(`not told by exit 12: ${told}`);
  // Whatever happened, the next night begins clean, and the thaw that callers repeat is none.
  const again = await bed.locktables("post-thaw");
  if (again.code !== 0) faults.push(`a repeated post-thaw: ${again.code} ${again.stderr}`);
  for (const left of await leftovers(bed)) faults.push(`left behind: ${left}`);
  return { moment, isClaimed, openMs: thawingAtMs - openingAtMs, faults };
}

/** When the last window was released, by its own record. */
async function releasedAtMs(bed: Bed): Promise<number> {
  const { stdout } = await bed.locktables("status", "--json");
  const status = JSON.parse(stdout) as { last?: { released_at?: string | null } };
  return Date.parse(status.last?.released_at ?? "");
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// ---------------------------------------------------------------------------------------------
// Command

async function soak(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: args[0] === "--" ? args.slice(1) : [...args],
    options: {
      windows: { type: "string", default: String(WINDOWS) },
      losses: { type: "string", default: String(LOSSES) },
      server: { type: "string" },
      seed: { type: "string", default: String(Date.now() % 2 ** 32) },
    },
  });
  const [windows, losses, seed] = [values.windows, values.losses, values.seed].map(Number);
  if (windows === undefined || losses === undefined || seed === undefined) return 2;
  if (![windows, losses, seed].every((value) => Number.isInteger(value) && value >= 0)) {
    throw new ScriptError("--windows, --losses and --seed are whole numbers");
  }
  const flavors = FLAVORS.filter((flavor) =>
    values.server === undefined || values.server === flavor
  );
  if (flavors.length === 0) throw new ScriptError(`--server is ${FLAVORS.join(" or ")}`);
  if (Deno.env.get("LOCKTABLES_BINARY") === undefined) {
    await provision({ mariadb: true, mysql: true, testTools: true });
    Deno.env.set("LOCKTABLES_BINARY", (await build()).binary);
  }
  console.log(`seed ${seed}`);
  let faults = 0;
  for (const flavor of flavors) {
    const random = randomFrom(seed);
    for (
      const report of [
        ...(windows > 0 ? [await soakWindows(flavor, windows, random)] : []),
        ...(losses > 0 ? [await soakLosses(flavor, losses, random)] : []),
      ]
    ) {
      faults += report.faults.length;
      for (const line of [...report.summary, ...report.faults.map((fault) => `FAULT ${fault}`)]) {
        console.log(`${flavor}: ${line}`);
      }
    }
  }
  console.log(faults === 0 ? "soak: good" : `soak: ${faults} faults`);
  return faults === 0 ? 0 : 1;
}

if (import.meta.main) await scriptMain(() => soak(Deno.args));
