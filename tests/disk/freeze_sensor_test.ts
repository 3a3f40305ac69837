/** The freeze sensor on real filesystems that are really frozen. */
import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { diskAnswered } from "../../lib/base/disk.ts";
import { freezePlaces } from "../../lib/locker/freeze_places.ts";
import { FREEZE_SEEN_MS, startFreezeSensor } from "../../lib/locker/freeze_sensor.ts";
import type { FreezePort } from "../../lib/locker/ports.ts";
import { assertLoopMount, startWatchdog } from "../support/disk_guest.ts";
import { sleep, until } from "../support/guest.ts";
import { underLoad } from "../support/load.ts";
import { openSandbox, type Sandbox } from "../support/sandbox.ts";

/** $1: the image, $2: its type, $3: where to mount it. */
const MAKE = `set -eu
truncate -s 640M "$1"
case $2 in
  ext4) mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$1" ;;
  xfs) mkfs.xfs -q "$1" ;;
  btrfs) mkfs.btrfs -q "$1" >/dev/null ;;
esac
mkdir "$3"
mount -o loop,noatime "$1" "$3"
mkdir "$3/data" "$3/data/mysql"
sync -f "$3"
`;

/** As a server under load does it, until $1 is there no more. */
const LOAD =
  `while [ -e "$1" ]; do dd if=/dev/zero of="$1/load" bs=64k count=8 conv=fsync 2>/dev/null; done`;

/** How late a freeze may be noted: the pause between two calls, and some scheduling. */
const LATE_MS = 100;

interface Disk {
  /** The server's directory on it, and where the sensor looks, as this process sees them. */
  readonly data: string;
  readonly places: readonly string[];
  readonly sandbox: Sandbox;
  /** Where it is mounted in the sandbox. */
  readonly path: string;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

const port: FreezePort = {
  places: freezePlaces,
  ask: async (directory) => void await diskAnswered(directory),
};

async function withDisk(type: string, use: (disk: Disk) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: `lt-${Deno.pid}-` });
  const sandbox = await openSandbox();
  const path = `${dir}/disk`;
  try {
    const made = await sandbox.run(
      ["/bin/sh", "-c", MAKE, "sh", `${dir}/disk.img`, type, path],
      { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } },
    );
    assert.equal(made.code, 0, made.stderr);
    const watchdog = startWatchdog(sandbox, path);
    const fsfreeze = async (option: string) => {
      const { code, stderr } = await sandbox.sh(`fsfreeze ${option} ${path}`);
      assert.equal(code, 0, stderr);
    };
    const data = `/proc/${sandbox.keeperPid}/root${path}/data`;
    try {
      await use({
        data,
        places: await freezePlaces([data], `${dir}/own`),
        sandbox,
        path,
        async freeze() {
          await assertLoopMount(sandbox.keeperPid, path);
          await watchdog.rearm();
          await fsfreeze("--freeze");
        },
        thaw: () => fsfreeze("--unfreeze"),
      });
    } finally {
      await watchdog.end();
    }
  } finally {
    await sandbox.close();
    await Deno.remove(dir, { recursive: true });
  }
}

/** What the sensor said while something was done. */
async function sense(places: readonly string[], what: () => Promise<void>) {
  const seen: { readonly event: "frozen" | "thawed"; readonly at: number }[] = [];
  const sensor = startFreezeSensor(port, systemClock, places, {
    onFrozen: ({ wallMs }, isFromTheStart) => {
      assert.equal(isFromTheStart, false);
      seen.push({ event: "frozen", at: wallMs });
    },
    onThawed: () => seen.push({ event: "thawed", at: Date.now() }),
  });
  try {
    await what();
  } finally {
    sensor.stop();
  }
  return seen;
}

/** Sectors written to the device of a mount since it is there. */
async function sectorsWritten(sandbox: Sandbox, path: string): Promise<number> {
  const { stdout } = await sandbox.sh(`cat /sys/dev/block/$(mountpoint -d ${path})/stat`);
  return Number(stdout.trim().split(/\s+/)[6]);
}

for (const type of ["ext4", "xfs", "btrfs"]) {
  Deno.test(`the freeze sensor sees each freeze of ${type}, under load, and nothing else`, async () => {
    await withDisk(type, async (disk) => {
      assert.deepEqual(disk.places, [`${disk.data}/mysql`], "inside of the server's directory");
      const load = disk.sandbox.spawn(["/bin/sh", "-c", LOAD, "sh", `${disk.path}/data`], {
        stdout: "null",
        stderr: "null",
      });
      let worstGapMs = 0;
      let last = performance.now();
      const ticking = setInterval(() => {
        worstGapMs = Math.max(worstGapMs, performance.now() - last);
        last = performance.now();
      }, 5);
      const freezes: { from: number; frozenBy: number; thawFrom: number; thawedBy: number }[] = [];
      const seen = await sense(disk.places, async () => {
        await sleep(1_000);
        worstGapMs = 0;
        for (const ms of [300, 800]) {
          const from = Date.now();
          await disk.freeze();
          const frozenBy = Date.now();
          await sleep(ms);
          const thawFrom = Date.now();
          await disk.thaw();
          freezes.push({ from, frozenBy, thawFrom, thawedBy: Date.now() });
          await sleep(1_000);
        }
      });
      clearInterval(ticking);
      await disk.sandbox.sh(`mv ${disk.path}/data ${disk.path}/over`);
      await load.status;
      assert.ok(worstGapMs < underLoad(250), `timers stood still for ${worstGapMs} ms`);
      assert.deepEqual(
        seen.map(({ event }) => event),
        freezes.flatMap(() => ["frozen", "thawed"]),
        JSON.stringify({ seen, freezes }),
      );
      for (const [index, { from, frozenBy, thawFrom, thawedBy }] of freezes.entries()) {
        const frozenAt = seen[2 * index]?.at ?? 0;
        const thawedAt = seen[2 * index + 1]?.at ?? 0;
        const moments = JSON.stringify({ frozenAt, thawedAt, from, frozenBy, thawFrom, thawedBy });
        assert.ok(from - 1 <= frozenAt && frozenAt <= frozenBy + underLoad(LATE_MS), moments);
        assert.ok(thawFrom <= thawedAt && thawedAt <= thawedBy + underLoad(LATE_MS), moments);
      }
    });
  });
}

Deno.test("the freeze sensor writes nothing", async () => {
  await withDisk("ext4", async ({ sandbox, path, places }) => {
    // What making it has left to be written, and the journal's own.
    let before = -1;
    await until("the disk is at rest", 20_000, async () => {
      const now = await sectorsWritten(sandbox, path);
      const isAtRest = now === before;
      before = now;
      await sleep(2_000);
      return isAtRest;
    });
    assert.deepEqual(await sense(places, () => sleep(7_000)), []);
    await sandbox.sh(`sync -f ${path}`);
    assert.equal(await sectorsWritten(sandbox, path), before);
  });
});

Deno.test("a freeze that is there when the sensor begins is told apart", async () => {
  await withDisk("ext4", async (disk) => {
    await disk.freeze();
    const seen: boolean[] = [];
    let isThawed = false;
    const sensor = startFreezeSensor(port, systemClock, disk.places, {
      onFrozen: (_since, isFromTheStart) => seen.push(isFromTheStart),
      onThawed: () => isThawed = true,
    });
    await until("it is seen", 5_000, () => seen.length > 0);
    await disk.thaw();
    await until("its end is seen", 5_000, () => isThawed);
    sensor.stop();
    assert.deepEqual(seen, [true]);
  });
});

Deno.test("where a filesystem is read-only or cannot be asked, the sensor looks elsewhere or nowhere", async () => {
  await withDisk("ext4", async ({ sandbox, path, data }) => {
    const own = await Deno.makeTempDir({ dir: "/tmp", prefix: `lt-${Deno.pid}-` });
    try {
      assert.deepEqual(await freezePlaces([data, `${data}/mysql`], own), [`${data}/mysql`], "once");
      await sandbox.sh(`mount -o remount,ro ${path}`);
      assert.deepEqual(await freezePlaces([data], own), [own]);
      assert.deepEqual(await freezePlaces([data], `${data}/own`), []);
      assert.deepEqual(await freezePlaces(["/no/such/directory"], own), [own]);
      assert.ok(FREEZE_SEEN_MS <= 100, "what docs/json.md says");
    } finally {
      await Deno.remove(own, { recursive: true });
    }
  });
});
