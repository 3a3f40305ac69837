/**
 * What an outlet could not report: in memory, where it can always be written, for `status`. It is
 * gone with the next report that reaches every outlet, and after a boot.
 */
import { readIfThere, removeIfThere, replaceFile } from "../base/files.ts";
import { aligned, type Line, styled } from "../base/styled.ts";
import { UNREPORTED_FILE } from "../base/paths.ts";
import { isBelieved, makePrivate, RUN_DIRECTORY } from "../base/private_directory.ts";

/** One outlet that failed. */
export interface Unreported {
  readonly outlet: "journal" | "metrics" | "notify";
  /** What failed, and what to do. */
  readonly why: string;
}

/** Notes it, or that there is nothing to note. */
export function noteUnreported(found: readonly Unreported[]): void {
  if (makePrivate(RUN_DIRECTORY) !== null) return; // then nothing in it is believed, either
  if (found.length === 0) removeIfThere(UNREPORTED_FILE);
  else replaceFile(UNREPORTED_FILE, `${JSON.stringify(found)}\n`);
}

/** What was noted. Only looks. */
export function readUnreported(): readonly Unreported[] {
  const text = isBelieved(RUN_DIRECTORY) ? readIfThere(UNREPORTED_FILE) : null;
  return text === null ? [] : JSON.parse(text) as readonly Unreported[];
}

/** What `status` says of it; nothing where every outlet was reached. */
export function unreportedText(found: readonly Unreported[]): Line[] {
  if (found.length === 0) return [];
  return [
    [],
    [styled("heading", "Not reported")],
    ...aligned(found.map(({ outlet, why }) => [outlet, styled("warning", why)])),
  ];
}
