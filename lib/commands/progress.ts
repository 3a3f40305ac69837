/** How far something is, on stderr: a line that is written over on a terminal, a line a minute elsewhere. */
import { plainLine } from "../base/plain_text.ts";
import { printAsItIs } from "../base/print.ts";
import type { Progress } from "../verify/verify_instance.ts";

/** How often a terminal gets the line anew: often enough to be seen to move. */
const TERMINAL_MS = 500;

/** How often a log gets a line: a look that takes hours must not fill it. */
const LOG_MS = 60_000;

/** A new line; its end leaves an empty one on a terminal. */
export function progressLine(what: string): Progress {
  const isTerminal = Deno.stderr.isTerminal();
  let lastMs = 0;
  let isShown = false;
  return {
    show(done, total, elapsedMs) {
      if (elapsedMs - lastMs < (isTerminal ? TERMINAL_MS : LOG_MS) || done >= total) return;
      lastMs = elapsedMs;
      isShown = true;
      const line = plainLine(`${what}: ${done} of ${total}, ${leftText(done, total, elapsedMs)}`);
      void printAsItIs(isTerminal ? `\r\x1b[K${line}` : `${line}\n`);
    },
    end() {
      if (isShown && isTerminal) void printAsItIs("\r\x1b[K");
    },
  };
}

/** What is left, if the rest is as what was done. */
export function leftText(done: number, total: number, elapsedMs: number): string {
  const leftS = Math.ceil(elapsedMs / Math.max(done, 1) * (total - done) / 1_000);
  return leftS < 120
    ? `about ${leftS} s left`
    : leftS < 7_200
    ? `about ${Math.round(leftS / 60)} min left`
    : `about ${Math.round(leftS / 3_600)} h left`;
}
