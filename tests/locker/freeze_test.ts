/** The freeze sensor in a locker at work, in a world where time is a value. */
import assert from "node:assert/strict";
import type { WindowRecord } from "../../lib/window/record.ts";
import { FREEZE_SEEN_MS } from "../../lib/locker/freeze_sensor.ts";
import { LOCKER_LIMITS } from "../../lib/locker/limits.ts";
import { CALLER_TABLE } from "../../lib/callers/table.ts";
import { RUN_DIR } from "../../lib/base/paths.ts";
import { type FakeGuest, type FakeWorld, openFakeWorld } from "./fake_world.ts";

/** A freeze that nobody overlooks. */
const FREEZE_MS = 800;

/** VMware Tools look once a second. */
const HOOK_AFTER_THAW_MS = 700;

const HOOK_BOUND_MS = CALLER_TABLE.vmware.hookAfterThawMs ?? 0;

/** Longer than anything but a frozen disk. */
const LONG_MS = 60_000;

interface Case {
  readonly name: string;
  readonly guest?: FakeGuest;
  readonly given: (world: FakeWorld) => Promise<void>;
  readonly ends: Partial<WindowRecord>;
  readonly also?: (record: WindowRecord, world: FakeWorld) => void;
}

async function hold(world: FakeWorld): Promise<void> {
  await world.pass(300);
  assert.equal(world.status().phase, "held");
}

async function freeze(world: FakeWorld, ms = FREEZE_MS, place?: string): Promise<void> {
  world.freeze(place);
  await world.pass(ms);
  world.unfreeze(place);
  await world.pass(5);
}

async function thawHook(world: FakeWorld, afterMs = HOOK_AFTER_THAW_MS): Promise<void> {
  await world.pass(afterMs);
  world.hookWord();
  await world.pass(40);
  world.thaw();
}

const VMWARE: FakeGuest = { caller: "vmware" };
const GOOD: Partial<WindowRecord> = {
  outcome: "released",
  reason: "thaw",
  verdict: "application-consistent",
};
const UNSEEN: Partial<WindowRecord> = {
  filesystems_frozen_at: null,
  filesystems_thawed_at: null,
};

/** How long the freeze was, and that it lay inside the lock. */
function assertFrozenFor(record: WindowRecord, ms: number, slackMs = 60): void {
  const moment = (time: string | null) => Date.parse(time ?? "");
  const [locked, frozen, thawed, released] = [
    record.locked_at,
    record.filesystems_frozen_at,
    record.filesystems_thawed_at,
    record.released_at,
  ].map(moment) as [number, number, number, number];
  assert.ok(locked <= frozen && thawed <= released, JSON.stringify(record));
  assert.ok(Math.abs(thawed - frozen - ms) <= slackMs, `${thawed - frozen} and not ${ms} ms`);
}

const CASES: readonly Case[] = [
  {
    name: "a thaw of VMware's releases the lock, and its hook makes that good",
    guest: VMWARE,
    given: async (world) => {
      await hold(world);
      await world.pass(500);
      await freeze(world);
      assert.equal(world.status().phase, "settling");
      assert.ok(world.log.includes("release server0"));
      await thawHook(world);
    },
    ends: { ...GOOD, released_by: "filesystem-thaw", warnings: [] },
    also: (record) => assertFrozenFor(record, FREEZE_MS),
  },
  {
    name: "a thaw of QEMU's is noted, and the lock stays for its hook",
    guest: { caller: "qemu" },
    given: async (world) => {
      await hold(world);
      await freeze(world);
      assert.equal(world.status().phase, "held");
      await thawHook(world, 10);
    },
    ends: { ...GOOD, released_by: "thaw-hook", warnings: [] },
    also: (record) => assertFrozenFor(record, FREEZE_MS),
  },
  {
    name: "release=thaw-hook keeps the lock for VMware's hook",
    guest: { ...VMWARE, settings: { release: "thaw-hook" } },
    given: async (world) => {
      await hold(world);
      await freeze(world);
      assert.equal(world.status().phase, "held");
      await thawHook(world);
    },
    ends: { ...GOOD, released_by: "thaw-hook" },
  },
  {
    name: "release=filesystem-thaw releases for a caller that says nothing of itself",
    guest: { settings: { release: "filesystem-thaw" } },
    given: async (world) => {
      await hold(world);
      await freeze(world);
      assert.equal(world.status().phase, "settling");
      await thawHook(world);
    },
    ends: { ...GOOD, released_by: "filesystem-thaw" },
  },
  {
    name: "a second freeze before the hook spoils it",
    guest: VMWARE,
    given: async (world) => {
      await hold(world);
      await freeze(world);
      await world.pass(200);
      await freeze(world, 300);
      await thawHook(world, 100);
    },
    ends: { outcome: "lost", reason: "freeze-after-release", verdict: "crash-consistent" },
    // Of the first one: it is what the release was for.
    also: (record) => assertFrozenFor(record, FREEZE_MS),
  },
  {
    name: "an abort after the thaw, as VMware calls it, is an abort",
    guest: VMWARE,
    given: async (world) => {
      await hold(world);
      await freeze(world);
      await world.pass(HOOK_AFTER_THAW_MS);
      world.abort();
    },
    ends: { outcome: "aborted", reason: "freeze-failed" },
  },
  {
    name: "a hook that does not come",
    guest: VMWARE,
    given: async (world) => {
      await hold(world);
      await freeze(world);
      await world.pass(HOOK_BOUND_MS - 200);
      assert.equal(world.status().phase, "settling");
      await world.pass(400);
    },
    ends: { outcome: "lost", reason: "thaw-hook-late", verdict: "crash-consistent" },
  },
  {
    name: "the hook's word after the thaw, and no post-thaw",
    guest: VMWARE,
    given: async (world) => {
      await hold(world);
      await freeze(world);
      world.hookWord();
    },
    ends: { outcome: "lost", reason: "thaw-hook", verdict: "crash-consistent" },
  },
  {
    name: "coordinates that moved spoil a release at the thaw like any other",
    guest: { ...VMWARE, servers: [{ releases: { afterMs: 5, value: "moved" } }] },
    given: async (world) => {
      await hold(world);
      await freeze(world);
    },
    ends: { outcome: "lost", reason: "coordinates-moved", released_by: "filesystem-thaw" },
  },
  {
    name:
      "a freeze that was there before the lock spoils the window, and its thaw releases nothing",
    guest: VMWARE,
    given: async (world) => {
      world.freeze();
      await world.pass(LOCKER_LIMITS.firstLookMs + 100);
      assert.equal(world.status().phase, "held");
      world.unfreeze();
      await world.pass(500);
      assert.equal(world.status().phase, "held");
      await thawHook(world);
    },
    ends: { outcome: "lost", reason: "freeze-too-early", verdict: "crash-consistent" },
  },
  {
    name: "a freeze that is over before the answer spoils the window",
    guest: { ...VMWARE, flush: { afterMs: 1_500, value: null } },
    given: async (world) => {
      await world.pass(2_000);
      assert.equal(world.status().phase, "securing");
      await freeze(world, 300);
      await world.pass(2_000);
      assert.equal(world.status().phase, "held");
      await thawHook(world);
    },
    ends: { outcome: "lost", reason: "freeze-too-early", verdict: "crash-consistent" },
  },
  {
    name:
      "the answer waits for the first look, so that VMware's freeze is never taken for an earlier one",
    guest: VMWARE,
    given: async (world) => {
      world.starveOne();
      await world.pass(LOCKER_LIMITS.firstLookMs - 100);
      assert.equal(world.status().phase, "securing");
      world.feed();
      await hold(world);
      await freeze(world);
      await thawHook(world);
    },
    ends: { ...GOOD, released_by: "filesystem-thaw" },
  },
  {
    name: "a first look that does not come back is not waited for any longer",
    guest: VMWARE,
    given: async (world) => {
      world.starveOne();
      await world.pass(LOCKER_LIMITS.firstLookMs + 100);
      assert.equal(world.status().phase, "held");
      await thawHook(world);
    },
    ends: { ...GOOD, ...UNSEEN },
  },
  {
    name: "a freeze before the answer is somebody else's where the caller never freezes",
    guest: { caller: "google", flush: { afterMs: 1_500, value: null } },
    given: async (world) => {
      await world.pass(2_000);
      assert.equal(world.status().phase, "securing");
      await freeze(world, 300);
      await world.pass(2_000);
      assert.equal(world.status().phase, "held");
      await thawHook(world);
    },
    ends: { ...GOOD, released_by: "thaw-hook" },
  },
  {
    name: "a freeze before the answer spoils the window of a caller that freezes by itself",
    guest: { caller: "azure", flush: { afterMs: 1_500, value: null } },
    given: async (world) => {
      await world.pass(2_000);
      await freeze(world, 300);
      await world.pass(2_000);
      await thawHook(world);
    },
    ends: { outcome: "lost", reason: "freeze-too-early", verdict: "crash-consistent" },
  },
  {
    name: "two filesystems are frozen when the first is, and thawed when both are",
    guest: { ...VMWARE, freezePlaces: ["/a", "/b"] },
    given: async (world) => {
      await hold(world);
      world.freeze("/b");
      await world.pass(300);
      world.freeze("/a");
      await world.pass(300);
      world.unfreeze("/b");
      await world.pass(200);
      assert.equal(world.status().phase, "held");
      world.unfreeze("/a");
      await world.pass(5);
      assert.equal(world.status().phase, "settling");
      await thawHook(world);
    },
    ends: GOOD,
    also: (record) => assertFrozenFor(record, 800),
  },
  {
    name: "a guest without CPU for two seconds is not frozen",
    guest: VMWARE,
    given: async (world) => {
      await hold(world);
      world.starve();
      await world.pass(2_000);
      world.feed();
      await world.pass(500);
      assert.equal(world.status().phase, "held");
      await thawHook(world);
    },
    ends: { ...GOOD, ...UNSEEN },
  },
  {
    name: "one thread without CPU, while others have it, is no freeze",
    guest: VMWARE,
    given: async (world) => {
      await hold(world);
      world.starveOne();
      await world.pass(2_000);
      world.feed();
      await world.pass(500);
      assert.equal(world.status().phase, "held");
      await thawHook(world);
    },
    ends: { ...GOOD, ...UNSEEN },
  },
  {
    name: "a call that is slow for less than a freeze takes is none",
    guest: VMWARE,
    given: async (world) => {
      await hold(world);
      for (let count = 0; count < 20; count += 1) {
        await freeze(world, FREEZE_SEEN_MS - 45);
        await world.pass(100);
      }
      assert.equal(world.status().phase, "held");
      await thawHook(world);
    },
    ends: { ...GOOD, ...UNSEEN },
    also: ({ warnings }) => assert.match(warnings.join(), /No freeze of 100 ms or more was seen/),
  },
  {
    name: "a caller that freezes and did not is a warning",
    guest: { caller: "azure" },
    given: async (world) => {
      await hold(world);
      await world.pass(1_000);
      world.thaw();
    },
    ends: { ...GOOD, ...UNSEEN },
    also: ({ warnings }) => assert.match(warnings.join(), /hooks of azure .*\/freeze-sensor/),
  },
  {
    name: "a caller that never freezes is none",
    guest: { caller: "google" },
    given: async (world) => {
      await hold(world);
      world.thaw();
    },
    ends: { ...GOOD, ...UNSEEN, warnings: [] },
  },
  {
    name: "where nothing can be sensed, nothing is said of it",
    guest: { ...VMWARE, freezePlaces: [] },
    given: async (world) => {
      await hold(world);
      world.thaw();
    },
    ends: { ...GOOD, ...UNSEEN, warnings: [] },
  },
  {
    name: "places on a disk that hangs are not waited for",
    guest: { ...VMWARE, findsPlacesAfterMs: null },
    given: async (world) => {
      await world.pass(700);
      assert.equal(world.status().phase, "held");
      world.thaw();
    },
    ends: { ...GOOD, ...UNSEEN, warnings: [] },
  },
  {
    name: "a call that never comes back keeps neither the release nor the end waiting",
    guest: VMWARE,
    given: async (world) => {
      await hold(world);
      world.freeze();
      await world.pass(500);
      world.thaw();
      // The hook's own end is given a moment before the window is reported.
      await world.pass(400);
      assert.ok(world.isOver());
    },
    ends: { ...GOOD, filesystems_thawed_at: null },
  },
  {
    name: "hold_timeout ends a hold in a freeze that does not end",
    guest: VMWARE,
    given: async (world) => {
      await hold(world);
      world.freeze();
      await world.pass(21_000);
      assert.ok(world.isOver());
    },
    ends: { outcome: "expired", reason: "hold-timeout", filesystems_thawed_at: null },
  },
  {
    name: "nothing is asked before the lock",
    guest: { ...VMWARE, servers: [{ locks: [{ afterMs: 900, value: null }] }] },
    given: async (world) => {
      await world.pass(500);
      assert.equal(world.status().phase, "locking");
      assert.equal(world.asked(), 0);
      await world.pass(600);
      assert.ok(world.asked() > 0);
      world.thaw();
    },
    ends: GOOD,
  },
  {
    name:
      "a filesystem is asked a bounded number of times, memory only in doubt, and nobody after the end",
    guest: VMWARE,
    given: async (world) => {
      await hold(world);
      await world.pass(10_000);
      assert.ok(world.asked() <= 21 * 11, `${world.asked()} calls in 10 s`);
      assert.equal(world.asked(RUN_DIR), 0);
      world.thaw();
      await world.pass(100);
      const before = world.asked();
      await world.pass(1_000);
      assert.equal(world.asked(), before);
    },
    ends: GOOD,
  },
];

for (const { name, guest, given, ends, also } of CASES) {
  Deno.test(`the freeze sensor: ${name}`, async () => {
    const world = openFakeWorld(guest);
    try {
      await given(world);
      await world.pass(LONG_MS);
      assert.equal(world.failure(), null);
      assert.ok(world.isOver(), "the locker has ended");
      const record = world.closed.at(-1);
      assert.ok(record !== undefined);
      for (const [key, value] of Object.entries(ends)) {
        assert.deepEqual(record[key as keyof WindowRecord], value, key);
      }
      also?.(record, world);
    } finally {
      world.restore();
    }
  });
}
