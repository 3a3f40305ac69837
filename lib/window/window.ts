/**
 * The freeze window as a pure state machine: `transition(window, event, now)`
 * returns the next window and the actions to carry out. It reads no clock and
 * touches nothing; `lib/locker/` feeds it and carries the actions out.
 * The diagram and the table of illegal inputs are in `README.md` beside this file.
 */
import { type Instant, isReached, plus } from "../base/clock.ts";
import type { Refusal } from "../base/refusal.ts";
import { type Freezes, frozen, frozenAgain, isFrozen, NO_FREEZE, thawed } from "./freeze.ts";
import {
  cancelled,
  heldTooLongBeforeAnswer,
  outOfTime,
  sessionLost,
  stalled,
  tooManyConnections,
} from "./refusals.ts";
import {
  type Outcome,
  outcomeOf,
  type Reason,
  type ReleaseProof,
  type Verdict,
  verdictOf,
} from "./verdict.ts";

/** Limits of one window, in milliseconds. */
export interface WindowLimits {
  /** From the start of pre-freeze to its answer. */
  readonly freezeTimeoutMs: number;
  /** From the lock to the release. */
  readonly holdTimeoutMs: number;
  /** From the lock to pre-freeze's answer. */
  readonly stallLimitMs: number;
  /**
   * From the filesystems' thaw, which then releases the lock, to the thaw hook: the caller's bound.
   * Null: a thaw of the filesystems does not mean that the snapshot is taken, and releases nothing.
   */
  readonly hookAfterThawMs: number | null;
  /**
   * Whether a freeze may be the caller's own. One of somebody else's says nothing of the snapshot of a
   * caller that never freezes, and that one waits for the answer.
   */
  readonly mayCallerFreeze: boolean;
}

/**
 * How long after the thaw hook's word in `waitforsnapshot` its post-thaw may take to ask for the
 * verdict: the hook writes the word and then becomes the program, which takes 30 ms warm and under
 * 200 ms with cold caches; ten times that, so that a slow guest does not turn a good snapshot into
 * a crash-consistent one.
 */
export const THAW_HOOK_GRACE_MS = 2_000;

/**
 * How often the lock is tried. A blocker that the guard can see is waited for without a lock;
 * one that it cannot see stops every writer for `lock_wait_timeout` at each try, and three
 * times is what a site may be asked to bear in one night.
 */
export const MAX_ATTEMPTS = 3;

/**
 * How long the release may take before the window is closed as lost. The release
 * itself is bounded below this (it ends by cutting the sessions); this limit is
 * for a release that never reports.
 */
export const RELEASE_LIMIT_MS = 10_000;

interface Opened extends Freezes {
  readonly openedAt: Instant;
  readonly limits: WindowLimits;
  /** How many times the lock statements were sent. */
  readonly attempts: number;
}
interface Attempting extends Opened {
  /** Why the attempt before this one was not granted; it names who was in the way. */
  readonly notGranted: Refusal | null;
}
interface Locked extends Opened {
  readonly lockedAt: Instant;
}
interface Securing extends Locked {
  /** What is still awaited before the answer, as phrases for people. */
  readonly waitingFor: readonly string[];
}
interface Ending extends Opened {
  readonly lockedAt: Instant | null;
  readonly reason: Reason;
  /** The reason that the release began with. */
  readonly releasedBy: Reason;
  /** Whether pre-freeze had promised the lock to its caller. */
  readonly wasHeld: boolean;
  /** Whether a thaw has come: only then did the caller have its snapshot before the release. */
  readonly isThawed: boolean;
  /** What pre-freeze is to say, where the lock was not promised yet. */
  readonly refusal: Refusal | null;
}

/** One freeze window. */
export type Window =
  /** Connecting, looking for blockers, writing out dirty data; nothing is locked. */
  | Attempting & { readonly phase: "preparing" }
  /** A lock statement may be waiting or may be held. */
  | Attempting & { readonly phase: "locking" }
  /** Locked; coordinates, record and flush are under way. */
  | Securing & { readonly phase: "securing" }
  /** Everything is on disk; pre-freeze has its answer but has not yet confirmed. */
  | Securing & { readonly phase: "answering" }
  /** The lock is promised until the thaw: pre-freeze exits 0 as soon as it knows. */
  | Locked & { readonly phase: "held" }
  /** The lock is being released. */
  | Ending & { readonly phase: "releasing"; readonly releasingSince: Instant }
  /**
   * Released because the thaw hook left its word, and its post-thaw should ask now; or because the
   * filesystems were thawed, and the thaw hook should follow.
   */
  | Ending & {
    readonly phase: "settling";
    readonly releasedAt: Instant;
    readonly settlesUntil: Instant;
  }
  /** Over. */
  | Closed;

/** A window that is over. */
export interface Closed extends Ending {
  readonly phase: "closed";
  readonly outcome: Outcome;
  readonly verdict: Verdict;
  readonly closedAt: Instant;
  /** When the server released; null where nothing was ever locked or it is not known. */
  readonly releasedAt: Instant | null;
}

/** The name of a window's phase. */
export type Phase = Window["phase"];

/** What happened, in the past tense. */
export type WindowEvent =
  | { readonly type: "Prepared" }
  | { readonly type: "PreparationFailed"; readonly refusal: Refusal }
  | { readonly type: "LockAcquired" }
  /** Some of what is done under the lock is done; `waitingFor` is what is not. */
  | { readonly type: "SecuringAdvanced"; readonly waitingFor: readonly string[] }
  /** The attempt is over and everything it got is given back; another one may succeed. */
  | { readonly type: "LockNotGranted"; readonly refusal: Refusal }
  | { readonly type: "LockRefused"; readonly refusal: Refusal }
  | { readonly type: "Secured" }
  | { readonly type: "SecuringFailed"; readonly refusal: Refusal }
  | { readonly type: "PreFreezeAccepted" }
  | { readonly type: "PreFreezeLost" }
  | { readonly type: "ThawRequested" }
  | { readonly type: "AbortRequested" }
  /** The thaw hook has written its word into `waitforsnapshot`. */
  | { readonly type: "ThawHookSeen" }
  /** `waitforsnapshot` is gone, and the hook's word was not in it. */
  | { readonly type: "LockFileRemoved" }
  /**
   * The filesystems of the servers' data take no writes, since this moment; `isFromTheStart`: they
   * took none since the sensor began to look, which is when the lock was there.
   */
  | {
    readonly type: "FilesystemsFrozen";
    readonly since: Instant;
    readonly isFromTheStart: boolean;
  }
  /** They take writes again. */
  | { readonly type: "FilesystemsThawed" }
  | { readonly type: "SignalReceived"; readonly signal: string }
  | { readonly type: "SessionLost"; readonly why: string }
  /** So many clients wait that the server is about to refuse new ones. */
  | { readonly type: "ConnectionsNearLimit"; readonly why: string }
  | { readonly type: "ReleaseFinished"; readonly proof: ReleaseProof }
  | { readonly type: "TimePassed" };

/** What to do next, in the imperative. */
export type WindowAction =
  /** Connect again and wait for blockers, for another attempt. */
  | "prepare"
  /** Send the lock statements. */
  | "lock"
  /** Read the coordinates, write the record, flush the data to disk. */
  | "secure"
  /** Tell pre-freeze that the server is frozen; it must accept. */
  | "answer"
  /** Tell pre-freeze that the lock is now promised, so that it may exit 0. */
  | "confirm"
  /** Cancel whatever is under way, release every lock, close the sessions. */
  | "release"
  /** Write the final record, answer all hooks that wait, end. */
  | "close";

/** The next window, and what is to be done about it. */
export interface Transition {
  readonly window: Window;
  readonly actions: readonly WindowAction[];
}

/** A window that has just been opened. */
export function openWindow(limits: WindowLimits, now: Instant): Window {
  return { phase: "preparing", openedAt: now, limits, attempts: 0, notGranted: null, ...NO_FREEZE };
}

/**
 * When the window must be looked at again even if nothing happens, or null when
 * it is closed. The moment is the same on both clocks' scales as the event that
 * set it, so a clock that jumps can only bring it nearer.
 */
export function nextDeadline(window: Window): Instant | null {
  switch (window.phase) {
    case "preparing":
    case "locking":
      return plus(window.openedAt, window.limits.freezeTimeoutMs);
    case "securing":
    case "answering":
      return earlier(
        plus(window.openedAt, window.limits.freezeTimeoutMs),
        earlier(
          plus(window.lockedAt, window.limits.stallLimitMs),
          plus(window.lockedAt, window.limits.holdTimeoutMs),
        ),
      );
    case "held":
      return plus(window.lockedAt, window.limits.holdTimeoutMs);
    case "releasing":
      return plus(window.releasingSince, RELEASE_LIMIT_MS);
    case "settling":
      return window.settlesUntil;
    case "closed":
      return null;
    default:
      return window satisfies never;
  }
}

/**
 * Carries one event into a window. Deadlines are checked first, whatever the
 * event is: a thaw that arrives after the deadline finds an expired window even
 * when the timer was late. An event that has no meaning in the phase leaves the
 * window as it is (`README.md` lists them and why each is harmless).
 */
export function transition(window: Window, event: WindowEvent, now: Instant): Transition {
  const due = whenDue(window, now);
  if (due === null) return onEvent(window, event, now);
  // A report of a release cannot be of the one that only begins here.
  if (event.type === "ReleaseFinished") return due;
  const next = onEvent(due.window, event, now);
  return { window: next.window, actions: [...due.actions, ...next.actions] };
}

function whenDue(window: Window, now: Instant): Transition | null {
  const deadline = nextDeadline(window);
  if (deadline === null || !isReached(deadline, now)) return null;
  switch (window.phase) {
    case "preparing":
    case "locking":
      return release(window, now, "freeze-timeout", tooLate(window));
    case "securing":
    case "answering":
      // The one that names the cause first; one clock that jumps can pass all three at once.
      if (isReached(plus(window.lockedAt, window.limits.stallLimitMs), now)) {
        return release(
          window,
          now,
          "stall-limit",
          stalled(window.waitingFor, window.limits.stallLimitMs),
        );
      }
      return isReached(plus(window.lockedAt, window.limits.holdTimeoutMs), now)
        ? release(window, now, "hold-timeout", heldTooLongBeforeAnswer(window.limits.holdTimeoutMs))
        : release(window, now, "freeze-timeout", tooLate(window));
    case "held":
      return release(window, now, "hold-timeout", null);
    case "releasing":
      // The event may well be the ReleaseFinished that was waited for: it is let
      // through first, because it knows more than the clock.
      return null;
    case "settling":
      return close(heardInTime(window, now), now, window.releasedAt);
    case "closed":
      return null;
    default:
      return window satisfies never;
  }
}

function onEvent(window: Window, event: WindowEvent, now: Instant): Transition {
  switch (window.phase) {
    case "preparing":
    case "locking":
    case "securing":
    case "answering":
      return onOpening(window, event, now);
    case "held":
      return onHeld(window, event, now);
    case "releasing":
      return onReleasing(window, event, now);
    case "settling":
      return onSettling(window, event, now);
    case "closed":
      return stay(window);
    default:
      return window satisfies never;
  }
}

type OpeningWindow = Extract<
  Window,
  { phase: "preparing" | "locking" | "securing" | "answering" }
>;
type HeldWindow = Extract<Window, { phase: "held" }>;
type ReleasingWindow = Extract<Window, { phase: "releasing" }>;
type SettlingWindow = Extract<Window, { phase: "settling" }>;

function onOpening(window: OpeningWindow, event: WindowEvent, now: Instant): Transition {
  switch (event.type) {
    case "Prepared":
      return window.phase === "preparing"
        ? {
          window: { ...window, phase: "locking", attempts: window.attempts + 1 },
          actions: ["lock"],
        }
        : stay(window);
    case "LockAcquired":
      return window.phase === "locking"
        ? { window: locked(window, now), actions: ["secure"] }
        : stay(window);
    case "SecuringAdvanced":
      return window.phase === "securing"
        ? { window: { ...window, waitingFor: event.waitingFor }, actions: [] }
        : stay(window);
    case "Secured":
      return window.phase === "securing"
        ? {
          window: { ...window, phase: "answering", waitingFor: ["pre-freeze itself"] },
          actions: ["answer"],
        }
        : stay(window);
    case "PreFreezeAccepted":
      return window.phase === "answering"
        ? { window: held(window), actions: ["confirm"] }
        : stay(window);
    case "LockNotGranted":
      return window.phase === "locking" && window.attempts < MAX_ATTEMPTS
        ? {
          window: { ...window, phase: "preparing", notGranted: event.refusal },
          actions: ["prepare"],
        }
        : release(window, now, "refused", event.refusal);
    case "PreparationFailed":
    case "LockRefused":
      return release(window, now, "refused", event.refusal);
    case "ConnectionsNearLimit":
      return release(window, now, "connections-near-limit", tooManyConnections(event.why));
    case "SecuringFailed":
      return release(window, now, "not-secured", event.refusal);
    case "PreFreezeLost":
      return release(window, now, "starter-lost", cancelled("pre-freeze ended before its answer"));
    case "ThawRequested":
      return release(window, now, "thaw", cancelled("post-thaw came while it was working"));
    case "AbortRequested":
      return release(window, now, "freeze-failed", cancelled("the caller gave up its snapshot"));
    case "ThawHookSeen":
      return release(window, now, "thaw-hook", cancelled("the thaw hook ran while it was working"));
    case "LockFileRemoved":
      return release(
        window,
        now,
        "lock-file-removed",
        cancelled("/run/veeam/waitforsnapshot was removed while it was working"),
      );
    case "SignalReceived":
      return release(window, now, "signal", cancelled(`the locker got ${event.signal}`));
    case "SessionLost":
      return release(window, now, "session-lost", sessionLost(event.why));
    case "FilesystemsFrozen":
      return seeing(window, frozen(freezesOf(window), event.since, window.limits.mayCallerFreeze));
    case "FilesystemsThawed":
      return seeing(window, thawed(freezesOf(window), now));
    case "ReleaseFinished":
    case "TimePassed":
      return stay(window);
    default:
      return event satisfies never;
  }
}

function onHeld(window: HeldWindow, event: WindowEvent, now: Instant): Transition {
  switch (event.type) {
    case "ThawRequested":
      return release(window, now, "thaw", null);
    case "AbortRequested":
      return release(window, now, "freeze-failed", null);
    case "ThawHookSeen":
      return release(window, now, "thaw-hook", null);
    case "LockFileRemoved":
      return release(window, now, "lock-file-removed", null);
    case "SignalReceived":
      return release(window, now, "signal", null);
    case "SessionLost":
      return release(window, now, "session-lost", null);
    case "ConnectionsNearLimit":
      return release(window, now, "connections-near-limit", null);
    case "PreFreezeLost":
      // It died before it took the confirmation: its caller has seen a failure.
      return release(window, now, "starter-lost", null);
    case "FilesystemsFrozen":
      return seeing(
        window,
        frozen(
          freezesOf(window),
          event.since,
          event.isFromTheStart && window.limits.mayCallerFreeze,
        ),
      );
    case "FilesystemsThawed": {
      const seen = seeing(window, thawed(freezesOf(window), now));
      const isTaken = isFrozen(window) && window.spoiltBy === null &&
        window.limits.hookAfterThawMs !== null;
      return isTaken && seen.window.phase === "held"
        ? release(seen.window, now, "filesystem-thaw", null)
        : seen;
    }
    case "Prepared":
    case "PreparationFailed":
    case "LockAcquired":
    case "SecuringAdvanced":
    case "LockNotGranted":
    case "LockRefused":
    case "Secured":
    case "SecuringFailed":
    case "PreFreezeAccepted":
    case "ReleaseFinished":
    case "TimePassed":
      return stay(window);
    default:
      return event satisfies never;
  }
}

function onReleasing(window: ReleasingWindow, event: WindowEvent, now: Instant): Transition {
  switch (event.type) {
    case "ReleaseFinished": {
      const heard = heardInTime(window, now);
      const ended = { ...heard, reason: reasonAfterRelease(heard, event.proof) };
      const settlesUntil = settlingEnd(ended, now);
      return settlesUntil === null ? close(ended, now, event.proof === "cut" ? null : now) : {
        window: { ...asEnding(ended), phase: "settling", releasedAt: now, settlesUntil },
        actions: [],
      };
    }
    case "ThawRequested":
    case "AbortRequested":
    case "ThawHookSeen":
      return called(heardInTime(window, now), event.type);
    case "FilesystemsFrozen":
      // Once the hook has left its word, a freeze is another caller's.
      return awaitsHook(window) ? seeing(window, frozenAgain(freezesOf(window))) : stay(window);
    case "FilesystemsThawed":
      return seeing(window, thawed(freezesOf(window), now));
    case "TimePassed": {
      const deadline = plus(window.releasingSince, RELEASE_LIMIT_MS);
      return isReached(deadline, now)
        ? close({ ...window, reason: unproven(window, "release-unconfirmed") }, now, null)
        : stay(window);
    }
    case "Prepared":
    case "PreparationFailed":
    case "LockAcquired":
    case "SecuringAdvanced":
    case "LockNotGranted":
    case "LockRefused":
    case "Secured":
    case "SecuringFailed":
    case "PreFreezeAccepted":
    case "PreFreezeLost":
    case "LockFileRemoved":
    case "SignalReceived":
    case "SessionLost":
    case "ConnectionsNearLimit":
      return stay(window);
    default:
      return event satisfies never;
  }
}

/** The caller's word during the release: the hook leaves its own first and then asks. */
function called(
  window: ReleasingWindow,
  word: "ThawRequested" | "AbortRequested" | "ThawHookSeen",
): Transition {
  if (!awaitsThaw(window)) return { window, actions: [] };
  switch (word) {
    case "ThawRequested":
      return { window: { ...window, reason: "thaw", isThawed: true }, actions: [] };
    case "AbortRequested":
      return { window: { ...window, reason: "freeze-failed" }, actions: [] };
    case "ThawHookSeen":
      return awaitsHook(window)
        ? { window: { ...window, reason: "thaw-hook" }, actions: [] }
        : stay(window);
    default:
      return word satisfies never;
  }
}

function onSettling(window: SettlingWindow, event: WindowEvent, now: Instant): Transition {
  switch (event.type) {
    case "ThawRequested":
      return close({ ...window, reason: "thaw", isThawed: true }, now, window.releasedAt);
    case "AbortRequested":
      return close({ ...window, reason: "freeze-failed" }, now, window.releasedAt);
    case "SignalReceived":
      return close(
        awaitsHook(window) ? { ...window, reason: "signal" } : window,
        now,
        window.releasedAt,
      );
    case "ThawHookSeen":
      return awaitsHook(window)
        ? {
          // The time that the hook had is its post-thaw's, too.
          window: {
            ...window,
            reason: "thaw-hook",
            settlesUntil: later(window.settlesUntil, plus(now, THAW_HOOK_GRACE_MS)),
          },
          actions: [],
        }
        : stay(window);
    case "FilesystemsFrozen":
      // Once the hook has left its word, a freeze is another caller's.
      return awaitsHook(window) ? seeing(window, frozenAgain(freezesOf(window))) : stay(window);
    case "FilesystemsThawed":
      return seeing(window, thawed(freezesOf(window), now));
    case "Prepared":
    case "PreparationFailed":
    case "LockAcquired":
    case "SecuringAdvanced":
    case "LockNotGranted":
    case "LockRefused":
    case "Secured":
    case "SecuringFailed":
    case "PreFreezeAccepted":
    case "PreFreezeLost":
    case "LockFileRemoved":
    case "SessionLost":
    case "ConnectionsNearLimit":
    case "ReleaseFinished":
    case "TimePassed":
      return stay(window);
    default:
      return event satisfies never;
  }
}

function locked(window: OpeningWindow, now: Instant): Window {
  const waitingFor = ["the coordinates"];
  return { ...asOpened(window), phase: "securing", lockedAt: now, waitingFor };
}

function held(window: Securing): Window {
  return { ...asOpened(window), phase: "held", lockedAt: window.lockedAt };
}

/**
 * The window as the record on disk shows it: that record is written under the lock, before the
 * promise, and it is in an image because the promise was made.
 */
export function asPromised(window: Extract<Window, { phase: "securing" }>): Window {
  return held(window);
}

function stay(window: Window): Transition {
  return { window, actions: [] };
}

function release(
  window: OpeningWindow | HeldWindow,
  now: Instant,
  reason: Reason,
  refusal: Refusal | null,
): Transition {
  return {
    window: {
      ...asOpened(window),
      phase: "releasing",
      lockedAt: "lockedAt" in window ? window.lockedAt : null,
      wasHeld: window.phase === "held",
      isThawed: reason === "thaw",
      reason,
      releasedBy: reason,
      refusal,
      releasingSince: now,
    },
    actions: ["release"],
  };
}

/** Only a clean end can still be spoilt by what the release showed. */
function reasonAfterRelease(window: Ending, proof: ReleaseProof): Reason {
  switch (proof) {
    case "equal":
    case "same-session":
      return window.reason;
    case "moved":
      return unproven(window, "coordinates-moved");
    case "unread":
      return unproven(window, "coordinates-unread");
    case "cut":
      return unproven(window, "release-unconfirmed");
    default:
      return proof satisfies never;
  }
}

function unproven(window: Ending, reason: Reason): Reason {
  const wouldBeGood = awaitsThaw(window) || window.wasHeld && window.reason === "thaw";
  return wouldBeGood ? reason : window.reason;
}

/** Released at the filesystems' thaw; what the hook does is still to come. */
function awaitsHook({ reason, wasHeld }: Ending): boolean {
  return wasHeld && reason === "filesystem-thaw";
}

/** Released because the snapshot is taken, by all that was seen; post-thaw has not asked yet. */
function awaitsThaw(window: Ending): boolean {
  return awaitsHook(window) || window.wasHeld && window.reason === "thaw-hook";
}

/** Until when the hook must come, after a release at the filesystems' thaw; null: none is awaited. */
function hookDeadline(window: Ending): Instant | null {
  const { freeze, limits: { hookAfterThawMs } } = window;
  const thawedAt = freeze?.thawedAt ?? null;
  return awaitsHook(window) && thawedAt !== null && hookAfterThawMs !== null
    ? plus(thawedAt, hookAfterThawMs)
    : null;
}

/** Until when a window that is released waits for its post-thaw; null: it does not. */
function settlingEnd(window: Ending, now: Instant): Instant | null {
  return hookDeadline(window) ?? (awaitsThaw(window) ? plus(now, THAW_HOOK_GRACE_MS) : null);
}

/** The window as it is where no hook has come in time: a release may take longer than that. */
function heardInTime<Released extends ReleasingWindow | SettlingWindow>(
  window: Released,
  now: Instant,
): Released {
  const deadline = hookDeadline(window);
  return deadline !== null && isReached(deadline, now)
    ? { ...window, reason: "thaw-hook-late" }
    : window;
}

/** The window with this of the freezes; itself where that is no news. */
function seeing(window: Window, { freeze, spoiltBy }: Freezes): Transition {
  return freeze === window.freeze && spoiltBy === window.spoiltBy
    ? stay(window)
    : { window: { ...window, freeze, spoiltBy }, actions: [] };
}

function freezesOf({ freeze, spoiltBy }: Freezes): Freezes {
  return { freeze, spoiltBy };
}

function asOpened(window: Opened): Opened {
  const { openedAt, limits, attempts } = window;
  return { openedAt, limits, attempts, ...freezesOf(window) };
}

function asEnding(window: Ending): Ending {
  const { lockedAt, reason, releasedBy, wasHeld, isThawed, refusal } = window;
  return { ...asOpened(window), lockedAt, reason, releasedBy, wasHeld, isThawed, refusal };
}

function close(window: Ending, now: Instant, releasedAt: Instant | null): Transition {
  const isGood = window.wasHeld && window.reason === "thaw";
  const reason = isGood ? window.spoiltBy ?? window.reason : window.reason;
  const outcome = outcomeOf(reason, window.wasHeld);
  return {
    window: {
      ...asEnding(window),
      reason,
      phase: "closed",
      outcome,
      verdict: verdictOf(outcome),
      closedAt: now,
      releasedAt: window.lockedAt === null ? null : releasedAt,
    },
    actions: ["close"],
  };
}

function earlier(a: Instant, b: Instant): Instant {
  return { monoMs: Math.min(a.monoMs, b.monoMs), wallMs: Math.min(a.wallMs, b.wallMs) };
}

/** Each clock for itself: both must allow it. */
function later(a: Instant, b: Instant): Instant {
  return { monoMs: Math.max(a.monoMs, b.monoMs), wallMs: Math.max(a.wallMs, b.wallMs) };
}

function tooLate(window: OpeningWindow): Refusal {
  const before = "notGranted" in window ? window.notGranted : null;
  return outOfTime(window.phase, window.limits.freezeTimeoutMs, before);
}
