/**
 * A guest on this machine for the demo and the bench: the script runs itself once more in a mount
 * namespace of its own, where the paths of the product are private. Inside nothing has to be tidied
 * up: mounts and loop devices go with the last process. Outside this module sees to it that there
 * is a last process, and removes the files.
 */

import { pathExists, run, runOrFail, ScriptError } from "./shell.ts";

/** Where guests have their files; a short path, because sockets lie below it. */
const GUESTS_DIR = "/tmp";

/** How long a snapshot under way may take before its process is killed after all. */
const SNAPSHOT_LIMIT_MS = 30_000;

/** How long the kernel may take to let go of loop devices once nobody uses them. */
const LOOP_LIMIT_MS = 5_000;

const POLL_MS = 20;

/**
 * Name of the process that copies the disk while the file system below it stands still. It must
 * come to its end: killed half-way, that file system would stay frozen, and with it in the kernel.
 */
const SNAPSHOT_NAME = "locktables-disk-snapshot";

/** Exit code of a program that a signal ended, as shells have it. */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Stops, with one line, on a machine where there can be no guest. */
export async function requirePrivateGuest(what: string): Promise<void> {
  if (Deno.build.os !== "linux") throw new ScriptError(`${what} runs on Linux only`);
  if (Deno.uid() !== 0) throw new ScriptError(`${what} needs root: run it with sudo`);
  const probe = await run(["unshare", "--mount", "--propagation", "private", "true"]);
  if (probe.code !== 0) {
    throw new ScriptError(
      `${what} needs the right to mount (CAP_SYS_ADMIN; in a container: privileged): ` +
        probe.stderr.trim(),
    );
  }
}

/** Stops, with one line, on a machine where no file can be a disk. */
export async function requireLoopDevice(what: string): Promise<void> {
  const hint = "in a container: run it privileged, with the host's /dev";
  if (!await pathExists("/dev/loop-control")) {
    throw new ScriptError(`${what} needs a loop device: there is no /dev/loop-control (${hint})`);
  }
  const probe = await run(["losetup", "--find"]);
  if (probe.code !== 0 || !await pathExists(probe.stdout.trim())) {
    const why = probe.stderr.trim() || `${probe.stdout.trim()} does not exist`;
    throw new ScriptError(`${what} needs a loop device: ${why} (${hint})`);
  }
}

/**
 * Runs a script in a namespace of its own, with `--inside=FOLDER` added to its arguments, and
 * returns its exit code when nothing of it is left. The folder is outside: `/tmp/lt-PID-…`.
 */
export async function runInPrivateGuest(
  script: string,
  args: readonly string[],
): Promise<number> {
  await removeLeftovers();
  const dir = await Deno.makeTempDir({ dir: GUESTS_DIR, prefix: `lt-${Deno.pid}-` });
  let interrupted: keyof typeof SIGNAL_EXIT_CODES | undefined;
  let child: Deno.ChildProcess | undefined;
  let namespace: Namespace | undefined;
  const listeners = (Object.keys(SIGNAL_EXIT_CODES) as (keyof typeof SIGNAL_EXIT_CODES)[])
    .map((signal) => {
      const listener = () => {
        if (interrupted === undefined) console.error(`\n${signal}: cleaning up`);
        interrupted ??= signal;
        killPid(child?.pid);
      };
      Deno.addSignalListener(signal, listener);
      return { signal, listener };
    });
  try {
    child = new Deno.Command("setpriv", {
      // All three become the next: one pid, and the kernel kills it when we die, however we do.
      args: ["--pdeathsig", "KILL"].concat(
        ["unshare", "--mount", "--propagation", "private"],
        [Deno.execPath(), "run", "-A", script, ...args, `--inside=${dir}`],
      ),
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
    const ended = child.status;
    namespace = await namespaceOf(child.pid, ended);
    const { code } = await ended;
    return interrupted === undefined ? code : SIGNAL_EXIT_CODES[interrupted];
  } finally {
    if (namespace !== undefined) await endNamespace(namespace);
    await waitForLoopDevices(dir);
    await Deno.remove(dir, { recursive: true });
    for (const { signal, listener } of listeners) Deno.removeSignalListener(signal, listener);
  }
}

/** What a script does first when it finds itself inside. */
export async function enterPrivateGuest(dir: string, binary: string): Promise<void> {
  await mustRun("Cannot make the guest", GUEST_SCRIPT, dir, binary);
}

/** The program's place in the guest. */
export const PROGRAM = "/usr/local/sbin/locktables";

/**
 * The guest's own directories; $1 is its folder, $2 the program. /root stays readable because Deno
 * may keep its cache there, but an option file in it is the machine's and not the guest's.
 */
const GUEST_SCRIPT = `
tmpfs() { mount -t tmpfs -o mode="$1" tmpfs "$2"; }
# The program first: the checkout may lie below a directory that is covered next.
tmpfs 0755 /usr/local/sbin
# A copy: the next build replaces the file, and the program looks for itself by name.
cp "$2" ${PROGRAM}
tmpfs 0755 /run
mkdir "$1/root"
tmpfs 0700 "$1/root"
mkdir -m 0700 "$1/root/upper"
mkdir "$1/root/work"
mkdir "$1/old"
mount --rbind /root "$1/old"
mount -t overlay -o "lowerdir=/root,upperdir=$1/root/upper,workdir=$1/root/work" overlay /root
# What is mounted below /root is not in the overlay.
for at in $(awk -v old="$1/old/" 'index($5, old) == 1 { print substr($5, length(old) + 1) }' /proc/self/mountinfo); do
  mount --rbind "$1/old/$at" "/root/$at"
done
umount -l "$1/old"
rm -f /root/.my.cnf
`;

/** Runs a shell script that must succeed; its parameters are $1 and on. */
export async function mustRun(
  what: string,
  script: string,
  ...parameters: readonly string[]
): Promise<void> {
  await runOrFail(what, ["/bin/sh", "-euc", script, "sh", ...parameters]);
}

/** The guest's disk: an image file on a file system that plays the host's. */
export interface VirtualDisk {
  /** Copies the image as it is at one moment; returns how long the disk stood still. */
  snapshot(to: string): Promise<number>;
}

/**
 * Makes the guest's disk and mounts it at `at`.
 *
 * The image lies on a file system of its own because the copy has to be of one moment: that file
 * system is frozen while the image is copied, which makes the *disk* stand still below a guest that
 * knows nothing of it, as a hypervisor does. What the guest has not written out by then is only in
 * its page cache, above the loop device, and is not in the copy.
 */
export async function makeVirtualDisk(dir: string, at: string): Promise<VirtualDisk> {
  await mustRun("Cannot make the virtual disk", DISK_SCRIPT, dir, at);
  return {
    async snapshot(to) {
      const started = performance.now();
      const { success, stderr } = await new Deno.Command("/bin/sh", {
        args: ["-c", SNAPSHOT_SCRIPT, SNAPSHOT_NAME, `${dir}/host`, to],
        stdin: "null",
        stdout: "null",
        stderr: "piped",
        // In a session of its own: Ctrl-C must not end it between the two fsfreeze.
        detached: true,
      }).output();
      if (!success) {
        throw new ScriptError(`Cannot copy the disk: ${new TextDecoder().decode(stderr).trim()}`);
      }
      return performance.now() - started;
    },
  };
}

/** Mounts a copy of the disk, as the machine that boots from it would. */
export async function mountCopy(image: string, at: string): Promise<void> {
  await mustRun(
    "Cannot mount the copy",
    'mkdir "$2" && mount -o loop,noatime "$1" "$2"',
    image,
    at,
  );
}

/**
 * $1 is the guest's folder, $2 where the disk is mounted. `mount -o loop` sets autoclear. The
 * host's part needs no journal and no barriers: it never outlives a crash.
 */
const DISK_SCRIPT = `
truncate -s 1536M "$1/host.img"
mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=0 "$1/host.img"
mkdir "$1/host"
mount -o loop,noatime,barrier=0 "$1/host.img" "$1/host"
truncate -s 1280M "$1/host/disk.img"
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$1/host/disk.img"
mount -o loop,noatime "$1/host/disk.img" "$2"
`;

/** $1 is where the host's file system is mounted, $2 the copy. */
const SNAPSHOT_SCRIPT = `
fsfreeze --freeze "$1" && cp --sparse=always "$1/disk.img" "$2"
code=$?
fsfreeze --unfreeze "$1"
exit $code
`;

/** Removes the folders of guests whose script was killed: their mounts went with it. */
async function removeLeftovers(): Promise<void> {
  for await (const entry of Deno.readDir(GUESTS_DIR)) {
    const owner = /^lt-(\d+)-/.exec(entry.name)?.[1];
    if (owner === undefined || await pathExists(`/proc/${owner}`)) continue;
    const dir = `${GUESTS_DIR}/${entry.name}`;
    // Still ending: the next run finds it.
    if (await hasLoopDevice(dir)) continue;
    await Deno.remove(dir, { recursive: true }).catch((error: unknown) => {
      // Others look for leftovers too.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

/** A mount namespace, held by an open file so that its name cannot become another one's. */
interface Namespace {
  readonly name: string;
  readonly file: Deno.FsFile;
}

/** The namespace of a process that is about to have one of its own; none where it ends before. */
async function namespaceOf(
  pid: number,
  ended: Promise<unknown>,
): Promise<Namespace | undefined> {
  const outside = await Deno.readLink("/proc/self/ns/mnt");
  let isOver = false;
  ended.then(() => isOver = true);
  while (!isOver) {
    const path = `/proc/${pid}/ns/mnt`;
    try {
      const name = Deno.readLinkSync(path);
      if (name !== outside) return { name, file: Deno.openSync(path) };
    } catch (error) {
      // It has ended, and is not waited for yet.
      if (!(error instanceof Error && "code" in error)) throw error;
    }
    await pause(1);
  }
  return undefined;
}

/** Ends every process of a guest. */
async function endNamespace(namespace: Namespace): Promise<void> {
  const patience = performance.now() + SNAPSHOT_LIMIT_MS;
  while (true) {
    const left = await processesIn(namespace.name);
    if (left.length === 0) break;
    const isCopying = left.some(({ cmdline }) => cmdline.includes(SNAPSHOT_NAME));
    if (!isCopying || performance.now() > patience) { for (const { pid } of left) killPid(pid); }
    await pause(POLL_MS);
  }
  namespace.file.close();
}

/** The kernel gives loop devices back a moment after their last user is gone. */
async function waitForLoopDevices(dir: string): Promise<void> {
  const deadline = performance.now() + LOOP_LIMIT_MS;
  while (await hasLoopDevice(dir)) {
    if (performance.now() > deadline) {
      throw new ScriptError(`A loop device still has a file of ${dir}: losetup --list`);
    }
    await pause(POLL_MS);
  }
}

/** Every process in a mount namespace. */
async function processesIn(namespace: string): Promise<{ pid: number; cmdline: string }[]> {
  const found: { pid: number; cmdline: string }[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (await Deno.readLink(`/proc/${name}/ns/mnt`) !== namespace) continue;
      found.push({ pid: Number(name), cmdline: await Deno.readTextFile(`/proc/${name}/cmdline`) });
    } catch (error) {
      // It ended while we looked, or is a zombie: not a process of the guest any more.
      if (!(error instanceof Error && "code" in error)) throw error;
    }
  }
  return found;
}

async function hasLoopDevice(dir: string): Promise<boolean> {
  const listed = await run(["losetup", "--list", "--noheadings", "--output", "BACK-FILE"]);
  return listed.stdout.includes(`${dir}/`);
}

/** Kills a process; one that has ended already needs no kill. */
function killPid(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
