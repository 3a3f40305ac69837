/** What the scripts and the test support share: one bounded way to run a program, and one cache. */

/** A failure whose message is the whole explanation: scripts print it as one line, without a stack. */
export class ScriptError extends Error {
  override readonly name = "ScriptError";
}

/** How a program ended, with its output as text. */
export interface RunResult {
  readonly code: number;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of {@linkcode run}. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly clearEnv?: boolean;
  readonly stdin?: string;
  /** After this long the program is killed and the call fails. */
  readonly timeoutMs?: number;
}

/** Bound of a program that names none: nothing quick takes a minute, and nothing may hang for ever. */
const DEFAULT_RUN_TIMEOUT_MS = 60_000;

/** Runs a program to its end within a bound; a non-zero exit is a value, not an error. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...args] = argv;
  if (program === undefined) throw new TypeError("Cannot run an empty command line");
  const child = new Deno.Command(program, {
    args,
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    clearEnv: options.clearEnv ?? false,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
  }).spawn();
  const timeoutMs = options.timeoutMs ?? DEFAULT_RUN_TIMEOUT_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      // Not waiting for the output: a grandchild may hold the pipes open for ever.
      reject(new ScriptError(`${program} did not end within ${timeoutMs} ms: ${argv.join(" ")}`));
      killChild(child, "SIGKILL");
    }, timeoutMs);
  });
  const feed = async (input: string): Promise<void> => {
    const writer = child.stdin.getWriter();
    // The program may end without reading: its exit code tells more than our broken pipe.
    await writer.write(new TextEncoder().encode(input)).catch(() => {});
    await writer.close().catch(() => {});
  };
  try {
    const [output] = await Promise.race([
      Promise.all([child.output(), options.stdin === undefined ? undefined : feed(options.stdin)]),
      timeout,
    ]);
    const { code, signal, stdout, stderr } = output;
    const decoder = new TextDecoder();
    return { code, signal, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } finally {
    clearTimeout(timer);
  }
}

/** Signals a child; one that has ended already needs none. */
export function killChild(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

/** Runs a program that must succeed; otherwise fails with the end of what it said. */
export async function runOrFail(
  what: string,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const result = await run(argv, options);
  if (result.code !== 0) {
    const said = tail(`${result.stdout}\n${result.stderr}`, 12);
    throw new ScriptError(`${what} failed with exit code ${result.code}:\n${said}`);
  }
  return result;
}

/** The last lines of a text that are not blank. */
export function tail(text: string, lines: number): string {
  return text.split("\n").filter((line) => line.trim() !== "").slice(-lines).join("\n");
}

/** Whether a path can be seen. */
export async function pathExists(path: string | URL): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return false;
    }
    throw error;
  }
}

/** The text of a file, or something else where there is none. */
export async function readOr(path: string, otherwise: string): Promise<string> {
  return await pathExists(path) ? await Deno.readTextFile(path) : otherwise;
}

/**
 * Where downloads, server trees and templates are kept between runs: outside the repository, so
 * that a fresh checkout on the same machine is quick, and a clean one stays clean.
 */
export async function cacheDirectory(): Promise<string> {
  const home = Deno.env.get("HOME");
  if (Deno.uid() !== 0 && home === undefined) {
    throw new ScriptError("Cannot choose a cache directory: not root and HOME is not set");
  }
  const path = Deno.uid() === 0 ? "/var/cache/locktables-dev" : `${home}/.cache/locktables-dev`;
  await Deno.mkdir(path, { recursive: true });
  return path;
}

/**
 * Puts a folder in its place in the cache, unless another process was quicker: then that one stays,
 * because it may be in use, and the two are alike.
 */
export async function keepInCache(folder: string, place: string): Promise<void> {
  try {
    // A folder that has something in it is never replaced by a rename.
    await Deno.rename(folder, place);
  } catch (error) {
    if (!await pathExists(place)) throw error;
  }
}

/** Root of the repository, whatever the working directory is. */
export function repositoryRoot(): string {
  return new URL("..", import.meta.url).pathname.replace(/\/$/, "");
}

/** Runs a script's main function: expected failures end as one message and exit code 1. */
export async function scriptMain(main: () => Promise<number | void>): Promise<never> {
  try {
    Deno.exit((await main()) ?? 0);
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    console.error(`error: ${error.message}`);
    Deno.exit(1);
  }
}
