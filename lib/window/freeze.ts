/** What the freeze sensor has seen of the guest's filesystems, and what it makes of a window. Pure. */
import type { Instant } from "../base/clock.ts";

/** One freeze of the filesystems that hold the servers' data. */
export interface Freeze {
  readonly frozenAt: Instant;
  /** Null while it lasts. */
  readonly thawedAt: Instant | null;
}

/** Why the snapshot of a freeze may not have been taken under the lock. */
export type FreezeSpoil = "freeze-too-early" | "freeze-after-release";

/** What a window knows of freezes. */
export interface Freezes {
  /** The last one that began before the release, or the one that spoilt it; null: none was seen. */
  readonly freeze: Freeze | null;
  /** The first thing that speaks against a good end. */
  readonly spoiltBy: FreezeSpoil | null;
}

/** Before the sensor has seen anything. */
export const NO_FREEZE: Freezes = { freeze: null, spoiltBy: null };

/**
 * The same with a freeze that has begun; `isTooEarly`: before pre-freeze had answered, and it may be
 * the caller's.
 */
export function frozen(seen: Freezes, frozenAt: Instant, isTooEarly: boolean): Freezes {
  // One that lasts, or that has spoilt the window, is the one to tell of.
  if (isFrozen(seen) || seen.spoiltBy !== null) return seen;
  return {
    freeze: { frozenAt, thawedAt: null },
    // Its caller did not wait for the answer: the snapshot may have been taken before it.
    spoiltBy: isTooEarly ? "freeze-too-early" : null,
  };
}

/** The same with the end of the freeze that lasts. */
export function thawed(seen: Freezes, thawedAt: Instant): Freezes {
  const { freeze, spoiltBy } = seen;
  return freeze === null || !isFrozen(seen) ? seen : { freeze: { ...freeze, thawedAt }, spoiltBy };
}

/** The same after another freeze since the release: the snapshot may be of that one. */
export function frozenAgain(seen: Freezes): Freezes {
  return seen.spoiltBy === null ? { ...seen, spoiltBy: "freeze-after-release" } : seen;
}

/** Whether they are frozen. */
export function isFrozen({ freeze }: Freezes): boolean {
  return freeze !== null && freeze.thawedAt === null;
}
