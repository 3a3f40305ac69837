/** How long a window stopped writers, from its timeline. Pure. */
import type { TimelineEntry } from "./record.ts";

/** The phases that begin with a lock statement, or with the lock. */
const STOPPING = /^(locking|securing|answering|held)\b/;

/** The phases in which nothing is locked. */
const RUNNING = /^(preparing|settling|closed|not granted)\b/;

/**
 * The longest time without a pause in which writers had to wait for this window, in milliseconds
 * with one digit: from a lock statement until the attempt was given up or the lock was released.
 * Between two attempts writers run, so attempts do not add up.
 */
export function longestStallMs(timeline: readonly TimelineEntry[]): number {
  let longest = 0;
  let since: number | null = null;
  for (const { at_ms, event } of timeline) {
    if (since === null && STOPPING.test(event)) since = at_ms;
    if (since === null) continue;
    longest = Math.max(longest, at_ms - since);
    if (RUNNING.test(event)) since = null;
  }
  return Math.round(longest * 10) / 10;
}
