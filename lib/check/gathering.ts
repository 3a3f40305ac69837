/** What every part of check's gathering knows and brings. */
import { atMost } from "../base/at_most.ts";
import type { Instant } from "../base/clock.ts";
import { type FileLook, lookAt } from "../base/look.ts";
import type { WindowState } from "../locker/read_status.ts";
import type { OptionLine } from "../options/option_file.ts";
import type { settingsFrom } from "../options/settings.ts";
import type { Finding } from "./finding.ts";

/** Longest wait for the locker's answer, after it has said that it is there. */
export const LOCKER_LIMIT_MS = 2_000;

/** Longest wait for a filesystem, which may be on a network that is gone. */
export const PLACE_LIMIT_MS = 2_000;

/** What every gatherer may know. */
export interface Context {
  readonly now: Instant;
  /** When the last answer must be there, on the clock of `performance.now()`. */
  readonly deadlineMs: number;
  readonly optionFile: OptionFileRead;
  /** Asked for while the servers are. */
  readonly window: Promise<WindowState>;
}

/** The option file, read. */
export interface OptionFileRead {
  readonly options: readonly OptionLine[];
  readonly read: ReturnType<typeof settingsFrom>;
}

/** What one gatherer brings. */
export interface Gathered {
  readonly findings: readonly Finding[];
  /** For `--json`: the facts about each server. */
  readonly instances?: readonly object[];
}

/** What is at a path; null, too, where its filesystem does not answer. */
export function seen(path: string, followed = false): Promise<FileLook | null> {
  return atMost(lookAt(path, followed), PLACE_LIMIT_MS, null);
}
