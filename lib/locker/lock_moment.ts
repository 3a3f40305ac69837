/**
 * When to lock, for a caller that looks only now and then whether its hook has ended: so that the
 * hook ends a little before the next look, and clients do not wait for that look. Pure.
 */
import type { Instant } from "../base/clock.ts";
import { type Caller, CALLER_TABLE } from "../callers/table.ts";
import type { TimelineEntry, WindowRecord } from "../window/record.ts";

/**
 * How long before the look pre-freeze must have ended at the latest: its caller's timer is not
 * exact, and a guest under load starts and ends processes late. A look that is missed costs a whole
 * interval.
 */
const MARGIN_MS = 60;

/** The guard's last look before the lock, a statement or two for each server. */
const GUARD_MS = 20;

/** From the promise to the end of pre-freeze's process, which the caller sees: 15 ms, or more. */
const EXIT_MS = 25;

/** How late a timer may wake the locker up without the look being missed for it. */
const WAKE_MS = 40;

/** The lock is never taken later before a look than this, however quick the last windows were. */
const LEAST_LEAD_MS = 200;

/** From the lock statement to the promise, where no window has shown it yet. */
const UNKNOWN_MS = 120;

/** How many windows are asked; the slowest of them counts. */
export const LEARNS_FROM_WINDOWS = 5;

/**
 * From the start of the hook to that of pre-freeze: two shells and the runtime, which take 40 ms. Too
 * much is safe: the look is expected too early.
 */
const HOOK_HEAD_MS = 60;

/**
 * The part of the time between two looks in which a hook's start may lie before the opening: what is
 * more comes of a freeze that was seen late, just after its look.
 */
const STARTS_WITHIN = 0.6;

/** A pre-freeze that began longer ago, or later, says that a clock was set. */
const BEGAN_MOST_MS = 10_000;

/** Looks of a caller that does not wait for the end of its hook. */
export interface CallerLooks {
  readonly everyMs: number;
  /** The hook's start, on the monotonic clock; not later than the history says. */
  sinceMonoMs: number;
  /** How long locking may take; a guess until the history has been read. */
  lockingMs: number;
  /** The look that is waited for, in milliseconds since the hook's start; null: none is. */
  awaitedMs: number | null;
}

/**
 * The looks of a caller; null where it waits for its hook, or nothing is known of the hook's start.
 * @param beganMs when pre-freeze began, in milliseconds since 1970
 * @param openedAt when its locker did
 */
export function looksOf(
  caller: Caller | null,
  beganMs: number | null,
  openedAt: Instant,
): CallerLooks | null {
  const everyMs = caller === null ? null : CALLER_TABLE[caller].looksEveryMs;
  if (everyMs === null || beganMs === null) return null;
  const passedMs = openedAt.wallMs - beganMs;
  if (passedMs < 0 || passedMs > BEGAN_MOST_MS) return null;
  const sinceMonoMs = openedAt.monoMs - passedMs - HOOK_HEAD_MS;
  return { everyMs, sinceMonoMs, lockingMs: UNKNOWN_MS, awaitedMs: null };
}

/** What is known when a server could be locked. */
export interface LockFacts {
  /** Milliseconds since the caller started its hook. */
  readonly sinceHookMs: number;
  /** The caller looks so often, counted from that start. */
  readonly looksEveryMs: number;
  /** From the lock statement to the promise, as {@linkcode lockingMs} has it. */
  readonly lockingMs: number;
}

/** When to lock. */
export interface LockMoment {
  /** From now; 0: at once. */
  readonly waitMs: number;
  /** The look that the hook is to end before, in milliseconds since the hook's start. */
  readonly lookMs: number;
}

/** The moment for the first look that can be reached; waiting for it makes no look later. */
export function lockMoment({ sinceHookMs, looksEveryMs, lockingMs }: LockFacts): LockMoment {
  const neededMs = GUARD_MS + lockingMs + EXIT_MS + MARGIN_MS;
  const lookMs = Math.ceil((sinceHookMs + neededMs) / looksEveryMs) * looksEveryMs;
  const leadMs = Math.max(neededMs + WAKE_MS, LEAST_LEAD_MS);
  return { waitMs: Math.max(0, lookMs - leadMs - sinceHookMs), lookMs };
}

/** How long locking may take, by the newest windows; `records` are oldest first. */
export function lockingMs(records: readonly Pick<WindowRecord, "timeline">[]): number {
  const known = records.map(({ timeline }) => lockingOf(timeline)).filter((ms) => ms !== null);
  return known.length === 0 ? UNKNOWN_MS : Math.max(...known.slice(-LEARNS_FROM_WINDOWS));
}

/**
 * How long before the opening of the window its hook was started, by the newest windows: they were
 * frozen at a look. The longest counts, so that the look is rather expected too early. Null where no
 * window has shown it.
 * @param records oldest first, those of one caller
 */
export function hookBeforeOpeningMs(
  records: readonly Pick<WindowRecord, "opened_at" | "filesystems_frozen_at">[],
  everyMs: number,
): number | null {
  const known = records.flatMap(({ opened_at, filesystems_frozen_at }) => {
    if ((filesystems_frozen_at ?? null) === null) return [];
    const passedMs = Date.parse(filesystems_frozen_at ?? "") - Date.parse(opened_at);
    const beforeMs = Math.ceil(passedMs / everyMs) * everyMs - passedMs;
    return beforeMs <= everyMs * STARTS_WITHIN ? [beforeMs] : [];
  });
  return known.length === 0 ? null : Math.max(...known.slice(-LEARNS_FROM_WINDOWS));
}

/** From the last lock statement to the promise; null where there was none. */
function lockingOf(timeline: readonly TimelineEntry[]): number | null {
  const held = timeline.find(({ event }) => event === "held");
  const locking = timeline.findLast(({ event, at_ms }) =>
    event === "locking" && at_ms <= (held?.at_ms ?? -1)
  );
  return held === undefined || locking === undefined ? null : held.at_ms - locking.at_ms;
}
