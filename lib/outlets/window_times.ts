/** How long the parts of a window took, from its timeline. Pure. */
import type { WindowRecord } from "../window/record.ts";

/** In milliseconds; null where a window did not come so far. */
export interface WindowTimes {
  /** Until the lock statement that was granted, or else the last one, was sent. */
  readonly preparationMs: number | null;
  /** From that statement to the lock, or to where it was given up. */
  readonly lockWaitMs: number | null;
  /** The whole of pre-freeze. */
  readonly freezeMs: number | null;
}

/** What ends pre-freeze. */
const ANSWERED = /^(held|releasing|closed)\b/;

/** The times of a window. */
export function windowTimes({ timeline }: WindowRecord): WindowTimes {
  const answeredMs = timeline.find(({ event }) => ANSWERED.test(event))?.at_ms ?? null;
  const locking = timeline.findLastIndex(({ event }) => event === "locking");
  const sentMs = timeline[locking]?.at_ms ?? null;
  const grantedMs = locking < 0 ? null : timeline[locking + 1]?.at_ms ?? null;
  return {
    preparationMs: sentMs ?? answeredMs,
    lockWaitMs: sentMs === null || grantedMs === null ? null : grantedMs - sentMs,
    freezeMs: answeredMs,
  };
}
