/**
 * What a snapshot of VMware's costs a writer: VMware Tools that look once a second, by the model of
 * the tests, and a disk that is really frozen. Run by `bench.ts`.
 */
import { type Filesystem, openDiskGuest } from "../tests/support/disk_guest.ts";
import { placeHooks } from "../tests/support/hooks.ts";
import { connect, type Flavor, type Server } from "../tests/support/server.ts";
import { vmwareTools } from "../tests/support/vmware_tools.ts";
import { pause } from "./private_guest.ts";
import { ScriptError } from "./shell.ts";

/** How long the host takes for its snapshot, in milliseconds. */
export const HOST_SNAPSHOT_MS = 300;

/** How long the writer writes before and after, in milliseconds. */
const WRITING_MS = 200;

/** Between two writes: a client that does something else as well, in milliseconds. */
const WRITER_PAUSE_MS = 2;

const HOOK = "/etc/vmware-tools/backupScripts.d/99-locktables";

/** A caller that does not say who it is: locked at once, released by the hook. */
const PLAIN_HOOK = `#!/bin/sh
case $1 in
  freeze) exec /usr/local/sbin/locktables pre-freeze ;;
  *) exec /usr/local/sbin/locktables post-thaw ;;
esac
`;

/** The ways of taking it, in the order of the table. */
export const VMWARE_WAYS = {
  vmwareNow: "locktables",
  vmwareThawHook: "locktables, release=thaw-hook",
  vmwarePlain: "locktables that does not know its caller: locked at once, released by the hook",
  vmwareFreeze: "floor: VMware's own freeze, no lock",
} as const;

/** One of {@linkcode VMWARE_WAYS}. */
export type VmwareWay = keyof typeof VMWARE_WAYS;

/** The filesystem of each server's data. */
export const VMWARE_FILESYSTEMS: Readonly<Record<Flavor, Filesystem>> = {
  mariadb: "ext4",
  mysql: "xfs",
};

/**
 * Takes so many snapshots in each way, round by round.
 * @param add takes the writer's longest wait, in milliseconds
 */
export async function benchVmware(
  flavor: Flavor,
  rounds: number,
  add: (way: VmwareWay, stallMs: number) => void,
): Promise<void> {
  const guest = await openDiskGuest(flavor, VMWARE_FILESYSTEMS[flavor]);
  const { sandbox, disk, server } = guest;
  const prepare: Readonly<Record<VmwareWay, () => Promise<unknown>>> = {
    vmwareNow: () => placeHooks(sandbox, "vmware"),
    async vmwareThawHook() {
      await placeHooks(sandbox, "vmware");
      await sandbox.writeFile("/root/.my.cnf", "[locktables]\nrelease=thaw-hook\n");
    },
    vmwarePlain: () => sandbox.writeFile(HOOK, PLAIN_HOOK, 0o755),
    vmwareFreeze: () => Promise.resolve(),
  };
  try {
    // The first of each pays for cold caches, and has no history: it does not count.
    for (let round = 0; round <= rounds; round++) {
      for (const way of Object.keys(VMWARE_WAYS) as VmwareWay[]) {
        await prepare[way]();
        const tools = vmwareTools(sandbox, {
          filesystems: { freeze: () => disk.freeze(), thaw: () => disk.thaw() },
        });
        const stallMs = await longestWrite(server, async () => {
          if (!await tools.start()) throw new ScriptError(`${way}: not frozen`);
          await pause(HOST_SNAPSHOT_MS);
          if (!await tools.snapshotDone()) throw new ScriptError(`${way}: not proven`);
        });
        if (round > 0) add(way, stallMs);
        await sandbox.sh(`rm -f ${HOOK} /root/.my.cnf`);
      }
    }
  } finally {
    await guest.close();
  }
}

/** The writer's longest wait around something. */
async function longestWrite(server: Server, act: () => Promise<void>): Promise<number> {
  const connection = await connect(server);
  let isOver = false;
  let longestMs = 0;
  const writing = (async () => {
    while (!isOver) {
      const sent = performance.now();
      await connection.query("INSERT INTO shop.orders VALUES ()");
      longestMs = Math.max(longestMs, performance.now() - sent);
      await pause(WRITER_PAUSE_MS);
    }
  })();
  try {
    await pause(WRITING_MS);
    await act();
    await pause(WRITING_MS);
  } finally {
    isOver = true;
    await writing;
    await connection.close();
  }
  return longestMs;
}
