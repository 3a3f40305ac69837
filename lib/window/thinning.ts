/**
 * Which closed windows are kept, and for how long. Hooks may run every minute, because Proxmox VE
 * freezes for each replication: a number of windows says little about days then. Pure.
 */
import { parseRecord } from "./parse_record.ts";
import type { WindowRecord } from "./record.ts";

const HOUR_MS = 60 * 60_000;

/** How far back windows are kept beyond the newest ones: a season of nights. */
const KEPT_MS = 90 * 24 * HOUR_MS;

/** Of a good window and of a bad one, the span of which one is kept; null: all are. */
interface Grain {
  readonly goodMs: number;
  readonly badMs: number | null;
}

/** The first one is the rule; the others are for when it leaves too much. */
const GRAINS: readonly Grain[] = [
  { goodMs: HOUR_MS, badMs: null },
  // A quarter of a day, so that each night of every time zone has one of its own.
  { goodMs: 6 * HOUR_MS, badMs: HOUR_MS },
  { goodMs: 6 * HOUR_MS, badMs: 6 * HOUR_MS },
];

/** How much is kept. */
export interface Room {
  /** How many of the newest are kept whatever they are and however old. */
  readonly complete: number;
  /** Of all lines together, in bytes. */
  readonly bytes: number;
}

/**
 * The room for windows that are not among the newest any more. With those, 500 are complete: more than
 * a year of nightly backups. 2,160 hours of 90 days, and those 500, are 8 MiB of usual records.
 */
export const OLDER_ROOM: Room = { complete: 436, bytes: 8 * 1024 * 1024 };

/** A line of the history, and what is read of it; null where it cannot be read. */
interface Entry {
  readonly line: string;
  readonly record: WindowRecord | null;
}

/**
 * The lines that are kept, in their order: the newest; before them, for 90 days, every window that
 * was not application-consistent, and of the good ones one an hour, that with the longest hold. Where
 * that is too much, one good one in six hours, and of each reason one bad one an hour or in six; then
 * the oldest are dropped.
 * @param lines the oldest first; a window that is in them twice is kept once
 */
export function thinned(lines: readonly string[], { complete, bytes }: Room): readonly string[] {
  const entries = withoutTwins(lines.map((line) => ({ line, record: parseRecord(line) })));
  const newest = entries.slice(-complete);
  const nowMs = openedMs(entries.findLast(({ record }) => record !== null)?.record ?? null);
  const earlier = entries.slice(0, entries.length - newest.length)
    .filter(({ record }) => record !== null && openedMs(record) >= nowMs - KEPT_MS);
  let kept: readonly Entry[] = newest;
  for (const grain of GRAINS) {
    kept = [...withGrain(earlier, grain), ...newest];
    if (sizeOf(kept) <= bytes) break;
  }
  return newestWithin(kept, bytes).map(({ line }) => line);
}

/** Where the windows that are all kept begin, among the older ones; null where nothing was thinned. */
export function completeSince(older: readonly WindowRecord[]): string | null {
  const { complete } = OLDER_ROOM;
  return older.length <= complete ? null : older.at(-complete)?.opened_at ?? null;
}

function withGrain(entries: readonly Entry[], { goodMs, badMs }: Grain): readonly Entry[] {
  const chosen = new Map<string, Entry>();
  for (const entry of entries) {
    const { record } = entry;
    if (record === null) continue;
    const isGood = record.verdict === "application-consistent";
    const spanMs = isGood ? goodMs : badMs;
    const span = spanMs === null ? record.window_id : Math.floor(openedMs(record) / spanMs);
    const key = JSON.stringify([span, record.is_rehearsal, isGood || record.reason]);
    const before = chosen.get(key);
    // Of bad ones the first: it says when it began.
    if (before === undefined || (isGood && heldMs(record) > heldMs(before.record))) {
      chosen.set(key, entry);
    }
  }
  const kept = new Set(chosen.values());
  return entries.filter((entry) => kept.has(entry));
}

/** After a machine that went down between two writes a window is in both files. */
function withoutTwins(entries: readonly Entry[]): readonly Entry[] {
  const last = new Map(entries.map((entry) => [entry.record?.window_id, entry]));
  return entries.filter((entry) =>
    entry.record === null || last.get(entry.record.window_id) === entry
  );
}

function newestWithin(entries: readonly Entry[], bytes: number): readonly Entry[] {
  let from = entries.length;
  for (let left = bytes; from > 0; from -= 1) {
    left -= lengthOf(entries[from - 1]);
    if (left < 0) break;
  }
  return entries.slice(from);
}

function sizeOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + lengthOf(entry), 0);
}

/** In bytes, with the end of the line. */
function lengthOf(entry: Entry | undefined): number {
  return entry === undefined ? 0 : new TextEncoder().encode(entry.line).length + 1;
}

function openedMs(record: WindowRecord | null): number {
  return record === null ? -Infinity : Date.parse(record.opened_at);
}

function heldMs(record: WindowRecord | null): number {
  return record?.held_ms ?? 0;
}
