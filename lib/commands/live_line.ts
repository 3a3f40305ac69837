/** One line on stderr that is written over while something takes long; on a terminal only. */
import { plainLine } from "../base/plain_text.ts";
import { printAsItIs } from "../base/print.ts";
import { sleep } from "../base/sleep.ts";
import { askLocker } from "../locker/control_client.ts";

/** How often it is written anew: often enough to be seen to move. */
const PAUSE_MS = 500;

/** Longest wait for the locker: a line that comes late is left out. */
const STATUS_LIMIT_MS = 500;

/** More than this does not fit beside the rest of a plain terminal's line. */
const TEXT_LENGTH = 72;

/** The line. */
export interface LiveLine {
  /** Shows a text, unless one was shown a moment ago. */
  show(text: string): void;
  /** Takes it away, before anything else is printed. */
  end(): Promise<void>;
}

/** A line that is not there yet; none elsewhere than on a terminal. */
export function liveLine(): LiveLine {
  const isTerminal = Deno.stderr.isTerminal();
  let shownMs = -Infinity;
  return {
    show(text) {
      const nowMs = performance.now();
      if (!isTerminal || nowMs - shownMs < PAUSE_MS) return;
      shownMs = nowMs;
      const line = plainLine(text);
      const cut = line.length > TEXT_LENGTH ? `${line.slice(0, TEXT_LENGTH - 1)}…` : line;
      void printAsItIs(`\r\x1b[K${cut}`);
    },
    async end() {
      if (shownMs > -Infinity) await printAsItIs("\r\x1b[K");
    },
  };
}

/** Shows for whom a window that is being opened waits, and for how long it still does. */
export function watchOpening(): Pick<LiveLine, "end"> {
  const line = liveLine();
  let isOver = !Deno.stderr.isTerminal();
  const watch = async () => {
    while (!isOver) {
      await sleep(PAUSE_MS);
      if (isOver) break;
      const answer = await askLocker("status", STATUS_LIMIT_MS).catch(() => null); // the next look
      if (answer?.kind !== "answered" || isOver) continue;
      const { phase, detail, opened_at, freeze_timeout_ms } = answer.record;
      if (phase !== "preparing" || detail === null) continue;
      const leftMs = Date.parse(opened_at) + freeze_timeout_ms - Date.now();
      line.show(`waits, ${Math.max(0, Math.ceil(leftMs / 1_000))} s left: ${detail}`);
    }
  };
  void watch();
  return {
    end() {
      isOver = true;
      return line.end();
    },
  };
}
