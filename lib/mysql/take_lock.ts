/** Sends a method's statements, and those of the next one where the server does not know the first. */
import type { Refusal } from "../base/refusal.ts";
import { driverError, type ErrorSubject, refusalFor } from "./errors.ts";
import type { Blocker } from "./guard.ts";
import { lockRefusal, namesOf } from "./lock_refusal.ts";
import { fallback, type Method, type MethodChoice, METHODS } from "./methods.ts";
import type { Session } from "./session.ts";

/**
 * What a lock statement gets beyond `lock_wait_timeout` before the session is killed, in
 * milliseconds. FTWRL waits in up to three phases and the server bounds each
 * (`docs/locking.md#12-how-lock_wait_timeout-bounds-it`): this one bounds what a writer pays for
 * all of them.
 */
const LOCK_ANSWER_MS = 500;

/** How a lock is taken. */
export interface LockOrder {
  readonly session: Session;
  readonly choice: MethodChoice;
  readonly socket: string;
  /** Bound of all statements together, in milliseconds. */
  readonly lockWaitTimeoutMs: number;
  readonly subject: ErrorSubject;
  /** Called when a statement is sent, and when the server owes no answer any more. */
  onPending(isPending: boolean): void;
  /** Who is in the way of a method. */
  find(method: Method): Promise<Blocker[]>;
}

/** What came of it. */
export interface LockEnd {
  /** What was sent last: what has to be released. */
  readonly choice: MethodChoice;
  /** Null when the lock is held. */
  readonly refusal: Refusal | null;
}

/** Takes the lock. On a refusal something may still be held. Never rejects. */
export async function takeLock(order: LockOrder): Promise<LockEnd> {
  const { subject } = order;
  const deadline = performance.now() + order.lockWaitTimeoutMs + LOCK_ANSWER_MS;
  const refuse = (error: unknown, choice: MethodChoice, names: string) =>
    lockRefusal(error, choice, order, subject, names);
  let { choice } = order;
  while (true) {
    const failed = await sendAll(order, choice, deadline);
    if (failed === null) return { choice, refusal: null };
    const { error } = failed;
    const next = failed.at === 0 ? fallback(choice, driverError(error).errno) : null;
    if (next === null) {
      // A session that delays any method delays this one, and all of them are worth naming.
      const names = await namesOf(() => order.find(METHODS.ftwrl));
      return { choice, refusal: refuse(error, choice, names) };
    }
    choice = next;
    // The guard has looked for what the first method waits for; this one waits for more.
    let inTheWay: Blocker[];
    try {
      inTheWay = await order.find(next.method);
    } catch (thrown) {
      const doing = "Cannot look for statements in the way of a lock";
      return { choice, refusal: refusalFor(thrown, doing, subject) };
    }
    if (inTheWay.length > 0) {
      const names = await namesOf(() => Promise.resolve(inTheWay));
      return { choice, refusal: refuse(error, choice, names) };
    }
  }
}

/** A statement that failed. */
interface Failed {
  /** Its place among those of the method. */
  readonly at: number;
  readonly error: unknown;
}

async function sendAll(
  { session, onPending }: LockOrder,
  choice: MethodChoice,
  deadline: number,
): Promise<Failed | null> {
  for (const at of choice.method.acquire.keys()) {
    const limitMs = Math.max(deadline - performance.now(), LOCK_ANSWER_MS);
    onPending(true);
    try {
      await session.query(statementOf(choice, at), limitMs);
      onPending(false);
    } catch (error) {
      // Without an answer the statement may still be waiting on the server.
      onPending(driverError(error).code === "NO_ANSWER");
      return { at, error };
    }
  }
  return null;
}

function statementOf({ method, otherwise }: MethodChoice, at: number): string {
  const alone = at === 0 && otherwise === null ? method.acquireFirstWhenAlone : null;
  return alone ?? method.acquire[at] ?? "";
}
