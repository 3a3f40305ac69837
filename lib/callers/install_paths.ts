/**
 * Where install may write, and what check reads of agents: computed from the callers' table. The
 * same list is compiled in as permissions (`deno.json`, which a test compares).
 */
import { parentOf } from "../base/paths.ts";
import { CALLER_TABLE, type CallerFacts, KEPT, OWN_DIR } from "./table.ts";

/** The entry of systemd-tmpfiles that makes the run directory at boot, and where another waits. */
export const TMPFILES_ENTRY = {
  path: "/etc/tmpfiles.d/locktables.conf",
  keepAt: `/etc/tmpfiles.d/locktables.conf${KEPT}`,
} as const;

/** Name of a file that is being written, beside those that it may be moved to. */
const TEMPORARY = ".locktables-new";

const TABLE = Object.values(CALLER_TABLE);

/** Where hooks are written; the names beside a file are where it is kept, and where it is made. */
export const INSTALL_PATHS: readonly string[] = unique([
  OWN_DIR,
  ...TABLE.flatMap(pathsOf),
  ...withTemporary([TMPFILES_ENTRY.path, TMPFILES_ENTRY.keepAt]),
]);

/** What is only read: how a caller's agent is started, and which hooks it is told to run. */
export const UNIT_PATHS: readonly string[] = unique(
  TABLE.flatMap(({ forms }) =>
    forms.flatMap(({ switches, namedIn }) => [
      ...switches.flatMap(({ unit }) => unit?.files ?? []),
      ...(namedIn === null ? [] : [namedIn.path]),
    ])
  ),
);

/** Where the file that will be kept or placed there is written first. */
export function temporaryFor(keepAt: string): string {
  return `${parentOf(keepAt)}/${TEMPORARY}`;
}

/** A caller's own directories as a whole; of any other only the files. */
function pathsOf({ directories, forms }: CallerFacts): readonly string[] {
  const files = forms.flatMap(({ files, switches, logs }) =>
    withTemporary([
      ...[...files, ...switches].flatMap(({ path, keepAt }) => [path, keepAt]),
      ...logs,
    ])
  );
  return [
    ...directories,
    ...files.filter((path) =>
      ![OWN_DIR, ...directories].some((directory) => path.startsWith(`${directory}/`))
    ),
  ];
}

function withTemporary(paths: readonly string[]): readonly string[] {
  return [...paths, ...paths.map(temporaryFor)];
}

function unique(paths: readonly string[]): readonly string[] {
  return [...new Set(paths)];
}
