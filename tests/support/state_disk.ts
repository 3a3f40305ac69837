/**
 * A disk of its own for /var/lib/locktables in a guest, which can be frozen, be full, or hang: a
 * loop mount that only the sandbox sees. The server's data lies elsewhere.
 */
import assert from "node:assert/strict";
import type { Sandbox } from "./sandbox.ts";
import { assertLoopMount, startWatchdog } from "./disk_guest.ts";

/**
 * What can be wrong with a disk. `frozen`: as for a snapshot; `stalled`: what is asked of the device
 * waits, while the filesystem still answers from memory; `hanging`: nothing answers.
 */
export type Trouble = "frozen" | "stalled" | "hanging" | "full" | "out of inodes" | "read-only";

/** The disk below /var/lib/locktables. */
export interface StateDisk {
  /** Makes it so; twice is an error. */
  begin(trouble: Trouble): Promise<void>;
  /** Ends it; not an error where nothing is wrong. */
  end(): Promise<void>;
  /** Ends everything, and takes the disk away. */
  close(): Promise<void>;
}

/** Where it is mounted in the sandbox. */
export const STATE = "/var/lib/locktables";

/** In $1: a disk on a disk, so that the lower can stall the upper. Few inodes, soon used up. */
const MAKE = `set -eu
truncate -s 64M "$1/lower.img"
mkfs.ext4 -q -m 0 -E lazy_itable_init=0,lazy_journal_init=0 "$1/lower.img"
mkdir "$1/lower"
mount -o loop,noatime "$1/lower.img" "$1/lower"
dd if=/dev/zero of="$1/lower/upper.img" bs=1M count=32 2>/dev/null
mkfs.ext4 -q -N 64 -m 0 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "$1/lower/upper.img"
mount -o loop,noatime "$1/lower/upper.img" ${STATE}
rmdir ${STATE}/lost+found
chmod 0700 ${STATE}
`;

/** A filesystem in user space at $1 that nobody serves: who asks it waits until it is gone. */
const HANG = `exec 3<>/dev/fuse
mount -i -t fuse -o fd=3,rootmode=40755,user_id=0,group_id=0 hanging "$1" && echo mounted
read -r _
umount -l "$1"
`;

/** Each ends by itself: a full disk is no error of the script. */
const SCRIPTS: Readonly<Record<Exclude<Trouble, "hanging">, readonly [string, string]>> = {
  // With a commit of the journal on its way, as there is one every few seconds.
  stalled: [
    `fsfreeze --freeze "$1/lower"; { touch ${STATE}; sync -f ${STATE}; } >/dev/null 2>&1 & sleep 0.5`,
    'fsfreeze --unfreeze "$1/lower"',
  ],
  frozen: [`fsfreeze --freeze ${STATE}`, `fsfreeze --unfreeze ${STATE}`],
  full: [
    `dd if=/dev/zero of=${STATE}/ballast bs=64k 2>/dev/null; dd if=/dev/zero of=${STATE}/rest bs=1k 2>/dev/null; sync -f ${STATE}`,
    `rm -f ${STATE}/ballast ${STATE}/rest`,
  ],
  "out of inodes": [
    `i=0; while touch ${STATE}/ballast-$i; do i=$((i + 1)); done 2>/dev/null; [ $i -gt 0 ]`,
    `rm -f ${STATE}/ballast-*`,
  ],
  "read-only": [`mount -o remount,ro ${STATE}`, `mount -o remount,rw ${STATE}`],
};

/** Puts the disk in place. */
export async function openStateDisk(sandbox: Sandbox): Promise<StateDisk> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: `lt-${Deno.pid}-` });
  const must = async (script: string, ...args: string[]) => {
    const result = await sandbox.run(["/bin/sh", "-c", script, "sh", ...args], {
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    });
    assert.equal(result.code, 0, `${script}: ${result.stderr}`);
  };
  await must(MAKE, dir);
  await assertLoopMount(sandbox.keeperPid, STATE);
  await assertLoopMount(sandbox.keeperPid, `${dir}/lower`);
  const watchdogs = [startWatchdog(sandbox, STATE), startWatchdog(sandbox, `${dir}/lower`)];
  let endTrouble: (() => Promise<void>) | null = null;
  const disk: StateDisk = {
    async begin(trouble) {
      assert.equal(endTrouble, null);
      if (trouble === "hanging") {
        endTrouble = await hang(sandbox, STATE);
        return;
      }
      const [begin, end] = SCRIPTS[trouble];
      for (const watchdog of watchdogs) await watchdog.rearm();
      endTrouble = () => must(end, dir);
      await must(begin, dir);
    },
    async end() {
      const end = endTrouble;
      endTrouble = null;
      await end?.();
    },
    async close() {
      try {
        await disk.end();
      } finally {
        for (const watchdog of watchdogs) await watchdog.end();
        await sandbox.sh(`umount ${STATE} || umount -l ${STATE}; umount -l ${dir}/lower`);
        await Deno.remove(dir, { recursive: true });
      }
    },
  };
  return disk;
}

/** Puts a filesystem that does not answer at a path; returns how to take it away. */
export async function hang(sandbox: Sandbox, path: string): Promise<() => Promise<void>> {
  const server = sandbox.spawn(["/bin/bash", "-c", HANG, "hanging", path], {
    stdin: "piped",
    stderr: "null",
  });
  const reader = server.stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  assert.equal(new TextDecoder().decode(value), "mounted\n");
  return async () => {
    await server.stdin.close();
    await server.status;
  };
}
