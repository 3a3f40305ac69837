/**
 * The freeze window as a pure state machine: `transition(window, event, now)`
 * returns the next window and the actions to carry out. It reads no clock and
 * touches nothing; `lib/locker/` feeds it and carries the actions out.
 * The diagram and the table of illegal inputs are in `README.md` beside this file.
 */
import { type Instant, isReached, plus } from "../sys/clock.ts";
import { EXIT, type Refusal, refusal } from "../report/refusal.ts";

/** How a window closed. */
export type Outcome = "released" | "expired" | "lost" | "failed" | "aborted" | "refused";

/** What an image taken inside the window is worth. */
export type Verdict = "application-consistent" | "crash-consistent" | "not-quiesced";

/** Why the lock was let go, or why it was never promised; the enumerated `reason` of a record. */
export type Reason =
  /** post-thaw asked for it. */
  | "thaw"
  /** The caller said that the snapshot failed (freezeFail). */
  | "freeze-failed"
  /**
   * The thaw hook left its word in `waitforsnapshot`, and no post-thaw followed: with one the
   * reason becomes `thaw`.
   */
  | "thaw-hook"
  /** `waitforsnapshot` was removed without the hook's word: by hand, or by another script. */
  | "lock-file-removed"
  /** `hold_timeout` passed. */
  | "hold-timeout"
  /** `freeze_timeout` passed before the caller could be told "frozen". */
  | "freeze-timeout"
  /** `stall_limit` passed between the lock and the answer. */
  | "stall-limit"
  /** The locker got SIGTERM, SIGINT or SIGHUP. */
  | "signal"
  /** The waiting clients came near `max_connections`. */
  | "connections-near-limit"
  /** A database session was closed by the server or stopped answering. */
  | "session-lost"
  /** pre-freeze died before it could tell its caller "frozen". */
  | "starter-lost"
  /** Nothing could be locked: see the refusal. */
  | "refused"
  /** The lock was there but the record or the data could not be put on disk: see the refusal. */
  | "not-secured"
  /** Something was committed while the lock was believed to be held. */
  | "coordinates-moved"
  /** The coordinates could not be read again before the release. */
  | "coordinates-unread"
  /** The server did not confirm the release; its sessions were cut. */
  | "release-unconfirmed"
  /** The locker ended without closing the window; said by whoever finds what it left. */
  | "locker-died";

/** What the release showed about the time before it. */
export type ReleaseProof =
  /** The same sessions, and coordinates equal to those at the lock. */
  | "equal"
  /** The same sessions; the server writes no binlog, so there are no coordinates to compare. */
  | "same-session"
  /** Coordinates differ: something was committed. */
  | "moved"
  /** No coordinates could be read, so nothing is proven. */
  | "unread"
  /** The sessions had to be cut. */
  | "cut";

/** Limits of one window, in milliseconds. */
export interface WindowLimits {
  /** From the start of pre-freeze to its answer. */
  readonly freezeTimeoutMs: number;
  /** From the lock to the release. */
  readonly holdTimeoutMs: number;
  /** From the lock to pre-freeze's answer. */
  readonly stallLimitMs: number;
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

interface Opened {
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
  /** Whether pre-freeze had promised the lock to its caller. */
  readonly wasHeld: boolean;
  /** Whether a thaw has come: only then did the caller have its snapshot before the release. */
  readonly isThawed: boolean;
  /** What pre-freeze is to be told, where the lock was not promised yet. */
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
  /** Everything is on disk; pre-freeze has been told but has not yet confirmed. */
  | Securing & { readonly phase: "answering" }
  /** The lock is promised until the thaw: pre-freeze exits 0 as soon as it knows. */
  | Locked & { readonly phase: "held" }
  /** The lock is being let go. */
  | Ending & { readonly phase: "releasing"; readonly releasingSince: Instant }
  /** Released because the thaw hook left its word; its post-thaw should ask now. */
  | Ending & { readonly phase: "settling"; readonly releasedAt: Instant }
  /** Over. */
  | Closed;

/** A window that is over. */
export interface Closed extends Ending {
  readonly phase: "closed";
  readonly outcome: Outcome;
  readonly verdict: Verdict;
  readonly closedAt: Instant;
  /** When the server let go; null where nothing was ever locked or it is not known. */
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
  | { readonly type: "StarterAccepted" }
  | { readonly type: "StarterLost" }
  | { readonly type: "ThawRequested" }
  | { readonly type: "AbortRequested" }
  /** The thaw hook has written its word into `waitforsnapshot`. */
  | { readonly type: "ThawHookSeen" }
  /** `waitforsnapshot` is gone, and the hook's word was not in it. */
  | { readonly type: "LockFileRemoved" }
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
  /** Cancel whatever is under way, let go of every lock, close the sessions. */
  | "release"
  /** Write the final record, answer everybody who waits, end. */
  | "close";

/** The next window, and what is to be done about it. */
export interface Transition {
  readonly window: Window;
  readonly actions: readonly WindowAction[];
}

/** A window that has just been opened. */
export function openWindow(limits: WindowLimits, now: Instant): Window {
  return { phase: "preparing", openedAt: now, limits, attempts: 0, notGranted: null };
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
      return plus(window.releasedAt, THAW_HOOK_GRACE_MS);
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
      return release(window, now, "freeze-timeout", outOfTime(window));
    case "securing":
    case "answering":
      // The one that names the cause first; one clock that jumps can pass all three at once.
      if (isReached(plus(window.lockedAt, window.limits.stallLimitMs), now)) {
        return release(window, now, "stall-limit", stalled(window));
      }
      return isReached(plus(window.lockedAt, window.limits.holdTimeoutMs), now)
        ? release(window, now, "hold-timeout", heldTooLongBeforeAnswer(window.limits))
        : release(window, now, "freeze-timeout", outOfTime(window));
    case "held":
      return release(window, now, "hold-timeout", null);
    case "releasing":
      // The event may well be the ReleaseFinished that was waited for: it is let
      // through first, because it knows more than the clock.
      return null;
    case "settling":
      return close(window, now, window.releasedAt);
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
    case "StarterAccepted":
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
    case "StarterLost":
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
    case "StarterLost":
      // It died before it took the confirmation: its caller has seen a failure.
      return release(window, now, "starter-lost", null);
    case "Prepared":
    case "PreparationFailed":
    case "LockAcquired":
    case "SecuringAdvanced":
    case "LockNotGranted":
    case "LockRefused":
    case "Secured":
    case "SecuringFailed":
    case "StarterAccepted":
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
      const reason = reasonAfterRelease(window, event.proof);
      const ended = { ...window, reason };
      return reason === "thaw-hook" && window.wasHeld
        ? { window: { ...asEnding(ended), phase: "settling", releasedAt: now }, actions: [] }
        : close(ended, now, event.proof === "cut" ? null : now);
    }
    case "ThawRequested":
      // The hook leaves its word first and then asks: it is the same thaw.
      return window.reason === "thaw-hook" && window.wasHeld
        ? { window: { ...window, reason: "thaw", isThawed: true }, actions: [] }
        : stay(window);
    case "AbortRequested":
      return window.reason === "thaw-hook" && window.wasHeld
        ? { window: { ...window, reason: "freeze-failed" }, actions: [] }
        : stay(window);
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
    case "StarterAccepted":
    case "StarterLost":
    case "ThawHookSeen":
    case "LockFileRemoved":
    case "SignalReceived":
    case "SessionLost":
    case "ConnectionsNearLimit":
      return stay(window);
    default:
      return event satisfies never;
  }
}

function onSettling(window: SettlingWindow, event: WindowEvent, now: Instant): Transition {
  switch (event.type) {
    case "ThawRequested":
      return close({ ...window, reason: "thaw", isThawed: true }, now, window.releasedAt);
    case "AbortRequested":
      return close({ ...window, reason: "freeze-failed" }, now, window.releasedAt);
    case "SignalReceived":
      return close(window, now, window.releasedAt);
    case "Prepared":
    case "PreparationFailed":
    case "LockAcquired":
    case "SecuringAdvanced":
    case "LockNotGranted":
    case "LockRefused":
    case "Secured":
    case "SecuringFailed":
    case "StarterAccepted":
    case "StarterLost":
    case "ThawHookSeen":
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

function locked({ openedAt, limits, attempts }: OpeningWindow, now: Instant): Window {
  const waitingFor = ["the coordinates"];
  return { phase: "securing", openedAt, limits, attempts, lockedAt: now, waitingFor };
}

function held({ openedAt, limits, attempts, lockedAt }: Securing): Window {
  return { phase: "held", openedAt, limits, attempts, lockedAt };
}

/**
 * The window as the record on disk shows it: that record is written under the lock, before the
 * promise, and whoever finds it in an image has it because the promise was made.
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
      phase: "releasing",
      openedAt: window.openedAt,
      limits: window.limits,
      attempts: window.attempts,
      lockedAt: "lockedAt" in window ? window.lockedAt : null,
      wasHeld: window.phase === "held",
      isThawed: reason === "thaw",
      reason,
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
  const wouldBeGood = window.wasHeld &&
    (window.reason === "thaw" || window.reason === "thaw-hook");
  return wouldBeGood ? reason : window.reason;
}

function asEnding(window: Ending): Ending {
  const { openedAt, limits, attempts, lockedAt, reason, wasHeld, isThawed, refusal } = window;
  return { openedAt, limits, attempts, lockedAt, reason, wasHeld, isThawed, refusal };
}

function close(window: Ending, now: Instant, releasedAt: Instant | null): Transition {
  const outcome = outcomeOf(window.reason, window.wasHeld);
  return {
    window: {
      ...asEnding(window),
      phase: "closed",
      outcome,
      verdict: verdictOf(outcome),
      closedAt: now,
      releasedAt: window.lockedAt === null ? null : releasedAt,
    },
    actions: ["close"],
  };
}

/** How a window with this reason closed; `wasHeld`: pre-freeze had promised the lock. */
export function outcomeOf(reason: Reason, wasHeld: boolean): Outcome {
  switch (reason) {
    case "thaw":
      return wasHeld ? "released" : "aborted";
    case "freeze-failed":
    case "starter-lost":
      return "aborted";
    case "hold-timeout":
    case "connections-near-limit":
      return wasHeld ? "expired" : "refused";
    case "thaw-hook":
    case "lock-file-removed":
    case "signal":
      return wasHeld ? "lost" : "aborted";
    case "session-lost":
    case "release-unconfirmed":
    case "locker-died":
      return wasHeld ? "lost" : "failed";
    case "coordinates-moved":
    case "coordinates-unread":
      return "lost";
    case "freeze-timeout":
    case "stall-limit":
    case "refused":
      return "refused";
    case "not-secured":
      return "failed";
    default:
      return reason satisfies never;
  }
}

/** What an image taken inside a window that closed like this is worth. */
export function verdictOf(outcome: Outcome): Verdict {
  switch (outcome) {
    case "released":
      return "application-consistent";
    case "expired":
    case "lost":
      return "crash-consistent";
    case "failed":
    case "aborted":
    case "refused":
      return "not-quiesced";
    default:
      return outcome satisfies never;
  }
}

/**
 * The verdict of one instance in a closed window. Where only the proof of an instance was bad, the
 * others were held all the time; every other reason ended the hold of all of them. Without a thaw
 * nobody knows whether the snapshot was done by then.
 */
export function instanceVerdict(window: Closed, proof: ReleaseProof | null): Verdict {
  switch (window.reason) {
    case "coordinates-moved":
    case "coordinates-unread":
    case "release-unconfirmed":
      return isSound(proof) && window.isThawed ? "application-consistent" : window.verdict;
    default:
      return window.verdict;
  }
}

/** Every proof, the weakest first. */
const PROOFS: readonly ReleaseProof[] = ["cut", "moved", "unread", "same-session", "equal"];

/** The proof of a window is that of its weakest instance; with none to release it is sound. */
export function weakestProof(proofs: readonly ReleaseProof[]): ReleaseProof {
  return PROOFS.find((proof) => proofs.includes(proof)) ?? "same-session";
}

function isSound(proof: ReleaseProof | null): boolean {
  return proof === "equal" || proof === "same-session";
}

function earlier(a: Instant, b: Instant): Instant {
  return { monoMs: Math.min(a.monoMs, b.monoMs), wallMs: Math.min(a.wallMs, b.wallMs) };
}

function outOfTime(window: OpeningWindow): Refusal {
  const before = "notGranted" in window ? window.notGranted : null;
  const since = before === null ? "" : `; before that, ${before.summary}`;
  return refusal(
    EXIT.lockNotObtained,
    "freeze-timeout",
    `Not frozen within freeze_timeout (${window.limits.freezeTimeoutMs} ms): still ${
      WHILE[window.phase]
    }${since}`,
    before?.hint ??
      "Nothing is locked; try again, or raise freeze_timeout in [locktables] below the caller's own limit",
  );
}

const WHILE: Record<OpeningWindow["phase"], string> = {
  preparing: "connecting, waiting for blockers or writing out dirty data",
  locking: "waiting for the lock",
  securing: "writing data to disk under the lock",
  answering: "waiting for pre-freeze to take the answer",
};

function heldTooLongBeforeAnswer(limits: WindowLimits): Refusal {
  return refusal(
    EXIT.lockNotObtained,
    "hold-timeout",
    `Locked, but the data was not on disk within hold_timeout (${limits.holdTimeoutMs} ms)`,
    "Nothing is locked any more; look at the disk's load, or raise hold_timeout in [locktables]",
  );
}

function stalled({ limits, waitingFor }: Securing): Refusal {
  return refusal(
    EXIT.lockNotObtained,
    "stall-limit",
    `Locked, but ${
      waitingFor.join(" and ")
    } took longer than stall_limit (${limits.stallLimitMs} ms)`,
    "Nothing is locked any more; look at the disk first: dmesg | tail",
  );
}

function tooManyConnections(why: string): Refusal {
  return refusal(
    EXIT.lockNotObtained,
    "connections-near-limit",
    `The server was about to refuse customers: ${why}`,
    "Nothing is locked; raise max_connections, or connection_mark in [locktables]",
  );
}

function cancelled(why: string): Refusal {
  return refusal(
    EXIT.lockNotObtained,
    "cancelled",
    `Cancelled: ${why}`,
    "Nothing is locked; take the snapshot again when the caller is ready",
  );
}

function sessionLost(why: string): Refusal {
  return refusal(
    EXIT.unreachable,
    "session-lost",
    `A database session was lost before the answer: ${why}`,
    "Nothing is locked; see the server's error log for who ended the session, then try again",
  );
}
