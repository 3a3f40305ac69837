/** Which test files there are, what each needs of the machine, and in which order they are run. */

import { readOr, repositoryRoot } from "./shell.ts";

/**
 * What is reached by a test that needs a server, the compiled program or another that provisioning
 * brings; a test that reaches none of it is quick. Found by the imports, so that no list of tests
 * has to be kept.
 */
const SLOW_MODULES = [
  "tests/support/server.ts",
  "tests/support/sandbox.ts",
  "scripts/build.ts",
  "scripts/provision.ts",
];

/**
 * Files that take longest, longest first, where nothing is remembered of an earlier run: a long
 * file that is begun last keeps one processor waiting for it alone.
 */
const LONGEST = [
  "tests/server/check_test.ts",
  "tests/disk/state_disk_test.ts",
  "tests/callers/vmware_test.ts",
  "tests/server/blockers_test.ts",
  "tests/callers/qemu_test.ts",
  "tests/callers/vmware_freeze_test.ts",
  "tests/server/guard_test.ts",
  "tests/install/callers_test.ts",
  "tests/server/window_test.ts",
  "tests/callers/aws_test.ts",
  "tests/server/losses_test.ts",
  "tests/server/versions_test.ts",
  "tests/server/refusals_test.ts",
  "tests/callers/output_test.ts",
  "tests/server/guard_list_test.ts",
  "tests/install/check_hooks_test.ts",
  "tests/server/check_leaves_alone_test.ts",
  "tests/verify/images_test.ts",
];

/** The compiled program, for a test that starts it without any of those. */
const COMPILED_PROGRAM = "LOCKTABLES_BINARY";

const TEST_FILE = /_test\.ts$/;
const RELATIVE_IMPORT = /\b(?:from|import)\s*\(?\s*"(\.\.?\/[^"]+)"/g;

/** The test files at a path below the root: itself, or all below a folder. */
export async function testFilesAt(path: string): Promise<string[]> {
  const root = repositoryRoot();
  if (!(await Deno.stat(`${root}/${path}`)).isDirectory) return [path];
  const found: string[] = [];
  for await (const entry of Deno.readDir(`${root}/${path}`)) {
    const inside = `${path}/${entry.name}`;
    if (entry.isDirectory) found.push(...await testFilesAt(inside));
    else if (TEST_FILE.test(entry.name)) found.push(inside);
  }
  return found.sort();
}

/** Whether a test needs neither a server nor the compiled program. */
export async function isQuick(
  file: string,
  read: (path: string) => Promise<string> = readSource,
): Promise<boolean> {
  const seen = new Set<string>();
  const reaches = async (path: string): Promise<boolean> => {
    if (seen.has(path)) return false;
    seen.add(path);
    if (SLOW_MODULES.includes(path)) return true;
    const source = await read(path);
    if (path === file && source.includes(COMPILED_PROGRAM)) return true;
    for (const [, specifier = ""] of source.matchAll(RELATIVE_IMPORT)) {
      const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
      if (target.endsWith(".ts") && await reaches(target)) return true;
    }
    return false;
  };
  return !await reaches(file);
}

/** The longest first: by what an earlier run took in milliseconds, else by the list above. */
export function longestFirst(
  files: readonly string[],
  tookMs: Readonly<Record<string, number>>,
): string[] {
  const weight = (file: string): number => {
    const place = LONGEST.indexOf(file);
    // A file that nothing is known of is new: begun after the long ones, before the short ones.
    return tookMs[file] ?? (place < 0 ? 20_000 : 30_000 + 10_000 * (LONGEST.length - place));
  };
  return [...files].sort((a, b) => weight(b) - weight(a) || (a < b ? -1 : 1));
}

/** Nothing where there is no file: an import can stand in a text, as in the test of the build. */
function readSource(path: string): Promise<string> {
  return readOr(`${repositoryRoot()}/${path}`, "");
}
