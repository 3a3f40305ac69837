import assert from "node:assert/strict";
import fc from "fast-check";
import { hookBeforeOpeningMs, lockingMs, lockMoment } from "../../lib/locker/lock_moment.ts";
import type { TimelineEntry } from "../../lib/window/record.ts";

/** A window that was locked at 500 ms and took so long until it was held. */
function window(ms: number | null): { readonly timeline: readonly TimelineEntry[] } {
  return {
    timeline: [
      { at_ms: 0, event: "preparing" },
      { at_ms: 100, event: "locking" },
      { at_ms: 200, event: "not granted" },
      { at_ms: 500, event: "locking" },
      { at_ms: 510, event: "securing" },
      ...ms === null ? [] : [{ at_ms: 500 + ms, event: "held" }],
      { at_ms: 60_000, event: "closed (thaw)" },
    ],
  };
}

/** Looks once a second; how long from now to the lock, and for which look. */
const MOMENTS: readonly (readonly [
  sentence: string,
  sinceHookMs: number,
  lockingMs: number,
  waitMs: number,
  lookMs: number,
])[] = [
  ["prepared early: 200 ms before the first look", 150, 40, 650, 1_000],
  ["never later than that, however quick locking is", 150, 1, 650, 1_000],
  ["earlier where locking took long", 150, 300, 405, 1_000],
  ["at once where the look can just be reached", 855, 40, 0, 1_000],
  ["for the second look where the first cannot be reached any more", 900, 40, 900, 2_000],
  ["the same just after a look", 1_010, 40, 790, 2_000],
  ["for the third where locking takes longer than from one to the next", 900, 1_900, 55, 3_000],
  ["for the second where it takes that long and there is time", 100, 1_500, 255, 2_000],
];

for (const [sentence, sinceHookMs, ms, waitMs, lookMs] of MOMENTS) {
  Deno.test(`the moment to lock: ${sentence}`, () => {
    const moment = lockMoment({ sinceHookMs, looksEveryMs: 1_000, lockingMs: ms });
    assert.deepEqual(moment, { waitMs, lookMs });
  });
}

Deno.test("to wait for the moment makes no look later than to lock at once, and leaves the margin", () => {
  fc.assert(fc.property(
    fc.integer({ min: 0, max: 20_000 }),
    fc.integer({ min: 0, max: 5_000 }),
    (sinceHookMs, locking) => {
      const looksEveryMs = 1_000;
      const { waitMs, lookMs } = lockMoment({ sinceHookMs, looksEveryMs, lockingMs: locking });
      assert.ok(waitMs >= 0 && waitMs < looksEveryMs);
      // A timer that is late by a little does not lose the look.
      const late = { sinceHookMs: sinceHookMs + waitMs + (waitMs > 0 ? 40 : 0), looksEveryMs };
      assert.equal(lockMoment({ ...late, lockingMs: locking }).lookMs, lookMs);
      const ends = sinceHookMs + waitMs + locking;
      assert.ok(ends + 105 <= lookMs);
      const atOnce = Math.ceil((sinceHookMs + locking + 105) / looksEveryMs) * looksEveryMs;
      assert.equal(lookMs, atOnce);
    },
  ));
});

const HISTORIES: readonly (readonly [string, readonly (number | null)[], number])[] = [
  ["no window: a careful guess", [], 120],
  ["windows that were never held: the same", [null, null], 120],
  ["the slowest of the last five", [900, 30, 40, 80, 50, 20], 80],
  ["those that were held", [70, null], 70],
];

for (const [sentence, ms, expected] of HISTORIES) {
  Deno.test(`how long locking takes: ${sentence}`, () => {
    assert.equal(lockingMs(ms.map(window)), expected);
  });
}

/** Freezes, in milliseconds after the opening of their windows. */
const STARTS: readonly (readonly [string, readonly (number | null)[], number | null])[] = [
  ["no window", [], null],
  ["no freeze that was seen", [null, null], null],
  ["frozen at the first look", [910], 90],
  ["frozen at a later look: the same", [2_910], 90],
  ["the longest of the last five", [500, 910, 930, 880, 2_900, null, 940], 120],
  ["not a freeze that was seen just after its look", [910, 1_020], 90],
  ["not one that was exactly at the opening's own look", [1_000], 0],
];

for (const [sentence, frozenAfterMs, expected] of STARTS) {
  Deno.test(`how long before the opening the hook was started: ${sentence}`, () => {
    const opened = Date.UTC(2026, 0, 2);
    const records = frozenAfterMs.map((ms) => ({
      opened_at: new Date(opened).toISOString(),
      filesystems_frozen_at: ms === null ? null : new Date(opened + ms).toISOString(),
    }));
    assert.equal(hookBeforeOpeningMs(records, 1_000), expected);
  });
}
