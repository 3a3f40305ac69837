/**
 * A guest to run the compiled program in: a mount namespace with its own /run, /root, /var/lib and
 * hook directories, so that the paths are the real ones and nothing of the developer's is touched.
 */

import {
  pathExists,
  repositoryRoot,
  run,
  type RunResult,
  ScriptError,
} from "../../scripts/shell.ts";
import { CALLER_TABLE } from "../../lib/callers/table.ts";
import type { Server } from "./server.ts";

/** How a command in the sandbox ended. */
export interface SandboxResult extends RunResult {
  /** From the start of the command until it ended and its output pipes were closed. */
  readonly ms: number;
}

/** Options of {@linkcode Sandbox.run} and {@linkcode Sandbox.spawn}. */
export interface CommandOptions {
  /** The whole environment; default: empty, as some callers of hooks give it. */
  readonly env?: Record<string, string>;
  readonly cwd?: string;
}

/** A process inside a sandbox. */
export interface SandboxProcess {
  readonly pid: number;
  /** Arguments, joined by blanks. */
  readonly cmdline: string;
}

/**
 * A guest without agents, option files, hooks and servers but those that a test puts there. `/tmp`
 * alone is shared with the test process: throwaway servers live there, and `deno task test` gives
 * each process one of its own.
 */
export interface Sandbox {
  /** The program inside. */
  readonly binary: "/usr/local/sbin/locktables";
  /** The process that keeps the namespace. */
  readonly keeperPid: number;
  /** Runs a command to its end; fails only when it does not end in time. */
  run(
    argv: readonly string[],
    options?: CommandOptions & { readonly stdin?: string; readonly timeoutMs?: number },
  ): Promise<SandboxResult>;
  /** Starts a command; its pid is the child's pid, so that it can be killed. */
  spawn(
    argv: readonly string[],
    options?: CommandOptions & Pick<Deno.CommandOptions, "stdin" | "stdout" | "stderr">,
  ): Deno.ChildProcess;
  /** Runs a shell script with the usual PATH. */
  sh(script: string): Promise<SandboxResult>;
  writeFile(path: string, text: string, mode?: number): Promise<void>;
  exists(path: string): Promise<boolean>;
  read(path: string): Promise<string>;
  /** Shows a server's socket at a place where the program looks. */
  bindServer(server: Pick<Server, "socketDir">, at?: string): Promise<void>;
  /** Kills everything inside, and the sandbox is gone. */
  close(): Promise<void>;
}

/** Options of {@linkcode openSandbox}. */
export interface SandboxOptions {
  /** The compiled program; default: LOCKTABLES_BINARY, then dist/locktables. */
  readonly binary?: string;
}

/** Bound of a command that names none. */
const COMMAND_TIMEOUT_MS = 60_000;

/** Bound of making or ending the sandbox: a dozen mounts. */
const KEEPER_TIMEOUT_MS = 10_000;

/**
 * Where the machine may have something of its own that a guest of ours does not have: callers'
 * agents with their units and settings, hooks, option files that clients read.
 */
const HIDDEN = [
  // Hooks and what their callers read: everything that is looked at by the callers' table.
  ...new Set(
    Object.values(CALLER_TABLE).flatMap(({ agents, forms }) => [
      ...agents,
      ...forms.flatMap(({ files, switches, logs }) => [
        ...files.flatMap(({ path, keepAt }) => [path, keepAt]),
        ...switches.flatMap(({ path, keepAt, unit }) => [path, keepAt, ...unit?.files ?? []]),
        ...logs,
      ]),
    ]),
  ),
  "/etc/azure",
  "/etc/google",
  "/etc/locktables",
  "/etc/qemu",
  "/etc/qemu-ga",
  "/etc/sanoid",
  "/etc/zrepl",
  "/etc/tmpfiles.d/locktables.conf",
  "/etc/vmware-tools",
  "/usr/lib/snapper",
  "/etc/waagent.conf",
  "/etc/my.cnf",
  "/etc/my.cnf.d",
  "/etc/mysql",
  "/etc/ld.so.preload",
];

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * What the keeper does in its new namespace; $1 is the program, the others are what to hide. At last it waits for the end of its
 * standard input, which comes with close() and with any death of the test process, and then kills
 * whatever is left inside: a detached locker must not outlive the test that started it.
 */
const KEEPER_SCRIPT = `set -eu
tmpfs() { mount -t tmpfs -o mode="$1" tmpfs "$2"; }
# The program first: the checkout may lie below a directory that is covered next.
tmpfs 0755 /usr/local/sbin
: > /usr/local/sbin/locktables
mount --bind "$1" /usr/local/sbin/locktables
tmpfs 0755 /run
tmpfs 0700 /root
tmpfs 0755 /var/lib
mkdir -m 0700 /var/lib/locktables
mkdir -m 0755 /var/lib/mysql
# Where hooks are installed: writable here, unchanged outside.
tmpfs 0700 /mnt
cover() {
  mkdir -p "/mnt/upper$1" "/mnt/work$1"
  mount -t overlay -o "lowerdir=$1,upperdir=/mnt/upper$1,workdir=/mnt/work$1" overlay "$1"
}
for dir in /etc /opt /usr/lib /usr/sbin /var/log; do cover "$dir"; done
# Root's alone: on a Debian of old the group staff may write there, and hooks run nothing of that.
mkdir /mnt/program
mount --move /usr/local/sbin /mnt/program
cover /usr/local
chown 0:0 /usr/local
chmod 0755 /usr/local
mount --move /mnt/program /usr/local/sbin
# A sync of everything is one of this guest's filesystems: that of the machine waits for the disks
# of other tests, some of which hang on purpose.
cp /usr/bin/sync /usr/local/bin/sync-of-the-machine
cat > /usr/local/bin/sync-of-the-guest <<'SYNC'
#!/bin/sh
[ $# -gt 0 ] || set -- -f /tmp /run/veeam /var/lib/locktables /var/lib/mysql
exec /usr/local/bin/sync-of-the-machine "$@"
SYNC
chmod 0755 /usr/local/bin/sync-of-the-guest
mount -o remount,ro /usr/local
# Not missing: the runtime would look through all time zones for one that is alike.
ln -sfn /usr/share/zoneinfo/Etc/UTC /etc/localtime
# Where only something must be missing: covered only on a machine that has it, and not writable.
shift
covered=
for path; do
  [ -e "$path" ] || [ -L "$path" ] || continue
  case $path in
    /etc/* | /opt/* | /usr/lib/* | /usr/sbin/* | /usr/local/sbin/* | /var/log/*) ;;
    *)
      dir=\${path%/*}
      case "$covered " in
        *" $dir "*) ;;
        *)
          cover "$dir"
          covered="$covered $dir" ;;
      esac ;;
  esac
  rm -rf "$path"
done
for dir in $covered; do mount -o remount,ro "$dir"; done
mount --bind /usr/local/bin/sync-of-the-guest /usr/bin/sync
umount -l /mnt
# A developer's own server must not be found.
if [ -e /tmp/mysql.sock ]; then mount --bind /dev/null /tmp/mysql.sock; fi
# What a guest logs is nothing for the machine's syslog; its logger works, as on any guest.
if [ -S /dev/log ]; then mount --bind /dev/null /dev/log; fi
mount --bind /usr/bin/true /usr/bin/logger
mkdir -p /run/systemd/journal
: > /run/systemd/journal/dev-log
# The rest of the machine cannot be written to from here; /tmp can.
mount --bind /tmp /tmp
mount -o remount,bind,ro /
echo ready
read -r _ || :
self=$(readlink /proc/$$/ns/mnt)
# Again while there were any: one may have started another meanwhile.
for _ in 1 2 3 4 5 6 7 8 9; do
  killed=
  for proc in /proc/[0-9]*; do
    pid=\${proc#/proc/}
    if [ "$pid" != $$ ] && [ "$(readlink "$proc/ns/mnt")" = "$self" ]; then
      kill -9 "$pid" || :
      killed=yes
    fi
  done 2>/dev/null
  [ "$killed" ] || break
done
`;

/** Opens a sandbox. */
export async function openSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const outside = options.binary ?? Deno.env.get("LOCKTABLES_BINARY") ??
    `${repositoryRoot()}/dist/locktables`;
  if (!await pathExists(outside)) {
    throw new ScriptError(`The program is not built: ${outside} is missing; run deno task build`);
  }
  if (Deno.uid() !== 0) throw new ScriptError("A sandbox needs root: it is a mount namespace");
  const keeper = new Deno.Command("/usr/bin/unshare", {
    args: [
      "--mount",
      "--propagation",
      "private",
      "/bin/sh",
      "-c",
      'eval "$KEEPER_SCRIPT"',
      "locktables-sandbox",
      await Deno.realPath(outside),
      ...HIDDEN,
    ],
    clearEnv: true,
    // Not as an argument: it would fill the screen of everybody who calls ps.
    env: { PATH, KEEPER_SCRIPT },
    cwd: "/",
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    // In a session of its own: Ctrl-C and Deno's exit must not kill it before it has cleaned up.
    detached: true,
  }).spawn();
  const output = keeper.stdout.getReader();
  const first = await within(KEEPER_TIMEOUT_MS, "The sandbox is not ready", output.read());
  if (!new TextDecoder().decode(first.value).startsWith("ready")) {
    await keeper.status;
    const said = await new Response(keeper.stderr).text();
    throw new ScriptError(`Cannot open a sandbox: ${said.trim()}`);
  }
  const end = async (): Promise<void> => {
    await keeper.stdin.close();
    await within(KEEPER_TIMEOUT_MS, "The sandbox does not end", keeper.status);
    await output.cancel();
    await keeper.stderr.cancel();
  };
  const sandbox = sandboxOf(keeper.pid, end);
  // Tests write where a guest keeps its files: never before it is certain that this is not the machine.
  const inside = await sandbox.run(["/usr/bin/stat", "-c", "%d", "/run", "/root", "/etc"]);
  const outsideDevices = new Set<string>();
  for (const path of ["/run", "/root", "/etc"]) {
    outsideDevices.add(String((await Deno.stat(path)).dev));
  }
  const insideDevices = inside.stdout.trim().split("\n");
  if (insideDevices.length !== 3 || insideDevices.some((device) => outsideDevices.has(device))) {
    await end();
    throw new ScriptError("Cannot open a sandbox: its commands would see the machine's own files");
  }
  return sandbox;
}

/**
 * What to put before a command line to run it inside: nsenter becomes the command. --root: without
 * it the root would be the namespace's, which is the machine's own where the tests run in a chroot.
 * --wdns: a directory as it is inside.
 */
export function enterSandbox({ keeperPid }: Pick<Sandbox, "keeperPid">, cwd = "/"): string[] {
  return [
    "/usr/bin/nsenter",
    `--mount=/proc/${keeperPid}/ns/mnt`,
    `--root=/proc/${keeperPid}/root`,
    `--wdns=${cwd}`,
    "--",
  ];
}

/** The operations on the namespace of a keeper. */
function sandboxOf(keeperPid: number, close: () => Promise<void>): Sandbox {
  const enter = (argv: readonly string[], cwd?: string) => [
    ...enterSandbox({ keeperPid }, cwd),
    ...argv,
  ];
  const runInside: Sandbox["run"] = async (argv, options = {}) => {
    const started = performance.now();
    const result = await run(enter(argv, options.cwd), {
      cwd: "/",
      clearEnv: true,
      env: options.env ?? {},
      timeoutMs: options.timeoutMs ?? COMMAND_TIMEOUT_MS,
      ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
    });
    return { ...result, ms: performance.now() - started };
  };
  // Through a command and not through /proc/PID/root: there the machine's own root would be the
  // target of absolute links such as /var/run -> /run.
  const must = async (what: string, argv: readonly string[], stdin?: string): Promise<string> => {
    const result = await runInside(argv, {
      env: { PATH },
      ...(stdin === undefined ? {} : { stdin }),
    });
    if (result.code !== 0) throw new ScriptError(`${what}: ${result.stderr.trim()}`);
    return result.stdout;
  };
  return {
    binary: "/usr/local/sbin/locktables",
    keeperPid,
    run: runInside,
    spawn(argv, options = {}) {
      const { env, cwd, ...stdio } = options;
      const [program = "", ...args] = enter(argv, cwd);
      return new Deno.Command(program, {
        args,
        cwd: "/",
        clearEnv: true,
        env: env ?? {},
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        ...stdio,
      }).spawn();
    },
    sh(script) {
      return runInside(["/bin/sh", "-c", script], { env: { PATH } });
    },
    async writeFile(path, text, mode = 0o600) {
      const script = 'cat > "$1" && chmod "$2" "$1"';
      await must(
        `Cannot write ${path} in the sandbox`,
        ["/bin/sh", "-c", script, "sh", path, mode.toString(8)],
        text,
      );
    },
    async exists(path) {
      // A dangling link exists too.
      const script = '[ -e "$1" ] || [ -L "$1" ]';
      return (await runInside(["/bin/sh", "-c", script, "sh", path])).code === 0;
    },
    read(path) {
      return must(`Cannot read ${path} in the sandbox`, ["/bin/cat", "--", path]);
    },
    async bindServer(server, at = "/run/mysqld") {
      const script = 'mkdir -p "$2" && mount --bind "$1" "$2"';
      await must(
        `Cannot bind ${server.socketDir} at ${at} in the sandbox`,
        ["/bin/sh", "-c", script, "sh", server.socketDir, at],
      );
    },
    close,
  };
}

/** Every process inside but the keeper: to prove that nothing is left, or to find what to kill. */
export async function processesOf(
  sandbox: Pick<Sandbox, "keeperPid">,
): Promise<readonly SandboxProcess[]> {
  const namespace = await Deno.readLink(`/proc/${sandbox.keeperPid}/ns/mnt`);
  const found: SandboxProcess[] = [];
  for await (const entry of Deno.readDir("/proc")) {
    const pid = Number(entry.name);
    if (!Number.isInteger(pid) || pid === sandbox.keeperPid) continue;
    try {
      if (await Deno.readLink(`/proc/${pid}/ns/mnt`) !== namespace) continue;
      const cmdline = await Deno.readTextFile(`/proc/${pid}/cmdline`);
      found.push({ pid, cmdline: cmdline.replaceAll("\0", " ").trim() });
    } catch (error) {
      // It ended while we looked, or is a zombie or a kernel thread: not a process inside.
      // Deno gives ESRCH (3) no code.
      const isGone = error instanceof Error &&
        ("code" in error || error.message.includes("(os error 3)"));
      if (!isGone) throw error;
    }
  }
  return found.sort((a, b) => a.pid - b.pid);
}

/** A promise with a bound. */
async function within<T>(timeoutMs: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new ScriptError(`${what} within ${timeoutMs} ms`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
