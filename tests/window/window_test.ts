/**
 * What the machine does with every event in every state: the table below is the full list,
 * illegal inputs included. Properties over random sequences: `window_properties_test.ts`.
 */
import assert from "node:assert/strict";

import type { Instant } from "../../lib/base/clock.ts";
import { plus } from "../../lib/base/clock.ts";
import { EXIT } from "../../lib/base/refusal.ts";
import {
  MAX_ATTEMPTS,
  nextDeadline,
  RELEASE_LIMIT_MS,
  THAW_HOOK_GRACE_MS,
  type Transition,
  transition,
  type Window,
  type WindowAction,
  type WindowEvent,
  type WindowLimits,
} from "../../lib/window/window.ts";
import {
  instanceVerdict,
  type Outcome,
  outcomeOf,
  type Reason,
  type Verdict,
  verdictOf,
} from "../../lib/window/verdict.ts";
import {
  after,
  at,
  type EventName,
  EVENTS,
  heldAnd,
  LIMITS,
  NOT_GRANTED,
  notGranted,
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
  // Coming back for another attempt; the first preparation begins with the window itself.
  preparing: ["prepare"],
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

/** Noted in the window, which stays what it is. */
const OWN_PHASE = "noted";

// The states before the promise differ only in which event takes them on, or back.
type Onward = "Prepared" | "LockAcquired" | "LockNotGranted" | "Secured" | "PreFreezeAccepted";

const WHILE_OPENING: Record<Exclude<EventName, Onward>, string> = {
  SecuringAdvanced: STAYS,
  PreparationFailed: "releasing: refused",
  LockRefused: "releasing: refused",
  SecuringFailed: "releasing: not-secured",
  PreFreezeLost: "releasing: starter-lost",
  ThawRequested: "releasing: thaw",
  AbortRequested: "releasing: freeze-failed",
  ThawHookSeen: "releasing: thaw-hook",
  LockFileRemoved: "releasing: lock-file-removed",
  FilesystemsFrozen: OWN_PHASE,
  "FilesystemsFrozen from the start": OWN_PHASE,
  FilesystemsThawed: STAYS,
  SignalReceived: "releasing: signal",
  SessionLost: "releasing: session-lost",
  ConnectionsNearLimit: "releasing: connections-near-limit",
  "ReleaseFinished equal": STAYS,
  "ReleaseFinished same-session": STAYS,
  "ReleaseFinished moved": STAYS,
  "ReleaseFinished unread": STAYS,
  "ReleaseFinished cut": STAYS,
  TimePassed: STAYS,
};

const NO_NEWS: Record<EventName, string> = {
  Prepared: STAYS,
  PreparationFailed: STAYS,
  LockAcquired: STAYS,
  SecuringAdvanced: STAYS,
  LockNotGranted: STAYS,
  LockRefused: STAYS,
  Secured: STAYS,
  SecuringFailed: STAYS,
  PreFreezeAccepted: STAYS,
  PreFreezeLost: STAYS,
  ThawRequested: STAYS,
  AbortRequested: STAYS,
  ThawHookSeen: STAYS,
  LockFileRemoved: STAYS,
  FilesystemsFrozen: STAYS,
  "FilesystemsFrozen from the start": STAYS,
  FilesystemsThawed: STAYS,
  SignalReceived: STAYS,
  SessionLost: STAYS,
  ConnectionsNearLimit: STAYS,
  "ReleaseFinished equal": STAYS,
  "ReleaseFinished same-session": STAYS,
  "ReleaseFinished moved": STAYS,
  "ReleaseFinished unread": STAYS,
  "ReleaseFinished cut": STAYS,
  TimePassed: STAYS,
};

/** In another phase than their own: good news is dropped, bad news ends the window. */
const OUT_OF_TURN: Record<Onward, string> = {
  Prepared: STAYS,
  LockAcquired: STAYS,
  LockNotGranted: "releasing: refused",
  Secured: STAYS,
  PreFreezeAccepted: STAYS,
};

const OPENING = { ...WHILE_OPENING, ...OUT_OF_TURN };

const HELD = {
  ...NO_NEWS,
  PreFreezeLost: "releasing: starter-lost",
  ThawRequested: "releasing: thaw",
  AbortRequested: "releasing: freeze-failed",
  ThawHookSeen: "releasing: thaw-hook",
  LockFileRemoved: "releasing: lock-file-removed",
  SignalReceived: "releasing: signal",
  SessionLost: "releasing: session-lost",
  ConnectionsNearLimit: "releasing: connections-near-limit",
};

/** Released at the filesystems' thaw, and the release has not reported yet. */
const RELEASING_AT_THAW = {
  ...NO_NEWS,
  ThawRequested: "releasing: thaw",
  AbortRequested: "releasing: freeze-failed",
  ThawHookSeen: "releasing: thaw-hook",
  "ReleaseFinished equal": "settling",
  "ReleaseFinished same-session": "settling",
  "ReleaseFinished moved": "closed: lost, coordinates-moved",
  "ReleaseFinished unread": "closed: lost, coordinates-unread",
  "ReleaseFinished cut": "closed: lost, release-unconfirmed",
};

const TABLE: Record<StateName, Record<EventName, string>> = {
  preparing: { ...OPENING, Prepared: "locking" },
  "preparing another attempt": { ...OPENING, Prepared: "locking" },
  locking: { ...OPENING, LockAcquired: "securing", LockNotGranted: "preparing" },
  "locking for the last time": { ...OPENING, LockAcquired: "securing" },
  securing: { ...OPENING, SecuringAdvanced: "securing", Secured: "answering" },
  answering: { ...OPENING, PreFreezeAccepted: "held" },
  held: {
    ...HELD,
    FilesystemsFrozen: OWN_PHASE,
    "FilesystemsFrozen from the start": OWN_PHASE,
  },
  "held, frozen": { ...HELD, FilesystemsThawed: "releasing: filesystem-thaw" },
  // Its snapshot may be of a moment before the answer: the lock stays until somebody asks.
  "held, frozen too early": { ...HELD, FilesystemsThawed: OWN_PHASE },
  "held, frozen and thawed too early": HELD,
  "releasing, never promised": {
    ...NO_NEWS,
    "ReleaseFinished equal": "closed: aborted, lock-file-removed",
    "ReleaseFinished same-session": "closed: aborted, lock-file-removed",
    "ReleaseFinished moved": "closed: aborted, lock-file-removed",
    "ReleaseFinished unread": "closed: aborted, lock-file-removed",
    "ReleaseFinished cut": "closed: aborted, lock-file-removed",
  },
  "releasing for a thaw": {
    ...NO_NEWS,
    "ReleaseFinished equal": "closed: released, thaw",
    "ReleaseFinished same-session": "closed: released, thaw",
    "ReleaseFinished moved": "closed: lost, coordinates-moved",
    "ReleaseFinished unread": "closed: lost, coordinates-unread",
    "ReleaseFinished cut": "closed: lost, release-unconfirmed",
  },
  "releasing for the thaw hook": {
    ...NO_NEWS,
    ThawRequested: "releasing: thaw",
    AbortRequested: "releasing: freeze-failed",
    "ReleaseFinished equal": "settling",
    "ReleaseFinished same-session": "settling",
    "ReleaseFinished moved": "closed: lost, coordinates-moved",
    "ReleaseFinished unread": "closed: lost, coordinates-unread",
    "ReleaseFinished cut": "closed: lost, release-unconfirmed",
  },
  // Nobody can say that the snapshot was done by then: a thaw that follows makes it no better.
  "releasing for the lock file": {
    ...NO_NEWS,
    "ReleaseFinished equal": "closed: lost, lock-file-removed",
    "ReleaseFinished same-session": "closed: lost, lock-file-removed",
    "ReleaseFinished moved": "closed: lost, lock-file-removed",
    "ReleaseFinished unread": "closed: lost, lock-file-removed",
    "ReleaseFinished cut": "closed: lost, lock-file-removed",
  },
  "releasing for a signal": {
    ...NO_NEWS,
    "ReleaseFinished equal": "closed: lost, signal",
    "ReleaseFinished same-session": "closed: lost, signal",
    "ReleaseFinished moved": "closed: lost, signal",
    "ReleaseFinished unread": "closed: lost, signal",
    "ReleaseFinished cut": "closed: lost, signal",
  },
  "releasing for a full server": {
    ...NO_NEWS,
    "ReleaseFinished equal": "closed: expired, connections-near-limit",
    "ReleaseFinished same-session": "closed: expired, connections-near-limit",
    "ReleaseFinished moved": "closed: expired, connections-near-limit",
    "ReleaseFinished unread": "closed: expired, connections-near-limit",
    "ReleaseFinished cut": "closed: expired, connections-near-limit",
  },
  settling: {
    ...NO_NEWS,
    ThawRequested: "closed: released, thaw",
    AbortRequested: "closed: aborted, freeze-failed",
    SignalReceived: "closed: lost, thaw-hook",
  },
  "releasing for the filesystems' thaw": {
    ...RELEASING_AT_THAW,
    FilesystemsFrozen: OWN_PHASE,
    "FilesystemsFrozen from the start": OWN_PHASE,
  },
  "releasing for the filesystems' thaw, frozen again": RELEASING_AT_THAW,
  "settling for the thaw hook": {
    ...NO_NEWS,
    ThawRequested: "closed: released, thaw",
    AbortRequested: "closed: aborted, freeze-failed",
    ThawHookSeen: OWN_PHASE,
    FilesystemsFrozen: OWN_PHASE,
    "FilesystemsFrozen from the start": OWN_PHASE,
    SignalReceived: "closed: lost, signal",
  },
  "settling for the thaw hook, frozen again": {
    ...NO_NEWS,
    ThawRequested: "closed: lost, freeze-after-release",
    AbortRequested: "closed: aborted, freeze-failed",
    ThawHookSeen: OWN_PHASE,
    SignalReceived: "closed: lost, signal",
  },
  "settling for post-thaw after the thaw hook": {
    ...NO_NEWS,
    ThawRequested: "closed: released, thaw",
    AbortRequested: "closed: aborted, freeze-failed",
    SignalReceived: "closed: lost, thaw-hook",
  },
  closed: NO_NEWS,
};

/** Within every limit of every state. */
const SOON = at(1_000);

/** States in which pre-freeze still waits for its answer. */
const BEFORE_THE_PROMISE = (Object.keys(STATES) as StateName[]).filter((state) =>
  ["preparing", "locking", "securing", "answering"].includes(phaseOf(state))
);

function check(before: Window, { window, actions }: Transition, expected: string): void {
  if (expected === STAYS) {
    // The very same object: no half-made change can hide behind an equal phase.
    assert.equal(window, before);
    assert.deepEqual(actions, []);
    return;
  }
  if (expected === OWN_PHASE) assert.notEqual(window, before);
  assert.equal(nameOf(window), expected === OWN_PHASE ? nameOf(before) : expected);
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

const HOOK_AFTER_THAW_MS = LIMITS.hookAfterThawMs ?? 0;

/** What each state waits for, in milliseconds since the window was opened. */
const DEADLINES: Record<StateName, { readonly ms: number | null; readonly then: string }> = {
  preparing: { ms: LIMITS.freezeTimeoutMs, then: "releasing: freeze-timeout" },
  // One budget for all attempts.
  "preparing another attempt": { ms: LIMITS.freezeTimeoutMs, then: "releasing: freeze-timeout" },
  locking: { ms: LIMITS.freezeTimeoutMs, then: "releasing: freeze-timeout" },
  "locking for the last time": { ms: LIMITS.freezeTimeoutMs, then: "releasing: freeze-timeout" },
  // Locked at 200 ms: stall_limit ends before hold_timeout, and that before freeze_timeout.
  securing: { ms: 200 + LIMITS.stallLimitMs, then: "releasing: stall-limit" },
  answering: { ms: 200 + LIMITS.stallLimitMs, then: "releasing: stall-limit" },
  held: { ms: 200 + LIMITS.holdTimeoutMs, then: "releasing: hold-timeout" },
  "held, frozen": { ms: 200 + LIMITS.holdTimeoutMs, then: "releasing: hold-timeout" },
  "held, frozen too early": { ms: 200 + LIMITS.holdTimeoutMs, then: "releasing: hold-timeout" },
  "held, frozen and thawed too early": {
    ms: 200 + LIMITS.holdTimeoutMs,
    then: "releasing: hold-timeout",
  },
  "releasing, never promised": {
    ms: 300 + RELEASE_LIMIT_MS,
    then: "closed: aborted, lock-file-removed",
  },
  "releasing for a thaw": { ms: 500 + RELEASE_LIMIT_MS, then: "closed: lost, release-unconfirmed" },
  "releasing for the thaw hook": {
    ms: 500 + RELEASE_LIMIT_MS,
    then: "closed: lost, release-unconfirmed",
  },
  "releasing for the lock file": {
    ms: 500 + RELEASE_LIMIT_MS,
    then: "closed: lost, lock-file-removed",
  },
  "releasing for a signal": { ms: 500 + RELEASE_LIMIT_MS, then: "closed: lost, signal" },
  "releasing for a full server": {
    ms: 500 + RELEASE_LIMIT_MS,
    then: "closed: expired, connections-near-limit",
  },
  "releasing for the filesystems' thaw": {
    ms: 600 + RELEASE_LIMIT_MS,
    then: "closed: lost, release-unconfirmed",
  },
  "releasing for the filesystems' thaw, frozen again": {
    ms: 600 + RELEASE_LIMIT_MS,
    then: "closed: lost, release-unconfirmed",
  },
  settling: { ms: 600 + THAW_HOOK_GRACE_MS, then: "closed: lost, thaw-hook" },
  // From the thaw at 600 ms, and not from the end of the release.
  "settling for the thaw hook": {
    ms: 600 + HOOK_AFTER_THAW_MS,
    then: "closed: lost, thaw-hook-late",
  },
  "settling for the thaw hook, frozen again": {
    ms: 600 + HOOK_AFTER_THAW_MS,
    then: "closed: lost, thaw-hook-late",
  },
  "settling for post-thaw after the thaw hook": {
    ms: 600 + HOOK_AFTER_THAW_MS,
    then: "closed: lost, thaw-hook",
  },
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
  ["preparing another attempt", "Prepared", "releasing: freeze-timeout", ["release"]],
  ["locking", "LockAcquired", "releasing: freeze-timeout", ["release"]],
  ["locking", "LockNotGranted", "releasing: freeze-timeout", ["release"]],
  ["locking", "LockRefused", "releasing: freeze-timeout", ["release"]],
  ["securing", "Secured", "releasing: stall-limit", ["release"]],
  ["answering", "PreFreezeAccepted", "releasing: stall-limit", ["release"]],
  ["held", "ThawRequested", "releasing: hold-timeout", ["release"]],
  ["held", "AbortRequested", "releasing: hold-timeout", ["release"]],
  ["held", "LockFileRemoved", "releasing: hold-timeout", ["release"]],
  ["held", "SessionLost", "releasing: hold-timeout", ["release"]],
  ["held", "SignalReceived", "releasing: hold-timeout", ["release"]],
  ["held", "ConnectionsNearLimit", "releasing: hold-timeout", ["release"]],
  // A stray report is not of the release that only begins with this event.
  ["locking", "ReleaseFinished equal", "releasing: freeze-timeout", ["release"]],
  ["held", "ReleaseFinished equal", "releasing: hold-timeout", ["release"]],
  ["settling", "ThawRequested", "closed: lost, thaw-hook", ["close"]],
  ["settling for the thaw hook", "ThawRequested", "closed: lost, thaw-hook-late", ["close"]],
  ["settling for the thaw hook", "ThawHookSeen", "closed: lost, thaw-hook-late", ["close"]],
  ["settling for the thaw hook", "AbortRequested", "closed: lost, thaw-hook-late", ["close"]],
  ["held, frozen", "FilesystemsThawed", "releasing: hold-timeout", ["release"]],
  // A release that took longer than the hook may.
  ["releasing for the filesystems' thaw", "ThawRequested", "releasing: thaw-hook-late", []],
  ["releasing for the filesystems' thaw", "ThawHookSeen", "releasing: thaw-hook-late", []],
  [
    "releasing for the filesystems' thaw",
    "ReleaseFinished equal",
    "closed: lost, thaw-hook-late",
    ["close"],
  ],
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

const AT_THAW = ["FilesystemsFrozen", "FilesystemsThawed"] as const;

/** Who came first decides; a second word during the same release does not. */
const SECOND_WORDS: readonly (readonly [readonly EventName[], string])[] = [
  [["ThawRequested", "AbortRequested", "ReleaseFinished equal"], "closed: released, thaw"],
  [["AbortRequested", "ThawRequested", "ReleaseFinished equal"], "closed: aborted, freeze-failed"],
  [["AbortRequested", "ReleaseFinished moved"], "closed: aborted, freeze-failed"],
  [["SessionLost", "ThawRequested", "ReleaseFinished equal"], "closed: lost, session-lost"],
  [["SignalReceived", "ThawRequested", "ReleaseFinished equal"], "closed: lost, signal"],
  [["ThawRequested", "SignalReceived", "ReleaseFinished equal"], "closed: released, thaw"],
  [["ThawRequested", "ConnectionsNearLimit", "ReleaseFinished equal"], "closed: released, thaw"],
  [
    ["ConnectionsNearLimit", "ThawRequested", "ReleaseFinished equal"],
    "closed: expired, connections-near-limit",
  ],
  [
    ["ConnectionsNearLimit", "LockFileRemoved", "ThawRequested", "ReleaseFinished equal"],
    "closed: expired, connections-near-limit",
  ],
  // post-thaw was asked first, so whoever removes the file comes after it.
  [["ThawRequested", "LockFileRemoved", "ReleaseFinished equal"], "closed: released, thaw"],
  [
    ["LockFileRemoved", "ThawRequested", "ReleaseFinished equal"],
    "closed: lost, lock-file-removed",
  ],
  [
    ["LockFileRemoved", "ReleaseFinished equal", "ThawRequested"],
    "closed: lost, lock-file-removed",
  ],
  [["LockFileRemoved", "ThawHookSeen", "ReleaseFinished equal"], "closed: lost, lock-file-removed"],
  [
    ["LockFileRemoved", "AbortRequested", "ReleaseFinished equal"],
    "closed: lost, lock-file-removed",
  ],
  [
    ["ThawHookSeen", "LockFileRemoved", "ReleaseFinished equal", "ThawRequested"],
    "closed: released, thaw",
  ],
  [["ThawHookSeen", "ThawRequested", "ReleaseFinished equal"], "closed: released, thaw"],
  [["ThawHookSeen", "ThawRequested", "ReleaseFinished cut"], "closed: lost, release-unconfirmed"],
  [["ThawHookSeen", "ReleaseFinished equal", "ThawRequested"], "closed: released, thaw"],
  [["ThawHookSeen", "ReleaseFinished same-session", "ThawRequested"], "closed: released, thaw"],
  [["ThawHookSeen", "AbortRequested", "ReleaseFinished equal"], "closed: aborted, freeze-failed"],
  // A freeze under the lock, and the end of it that releases the lock.
  [["FilesystemsFrozen", "ThawRequested", "ReleaseFinished equal"], "closed: released, thaw"],
  [[...AT_THAW, "ReleaseFinished equal", "ThawRequested"], "closed: released, thaw"],
  [[...AT_THAW, "ThawRequested", "ReleaseFinished equal"], "closed: released, thaw"],
  [
    [...AT_THAW, "ThawHookSeen", "ReleaseFinished equal", "ThawRequested"],
    "closed: released, thaw",
  ],
  [
    [...AT_THAW, "ReleaseFinished equal", "ThawHookSeen", "ThawRequested"],
    "closed: released, thaw",
  ],
  [[...AT_THAW, "ThawRequested", "ReleaseFinished moved"], "closed: lost, coordinates-moved"],
  [
    [...AT_THAW, "ReleaseFinished equal", "LockFileRemoved", "ThawRequested"],
    "closed: released, thaw",
  ],
  // VMware Tools thaw first and then call freezeFail.
  [[...AT_THAW, "ReleaseFinished equal", "AbortRequested"], "closed: aborted, freeze-failed"],
  [[...AT_THAW, "AbortRequested", "ReleaseFinished equal"], "closed: aborted, freeze-failed"],
  // A later freeze, before the hook has come or after it.
  [
    [...AT_THAW, "FilesystemsFrozen", "ReleaseFinished equal", "ThawRequested"],
    "closed: lost, freeze-after-release",
  ],
  [
    [...AT_THAW, "FilesystemsFrozen", "ThawRequested", "ReleaseFinished equal"],
    "closed: lost, freeze-after-release",
  ],
  [
    [
      ...AT_THAW,
      "ReleaseFinished equal",
      "FilesystemsFrozen",
      "FilesystemsThawed",
      "ThawRequested",
    ],
    "closed: lost, freeze-after-release",
  ],
  [
    [...AT_THAW, "ReleaseFinished equal", "FilesystemsFrozen", "ThawHookSeen", "ThawRequested"],
    "closed: lost, freeze-after-release",
  ],
  [
    [...AT_THAW, "ReleaseFinished equal", "ThawHookSeen", "FilesystemsFrozen", "ThawRequested"],
    "closed: released, thaw",
  ],
  [
    [...AT_THAW, "ReleaseFinished equal", "FilesystemsFrozen", "AbortRequested"],
    "closed: aborted, freeze-failed",
  ],
  // One that was there before the sensor: what was taken of it was perhaps not taken under the lock.
  [
    [
      "FilesystemsFrozen from the start",
      "FilesystemsThawed",
      "ThawRequested",
      "ReleaseFinished equal",
    ],
    "closed: lost, freeze-too-early",
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

/** What pre-freeze is told when the server fills up before the promise. */
Deno.test("a full server before the promise is refused with the numbers and both ways out", () => {
  for (const phase of BEFORE_THE_PROMISE) {
    const { window } = transition(STATES[phase], EVENTS.ConnectionsNearLimit, SOON);
    assert.ok(window.phase === "releasing");
    assert.deepEqual(window.refusal, {
      kind: "refusal",
      code: EXIT.lockNotObtained,
      reason: "connections-near-limit",
      summary:
        "The server was about to refuse clients: main: 136 of max_connections 151 are in use, connection_mark is 135",
      hint: "Nothing is locked; raise max_connections, or connection_mark in [locktables]",
    });
  }
});

/** How many times the lock statements were sent, in each state. */
const ATTEMPTS: Partial<Record<StateName, number>> = {
  preparing: 0,
  "preparing another attempt": 1,
  "locking for the last time": MAX_ATTEMPTS,
};

for (const state of Object.keys(STATES) as StateName[]) {
  const expected = ATTEMPTS[state] ?? 1;
  Deno.test(`${state}: the lock statements were sent ${expected} times`, () => {
    assert.equal(STATES[state].attempts, expected);
  });
}

/** Attempts that were not granted before one is, and how the window then goes on. */
const AGAIN: readonly (readonly [notGranted: number, ends: string])[] = [
  [0, "held"],
  [1, "held"],
  [MAX_ATTEMPTS - 1, "held"],
  [MAX_ATTEMPTS, "releasing: refused"],
];

for (const [times, ends] of AGAIN) {
  Deno.test(`a lock that is not granted ${times} times and then would be ends ${ends}`, () => {
    const window = after(
      ...notGranted(times),
      "Prepared",
      "LockAcquired",
      "Secured",
      "PreFreezeAccepted",
    );
    assert.equal(nameOf(window), ends);
    assert.equal(window.attempts, Math.min(times + 1, MAX_ATTEMPTS));
  });
}

Deno.test("the number of attempts stays with the window until it is closed", () => {
  const again = [
    ...notGranted(1),
    "Prepared",
    "LockAcquired",
    "Secured",
    "PreFreezeAccepted",
  ] as const;
  for (
    const rest of [
      ["ThawRequested", "ReleaseFinished equal"],
      ["ThawHookSeen", "ReleaseFinished equal", "ThawRequested"],
    ] as const
  ) {
    const window = after(...again, ...rest);
    assert.equal(nameOf(window), "closed: released, thaw");
    assert.equal(window.attempts, 2);
  }
});

Deno.test("a lock that is never granted is refused with what the last attempt said", () => {
  const window = after(...notGranted(MAX_ATTEMPTS));
  assert.ok(window.phase === "releasing");
  assert.equal(window.refusal, NOT_GRANTED);
});

const FREEZE_TIMEOUT = "Not frozen within freeze_timeout (30000 ms)";

/** What pre-freeze is told when its time is over, and that it then still knows who was in the way. */
const OUT_OF_TIME: readonly (readonly [StateName, summary: string, hint: RegExp])[] = [
  [
    "preparing",
    `${FREEZE_TIMEOUT}: still connecting, waiting for blockers or writing out dirty data`,
    /raise freeze_timeout/,
  ],
  [
    "preparing another attempt",
    `${FREEZE_TIMEOUT}: still connecting, waiting for blockers or writing out dirty data; before that, ${NOT_GRANTED.summary}`,
    /^Run KILL QUERY 12$/,
  ],
  ["locking", `${FREEZE_TIMEOUT}: still waiting for the lock`, /raise freeze_timeout/],
  [
    "locking for the last time",
    `${FREEZE_TIMEOUT}: still waiting for the lock; before that, ${NOT_GRANTED.summary}`,
    /^Run KILL QUERY 12$/,
  ],
];

for (const [state, summary, hint] of OUT_OF_TIME) {
  Deno.test(`${state}: a freeze_timeout is told with what is known of it`, () => {
    const { window } = transition(STATES[state], EVENTS.TimePassed, at(LIMITS.freezeTimeoutMs));
    assert.ok(window.phase === "releasing");
    assert.equal(window.refusal?.summary, summary);
    assert.match(window.refusal.hint, hint);
    assert.equal(window.refusal.code, EXIT.lockNotObtained);
    assert.equal(window.refusal.reason, "freeze-timeout");
  });
}

Deno.test("once locked, the attempt before is no news any more", () => {
  const before = { ...after(...notGranted(1), "Prepared", "LockAcquired"), lockedAt: at(25_000) };
  const { window } = transition(before, EVENTS.TimePassed, at(LIMITS.freezeTimeoutMs));
  assert.ok(window.phase === "releasing");
  assert.equal(
    window.refusal?.summary,
    `${FREEZE_TIMEOUT}: still writing data to disk under the lock`,
  );
});

Deno.test("the limits of securing are told apart in the refusal", () => {
  const reasons = (["preparing", "locking", "securing", "answering"] as const).map((phase) => {
    const { window } = transition(STATES[phase], EVENTS.TimePassed, at(40_000));
    return window.phase === "releasing" ? window.refusal?.reason : window.phase;
  });
  assert.deepEqual(reasons, ["freeze-timeout", "freeze-timeout", "stall-limit", "stall-limit"]);
});

/** A stall_limit longer than the others, so that those can be reached under the lock. */
const PATIENT: WindowLimits = { ...LIMITS, stallLimitMs: 25_000 };

Deno.test("a hold_timeout below stall_limit is what ends a window that is not answered yet", () => {
  for (const phase of ["securing", "answering"] as const) {
    const before = { ...STATES[phase], limits: PATIENT };
    assert.deepEqual(nextDeadline(before), at(200 + LIMITS.holdTimeoutMs));
    const { window } = transition(before, EVENTS.TimePassed, at(200 + LIMITS.holdTimeoutMs));
    assert.equal(nameOf(window), "releasing: hold-timeout");
  }
});

const STALLED:
  readonly (readonly [sentence: string, events: readonly WindowEvent[], what: string])[] = [
    ["before the first step", [], "the coordinates"],
    ["in its last step", [EVENTS.SecuringAdvanced], "the last step"],
    [
      "in two steps at once",
      [{ type: "SecuringAdvanced", waitingFor: ["writing a", "writing b"] }],
      "writing a and writing b",
    ],
    ["when everything is on disk", [EVENTS.Secured], "pre-freeze itself"],
  ];

for (const [sentence, events, what] of STALLED) {
  Deno.test(`a stall ${sentence} is refused with what took so long`, () => {
    const before = events.reduce<Window>(
      (window, event) => transition(window, event, at(300)).window,
      STATES.securing,
    );
    const { window, actions } = transition(
      before,
      EVENTS.TimePassed,
      at(200 + LIMITS.stallLimitMs),
    );
    assert.ok(window.phase === "releasing");
    assert.deepEqual(actions, ["release"]);
    assert.equal(
      window.refusal?.summary,
      `Locked, but ${what} took longer than stall_limit (7000 ms)`,
    );
    assert.equal(window.refusal.code, EXIT.lockNotObtained);
  });
}

Deno.test("a refusal that an event brings reaches pre-freeze as it is", () => {
  for (const phase of BEFORE_THE_PROMISE) {
    for (const name of ["PreparationFailed", "LockRefused", "SecuringFailed"] as const) {
      const { window } = transition(STATES[phase], EVENTS[name], SOON);
      assert.ok(window.phase === "releasing");
      assert.equal(window.refusal, REFUSAL);
    }
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
  for (const phase of BEFORE_THE_PROMISE) {
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
  "thaw-hook": ["lost", "aborted"],
  "lock-file-removed": ["lost", "aborted"],
  "stall-limit": ["refused", "refused"],
  "hold-timeout": ["expired", "refused"],
  "connections-near-limit": ["expired", "refused"],
  "freeze-timeout": ["refused", "refused"],
  signal: ["lost", "aborted"],
  "session-lost": ["lost", "failed"],
  "starter-lost": ["aborted", "aborted"],
  refused: ["refused", "refused"],
  "not-secured": ["failed", "failed"],
  "coordinates-moved": ["lost", "lost"],
  "coordinates-unread": ["lost", "lost"],
  "filesystem-thaw": ["lost", "aborted"],
  "thaw-hook-late": ["lost", "lost"],
  "freeze-too-early": ["lost", "lost"],
  "freeze-after-release": ["lost", "lost"],
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

/** Endings that only a proof spoilt: what one instance is worth whose own proof was good, or not. */
const SPOILT: readonly (readonly [readonly EventName[], equal: Verdict])[] = [
  [["ThawRequested", "ReleaseFinished moved"], "application-consistent"],
  [["ThawRequested", "ReleaseFinished unread"], "application-consistent"],
  [["ThawRequested", "ReleaseFinished cut"], "application-consistent"],
  [["ThawHookSeen", "ThawRequested", "ReleaseFinished moved"], "application-consistent"],
  // Released at the filesystems' thaw, and the hook has come before the proof was read.
  [[...AT_THAW, "ThawRequested", "ReleaseFinished moved"], "application-consistent"],
  [[...AT_THAW, "ReleaseFinished moved"], "crash-consistent"],
  // A freeze that speaks against the window speaks against each instance.
  [
    [...AT_THAW, "FilesystemsFrozen", "ThawRequested", "ReleaseFinished moved"],
    "crash-consistent",
  ],
  [
    ["FilesystemsFrozen from the start", "ThawRequested", "ReleaseFinished moved"],
    "crash-consistent",
  ],
  // Nobody has said that the snapshot was done by then.
  [["ThawHookSeen", "ReleaseFinished moved"], "crash-consistent"],
  [["ThawHookSeen", "ReleaseFinished unread"], "crash-consistent"],
  [["ThawHookSeen", "ReleaseFinished cut"], "crash-consistent"],
  [["ThawHookSeen", "ReleaseFinished moved", "ThawRequested"], "crash-consistent"],
  // These ended the hold of every instance.
  [["SessionLost", "ReleaseFinished cut"], "crash-consistent"],
  [["SessionLost", "ThawRequested", "ReleaseFinished equal"], "crash-consistent"],
  [["SignalReceived", "ReleaseFinished equal"], "crash-consistent"],
  [["ConnectionsNearLimit", "ReleaseFinished equal"], "crash-consistent"],
  [["AbortRequested", "ReleaseFinished equal"], "not-quiesced"],
  [["ThawRequested", "ReleaseFinished equal"], "application-consistent"],
];

for (const [names, equal] of SPOILT) {
  Deno.test(`held: after ${names.join(", then ")} an instance that did not move is ${equal}`, () => {
    const window = heldAnd(...names);
    assert.ok(window.phase === "closed");
    assert.equal(instanceVerdict(window, "equal"), equal);
    assert.equal(instanceVerdict(window, "same-session"), equal);
    for (const proof of ["moved", "unread", "cut", null] as const) {
      assert.equal(instanceVerdict(window, proof), window.verdict, `${proof}`);
    }
  });
}

Deno.test("without the promise no instance is worth more than its window", () => {
  const window = after("Prepared", "LockAcquired", "ThawRequested", "ReleaseFinished equal");
  assert.ok(window.phase === "closed");
  assert.equal(instanceVerdict(window, "equal"), "not-quiesced");
});

Deno.test("where the thaw of the filesystems does not mean that the snapshot is taken, it releases nothing", () => {
  const limits = { ...LIMITS, hookAfterThawMs: null };
  const frozen: Window = { ...heldAnd("FilesystemsFrozen"), limits };
  const thawed = transition(frozen, EVENTS.FilesystemsThawed, at(600));
  assert.equal(thawed.window.phase, "held");
  assert.deepEqual(thawed.actions, []);
  assert.deepEqual(thawed.window.freeze, { frozenAt: at(450), thawedAt: at(600) });
  const asked = transition(thawed.window, EVENTS.ThawRequested, at(700)).window;
  const closed = transition(asked, EVENTS["ReleaseFinished equal"], at(710)).window;
  assert.equal(nameOf(closed), "closed: released, thaw");
});

Deno.test("a freeze before the answer spoils every end that would be good, over or not by then", () => {
  const early: readonly (readonly EventName[])[] = [
    ["Prepared", "LockAcquired", "FilesystemsFrozen", "FilesystemsThawed", "Secured"],
    ["Prepared", "LockAcquired", "Secured", "FilesystemsFrozen", "FilesystemsThawed"],
    ["Prepared", "LockAcquired", "Secured", "FilesystemsFrozen"],
    ["Prepared", "FilesystemsFrozen", "FilesystemsThawed", "LockAcquired", "Secured"],
  ];
  // A freeze that is as it should be does not make up for it.
  const later: readonly (readonly EventName[])[] = [[], ["FilesystemsThawed"], AT_THAW];
  for (const events of early) {
    for (const more of later) {
      const closed = after(
        ...events,
        "PreFreezeAccepted",
        ...more,
        "ThawRequested",
        "ReleaseFinished equal",
      );
      assert.equal(nameOf(closed), "closed: lost, freeze-too-early", [...events, ...more].join());
    }
  }
});

Deno.test("a freeze before the answer is somebody else's where the caller never freezes", () => {
  const limits = { ...LIMITS, hookAfterThawMs: null, mayCallerFreeze: false };
  for (const begun of ["FilesystemsFrozen", "FilesystemsFrozen from the start"] as const) {
    for (const isAnswered of [false, true]) {
      const before: Window = isAnswered ? heldAnd() : after("Prepared", "LockAcquired", "Secured");
      const seen = transition({ ...before, limits }, EVENTS[begun], at(500)).window;
      assert.deepEqual([seen.freeze?.frozenAt, seen.spoiltBy], [at(450), null]);
    }
  }
});

Deno.test("a freeze that lasts when the lock is released by the hook gets its end in the record", () => {
  const released = heldAnd("FilesystemsFrozen", "ThawHookSeen", "FilesystemsThawed");
  assert.deepEqual(released.freeze, { frozenAt: at(450), thawedAt: at(700) });
  const closed = heldAnd("FilesystemsFrozen", "ThawRequested", "ReleaseFinished equal");
  assert.deepEqual(closed.freeze, { frozenAt: at(450), thawedAt: null });
});

Deno.test("a thaw hook that comes at the end of its time has the usual time for its post-thaw", () => {
  const wordAt = at(600 + HOOK_AFTER_THAW_MS - 100);
  const settling = transition(STATES["settling for the thaw hook"], EVENTS.ThawHookSeen, wordAt);
  assert.deepEqual(nextDeadline(settling.window), plus(wordAt, THAW_HOOK_GRACE_MS));
});
