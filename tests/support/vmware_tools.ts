/**
 * A model of what vmtoolsd's vmbackup plugin does with scripts, because the real one needs a host:
 * which files, in which order, how they are started, watched and killed. Read in open-vm-tools,
 * services/plugins/vmbackup/{scriptOps,stateMachine}.c and lib/procMgr/procMgrPosix.c.
 */
import assert from "node:assert/strict";
import { linesOf } from "../../lib/base/lines.ts";
import { sleep, until } from "./guest.ts";
import { processesOf, type Sandbox } from "./sandbox.ts";

const SCRIPT_DIR = "/etc/vmware-tools/backupScripts.d";
const LEGACY_FREEZE = "/usr/sbin/pre-freeze-script";
const LEGACY_THAW = "/usr/sbin/post-thaw-script";

/** Where vmtoolsd's standard output and error go, in place of the journal. */
export const JOURNAL = "/run/vmtoolsd.log";

/** How it is set up. */
export interface VmwareToolsOptions {
  /** `[vmbackup] scriptArg`. */
  readonly scriptArg?: string;
  /** Number of the pipe end that scripts inherit: whatever was free in vmtoolsd. */
  readonly leakedFd?: number;
  /** Default: what systemd gives a service. */
  readonly env?: Record<string, string>;
  /** Default `/`. */
  readonly cwd?: string;
  /** The shell that runs the command line; without bash vmtoolsd takes sh. */
  readonly shell?: "/bin/bash" | "/bin/sh";
  /** FIFREEZE of some filesystem fails. */
  readonly isFreezeFailing?: boolean;
  /** FIFREEZE and FITHAW, and with them the looks once a second; default: no freeze, no looks. */
  readonly filesystems?: {
    readonly freeze: () => Promise<void>;
    readonly thaw: () => Promise<void>;
  };
}

/** One run of a script. */
export interface ScriptCall {
  /** Name of the file. */
  readonly name: string;
  readonly verb: Verb;
  /** As vmtoolsd takes it: 0 also where a signal ended the script. Null while it runs. */
  code: number | null;
  /** The pipe that it inherited, as /proc shows it; empty until it runs. */
  pipe: string;
}

type Verb = "freeze" | "thaw" | "freezeFail";

/** One snapshot. */
export interface VmwareTools {
  /** Everything that was run, in order. */
  readonly calls: readonly ScriptCall[];
  /** `name verb code` of each call, for comparing. */
  log(): string[];
  /** `vmbackup.start`: whether the filesystems are frozen and the host may take its snapshot. */
  start(): Promise<boolean>;
  /** `vmbackup.snapshotDone`: whether every thaw script succeeded; else the host gets an error. */
  snapshotDone(): Promise<boolean>;
  /** `vmbackup.abort`, or its own time limit; resolves when all is undone. */
  abort(): Promise<void>;
  /** Pid of the script that runs, as vmtoolsd knows it. */
  runningPid(): number;
  /** Ends the service as systemd does: everything in its control group, after 5 s for good. */
  stopService(): Promise<void>;
}

/** systemd gives a service no HOME and no USER. */
const SERVICE_ENV = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LANG: "C.UTF-8",
  INVOCATION_ID: "c0ffee",
  JOURNAL_STREAM: "8:12345",
};

const DEFAULT_FD = 12;

/** vmtoolsd gives a script 5 s for TERM and 15 s for KILL, and looks every 100 ms. */
const TERM_LIMIT_MS = 5_000;
const KILL_LIMIT_MS = 15_000;
const KILL_POLL_MS = 100;

/** `pollPeriod` in stateMachine.c: everything but the first script and FITHAW waits for a look. */
const LOOK_MS = 1_000;

/** Longest that a test lets a script run. */
const SCRIPT_LIMIT_MS = 60_000;

/** TimeoutStopSec of Debian's unit. */
const STOP_LIMIT_MS = 5_000;

/**
 * ProcMgr_ExecAsync: vmtoolsd forks a waiter, which keeps standard input and output and the one
 * pipe, forks the shell, and reports in records of fixed size: pid, success, exit code. The pipe's
 * writing end is left to the shell too. vmtoolsd reads the records and never to the end. The exit
 * code of a script that a signal ended is reported as WEXITSTATUS has it: 0.
 */
const PROC_MGR = `use strict;
use POSIX ();
my ($fd, $journal, $shell, $command) = @ARGV;
$^F = 255;
delete $ENV{PERL_BADLANG};
pipe(my $records, my $end) or die;
my $inode = (stat $end)[1];
if (!fork) {
  open STDIN, '<', '/dev/null' or die;
  open STDOUT, '>>', $journal or die;
  open STDERR, '>&', \\*STDOUT or die;
  POSIX::dup2(fileno $end, $fd) // die;
  POSIX::close($_) for grep { $_ != $fd } 3 .. 255;
  my $script = fork;
  if (!$script) {
    my ($name) = $shell =~ m{([^/]+)$};
    exec { $shell } $name, '-c', $command or POSIX::_exit(127);
  }
  POSIX::write($fd, pack('l', $script), 4);
  waitpid $script, 0;
  POSIX::write($fd, pack('ll', $? == 0, $? >> 8), 8);
  POSIX::_exit(0);
}
close $end;
$| = 1;
sub record {
  my $size = shift;
  my $read = '';
  while (length $read < $size) { sysread($records, $read, $size - length $read, length $read) or exit 1 }
  return unpack 'l*', $read;
}
print join(' ', record(4), $inode), "\\n";
print join(' ', record(8)), "\\n";
`;

interface RunningScript {
  readonly pid: number;
  readonly pipe: string;
  readonly code: Promise<number>;
}

/** vmtoolsd in a sandbox, for one snapshot. */
export function vmwareTools(sandbox: Sandbox, options: VmwareToolsOptions = {}): VmwareTools {
  const calls: ScriptCall[] = [];
  let scripts: string[] = [];
  // As in the source: an index that freezing moves up and the others move down.
  let current = -1;
  // A promise from the call on, so that an abort finds a script that is only being started.
  let running: Promise<RunningScript> | null = null;
  let runningPid: number | null = null;
  let isCancelled = false;
  let isFrozen = false;
  let undone: Promise<void> = Promise.resolve();

  let startedAt: number | null = null;
  /** The timer is armed after the first script is started, and again after each look. */
  const nextLook = async (): Promise<void> => {
    if (options.filesystems === undefined) return;
    startedAt ??= performance.now(); // where there is no script
    await sleep(LOOK_MS - (performance.now() - startedAt) % LOOK_MS);
  };

  const runScript = async (path: string, verb: Verb): Promise<number> => {
    const arg = options.scriptArg === undefined ? "" : ` "${options.scriptArg}"`;
    const name = path.slice(path.lastIndexOf("/") + 1);
    const call: ScriptCall = { name, verb, code: null, pipe: "" };
    calls.push(call);
    running = execAsync(sandbox, `"${path}" ${verb}${arg}`, options);
    const { pid, pipe, code } = await running;
    startedAt ??= performance.now();
    runningPid = pid;
    call.pipe = pipe;
    call.code = await code;
    await nextLook();
    running = null;
    runningPid = null;
    return call.code;
  };
  const runDown = async (verb: "thaw" | "freezeFail"): Promise<boolean> => {
    if (scripts[0] === LEGACY_FREEZE) scripts[0] = LEGACY_THAW;
    let isGood = true;
    for (current -= 1; current >= 0; current -= 1) {
      if (verb === "thaw" && isCancelled) return false;
      const path = scripts[current] ?? "";
      // A half of the legacy pair that is missing is passed over.
      if (await isFile(sandbox, path)) isGood = await runScript(path, verb) === 0 && isGood;
    }
    return isGood;
  };
  const failed = async (): Promise<false> => {
    const down = runDown("freezeFail");
    undone = down.then(() => {});
    await down;
    return false;
  };
  const start = async (): Promise<boolean> => {
    scripts = await listScripts(sandbox);
    startedAt = null;
    for (current = 0; current < scripts.length; current += 1) {
      const path = scripts[current] ?? "";
      if (!await isFile(sandbox, path)) continue;
      const code = await runScript(path, "freeze");
      // The script that failed or was killed is not called again.
      if (isCancelled || code !== 0) return await failed();
    }
    if (options.isFreezeFailing) return await failed();
    await options.filesystems?.freeze();
    await nextLook();
    isFrozen = true;
    return true;
  };
  return {
    calls,
    log: () => calls.map(({ name, verb, code }) => `${name} ${verb} ${code}`),
    start() {
      const starting = start();
      starting.catch(() => {}); // told to who awaits it, which may come to nothing when a test fails
      return starting;
    },
    async snapshotDone() {
      assert.ok(isFrozen, "the model thaws what it has frozen");
      isFrozen = false;
      // In the handler of the host's call; the scripts wait for the next look.
      await options.filesystems?.thaw();
      await nextLook();
      return await runDown("thaw");
    },
    async abort() {
      isCancelled = true;
      if (isFrozen) {
        isFrozen = false;
        await options.filesystems?.thaw();
        await nextLook();
        await failed();
        return;
      }
      // While scripts thaw the rest of them is not run any more.
      if (running !== null) {
        const { pid, code } = await running;
        await killByPid(pid);
        await code;
      }
      // start() goes on with freezeFail.
      await sleep(KILL_POLL_MS);
      await undone;
    },
    runningPid: () => runningPid ?? assert.fail("no script runs"),
    async stopService() {
      const members = (await processesOf(sandbox)).map(({ pid }) => pid);
      for (const pid of members) signal(pid, "SIGTERM");
      const isGone = async () => (await processesOf(sandbox)).length === 0;
      const deadline = performance.now() + STOP_LIMIT_MS;
      while (!await isGone() && performance.now() < deadline) await sleep(KILL_POLL_MS);
      for (const { pid } of await processesOf(sandbox)) signal(pid, "SIGKILL");
      await until("the control group is empty", STOP_LIMIT_MS, isGone);
    },
  };
}

/** All that `stat` calls a regular file, hidden ones too, in the order of `strcmp`. */
async function listScripts(sandbox: Sandbox): Promise<string[]> {
  const { stdout } = await sandbox.sh(
    `find -L ${SCRIPT_DIR} -mindepth 1 -maxdepth 1 -type f 2>/dev/null`,
  );
  const found = stdout.split("\n").filter((path) => path !== "").sort();
  const hasLegacy = await isFile(sandbox, LEGACY_FREEZE) || await isFile(sandbox, LEGACY_THAW);
  return hasLegacy ? [LEGACY_FREEZE, ...found] : found;
}

async function isFile(sandbox: Sandbox, path: string): Promise<boolean> {
  return (await sandbox.run(["/usr/bin/test", "-f", path])).code === 0;
}

async function execAsync(
  sandbox: Sandbox,
  command: string,
  options: VmwareToolsOptions,
): Promise<RunningScript> {
  const child = sandbox.spawn(
    [
      "/usr/bin/perl",
      "-e",
      PROC_MGR,
      String(options.leakedFd ?? DEFAULT_FD),
      JOURNAL,
      options.shell ?? "/bin/bash",
      command,
    ],
    {
      // Perl's own, which it does not hand on: a locale that is not there is no news.
      env: { ...options.env ?? SERVICE_ENV, PERL_BADLANG: "0" },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stderr: "inherit",
    },
  );
  const reader = child.stdout.getReader();
  const lines = linesOf(async () => (await reader.read()).value ?? null);
  const [pid, inode] = (await lines.next()).split(" ");
  const code = async () => {
    const timer = setTimeout(() => child.kill("SIGKILL"), SCRIPT_LIMIT_MS);
    // Nothing where the service was stopped: its own end is the end of the script.
    const [, exitCode] = (await lines.next()).split(" ");
    clearTimeout(timer);
    await reader.cancel();
    await child.status;
    return Number(exitCode ?? -1);
  };
  return { pid: Number(pid), pipe: `pipe:[${inode}]`, code: code() };
}

/** ProcMgr_KillByPid: one pid, not its group and not its children. */
async function killByPid(pid: number): Promise<void> {
  for (const [name, limitMs] of [["SIGTERM", TERM_LIMIT_MS], ["SIGKILL", KILL_LIMIT_MS]] as const) {
    signal(pid, name);
    const deadline = performance.now() + limitMs;
    while (performance.now() < deadline) {
      if (!await isRunning(pid)) return;
      await sleep(KILL_POLL_MS);
    }
  }
  assert.fail(`${pid} does not end`);
}

async function isRunning(pid: number): Promise<boolean> {
  return await Deno.lstat(`/proc/${pid}`).then(() => true, () => false);
}

function signal(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // it has ended
  }
}
