/**
 * `deno task test`: sets this machine up, builds the program, and runs every test, file beside file.
 *
 *     deno task test [-- [--quick] [--jobs N] [FILE|FOLDER ...] [--filter TEXT] [deno test's own]]
 *
 * `--quick`: those that need no server and no build, within seconds. `--jobs 1`: one file after the
 * other.
 */

import { build } from "./build.ts";
import { provision } from "./provision.ts";
import {
  cacheDirectory,
  pathExists,
  repositoryRoot,
  runOrFail,
  ScriptError,
  scriptMain,
} from "./shell.ts";
import { isQuick, longestFirst, testFilesAt } from "./test_files.ts";
import { forgetMachine, runTests, type TestRun } from "./test_process.ts";
import {
  countsOf,
  failureText,
  finalText,
  progressLine,
  type TestEnd,
  totalOf,
} from "./test_report.ts";

/** What to run, and how. */
interface TestOptions {
  readonly isQuick: boolean;
  readonly jobs: number;
  /** Files and folders, below the root; none: everything. */
  readonly paths: readonly string[];
  /** For `deno test`. */
  readonly args: readonly string[];
}

/** Files at once for each processor: most of a test's time is a wait for a server or a limit. */
const JOBS_PER_PROCESSOR = 3;

/** More than this needs more memory than it saves time: each may run three servers. */
const JOBS_MAX = 12;

/** Bound of checking the types of all tests: 30 s with cold caches, more on a busy machine. */
const CHECK_TIMEOUT_MS = 300_000;

/** Reads the command line. */
export async function parseTestArguments(argv: readonly string[]): Promise<TestOptions> {
  const paths: string[] = [];
  const args: string[] = [];
  let isQuick = false;
  let jobs = Math.min(JOBS_MAX, JOBS_PER_PROCESSOR * navigator.hardwareConcurrency);
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    // deno task hands on the dashes that end its own words, wherever they stand.
    if (word === "--") continue;
    if (word === "--quick") isQuick = true;
    else if (word === "--jobs" || word.startsWith("--jobs=")) {
      const value = word === "--jobs" ? rest.shift() : word.slice("--jobs=".length);
      jobs = Number(value);
      if (!Number.isInteger(jobs) || jobs < 1) {
        throw new ScriptError(`--jobs is a number of files at once, and not ${value}`);
      }
    } else if (word === "--filter") args.push(word, rest.shift() ?? "");
    else if (word.startsWith("-")) args.push(word);
    else paths.push(await pathBelowRoot(word));
  }
  return { isQuick, jobs, paths, args };
}

async function pathBelowRoot(word: string): Promise<string> {
  const root = repositoryRoot();
  const path = new URL(word, `file://${Deno.cwd()}/`).pathname.replace(/\/$/, "");
  if (!path.startsWith(`${root}/`) || !await pathExists(path)) {
    throw new ScriptError(`No test file or folder: ${word}`);
  }
  return path.slice(root.length + 1);
}

/** Runs tests; returns the exit code. */
export async function test(argv: readonly string[]): Promise<number> {
  const started = performance.now();
  const options = await parseTestArguments(argv);
  forgetMachine();
  const paths = options.paths.length === 0 ? ["tests"] : options.paths;
  const all = [...new Set((await Promise.all(paths.map(testFilesAt))).flat())];
  const quick: string[] = [];
  const slow: string[] = [];
  for (const file of all) (await isQuick(file) ? quick : slow).push(file);
  let binary: string | null = null;
  if (slow.length > 0 && !options.isQuick) {
    await provision({ mariadb: true, mysql: true, testTools: true });
    ({ binary } = await build());
  } else if (slow.length > 0) {
    console.log(`quick    ${slow.length} files that need more are left out`);
  }
  await runOrFail("deno check", [Deno.execPath(), "check", "--quiet", ...all], {
    cwd: repositoryRoot(),
    timeoutMs: CHECK_TIMEOUT_MS,
  });
  await Deno.mkdir(`${repositoryRoot()}/build`, { recursive: true });
  const dir = await Deno.makeTempDir({ dir: `${repositoryRoot()}/build`, prefix: "tests-" });
  const abort = new AbortController();
  // Ctrl-C reaches the tests as well, each of which cleans up; what is left of them is ended here.
  const stop = () => abort.abort();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  try {
    const durations = await rememberedDurations();
    const common = { args: options.args, binary, dir, signal: abort.signal };
    const runs: Omit<TestRun, "isShown">[] = options.isQuick
      ? []
      : longestFirst(slow, durations).map((file) => ({ ...common, name: file, files: [file] }));
    if (quick.length === 1) runs.push({ ...common, name: quick[0] ?? "", files: quick });
    else if (quick.length > 1) {
      // Together: they take less than the start of a process for each.
      runs.push({ ...common, name: `${quick.length} files without a server`, files: quick });
    }
    const ends = await runSideBySide(runs, options.jobs);
    // With a filter or the like a file does not take what it takes.
    if (options.args.length === 0) await remember(durations, ends);
    if (abort.signal.aborted) return 130;
    console.log(finalText(ends, performance.now() - started));
    const { passed, failed } = totalOf(ends.map(countsOf));
    // A run that tested nothing has proven nothing.
    if (passed === 0 && failed === 0) throw new ScriptError("No test was run");
    return failed === 0 ? 0 : 1;
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, stop);
    await Deno.remove(dir, { recursive: true });
  }
}

/** Runs so many at a time; a line for each that ends, and all that a failed one said. */
async function runSideBySide(
  runs: readonly Omit<TestRun, "isShown">[],
  jobs: number,
): Promise<TestEnd[]> {
  const left = [...runs];
  const ends: TestEnd[] = [];
  const isShown = runs.length === 1;
  const lane = async (): Promise<void> => {
    for (let run = left.shift(); run !== undefined; run = left.shift()) {
      if (run.signal.aborted) return;
      const end = await runTests({ ...run, isShown });
      ends.push(end);
      if (isShown || run.signal.aborted) continue;
      if (countsOf(end).failed > 0) console.log(failureText(end));
      console.log(progressLine(end, ends.length, runs.length));
    }
  };
  await Promise.all(Array.from({ length: jobs }, lane));
  return ends;
}

/** Milliseconds that each file took in an earlier run. */
type Durations = Readonly<Record<string, number>>;

async function durationsPath(): Promise<string> {
  return `${await cacheDirectory()}/test-durations.json`;
}

async function rememberedDurations(): Promise<Durations> {
  const path = await durationsPath();
  if (!await pathExists(path)) return {};
  try {
    const read: unknown = JSON.parse(await Deno.readTextFile(path));
    if (typeof read !== "object" || read === null) return {};
    return Object.fromEntries(Object.entries(read).filter(([, ms]) => Number.isFinite(ms)));
  } catch (error) {
    // Half a file of a run that was killed: it only decides about the order.
    if (!(error instanceof SyntaxError)) throw error;
    return {};
  }
}

async function remember(before: Durations, ends: readonly TestEnd[]): Promise<void> {
  const path = await durationsPath();
  const now = ends.filter(({ exitCode }) => exitCode === 0)
    .map(({ name, tookMs }) => [name, Math.round(tookMs)]);
  const temporary = await Deno.makeTempFile({ dir: await cacheDirectory(), prefix: "durations-" });
  await Deno.writeTextFile(temporary, JSON.stringify({ ...before, ...Object.fromEntries(now) }));
  await Deno.rename(temporary, path);
}

if (import.meta.main) {
  await scriptMain(() => test(Deno.args));
}
