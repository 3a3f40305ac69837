/** Why a window was not opened, in a line and with what to do. Pure. */
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";

/** What is done in each phase before the promise. */
const WHILE = {
  preparing: "connecting, waiting for blockers or writing out dirty data",
  locking: "waiting for the lock",
  securing: "writing data to disk under the lock",
  answering: "waiting for pre-freeze to take the answer",
};

/**
 * `freeze_timeout` passed.
 * @param before why the attempt before was not granted; it names who was in the way
 */
export function outOfTime(
  phase: keyof typeof WHILE,
  freezeTimeoutMs: number,
  before: Refusal | null,
): Refusal {
  const since = before === null ? "" : `; before that, ${before.summary}`;
  return refusal(
    EXIT.lockNotObtained,
    "freeze-timeout",
    `Not frozen within freeze_timeout (${freezeTimeoutMs} ms): still ${WHILE[phase]}${since}`,
    before?.hint ??
      "Nothing is locked; try again, or raise freeze_timeout in [locktables] below the caller's own limit",
  );
}

/** `hold_timeout` passed before the promise. */
export function heldTooLongBeforeAnswer(holdTimeoutMs: number): Refusal {
  return refusal(
    EXIT.lockNotObtained,
    "hold-timeout",
    `Locked, but the data was not on disk within hold_timeout (${holdTimeoutMs} ms)`,
    "Nothing is locked any more; look at the disk's load, or raise hold_timeout in [locktables]",
  );
}

/** `stall_limit` passed; `waitingFor` says what was still awaited, as phrases for people. */
export function stalled(waitingFor: readonly string[], stallLimitMs: number): Refusal {
  return refusal(
    EXIT.lockNotObtained,
    "stall-limit",
    `Locked, but ${waitingFor.join(" and ")} took longer than stall_limit (${stallLimitMs} ms)`,
    "Nothing is locked any more; look at the disk first: dmesg | tail",
  );
}

/** The waiting clients came near `max_connections`. */
export function tooManyConnections(why: string): Refusal {
  return refusal(
    EXIT.lockNotObtained,
    "connections-near-limit",
    `The server was about to refuse clients: ${why}`,
    "Nothing is locked; raise max_connections, or connection_mark in [locktables]",
  );
}

/** The end was asked for before the promise. */
export function cancelled(why: string): Refusal {
  return refusal(
    EXIT.lockNotObtained,
    "cancelled",
    `Cancelled: ${why}`,
    "Nothing is locked; take the snapshot again when the caller is ready",
  );
}

/** A database session ended before the promise. */
export function sessionLost(why: string): Refusal {
  return refusal(
    EXIT.unreachable,
    "session-lost",
    `A database session was lost before the answer: ${why}`,
    "Nothing is locked; see the server's error log for who ended the session, then try again",
  );
}
