/** The window now and the last one, put together from the locker, /run and the disk. Only looks. */
import type { Instant } from "../base/clock.ts";
import { readIfThere } from "../base/files.ts";
import { isBelieved, RUN_DIRECTORY, STATE_DIRECTORY } from "../base/private_directory.ts";
import { HISTORY_FILE, RECORD_FILE, WINDOW_FILE } from "../base/paths.ts";
import { parseRecord } from "../window/parse_record.ts";
import { recordOfDeadLocker, type WindowRecord } from "../window/record.ts";
import { askLocker, type ControlAnswer } from "./control_client.ts";

/** What there is. */
export interface WindowState {
  readonly locker: "running" | "no-locker" | "no-answer";
  /** The window that is open, or may be because its locker is there but silent. */
  readonly window: WindowRecord | null;
  /** The one before. */
  readonly last: WindowRecord | null;
  /** What a locker has left in /run, as it stands there. */
  readonly left: WindowRecord | null;
}

/** One that was killed is none, whatever the kernel still keeps of it. */
const LOCKERS = {
  "answered": "running",
  "no-locker": "no-locker",
  "killed": "no-locker",
  "no-answer": "no-answer",
} as const satisfies Record<ControlAnswer["kind"], WindowState["locker"]>;

/**
 * Reads it. What is in a directory that is not root's alone is not believed.
 * @param limitMs longest wait for the locker's answer
 */
export async function readWindowState(now: Instant, limitMs: number): Promise<WindowState> {
  const isRunOurs = isBelieved(RUN_DIRECTORY);
  const isStateOurs = isBelieved(STATE_DIRECTORY);
  const answer = isRunOurs ? await askLocker("status", limitMs) : { kind: "no-locker" as const };
  const left = isRunOurs ? parseRecord(readIfThere(WINDOW_FILE)) : null;
  const recorded = isStateOurs ? parseRecord(readIfThere(RECORD_FILE)) : null;
  // A locker that is there but silent may still hold the lock: what it wrote down is shown as open.
  const window = answer.kind === "answered"
    ? answer.record
    : answer.kind === "no-answer"
    ? left
    : null;
  const closed = left !== null && left.outcome === null ? recordOfDeadLocker(left, now) : left;
  // While a window is open the record on disk is its own: the one before is in the history.
  const before = window !== null && recorded?.window_id === window.window_id
    ? parseRecord(lastLine(isStateOurs ? readIfThere(HISTORY_FILE) : null))
    : recorded;
  const last = window === null ? closed ?? before : before;
  return { locker: LOCKERS[answer.kind], window, last, left };
}

function lastLine(text: string | null): string | null {
  return text?.trimEnd().split("\n").at(-1) ?? null;
}
