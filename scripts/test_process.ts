/**
 * One `deno test`, which sees nothing of the machine that the tests did not put there: a mount
 * namespace with a /tmp of its own, in memory, and an environment that this file lists.
 */

import { killChild, repositoryRoot } from "./shell.ts";
import type { TestEnd } from "./test_report.ts";

/**
 * Bound of one run of test files: each test bounds its own waits, and the longest file takes three
 * minutes on a quiet machine. It ends a run that hangs, under any load.
 */
const LIMIT_MS = 1_200_000;

/** What tests and builds get of the environment that a person has: how to reach registries. */
const KEPT_VARIABLES =
  /^(PATH|HOME|TERM|CI|DENO_DIR|DENO_TLS_CA_STORE|DENO_CERT|DENORT_BIN|SOAK_SEED|LOCKTABLES_CUT_EVERY|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|.*_proxy|npm_config_.*)$/i;

/** The rest: the same everywhere. */
const FIXED_VARIABLES = { NO_COLOR: "1", LANG: "C.UTF-8", TZ: "UTC" } as const;

/** What the umask of a fresh machine is. */
const UMASK = 0o022;

/**
 * Covers /tmp; then becomes the command. What lies below /tmp and is needed (a checkout, a cache)
 * is put where it was: $1 is how many such paths come first. A database in memory also keeps the
 * `sync` of each pre-freeze, which is for the whole machine, from waiting for other tests' data.
 */
const PRIVATE_MACHINE = `set -eu
mount -t tmpfs -o mode=1777 tmpfs /mnt
kept=$1 cwd=$2
shift 2
while [ "$kept" -gt 0 ]; do
  case $1 in
    /tmp/*)
      if [ -d "$1" ]; then
        mkdir -p "/mnt/\${1#/tmp/}"
        mount --rbind "$1" "/mnt/\${1#/tmp/}"
      fi ;;
  esac
  shift
  kept=$((kept - 1))
done
mount --move /mnt /tmp
cd "$cwd"
exec "$@"
`;

/** Takes from this process what would tell tests about the machine; for what it starts, too. */
export function forgetMachine(): void {
  Deno.umask(UMASK);
  for (const name of Object.keys(Deno.env.toObject())) {
    if (!KEPT_VARIABLES.test(name)) Deno.env.delete(name);
  }
  for (const [name, value] of Object.entries(FIXED_VARIABLES)) Deno.env.set(name, value);
  // Where it is missing Deno and npm look it up, and git and other shells do not.
  if (Deno.uid() === 0 && Deno.env.get("HOME") === undefined) Deno.env.set("HOME", "/root");
}

/** How to run test files. */
export interface TestRun {
  /** What to call them. */
  readonly name: string;
  readonly files: readonly string[];
  /** Further arguments of `deno test`. */
  readonly args: readonly string[];
  /** The compiled program; null where no test needs it. */
  readonly binary: string | null;
  /** A folder for what it writes. */
  readonly dir: string;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Whether what it prints is for the terminal, too. */
  readonly isShown: boolean;
}

/** Runs test files, and never fails: what went wrong is in the end. */
export async function runTests(run: TestRun): Promise<TestEnd> {
  const started = performance.now();
  const root = repositoryRoot();
  const dir = await Deno.makeTempDir({ dir: run.dir });
  const junit = `${dir}/junit.xml`;
  const deno = Deno.execPath();
  const command = [
    deno,
    "test",
    "-A",
    // Checked once, before the first of them.
    "--no-check",
    `--junit-path=${junit}`,
    ...run.args,
    ...run.files,
  ];
  const kept = [
    root,
    deno.replace(/\/[^/]*$/, ""),
    run.dir,
    Deno.env.get("DENO_DIR") ?? root,
    // Caches of npm and Deno.
    Deno.env.get("HOME") ?? root,
  ];
  const argv = Deno.uid() === 0
    ? [
      "unshare",
      "--mount",
      "--propagation",
      "private",
      "/bin/sh",
      "-c",
      PRIVATE_MACHINE,
      "sh",
      String(kept.length),
      root,
      ...kept,
      ...command,
    ]
    : command;
  const child = new Deno.Command(argv[0] ?? deno, {
    args: argv.slice(1),
    cwd: root,
    env: run.binary === null ? {} : { LOCKTABLES_BINARY: run.binary },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let isTimedOut = false;
  const kill = () => killChild(child, "SIGKILL");
  const timer = setTimeout(() => {
    isTimedOut = true;
    kill();
  }, LIMIT_MS);
  run.signal.addEventListener("abort", kill, { once: true });
  if (run.signal.aborted) kill();
  const texts: string[] = [];
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      texts.push(text);
      if (run.isShown) await Deno.stdout.write(new TextEncoder().encode(text));
    }
  };
  try {
    const [status] = await Promise.all([
      child.status,
      collect(child.stdout),
      collect(child.stderr),
    ]);
    return {
      name: run.name,
      exitCode: status.code,
      isTimedOut,
      tookMs: performance.now() - started,
      output: texts.join(""),
      junit: await Deno.readTextFile(junit).catch(() => ""),
    };
  } finally {
    clearTimeout(timer);
    run.signal.removeEventListener("abort", kill);
    await Deno.remove(dir, { recursive: true });
  }
}
