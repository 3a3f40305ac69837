/**
 * Bounds what a server may send for one answer, in size and in time. A timer alone is no bound: while
 * rows keep coming the loop reads and parses them, and no timer is called.
 */
import type { Socket } from "node:net";

/**
 * Longest answer, in bytes. The process list of 10,000 sessions with statements of 2,048 characters
 * has 20 MB, and no other answer is nearly as long; a guest with 512 MB of memory can take it.
 */
export const ANSWER_LIMIT_BYTES = 32 * 1024 * 1024;

/** A statement that got no answer, or not the whole of it, in time. */
export interface NoAnswer {
  readonly code: "NO_ANSWER";
  readonly message: string;
}

/** How much of a statement is repeated, in characters: it is named, not shown. */
const NAMED_MOST = 80;

/** What is said of it. */
export function noAnswer(limitMs: number, what: string): NoAnswer {
  const named = what.length > NAMED_MOST ? `${what.slice(0, NAMED_MOST)}...` : what;
  return { code: "NO_ANSWER", message: `No answer within ${limitMs} ms to ${named}` };
}

/** Watches what comes in. */
export interface AnswerLimit {
  /**
   * The next byte is the first of a new answer.
   * @param limitMs Longest time until its last byte, in milliseconds.
   */
  begin(limitMs: number, what: string): void;
  /** Another answer follows the one that is under way, and has as long from now. */
  extend(limitMs: number, what: string): void;
}

/**
 * Ends the session of a server that sends more than {@linkcode ANSWER_LIMIT_BYTES} for one answer,
 * or is not done with it in time.
 * @param isDue Whether an answer is waited for; what comes unasked has no time limit.
 */
export function limitAnswers(stream: Socket, isDue: () => boolean): AnswerLimit {
  let received = 0;
  let latest = { atMs: 0, limitMs: 0, what: "" };
  const extend = (limitMs: number, what: string) => {
    const atMs = performance.now() + limitMs;
    if (atMs > latest.atMs) latest = { atMs, limitMs, what };
  };
  stream.on("data", (bytes: Uint8Array) => {
    received += bytes.length;
    if (received > ANSWER_LIMIT_BYTES) {
      stream.destroy(
        new Error(`The server sent more than ${ANSWER_LIMIT_BYTES} bytes for one answer`),
      );
    } else if (isDue() && performance.now() > latest.atMs) {
      const { message, code } = noAnswer(latest.limitMs, latest.what);
      stream.destroy(Object.assign(new Error(message), { code }));
    }
  });
  return {
    begin(limitMs, what) {
      received = 0;
      latest = { atMs: performance.now() + limitMs, limitMs, what };
    },
    extend,
  };
}
