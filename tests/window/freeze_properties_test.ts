/**
 * What the freeze sensor guesses never makes a bad image a good one: callers that freeze, take their
 * snapshot and thaw, among freezes that only the sensor believes in, in random order.
 */
import assert from "node:assert/strict";

import fc from "fast-check";

import { type Instant } from "../../lib/base/clock.ts";
import { isFrozen } from "../../lib/window/freeze.ts";
import { openWindow, transition, type Window, type WindowEvent } from "../../lib/window/window.ts";
import { type Verdict } from "../../lib/window/verdict.ts";
import { at, EVENTS, LIMITS } from "./fixtures.ts";

/** How many sequences each property is shown with. */
const RUNS = 10_000;

/** After this long the sensor believes that a call waits for a freeze. */
const SEEN_AFTER_MS = 100;

/** From the start of the release to its report. */
const RELEASE_MS = 3;

const HOOK_AFTER_THAW_MS = LIMITS.hookAfterThawMs ?? 0;

/** One snapshot as its caller takes it; all in milliseconds since the window was opened. */
interface Snapshot {
  readonly answeredAt: number;
  readonly frozenAt: number;
  readonly takenAt: number;
  readonly thawedAt: number;
  /** The thaw hook's word; null: it never comes. */
  readonly hookAt: number | null;
  /** Its post-thaw; null: it never comes. */
  readonly askedAt: number | null;
  readonly isAborted: boolean;
}

/** An event with its moment. */
interface Happening {
  readonly ms: number;
  readonly event: WindowEvent;
}

/** What came of it. */
interface End {
  readonly window: Extract<Window, { phase: "closed" }>;
  /** From when to when the lock was there. */
  readonly lockedAt: number;
  readonly releasedAt: number;
  readonly isReleasedAtThaw: boolean;
}

const LOCKED_AT = 200;

/** One that waits for the answer, as all callers are meant to; or one that does not. */
function snapshots(waits: boolean): fc.Arbitrary<Snapshot> {
  return fc.record({
    answeredAt: fc.integer({ min: 210, max: 1_000 }),
    freezesAfter: waits ? fc.integer({ min: 10, max: 2_000 }) : fc.integer({ min: -900, max: 500 }),
    // Longer than what the sensor can see: that is the caller's part (`lib/callers/table.ts`).
    frozenFor: fc.integer({ min: SEEN_AFTER_MS + 1, max: 3_000 }),
    takenShare: fc.double({ min: 0, max: 1, noNaN: true }),
    hookAfter: fc.option(fc.integer({ min: 1, max: HOOK_AFTER_THAW_MS + 3_000 }), { freq: 9 }),
    asksAfter: fc.option(fc.integer({ min: 1, max: 3_000 }), { freq: 9 }),
    hasWord: fc.boolean(),
    isAborted: fc.integer({ min: 0, max: 9 }).map((number) => number === 0),
  }).map(({ answeredAt, freezesAfter, frozenFor, takenShare, ...hook }) => {
    const frozenAt = Math.max(20, answeredAt + freezesAfter);
    const thawedAt = frozenAt + frozenFor;
    const hookAt = hook.hookAfter === null ? null : thawedAt + hook.hookAfter;
    return {
      answeredAt,
      frozenAt,
      takenAt: frozenAt + takenShare * frozenFor,
      thawedAt,
      hookAt: hook.hasWord ? hookAt : null,
      askedAt: hookAt === null || hook.asksAfter === null ? null : hookAt + hook.asksAfter,
      isAborted: hook.isAborted,
    };
  });
}

/** Calls of the sensor's that took long for another reason than a freeze: from when, how long. */
const slowCalls = fc.array(
  fc.record({
    from: fc.integer({ min: 0, max: 8_000 }),
    forMs: fc.integer({ min: 1, max: 1_500 }),
  }),
  { maxLength: 6 },
);

/**
 * What the sensor reports: it believes in a freeze while it is frozen or slow, and a call never comes
 * back while it is frozen. From the lock on.
 */
function sensed(
  { frozenAt, thawedAt }: Snapshot,
  slow: readonly { from: number; forMs: number }[],
): Happening[] {
  const pending = [
    { from: frozenAt, to: thawedAt },
    ...slow.map(({ from, forMs }) => ({ from, to: from + forMs })),
  ].filter(({ to }) => to > LOCKED_AT).toSorted((a, b) => a.from - b.from);
  // What overlaps is one call, or the next one that waits as well.
  const merged: { from: number; to: number }[] = [];
  for (const { from, to } of pending) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else merged.push({ from, to });
  }
  return merged.flatMap(({ from, to }) => {
    const begun = Math.max(from, LOCKED_AT);
    if (to - begun < SEEN_AFTER_MS) return [];
    return [
      {
        ms: begun + SEEN_AFTER_MS,
        event: {
          type: "FilesystemsFrozen",
          since: at(begun),
          isFromTheStart: from <= LOCKED_AT,
        },
      },
      { ms: to, event: EVENTS.FilesystemsThawed },
    ];
  });
}

function play(
  snapshot: Snapshot,
  sensor: readonly Happening[],
  hookAfterThawMs: number | null,
): End | null {
  const word = snapshot.isAborted ? EVENTS.AbortRequested : EVENTS.ThawRequested;
  const happenings: Happening[] = [
    { ms: 100, event: EVENTS.Prepared },
    { ms: LOCKED_AT, event: EVENTS.LockAcquired },
    { ms: snapshot.answeredAt - 1, event: EVENTS.Secured },
    { ms: snapshot.answeredAt, event: EVENTS.PreFreezeAccepted },
    ...sensor,
    ...snapshot.hookAt === null ? [] : [{ ms: snapshot.hookAt, event: EVENTS.ThawHookSeen }],
    ...snapshot.askedAt === null ? [] : [{ ms: snapshot.askedAt, event: word }],
    { ms: 100_000, event: EVENTS.TimePassed },
  ];
  let queue = happenings.toSorted((a, b) => a.ms - b.ms);
  let window = openWindow({ ...LIMITS, hookAfterThawMs }, at(0));
  let releasedAt = Infinity;
  let isReleasedAtThaw = false;
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { window: after, actions } = transition(window, next.event, at(next.ms));
    if (actions.includes("release") && "lockedAt" in after && after.lockedAt !== null) {
      // The server lets go somewhere before its report: at once is the worst that can be.
      releasedAt = next.ms;
      isReleasedAtThaw = next.event.type === "FilesystemsThawed";
      const report = { ms: next.ms + RELEASE_MS, event: EVENTS["ReleaseFinished equal"] };
      queue = [...queue, report].toSorted((a, b) => a.ms - b.ms);
    }
    window = after;
  }
  assert.equal(window.phase, "closed");
  return window.phase === "closed"
    ? { window, lockedAt: LOCKED_AT, releasedAt, isReleasedAtThaw }
    : null;
}

const GOOD: Verdict = "application-consistent";

Deno.test("whatever the sensor believes, no snapshot is called good that was not taken under the lock", () => {
  const seen = { good: 0, early: 0, spoilt: 0, missed: 0 };
  fc.assert(
    fc.property(snapshots(true), slowCalls, (snapshot, slow) => {
      const end = play(snapshot, sensed(snapshot, slow), LIMITS.hookAfterThawMs);
      assert.ok(end !== null);
      const isTakenUnderLock = snapshot.takenAt >= end.lockedAt &&
        snapshot.takenAt <= end.releasedAt;
      if (end.window.verdict === GOOD) {
        assert.ok(isTakenUnderLock);
        seen.good += 1;
        if (end.isReleasedAtThaw) seen.early += 1;
      }
      if (!isTakenUnderLock) seen.missed += 1;
      if (end.window.reason === "freeze-after-release") seen.spoilt += 1;
    }),
    { numRuns: RUNS },
  );
  for (const [name, count] of Object.entries(seen)) assert.ok(count > 50, `${name}: ${count}`);
});

Deno.test("a caller that freezes without waiting for the answer gets no good verdict for it", () => {
  let tooEarly = 0;
  fc.assert(
    fc.property(snapshots(false), slowCalls, (snapshot, slow) => {
      const sensor = sensed(snapshot, slow);
      const end = play(snapshot, sensor, LIMITS.hookAfterThawMs);
      const calledAt = snapshot.hookAt ?? snapshot.askedAt ?? Infinity;
      const isSeenEarly = sensor.some(({ ms, event }) =>
        event.type === "FilesystemsFrozen" && ms < calledAt &&
        (ms < snapshot.answeredAt || event.isFromTheStart)
      );
      if (!isSeenEarly) return;
      tooEarly += 1;
      assert.notEqual(end?.window.verdict, GOOD);
      assert.equal(end?.isReleasedAtThaw, false, "the lock stays, as without a sensor");
    }),
    { numRuns: RUNS },
  );
  assert.ok(tooEarly > 1_000, `only ${tooEarly}`);
});

Deno.test("where a thaw releases nothing, a window ends as without a sensor, or as spoilt by a freeze too early", () => {
  fc.assert(
    fc.property(fc.boolean().chain(snapshots), slowCalls, (snapshot, slow) => {
      const watched = play(snapshot, sensed(snapshot, slow), null);
      const blind = play(snapshot, [], null);
      assert.equal(watched?.releasedAt, blind?.releasedAt);
      if (watched?.window.reason === "freeze-too-early") return;
      assert.equal(watched?.window.reason, blind?.window.reason);
    }),
    { numRuns: RUNS },
  );
});

Deno.test("events of a broken sensor, in any order, lengthen no hold and keep no window from closing", () => {
  const noise = fc.array(
    fc.record({
      ms: fc.integer({ min: 0, max: 30_000 }),
      event: fc.constantFrom<WindowEvent>(
        EVENTS.FilesystemsFrozen,
        EVENTS["FilesystemsFrozen from the start"],
        EVENTS.FilesystemsThawed,
      ),
    }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(snapshots(true), noise, (snapshot, sensor) => {
      const end = play(snapshot, sensor, LIMITS.hookAfterThawMs);
      const blind = play(snapshot, [], LIMITS.hookAfterThawMs);
      assert.ok(end !== null && blind !== null);
      assert.ok(end.releasedAt <= blind.releasedAt);
      // At most a thaw that a freeze went before can make up for a hook that was too late to help.
      if (end.window.verdict === GOOD) {
        const { freeze, spoiltBy } = end.window;
        assert.equal(spoiltBy, null);
        if (end.isReleasedAtThaw) assert.ok(freeze !== null && !isFrozen(end.window));
      }
    }),
    { numRuns: RUNS },
  );
});

Deno.test("moments of a freeze are those that the sensor gave, on both clocks", () => {
  const since: Instant = { monoMs: 12_345, wallMs: 1_234_567_890 };
  let window = openWindow(LIMITS, at(0));
  const events: readonly WindowEvent[] = [
    EVENTS.Prepared,
    EVENTS.LockAcquired,
    EVENTS.Secured,
    EVENTS.PreFreezeAccepted,
    { type: "FilesystemsFrozen", since, isFromTheStart: false },
  ];
  for (const [index, event] of events.entries()) {
    window = transition(window, event, at(index)).window;
  }
  assert.deepEqual(window.freeze, { frozenAt: since, thawedAt: null });
});
