/**
 * The record on disk. Whatever can fail is tried before the lock: the file is created, filled and
 * fsynced then, so that under the lock only its blocks are overwritten. Nothing here waits for a
 * disk on the main thread; the limits are the caller's.
 */
import { plainJson } from "../base/plain_text.ts";
import type { Refusal } from "../base/refusal.ts";
import { parseRecord } from "../window/parse_record.ts";
import type { WindowRecord } from "../window/record.ts";
import { OLDER_ROOM, thinned } from "../window/thinning.ts";
import { copyToDisk, diskAnswered, readFromDisk, replaceOnDisk } from "../base/disk.ts";
import { writeAll } from "../base/lines.ts";
import { unusable } from "../base/files.ts";
import {
  CLOSING_FILE,
  HISTORY_FILE,
  OLDER_HISTORY_FILE,
  RECORD_FILE,
  RESERVED_FILE,
  STATE_DIR,
} from "../base/paths.ts";
import { makePrivate, STATE_DIRECTORY } from "../base/private_directory.ts";

/** Room for the record of a window with many instances and long GTID sets, in bytes. */
export const RESERVED_BYTES = 64 * 1024;

/**
 * What is written after each window, at most: two hours of a window every minute, and with 2.5 kB a
 * usual record 300 kB. What is more is shelved with the older ones, every 64th window.
 */
const NEWEST = { lines: 128, bytes: 2 * 1024 * 1024 } as const;

/** How many of them stay when others are shelved: more than the next window learns from. */
const STAY = 64;

/** Where shelving fails for long, that of a full disk for example, the oldest are given up. */
const MOST_LINES = 500;

/** A record that has its place on disk but not yet its content. */
export interface ReservedRecord {
  /**
   * Writes the record, fsyncs it, puts it in place and fsyncs the directory; opens nothing.
   * After this it is on disk, whatever happens to the machine.
   */
  commit(record: WindowRecord): Promise<Refusal | null>;
  /** Gives the place back; the record of the window before stays. */
  discard(): Promise<void>;
}

/** Reserves the place of a record in the state directory, which is made where it is missing. */
export async function reserveRecord(): Promise<ReservedRecord | Refusal> {
  const refused = await prepareDirectory();
  if (refused !== null) return refused;
  let file: Deno.FsFile | null = null;
  let directory: Deno.FsFile;
  try {
    await copyToDisk(RESERVED_FILE, new Uint8Array(RESERVED_BYTES).fill(0x20));
    // Both are in memory by now.
    file = await Deno.open(RESERVED_FILE, { write: true });
    directory = await Deno.open(STATE_DIR, { read: true });
    await file.sync();
  } catch (error) {
    file?.close();
    await discard();
    return unusable(RESERVED_FILE, "create", error);
  }
  // The pattern in it is compiled at the first call, which is not to be the one under the lock.
  plainJson(null);
  const place = file;
  const close = () => {
    place.close();
    directory.close();
  };
  return {
    async commit(record) {
      try {
        const bytes = linesOf(record);
        // Blocks that have their place already, and nothing else of the file: this needs no entry in
        // a journal, and clients wait for it.
        await writeAll(place, bytes);
        await place.syncData();
        // What follows the record are blanks, should this be lost.
        await place.truncate(bytes.length);
        await Deno.rename(RESERVED_FILE, RECORD_FILE);
        await directory.sync();
        return null;
      } catch (error) {
        await discard();
        return unusable(RECORD_FILE, "write the record", error);
      } finally {
        close();
      }
    },
    async discard() {
      close();
      await discard();
    },
  };
}

/** Replaces the record and adds the window to the history, after everything is released. */
export async function closeRecord(record: WindowRecord): Promise<Refusal | null> {
  const refused = await prepareDirectory();
  if (refused !== null) return refused;
  let path = STATE_DIR;
  try {
    using directory = await Deno.open(STATE_DIR, { read: true });
    // Several may have waited for the same disk.
    await directory.lock(true);
    path = RECORD_FILE;
    const there = parseRecord(await readFromDisk(RECORD_FILE));
    // A window that was opened while this one waited for the disk has its record there.
    if (there === null || there.opened_at <= record.opened_at) {
      await replaceOnDisk(RECORD_FILE, CLOSING_FILE, linesOf(record));
      await directory.sync();
    }
    path = HISTORY_FILE;
    const newest = [...await linesIn(HISTORY_FILE), plainJson(record)].slice(-MOST_LINES);
    await replaceLines(HISTORY_FILE, newest);
    path = OLDER_HISTORY_FILE;
    if (isOver(newest)) await shelve(newest);
    return null;
  } catch (error) {
    return unusable(path, "write", error);
  }
}

/**
 * Moves what is not among the newest any more to the older ones, which are thinned. A window is in
 * both files for a moment, and never in none.
 */
async function shelve(newest: readonly string[]): Promise<void> {
  const older = [...await linesIn(OLDER_HISTORY_FILE), ...newest.slice(0, -STAY)];
  await replaceLines(OLDER_HISTORY_FILE, thinned(older, OLDER_ROOM));
  await replaceLines(HISTORY_FILE, newest.slice(-STAY));
}

function isOver(lines: readonly string[]): boolean {
  return lines.length > STAY &&
    (lines.length > NEWEST.lines || textOf(lines).length > NEWEST.bytes);
}

async function linesIn(path: string): Promise<readonly string[]> {
  return (await readFromDisk(path) ?? "").split("\n").filter((line) => line !== "");
}

async function replaceLines(path: string, lines: readonly string[]): Promise<void> {
  await replaceOnDisk(path, CLOSING_FILE, new TextEncoder().encode(textOf(lines)));
}

function textOf(lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}

/** The newest of the history, oldest first. Only after {@linkcode reserveRecord}: the disk answers. */
export async function newestRecords(most: number): Promise<WindowRecord[]> {
  const text = await readFromDisk(HISTORY_FILE).catch(() => null);
  return (text ?? "").trimEnd().split("\n").slice(-most).map(parseRecord)
    .filter((record) => record !== null);
}

/** Makes the state directory root's alone, once its disk answers. */
async function prepareDirectory(): Promise<Refusal | null> {
  // On the pool; what comes after it then waits for nothing, and says why this one failed.
  await Deno.mkdir(STATE_DIR, { recursive: true, mode: 0o700 }).catch(() => {});
  await diskAnswered(STATE_DIR);
  // It looks at each of them on the main thread: a disk that hangs is asked here, on the pool.
  await Promise.all(STATE_DIRECTORY.believed.map((path) => Deno.lstat(path).catch(() => {})));
  return makePrivate(STATE_DIRECTORY);
}

/** Removes what a locker that was killed has left. */
export async function discard(): Promise<void> {
  try {
    await Deno.remove(RESERVED_FILE);
  } catch {
    // Not there; or a full or read-only disk refuses this too: the next window overwrites the file.
  }
}

function linesOf(record: WindowRecord): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${plainJson(record, 2)}\n`);
}
