/** Windows in every phase, reached through the machine's own transitions, for tests. */
import { EXIT, type Refusal, refusal } from "../../lib/base/refusal.ts";
import type { Instant } from "../../lib/base/clock.ts";
import {
  MAX_ATTEMPTS,
  openWindow,
  type Phase,
  transition,
  type Window,
  type WindowEvent,
  type WindowLimits,
} from "../../lib/window/window.ts";

/** The limits of the test windows; different from each other and from every constant. */
export const LIMITS: WindowLimits = {
  freezeTimeoutMs: 30_000,
  holdTimeoutMs: 20_000,
  stallLimitMs: 7_000,
  hookAfterThawMs: 9_000,
  mayCallerFreeze: true,
};

/** 2026-01-02T03:04:05Z, on a machine that was booted five seconds before. */
export const OPENED: Instant = { monoMs: 5_000, wallMs: Date.UTC(2026, 0, 2, 3, 4, 5) };

/** The moment `ms` after the window was opened, on clocks that agree. */
export function at(ms: number): Instant {
  return { monoMs: OPENED.monoMs + ms, wallMs: OPENED.wallMs + ms };
}

/** A refusal as preparation, lock or flush would bring it. */
export const REFUSAL: Refusal = refusal(
  EXIT.unreachable,
  "server-down",
  "Cannot do something",
  "Do something else",
);

/** A refusal as an attempt that was not granted brings it. */
export const NOT_GRANTED: Refusal = refusal(
  EXIT.lockNotObtained,
  "lock-wait-timeout",
  "The lock was not granted; blocked by id 12",
  "Run KILL QUERY 12",
);

/** When the test freezes begin: between two events of {@linkcode after}, held or not. */
const FROZEN_AT = at(450);

/** One event of each kind, the five proofs apart. */
export const EVENTS = {
  Prepared: { type: "Prepared" },
  PreparationFailed: { type: "PreparationFailed", refusal: REFUSAL },
  LockAcquired: { type: "LockAcquired" },
  SecuringAdvanced: { type: "SecuringAdvanced", waitingFor: ["the last step"] },
  LockNotGranted: { type: "LockNotGranted", refusal: NOT_GRANTED },
  LockRefused: { type: "LockRefused", refusal: REFUSAL },
  Secured: { type: "Secured" },
  SecuringFailed: { type: "SecuringFailed", refusal: REFUSAL },
  PreFreezeAccepted: { type: "PreFreezeAccepted" },
  PreFreezeLost: { type: "PreFreezeLost" },
  ThawRequested: { type: "ThawRequested" },
  AbortRequested: { type: "AbortRequested" },
  ThawHookSeen: { type: "ThawHookSeen" },
  LockFileRemoved: { type: "LockFileRemoved" },
  FilesystemsFrozen: { type: "FilesystemsFrozen", since: FROZEN_AT, isFromTheStart: false },
  "FilesystemsFrozen from the start": {
    type: "FilesystemsFrozen",
    since: FROZEN_AT,
    isFromTheStart: true,
  },
  FilesystemsThawed: { type: "FilesystemsThawed" },
  SignalReceived: { type: "SignalReceived", signal: "SIGTERM" },
  SessionLost: { type: "SessionLost", why: "main: the server closed the connection" },
  ConnectionsNearLimit: {
    type: "ConnectionsNearLimit",
    why: "main: 136 of max_connections 151 are in use, connection_mark is 135",
  },
  "ReleaseFinished equal": { type: "ReleaseFinished", proof: "equal" },
  "ReleaseFinished same-session": { type: "ReleaseFinished", proof: "same-session" },
  "ReleaseFinished moved": { type: "ReleaseFinished", proof: "moved" },
  "ReleaseFinished unread": { type: "ReleaseFinished", proof: "unread" },
  "ReleaseFinished cut": { type: "ReleaseFinished", proof: "cut" },
  TimePassed: { type: "TimePassed" },
} as const satisfies Record<string, WindowEvent>;

/** The name of one of {@linkcode EVENTS}. */
export type EventName = keyof typeof EVENTS;

/** The good way, one event every 100 ms: prepared at 100, locked at 200, held from 400. */
const GOOD_WAY: readonly EventName[] = ["Prepared", "LockAcquired", "Secured", "PreFreezeAccepted"];

/** The window after these events, one every 100 ms. */
export function after(...names: readonly EventName[]): Window {
  return names.reduce(
    (window, name, index) => transition(window, EVENTS[name], at((index + 1) * 100)).window,
    openWindow(LIMITS, OPENED),
  );
}

/** A held window after these further events. */
export function heldAnd(...names: readonly EventName[]): Window {
  return after(...GOOD_WAY, ...names);
}

/** So many attempts that were not granted, and the preparation of the next one. */
export function notGranted(times: number): EventName[] {
  return Array.from({ length: times }, () => ["Prepared", "LockNotGranted"] as const).flat();
}

/** States that behave differently: the phases, and what is being waited for in them. */
export const STATES = {
  preparing: after(),
  "preparing another attempt": after(...notGranted(1)),
  locking: after("Prepared"),
  "locking for the last time": after(...notGranted(MAX_ATTEMPTS - 1), "Prepared"),
  securing: after("Prepared", "LockAcquired"),
  answering: after("Prepared", "LockAcquired", "Secured"),
  held: heldAnd(),
  "held, frozen": heldAnd("FilesystemsFrozen"),
  "held, frozen too early": after(
    "Prepared",
    "LockAcquired",
    "FilesystemsFrozen",
    "Secured",
    "PreFreezeAccepted",
  ),
  "held, frozen and thawed too early": after(
    "Prepared",
    "LockAcquired",
    "FilesystemsFrozen",
    "FilesystemsThawed",
    "Secured",
    "PreFreezeAccepted",
  ),
  "releasing, never promised": after("Prepared", "LockAcquired", "LockFileRemoved"),
  "releasing for a thaw": heldAnd("ThawRequested"),
  "releasing for the thaw hook": heldAnd("ThawHookSeen"),
  "releasing for the lock file": heldAnd("LockFileRemoved"),
  "releasing for a signal": heldAnd("SignalReceived"),
  "releasing for a full server": heldAnd("ConnectionsNearLimit"),
  "releasing for the filesystems' thaw": heldAnd("FilesystemsFrozen", "FilesystemsThawed"),
  "releasing for the filesystems' thaw, frozen again": heldAnd(
    "FilesystemsFrozen",
    "FilesystemsThawed",
    "FilesystemsFrozen",
  ),
  settling: heldAnd("ThawHookSeen", "ReleaseFinished equal"),
  "settling for the thaw hook": heldAnd(
    "FilesystemsFrozen",
    "FilesystemsThawed",
    "ReleaseFinished equal",
  ),
  "settling for the thaw hook, frozen again": heldAnd(
    "FilesystemsFrozen",
    "FilesystemsThawed",
    "ReleaseFinished equal",
    "FilesystemsFrozen",
  ),
  "settling for post-thaw after the thaw hook": heldAnd(
    "FilesystemsFrozen",
    "FilesystemsThawed",
    "ReleaseFinished equal",
    "ThawHookSeen",
  ),
  closed: heldAnd("ThawRequested", "ReleaseFinished equal"),
} as const satisfies Record<string, Window>;

/** The name of one of {@linkcode STATES}. */
export type StateName = keyof typeof STATES;

/** The phase that a state's name says. */
export function phaseOf(state: StateName): Phase {
  return STATES[state].phase;
}
