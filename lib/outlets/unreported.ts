/**
 * What an outlet could not report: in memory, where it can always be written, for `status`. It is
 * gone with the next report that reaches that outlet, and after a boot.
 */
import { readIfThere, removeIfThere, replaceFile } from "../base/files.ts";
import { aligned, type Line, styled } from "../base/styled.ts";
import { UNREPORTED_FILE } from "../base/paths.ts";
import { isBelieved, makePrivate, RUN_DIRECTORY } from "../base/private_directory.ts";

const OUTLETS = ["journal", "metrics", "notify"] as const;
type Outlet = typeof OUTLETS[number];

/** One outlet that failed. */
export interface Unreported {
  readonly outlet: Outlet;
  /** What failed, and what to do. */
  readonly why: string;
}

/** What came of one outlet: why it failed, or null. One that was not tried is left out. */
export type Results = Partial<Readonly<Record<Outlet, string | null>>>;

/** Notes what failed; of an outlet that was not tried this time, what was noted before. */
export function noteUnreported(results: Results): void {
  if (makePrivate(RUN_DIRECTORY) !== null) return; // then nothing in it is believed, either
  const now = OUTLETS.flatMap((outlet): Unreported[] => {
    const why = results[outlet];
    if (why === undefined) return readUnreported().filter((before) => before.outlet === outlet);
    return why === null ? [] : [{ outlet, why }];
  });
  if (now.length === 0) removeIfThere(UNREPORTED_FILE);
  else replaceFile(UNREPORTED_FILE, `${JSON.stringify(now)}\n`);
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
