/**
 * What the machine does with every event in every state: the table below is the full list,
 * illegal inputs included. Properties over random sequences: `window_properties_test.ts`.
 */
import assert from "node:assert/strict";

import type { Instant } from "../../lib/sys/clock.ts";
import { plus } from "../../lib/sys/clock.ts";
import {
  LOCK_FILE_GRACE_MS,
  nextDeadline,
  type Outcome,
  outcomeOf,
  type Reason,
  RELEASE_LIMIT_MS,
  type Transition,
  transition,
  type Verdict,
  verdictOf,
  type Window,
  type WindowAction,
} from "../../lib/window/window.ts";
import {
  at,
  type EventName,
  EVENTS,
  heldAnd,
  LIMITS,
  OPENED,
  phaseOf,
  REFUSAL,
  type StateName,
  STATES,
} from "./fixtures.ts";

/** What a state becomes, as the table writes it: `releasing: thaw`, `closed: lost, signal`. */
function nameOf(window: Window): string {
  switch (window.phase) {
    case "releasing":
      return `releasing: ${window.reason}`;
    case "closed":
      return `closed: ${window.outcome}, ${window.reason}`;
    default:
      return window.phase;
  }
}

/** The one action that belongs to coming into a phase; the table need not repeat it. */
const ON_ENTRY: Record<Window["phase"], readonly WindowAction[]> = {
  preparing: [],
  locking: ["lock"],
  securing: ["secure"],
  answering: ["answer"],
  held: ["confirm"],
  releasing: ["release"],
  settling: [],
  closed: ["close"],
};

/** Nothing changes: the event has no meaning in this state, or no news. */
const STAYS = "-";

// The four states before the promise differ only in which event takes them on.
type Opening = "preparing" | "locking" | "securing" | "answering";
type Onward = "Prepared" | "LockAcquired" | "Secured" | "StarterAccepted";

const WHILE_OPENING: Record<Exclude<EventName, Onward>, string> = {
  PreparationFailed: "releasing: refused",
  LockRefused: "releasing: refused",
  SecuringFailed: "releasing: not-secured",
  StarterLost: "releasing: starter-lost",
  ThawRequested: "releasing: thaw",
  AbortRequested: "releasing: freeze-failed",
  LockFileRemoved: "releasing: lock-file-removed",
  SignalReceived: "releasing: signal",
  SessionLost: "releasing: session-lost",
  "ReleaseFinished equal": STAYS,
  "ReleaseFinished moved": STAYS,
  "ReleaseFinished unread": STAYS,
  "ReleaseFinished cut": STAYS,
  TimePassed: STAYS,
};

const NO_NEWS: Record<EventName, string> = {
  Prepared: STAYS,
  PreparationFailed: STAYS,
  LockAcquired: STAYS,
  LockRefused: STAYS,
  Secured: STAYS,
  SecuringFailed: STAYS,
  StarterAccepted: STAYS,
  StarterLost: STAYS,
  ThawRequested: STAYS,
  AbortRequested: STAYS,
  LockFileRemoved: STAYS,
  SignalReceived: STAYS,
  SessionLost: STAYS,
  "ReleaseFinished equal": STAYS,
  "ReleaseFinished moved": STAYS,
  "ReleaseFinished unread": STAYS,
  "ReleaseFinished cut": STAYS,
  TimePassed: STAYS,
};

const ONWARD: Record<Opening, Record<Onward, string>> = {
  preparing: { Prepared: "locking", LockAcquired: STAYS, Secured: STAYS, StarterAccepted: STAYS },
  locking: { Prepared: STAYS, LockAcquired: "securing", Secured: STAYS, StarterAccepted: STAYS },
  securing: { Prepared: STAYS, LockAcquired: STAYS, Secured: "answering", StarterAccepted: STAYS },
  answering: { Prepared: STAYS, LockAcquired: STAYS, Secured: STAYS, StarterAccepted: "held" },
};

const TABLE: Record<StateName, Record<EventName, string>> = {
  preparing: { ...WHILE_OPENING, ...ONWARD.preparing },
  locking: { ...WHILE_OPENING, ...ONWARD.locking },
  securing: { ...WHILE_OPENING, ...ONWARD.securing },
  answering: { ...WHILE_OPENING, ...ONWARD.answering },
  held: {
    ...NO_NEWS,
    StarterLost: "releasing: starter-lost",
    ThawRequested: "releasing: thaw",
    AbortRequested: "releasing: freeze-failed",
    LockFileRemoved: "releasing: lock-file-removed",
    SignalReceived: "releasing: signal",
    SessionLost: "releasing: session-lost",
  },
  "releasing, never promised": {
    ...NO_NEWS,
    "ReleaseFinished equal": "closed: aborted, lock-file-removed",
    "ReleaseFinished moved": "closed: aborted, lock-file-removed",
    "ReleaseFinished unread": "closed: aborted, lock-file-removed",
    "ReleaseFinished cut": "closed: aborted, lock-file-removed",
  },
  "releasing for a thaw": {
    ...NO_NEWS,
    "ReleaseFinished equal": "closed: released, thaw",
    "ReleaseFinished moved": "closed: lost, coordinates-moved",
    "ReleaseFinished unread": "closed: lost, coordinates-unread",
    "ReleaseFinished cut": "closed: lost, release-unconfirmed",
  },
  "releasing for the lock file": {
    ...NO_NEWS,
    ThawRequested: "releasing: thaw",
    AbortRequested: "releasing: freeze-failed",
    "ReleaseFinished equal": "settling",
    "ReleaseFinished moved": "closed: lost, coordinates-moved",
    "ReleaseFinished unread": "closed: lost, coordinates-unread",
    "ReleaseFinished cut": "closed: lost, release-unconfirmed",
  },
  "releasing for a signal": {
    ...NO_NEWS,
    "ReleaseFinished equal": "closed: lost, signal",
    "ReleaseFinished moved": "closed: lost, signal",
    "ReleaseFinished unread": "closed: lost, signal",
    "ReleaseFinished cut": "closed: lost, signal",
  },
  settling: {
    ...NO_NEWS,
    ThawRequested: "closed: released, thaw",
    AbortRequested: "closed: aborted, freeze-failed",
    SignalReceived: "closed: lost, lock-file-removed",
  },
  closed: NO_NEWS,
};

/** Within every limit of every state. */
const SOON = at(1_000);

function check(before: Window, { window, actions }: Transition, expected: string): void {
  if (expected === STAYS) {
    // The very same object: no half-made change can hide behind an equal phase.
    assert.equal(window, before);
    assert.deepEqual(actions, []);
    return;
  }
  assert.equal(nameOf(window), expected);
  assert.deepEqual(actions, window.phase === before.phase ? [] : ON_ENTRY[window.phase]);
}

for (const state of Object.keys(TABLE) as StateName[]) {
  for (const name of Object.keys(EVENTS) as EventName[]) {
    const expected = TABLE[state][name];
    const sentence = expected === STAYS ? "changes nothing" : `leads to ${expected}`;
    Deno.test(`${state}: ${name} ${sentence}`, () => {
      check(STATES[state], transition(STATES[state], EVENTS[name], SOON), expected);
    });
  }
}

Deno.test("every phase has a state in the table, named after it", () => {
  const phases = new Set(Object.values(STATES).map((window) => window.phase));
  assert.deepEqual([...phases].sort(), Object.keys(ON_ENTRY).sort());
  for (const state of Object.keys(STATES) as StateName[]) {
    assert.ok(state.startsWith(phaseOf(state)));
  }
});

/** What each state waits for, in milliseconds since the window was opened. */
const DEADLINES: Record<StateName, { readonly ms: number | null; readonly then: string }> = {
  preparing: { ms: LIMITS.freezeTimeoutMs, then: "releasing: freeze-timeout" },
  locking: { ms: LIMITS.freezeTimeoutMs, then: "releasing: freeze-timeout" },
  // Locked at 200 ms: the hold ends before the freeze would.
  securing: { ms: 200 + LIMITS.holdTimeoutMs, then: "releasing: hold-timeout" },
  answering: { ms: 200 + LIMITS.holdTimeoutMs, then: "releasing: hold-timeout" },
  held: { ms: 200 + LIMITS.holdTimeoutMs, then: "releasing: hold-timeout" },
  "releasing, never promised": {
    ms: 300 + RELEASE_LIMIT_MS,
    then: "closed: aborted, lock-file-removed",
  },
  "releasing for a thaw": { ms: 500 + RELEASE_LIMIT_MS, then: "closed: lost, release-unconfirmed" },
  "releasing for the lock file": {
    ms: 500 + RELEASE_LIMIT_MS,
    then: "closed: lost, release-unconfirmed",
  },
  "releasing for a signal": { ms: 500 + RELEASE_LIMIT_MS, then: "closed: lost, signal" },
  settling: { ms: 600 + LOCK_FILE_GRACE_MS, then: "closed: lost, lock-file-removed" },
  closed: { ms: null, then: STAYS },
};

/** Ways in which a deadline `ms` after the opening is or is not reached. */
const CLOCKS: readonly {
  readonly name: string;
  readonly isReached: boolean;
  readonly now: (ms: number) => Instant;
}[] = [
  { name: "a millisecond before it on both clocks", isReached: false, now: (ms) => at(ms - 1) },
  { name: "at it on both clocks", isReached: true, now: (ms) => at(ms) },
  {
    name: "at it on the monotonic clock, the wall clock set back an hour",
    isReached: true,
    now: (ms) => ({ monoMs: OPENED.monoMs + ms, wallMs: OPENED.wallMs + ms - 3_600_000 }),
  },
  {
    name: "at it on the wall clock alone, after a suspend or a clock set forward",
    isReached: true,
    now: (ms) => ({ monoMs: OPENED.monoMs + 1_000, wallMs: OPENED.wallMs + ms }),
  },
];

for (
  const [state, { ms, then }] of Object.entries(DEADLINES) as [
    StateName,
    { ms: number; then: string },
  ][]
) {
  Deno.test(`${state}: must be looked at ${ms === null ? "never again" : `after ${ms} ms`}`, () => {
    assert.deepEqual(nextDeadline(STATES[state]), ms === null ? null : at(ms));
  });
  if (ms === null) continue;
  for (const { name, isReached, now } of CLOCKS) {
    Deno.test(`${state}: ${name}, TimePassed ${isReached ? `leads to ${then}` : "changes nothing"}`, () => {
      const before = STATES[state];
      check(before, transition(before, EVENTS.TimePassed, now(ms)), isReached ? then : STAYS);
    });
  }
}

Deno.test("a window that is slow to lock is bounded by freeze_timeout, not by hold_timeout", () => {
  for (const phase of ["securing", "answering"] as const) {
    const before = { ...STATES[phase], lockedAt: at(25_000) };
    assert.deepEqual(nextDeadline(before), at(LIMITS.freezeTimeoutMs));
    const late = transition(before, EVENTS.TimePassed, at(LIMITS.freezeTimeoutMs));
    check(before, late, "releasing: freeze-timeout");
  }
});

/** Events that come when the deadline has passed and the timer has not: the deadline wins. */
const TOO_LATE: readonly (readonly [StateName, EventName, string, readonly WindowAction[]])[] = [
  ["preparing", "Prepared", "releasing: freeze-timeout", ["release"]],
  ["locking", "LockAcquired", "releasing: freeze-timeout", ["release"]],
  ["securing", "Secured", "releasing: hold-timeout", ["release"]],
  ["answering", "StarterAccepted", "releasing: hold-timeout", ["release"]],
  ["held", "ThawRequested", "releasing: hold-timeout", ["release"]],
  ["held", "AbortRequested", "releasing: hold-timeout", ["release"]],
  ["held", "LockFileRemoved", "releasing: hold-timeout", ["release"]],
  ["held", "SessionLost", "releasing: hold-timeout", ["release"]],
  ["held", "SignalReceived", "releasing: hold-timeout", ["release"]],
  // A stray report is not of the release that only begins with this event.
  ["locking", "ReleaseFinished equal", "releasing: freeze-timeout", ["release"]],
  ["held", "ReleaseFinished equal", "releasing: hold-timeout", ["release"]],
  ["settling", "ThawRequested", "closed: lost, lock-file-removed", ["close"]],
  // A release that reports late still knows more than the clock.
  ["releasing for a thaw", "ReleaseFinished equal", "closed: released, thaw", ["close"]],
  ["releasing for a thaw", "ReleaseFinished moved", "closed: lost, coordinates-moved", ["close"]],
];

for (const [state, name, expected, actions] of TOO_LATE) {
  Deno.test(`${state}: ${name} after the deadline leads to ${expected}`, () => {
    const late = at((DEADLINES[state].ms ?? 0) + 1);
    const next = transition(STATES[state], EVENTS[name], late);
    assert.equal(nameOf(next.window), expected);
    assert.deepEqual(next.actions, actions);
  });
}

/** Who came first decides; a second word during the same release does not. */
const SECOND_WORDS: readonly (readonly [readonly EventName[], string])[] = [
  [["ThawRequested", "AbortRequested", "ReleaseFinished equal"], "closed: released, thaw"],
  [["AbortRequested", "ThawRequested", "ReleaseFinished equal"], "closed: aborted, freeze-failed"],
  [["AbortRequested", "ReleaseFinished moved"], "closed: aborted, freeze-failed"],
  [["SessionLost", "ThawRequested", "ReleaseFinished equal"], "closed: lost, session-lost"],
  [["SignalReceived", "ThawRequested", "ReleaseFinished equal"], "closed: lost, signal"],
  [["ThawRequested", "SignalReceived", "ReleaseFinished equal"], "closed: released, thaw"],
  [["ThawRequested", "LockFileRemoved", "ReleaseFinished equal"], "closed: released, thaw"],
  [["LockFileRemoved", "ThawRequested", "ReleaseFinished equal"], "closed: released, thaw"],
  [
    ["LockFileRemoved", "ThawRequested", "ReleaseFinished cut"],
    "closed: lost, release-unconfirmed",
  ],
  [["LockFileRemoved", "ReleaseFinished equal", "ThawRequested"], "closed: released, thaw"],
  [
    ["LockFileRemoved", "AbortRequested", "ReleaseFinished equal"],
    "closed: aborted, freeze-failed",
  ],
];

for (const [names, expected] of SECOND_WORDS) {
  Deno.test(`held: ${names.join(", then ")} ends ${expected}`, () => {
    assert.equal(nameOf(heldAnd(...names)), expected);
  });
}

Deno.test("a thaw that was too late does not soften an expired hold", () => {
  const late = transition(STATES.held, EVENTS.ThawRequested, at(60_000)).window;
  const closed = transition(late, EVENTS["ReleaseFinished equal"], at(60_010)).window;
  assert.equal(nameOf(closed), "closed: expired, hold-timeout");
});

Deno.test("the limits of securing are told apart in the refusal", () => {
  const reasons = (["preparing", "locking", "securing", "answering"] as const).map((phase) => {
    const { window } = transition(STATES[phase], EVENTS.TimePassed, at(40_000));
    return window.phase === "releasing" ? window.refusal?.reason : window.phase;
  });
  assert.deepEqual(reasons, ["freeze-timeout", "freeze-timeout", "hold-timeout", "hold-timeout"]);
});

Deno.test("a refusal that an event brings reaches pre-freeze as it is", () => {
  for (const name of ["PreparationFailed", "LockRefused", "SecuringFailed"] as const) {
    const { window } = transition(STATES.locking, EVENTS[name], SOON);
    assert.ok(window.phase === "releasing");
    assert.equal(window.refusal, REFUSAL);
  }
});

Deno.test("every end before the promise gives pre-freeze a refusal, no end after it does", () => {
  for (const state of Object.keys(STATES) as StateName[]) {
    const before = STATES[state];
    for (const event of Object.values(EVENTS)) {
      for (const now of [SOON, at(1_000_000)]) {
        const { window } = transition(before, event, now);
        if (!("wasHeld" in window)) continue;
        assert.equal(window.refusal === null, window.wasHeld, `${state}, ${event.type}`);
      }
    }
  }
});

Deno.test("refusals of the machine are one line each, upper case start, no full stop", () => {
  for (const phase of ["preparing", "locking", "securing", "answering"] as const) {
    for (const event of Object.values(EVENTS)) {
      for (const now of [SOON, at(1_000_000)]) {
        const { window } = transition(STATES[phase], event, now);
        if (!("refusal" in window) || window.refusal === null) continue;
        for (const line of [window.refusal.summary, window.refusal.hint]) {
          assert.match(line, /^[A-Z][^\n]*[^.\s]$/, `${phase}, ${event.type}`);
        }
      }
    }
  }
});

Deno.test("the release of a window that ran into its limit has no time, because nobody saw it", () => {
  const late = transition(
    STATES["releasing for a thaw"],
    EVENTS.TimePassed,
    at(500 + RELEASE_LIMIT_MS),
  );
  assert.ok(late.window.phase === "closed");
  assert.equal(late.window.releasedAt, null);
  assert.deepEqual(late.window.closedAt, at(500 + RELEASE_LIMIT_MS));
});

Deno.test("a settled window was released when the server let go, not when the thaw reported", () => {
  const { window } = transition(STATES.settling, EVENTS.ThawRequested, at(2_000));
  assert.ok(window.phase === "closed");
  assert.deepEqual(window.releasedAt, at(600));
  assert.deepEqual(window.closedAt, at(2_000));
});

Deno.test("the transition changes neither the window nor the moment that it is given", () => {
  const now = Object.freeze(plus(SOON, 0));
  for (const window of Object.values(STATES)) {
    for (const event of Object.values(EVENTS)) transition(Object.freeze({ ...window }), event, now);
  }
});

/** Outcome with the promise made, and without it. */
const OUTCOMES: Record<Reason, readonly [whenHeld: Outcome, otherwise: Outcome]> = {
  thaw: ["released", "aborted"],
  "freeze-failed": ["aborted", "aborted"],
  "lock-file-removed": ["lost", "aborted"],
  "hold-timeout": ["expired", "refused"],
  "freeze-timeout": ["refused", "refused"],
  signal: ["lost", "aborted"],
  "session-lost": ["lost", "failed"],
  "starter-lost": ["aborted", "aborted"],
  refused: ["refused", "refused"],
  "not-secured": ["failed", "failed"],
  "coordinates-moved": ["lost", "lost"],
  "coordinates-unread": ["lost", "lost"],
  "release-unconfirmed": ["lost", "failed"],
  "locker-died": ["lost", "failed"],
};

for (
  const [reason, [whenHeld, otherwise]] of Object.entries(OUTCOMES) as [
    Reason,
    [Outcome, Outcome],
  ][]
) {
  Deno.test(`${reason} closes a promised window as ${whenHeld}, another as ${otherwise}`, () => {
    assert.equal(outcomeOf(reason, true), whenHeld);
    assert.equal(outcomeOf(reason, false), otherwise);
  });
}

const VERDICTS: Record<Outcome, Verdict> = {
  released: "application-consistent",
  expired: "crash-consistent",
  lost: "crash-consistent",
  failed: "not-quiesced",
  aborted: "not-quiesced",
  refused: "not-quiesced",
};

for (const [outcome, verdict] of Object.entries(VERDICTS) as [Outcome, Verdict][]) {
  Deno.test(`an image of a window that was ${outcome} is ${verdict}`, () => {
    assert.equal(verdictOf(outcome), verdict);
  });
}
