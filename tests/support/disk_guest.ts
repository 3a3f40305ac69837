/**
 * A guest whose server and whose records lie on a disk of their own, so that a caller can really
 * freeze it: a loop mount that only the sandbox sees, and a watchdog that leaves nothing frozen.
 */
import assert from "node:assert/strict";
import { type Guest, guestOf } from "./guest.ts";
import { openSandbox, type Sandbox } from "./sandbox.ts";
import { discard, type Flavor, startServer } from "./server.ts";

/** Filesystems that hold databases, and can be frozen. */
export type Filesystem = "ext4" | "xfs" | "btrfs";

/** A guest with a disk. */
export interface DiskGuest extends Guest {
  readonly dir: string;
  readonly disk: Disk;
  /** Pids of processes inside that are not a window's, such as an agent's. */
  readonly expectedPids: Set<number>;
}

/** Where the server's data and /var/lib/locktables are. */
export interface Disk {
  readonly filesystem: Filesystem;
  /** Where it is mounted in the sandbox. */
  readonly path: string;
  /** Fails unless what a process sees at a path, by default the disk's, is a loop device. */
  assertOwn(pid: number, path?: string): Promise<void>;
  /** To be called before each freeze: the watchdog thaws the disk {@linkcode THAW_AFTER_S} later. */
  keepFromStayingFrozen(): Promise<void>;
  /** FIFREEZE and FITHAW, as a caller's agent would. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Starts to write a file to it; a write to a frozen disk waits. */
  write(): DiskWrite;
}

/** A write to a disk. */
export interface DiskWrite {
  isDone(): boolean;
  readonly done: Promise<void>;
}

/** Longer than any test leaves it frozen, and short enough for a developer who waits. */
const THAW_AFTER_S = 60;

/**
 * $1 is the image, $2 its type, $3 where to mount it; $4: what is on it besides the server's data.
 * The least that xfs takes is 300 MB.
 */
const DISK_SCRIPT = `set -eu
truncate -s 640M "$1"
case $2 in
  ext4) mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$1" ;;
  xfs) mkfs.xfs -q "$1" ;;
  btrfs) mkfs.btrfs -q "$1" >/dev/null ;;
esac
mkdir "$3"
mount -o loop,noatime "$1" "$3"
case $4 in
  records) mkdir -m 0700 "$3/state"; mount --bind "$3/state" /var/lib/locktables ;;
  nothing) mkdir "$3/mysql"; mount --bind "$3/mysql" /var/lib/mysql ;;
esac
`;

/**
 * $1 is the disk, which it keeps open: thaws it when no line has come for a while, and when nobody
 * is left to send one. Outside of the sandbox, whose processes are killed with the test.
 */
const WATCHDOG_SCRIPT = `exec 9<"$1"
while :; do
  read -r -t ${THAW_AFTER_S} _
  code=$?
  if [ $code -eq 0 ]; then continue; fi
  fsfreeze --unfreeze /proc/self/fd/9
  if [ $code -le 128 ]; then exit; fi
done
`;

/**
 * Opens a guest with a disk.
 * @param besides what is on it besides the server's data; `nothing`: the disk is at /var/lib/mysql
 */
export async function openDiskGuest(
  flavor: Flavor,
  filesystem: Filesystem,
  besides: "records" | "nothing" = "records",
): Promise<DiskGuest> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: `lt-${Deno.pid}-` });
  const sandbox = await openSandbox();
  const path = `${dir}/disk`;
  const made = await sandbox.run(
    ["/bin/sh", "-c", DISK_SCRIPT, "sh", `${dir}/disk.img`, filesystem, path, besides],
    { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } },
  );
  assert.equal(made.code, 0, made.stderr);
  const watchdog = startWatchdog(sandbox, path);
  const fsfreeze = async (option: string) => {
    const { code, stderr } = await sandbox.sh(`fsfreeze ${option} ${path}`);
    assert.equal(code, 0, stderr);
  };
  const endDisk = async () => {
    // First: what waits for a frozen disk cannot even be killed.
    await watchdog.end();
    await sandbox.close();
    await Deno.remove(dir, { recursive: true });
  };
  try {
    const server = await startServer(flavor, {
      dir,
      datadir: besides === "records" ? `${path}/data` : "/var/lib/mysql/data",
      sandbox,
    });
    const expectedPids = new Set<number>();
    const guest = await guestOf(server, sandbox, () => [server.pid, ...expectedPids]);
    return {
      ...guest,
      dir,
      expectedPids,
      disk: {
        filesystem,
        path,
        assertOwn: (pid, at = path) => assertLoopMount(pid, at),
        keepFromStayingFrozen: () => watchdog.rearm(),
        async freeze() {
          await assertLoopMount(sandbox.keeperPid, path);
          await watchdog.rearm();
          await fsfreeze("--freeze");
        },
        thaw: () => fsfreeze("--unfreeze"),
        write: () => writeTo(sandbox, `${path}/probe`),
      },
      async close() {
        await watchdog.end();
        await discard(server);
        await endDisk();
      },
    };
  } catch (error) {
    await endDisk();
    throw error;
  }
}

/** Runs a test for each flavor in a guest with a disk. */
export function testOnEachDisk(
  name: string,
  filesystems: Readonly<Record<Flavor, Filesystem>>,
  test: (guest: DiskGuest, step: Deno.TestContext) => Promise<void>,
): void {
  for (const flavor of ["mariadb", "mysql"] as const) {
    Deno.test(`${name} (${flavor} on ${filesystems[flavor]})`, async (step) => {
      const guest = await openDiskGuest(flavor, filesystems[flavor]);
      try {
        await test(guest, step);
      } finally {
        await guest.close();
      }
    });
  }
}

/** Thaws a disk that stays frozen; `path` is where the sandbox has it. */
export function startWatchdog({ keeperPid }: Sandbox, path: string) {
  const child = new Deno.Command("/bin/bash", {
    args: ["-c", WATCHDOG_SCRIPT, "locktables-watchdog", `/proc/${keeperPid}/root${path}`],
    stdin: "piped",
    stdout: "null",
    stderr: "null",
    // In a session of its own: Ctrl-C must not end it before it has thawed.
    detached: true,
  }).spawn();
  const lines = child.stdin.getWriter();
  let isOver = false;
  return {
    rearm: () => lines.write(new TextEncoder().encode("\n")),
    async end() {
      if (isOver) return;
      isOver = true;
      await lines.close();
      await child.status;
    },
  };
}

/**
 * Freezing acts on the filesystem and not on the mount: a mount of the machine's own disk frozen by
 * mistake stops the machine.
 */
export async function assertLoopMount(pid: number, path: string): Promise<void> {
  const mounts = (await Deno.readTextFile(`/proc/${pid}/mountinfo`)).split("\n")
    .map((line) => line.split(" "))
    .filter((fields) => fields[4] === path);
  // The last one covers those before: a machine may have one of its own there.
  const last = mounts.at(-1);
  assert.ok(last !== undefined, `${path} is mounted in ${pid}`);
  // The field after the filesystem's type, which comes after a dash; btrfs has numbers of its own.
  assert.match(last[last.indexOf("-") + 2] ?? "", /^\/dev\/loop\d+$/, "a loop device");
}

function writeTo(sandbox: Sandbox, path: string): DiskWrite {
  let isDone = false;
  const child = sandbox.spawn(["/bin/sh", "-c", `echo > ${path}`], {
    stdout: "null",
    stderr: "null",
  });
  const done = child.status.then(({ code }) => {
    assert.equal(code, 0, `writing to ${path}`);
    isDone = true;
  });
  return { isDone: () => isDone, done };
}
