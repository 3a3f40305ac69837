/**
 * What a snapshot costs writers through the real libvmbackup, and what the image is worth: each is
 * copied while the disk is frozen, booted, and held against what the writers know. Run by `bench.ts`,
 * or by itself for many rounds:
 *
 *     deno run -A scripts/bench_vmbackup.ts [--rounds 20]
 */
import { parseArgs } from "node:util";
import { bootDisk, copyDisk } from "../tests/support/disk_image.ts";
import { type DiskGuest, type Filesystem, openDiskGuest } from "../tests/support/disk_guest.ts";
import type { StatusRecord } from "../tests/support/guest.ts";
import { placeHooks } from "../tests/support/hooks.ts";
import { connect, type Flavor, type Server } from "../tests/support/server.ts";
import { HOST_SNAPSHOT_MS, VMWARE_FILESYSTEMS } from "./bench_vmware.ts";
import { pause } from "./private_guest.ts";
import { ScriptError, scriptMain } from "./shell.ts";
import { openVmbackup, provideVmbackup, type VmbackupFiles } from "./vmbackup.ts";

/** How long the writers write before and after, in milliseconds. */
const WRITING_MS = 300;

/** Between two writes of a writer: a client that does something else as well, in milliseconds. */
const WRITER_PAUSE_MS = 2;

/** Writers, each on a session of its own. */
const WRITERS = 4;

/** A ledger that is recovered after a crash, and one whose files must be closed by the lock. */
const LEDGERS = { InnoDB: "shop.ledger_innodb", MyISAM: "shop.ledger_myisam" } as const;

/** The ways of taking it. */
export const VMBACKUP_WAYS = {
  vmbackupNow: "through the real libvmbackup: locktables",
  vmbackupFreeze: "  VMware's own freeze in the same windows",
  vmbackupExcess: "  longest wait above it",
  vmbackupNoSync: "  locktables, enableSyncDriver=false",
  vmbackupFloor: "  floor: the same snapshot without a lock",
} as const;

/** One of {@linkcode VMBACKUP_WAYS}. */
export type VmbackupWay = keyof typeof VMBACKUP_WAYS;

/** What a way is set up with. */
interface Setup {
  readonly hook: boolean;
  readonly syncDriver: boolean;
}

/** One window. */
interface Sample {
  readonly stallMs: number;
  /** From FIFREEZE to FITHAW; null where nothing was frozen. */
  readonly freezeMs: number | null;
  readonly snapshotMs: number;
  /** From the lock to FIFREEZE, and from FITHAW to the release; null where there was no freeze. */
  readonly aroundMs: readonly [before: number, after: number] | null;
  readonly last: StatusRecord | null;
}

/**
 * Takes so many snapshots in each way, round by round. Fails where an image is not what its record
 * and the writers say.
 */
export async function benchVmbackup(
  flavor: Flavor,
  filesystem: Filesystem,
  rounds: number,
  add: (way: VmbackupWay, ms: number) => void,
  log: (line: string) => void,
): Promise<void> {
  const files = await provideVmbackup(log);
  const guest = await openDiskGuest(flavor, filesystem);
  try {
    const ledger = await openLedger(guest.server);
    // The first of each pays for cold caches, and has no history: it does not count.
    for (let round = 0; round <= rounds; round++) {
      const floor = await oneSnapshot(guest, files, ledger, { hook: false, syncDriver: true });
      const now = await oneSnapshot(guest, files, ledger, { hook: true, syncDriver: true });
      const noSync = await oneSnapshot(guest, files, ledger, { hook: true, syncDriver: false });
      if (now.last?.released_by !== "filesystem-thaw") {
        throw new ScriptError(`released by ${now.last?.released_by}, not by the thaw`);
      }
      if (noSync.last?.released_by !== "thaw-hook") {
        throw new ScriptError(`released by ${noSync.last?.released_by}, not by the hook`);
      }
      const freezeMs = now.freezeMs ?? NaN;
      log(
        [
          `${flavor} ${filesystem}, round ${round}: stall ${now.stallMs.toFixed(0)} ms`,
          `freeze ${freezeMs.toFixed(0)} ms, above it ${(now.stallMs - freezeMs).toFixed(0)} ms`,
          `locked ${
            now.aroundMs?.map((ms) => ms.toFixed(0)).join(" ms before it, released ")
          } ms after`,
          `snapshot ${now.snapshotMs.toFixed(0)} ms`,
          `without the freeze ${noSync.stallMs.toFixed(0)} ms, floor ${
            floor.stallMs.toFixed(0)
          } ms`,
        ].join(", "),
      );
      if (round === 0) continue;
      add("vmbackupNow", now.stallMs);
      add("vmbackupFreeze", freezeMs);
      add("vmbackupExcess", now.stallMs - freezeMs);
      add("vmbackupNoSync", noSync.stallMs);
      add("vmbackupFloor", floor.stallMs);
    }
    await ledger.close();
  } finally {
    await guest.close();
  }
}

/** One snapshot under load; with a lock its image is booted and looked at. */
async function oneSnapshot(
  guest: DiskGuest,
  files: VmbackupFiles,
  ledger: Ledger,
  { hook, syncDriver }: Setup,
): Promise<Sample> {
  const { sandbox, disk } = guest;
  if (hook) await placeHooks(sandbox, "vmware");
  const tools = await openVmbackup(guest, files, { syncDriver });
  await disk.keepFromStayingFrozen();
  const image = `${guest.dir}/image`;
  try {
    ledger.start();
    await pause(WRITING_MS);
    await tools.say("start");
    const commit = await tools.next("prov.snapshotCommit");
    const from = performance.now();
    // Nothing is frozen without the driver: then a host copies a moment, and files are not one.
    const copying = hook && syncDriver ? copyDisk(guest, image) : Promise.resolve();
    await Promise.all([copying, pause(HOST_SNAPSHOT_MS)]);
    const snapshotMs = performance.now() - from;
    await tools.say("snapshotDone");
    await tools.next("req.done");
    await pause(WRITING_MS);
    const stallMs = await ledger.stop();
    const at = (text: string) => tools.events.find((event) => event.text === text)?.atMs ?? null;
    const [frozenAt, thawedAt] = [at("freezing"), at("thawed")];
    const freezeMs = frozenAt === null || thawedAt === null ? null : thawedAt - frozenAt;
    const last = hook ? (await guest.status()).last : null;
    if (hook) requireGood(last);
    const aroundMs: Sample["aroundMs"] = frozenAt === null || thawedAt === null || last === null
      ? null
      : [
        frozenAt - Date.parse(last.locked_at ?? ""),
        Date.parse(last.released_at ?? "") - thawedAt,
      ];
    if (hook && syncDriver) {
      await requireConsistent(guest, image, last, ledger.writtenBefore(commit.atMs));
    }
    return { stallMs, freezeMs, snapshotMs, aroundMs, last };
  } finally {
    await tools.close();
    await sandbox.sh("rm -f /etc/vmware-tools/backupScripts.d/99-locktables");
    await Deno.remove(image).catch(() => {});
  }
}

function requireGood(last: StatusRecord | null): void {
  if (last?.outcome === "released" && last.verdict === "application-consistent") return;
  throw new ScriptError(`not proven: ${JSON.stringify(last)}`);
}

/** Rows of each writer in each ledger. */
type Rows = Readonly<Record<string, number>>;

async function requireConsistent(
  guest: DiskGuest,
  image: string,
  last: StatusRecord | null,
  written: Rows,
): Promise<void> {
  const booted = await bootDisk(guest, image);
  try {
    const { record, binlogEnd, damage } = booted;
    const wrong: string[] = [...damage];
    if (record.window_id !== last?.window_id) wrong.push("the record is of another window");
    const recorded = record.instances[0]?.coordinates;
    if (recorded?.file !== binlogEnd.file || recorded.position !== binlogEnd.length) {
      wrong.push(`binlog ends at ${JSON.stringify(binlogEnd)}, not ${JSON.stringify(recorded)}`);
    }
    const inImage = await rowsIn((sql) => booted.query(sql));
    for (const key of new Set([...Object.keys(inImage), ...Object.keys(written)])) {
      if (inImage[key] === written[key]) continue;
      wrong.push(
        `${key}: ${inImage[key]} rows in the image, ${written[key]} acknowledged before it`,
      );
    }
    const verified = await booted.verified();
    if (verified.exit_code !== 0) wrong.push(`verify: ${JSON.stringify(verified)}`);
    if (wrong.length > 0) throw new ScriptError(`The image is not consistent: ${wrong.join("; ")}`);
  } finally {
    await booted.close();
  }
}

/** Fails where a writer's rows are not 1, 2, 3, … */
async function rowsIn(
  query: (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>,
): Promise<Rows> {
  const found: Record<string, number> = {};
  for (const table of Object.values(LEDGERS)) {
    const rows = await query(
      `SELECT writer, COUNT(*) AS total, MAX(n) AS newest FROM ${table} GROUP BY writer`,
    );
    for (const row of rows) {
      if (Number(row["total"]) !== Number(row["newest"])) {
        throw new ScriptError(`${table} has a gap: ${JSON.stringify(row)}`);
      }
      found[`${table} of writer ${row["writer"]}`] = Number(row["total"]);
    }
  }
  return found;
}

/** Writers, and what the server has acknowledged to them. */
interface Ledger {
  start(): void;
  /** The longest wait since the start, in milliseconds. */
  stop(): Promise<number>;
  /** How many rows were acknowledged before a moment, in milliseconds since 1970. */
  writtenBefore(atMs: number): Rows;
  close(): Promise<void>;
}

async function openLedger(server: Server): Promise<Ledger> {
  const admin = await connect(server);
  // What careful people set.
  await admin.query("SET GLOBAL sync_binlog = 1");
  await admin.query("SET GLOBAL innodb_flush_log_at_trx_commit = 1");
  for (const [engine, table] of Object.entries(LEDGERS)) {
    await admin.query(
      `CREATE TABLE ${table} (writer INT, n INT, PRIMARY KEY (writer, n)) ENGINE=${engine}`,
    );
  }
  await admin.close();
  const sessions = await Promise.all(Array.from({ length: WRITERS }, () => connect(server)));
  /** When each row was acknowledged, by ledger and writer; its number is its place. */
  const acknowledged = new Map<string, number[]>();
  let isOver = true;
  let longestMs = 0;
  let writing: Promise<unknown> = Promise.resolve();
  const write = async (session: typeof sessions[number], writer: number) => {
    while (!isOver) {
      for (const table of Object.values(LEDGERS)) {
        const key = `${table} of writer ${writer}`;
        const moments = acknowledged.get(key) ?? [];
        acknowledged.set(key, moments);
        const sent = performance.now();
        await session.query(`INSERT INTO ${table} VALUES (${writer}, ${moments.length + 1})`);
        const answered = performance.now();
        moments.push(Date.now());
        longestMs = Math.max(longestMs, answered - sent);
      }
      await pause(WRITER_PAUSE_MS);
    }
  };
  return {
    start() {
      isOver = false;
      longestMs = 0;
      writing = Promise.all(sessions.map(write));
    },
    async stop() {
      isOver = true;
      await writing;
      return longestMs;
    },
    writtenBefore(atMs) {
      return Object.fromEntries(
        [...acknowledged].map(([key, moments]) => [
          key,
          moments.filter((moment) => moment < atMs).length,
        ]),
      );
    },
    async close() {
      for (const session of sessions) await session.close();
    },
  };
}

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { rounds: { type: "string", default: "20" } },
  });
  const rounds = Number(values.rounds);
  for (const flavor of ["mariadb", "mysql"] as const) {
    const samples = new Map<VmbackupWay, number[]>();
    const add = (way: VmbackupWay, ms: number) => {
      samples.set(way, [...samples.get(way) ?? [], ms]);
    };
    await benchVmbackup(
      flavor,
      VMWARE_FILESYSTEMS[flavor],
      rounds,
      add,
      (line) => console.log(line),
    );
    for (const [way, text] of Object.entries(VMBACKUP_WAYS)) {
      const all = [...samples.get(way as VmbackupWay) ?? []].sort((a, b) => a - b);
      const of = (quantile: number) =>
        (all[Math.min(all.length - 1, Math.floor(all.length * quantile))] ?? NaN).toFixed(1);
      console.log(`${flavor}: ${text}: ${of(0.5)} (${of(0)}, ${of(0.9)}) of ${all.length}`);
    }
  }
}

if (import.meta.main) await scriptMain(() => main(Deno.args));
