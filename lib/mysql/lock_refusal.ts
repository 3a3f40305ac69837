/** Why a lock was not granted, and who was in the way. */
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { driverError, type ErrorSubject, LOCK_WAIT_TIMEOUT, refusalFor } from "./errors.ts";
import { type Blocker, describeBlockers } from "./guard.ts";
import type { MethodChoice } from "./methods.ts";

/** Those in the way, as the end of a sentence. */
export async function namesOf(look: () => Promise<readonly Blocker[]>): Promise<string> {
  try {
    const blockers = await look();
    return blockers.length === 0
      ? "; no running statement accounts for it: an idle session may hold LOCK TABLES, or another backup may hold its lock (SHOW OPEN TABLES WHERE In_use > 0)"
      : `; blocked by ${describeBlockers(blockers)}`;
  } catch (error) {
    return `; the blockers could not be listed: ${driverError(error).message}`;
  }
}

/** Errors that mean "another session is in the way": lock wait timeout, statement time, interrupted. */
const LOCK_WAIT_ERRNOS = [1205, 1317, 1969, 3024];

/** The refusal for a lock statement that failed. */
export function lockRefusal(
  thrown: unknown,
  { method }: MethodChoice,
  options: { readonly socket: string; readonly lockWaitTimeoutMs: number },
  subject: ErrorSubject,
  blockedBy: string,
): Refusal {
  const error = driverError(thrown);
  const isWait = (error.errno !== undefined && LOCK_WAIT_ERRNOS.includes(error.errno)) ||
    error.code === "NO_ANSWER";
  if (!isWait) return refusalFor(thrown, `${method.label} failed`, subject);
  return refusal(
    EXIT.lockNotObtained,
    LOCK_WAIT_TIMEOUT,
    `${method.label} was not granted within lock_wait_timeout (${options.lockWaitTimeoutMs} ms) at ${options.socket}${blockedBy}`,
    "Let the long statement end or KILL it, then try again; raise lock_wait_timeout only if writers may queue longer",
  );
}
