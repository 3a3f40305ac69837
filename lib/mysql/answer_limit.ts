/** Bounds what a server may send for one answer: the time of a statement is bounded, its size is not. */
import type { Socket } from "node:net";

/**
 * Longest answer, in bytes. The process list of 10,000 sessions with statements of 2,048 characters
 * has 20 MB, and no other answer is nearly as long; a guest with 512 MB of memory can take it.
 */
export const ANSWER_LIMIT_BYTES = 32 * 1024 * 1024;

/** Counts what comes in. */
export interface AnswerLimit {
  /** The next byte is the first of a new answer. */
  begin(): void;
}

/** Ends the session of a server that sends more than {@linkcode ANSWER_LIMIT_BYTES} for one answer. */
export function limitAnswers(stream: Socket): AnswerLimit {
  let received = 0;
  stream.on("data", (bytes: Uint8Array) => {
    received += bytes.length;
    if (received <= ANSWER_LIMIT_BYTES) return;
    stream.destroy(
      new Error(`The server sent more than ${ANSWER_LIMIT_BYTES} bytes for one answer`),
    );
  });
  return {
    begin() {
      received = 0;
    },
  };
}
