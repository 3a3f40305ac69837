/** A locker that waits for the last moment to lock, in a world where time is a value. */
import assert from "node:assert/strict";
import type { Blocker } from "../../lib/mysql/guard.ts";
import type { WindowRecord } from "../../lib/window/record.ts";
import { type FakeGuest, type FakeWorld, openFakeWorld } from "./fake_world.ts";

/** Pre-freeze began 40 ms before its locker, and the hook, as is assumed, 60 ms before that. */
const VMWARE: FakeGuest = { caller: "vmware", beganBeforeMs: 40 };
const SINCE_HOOK_MS = 100;

const BLOCKER: Blocker = {
  id: 12,
  user: "app",
  age_s: 9,
  state: "executing",
  statement: "UPDATE t",
  kind: "writer",
};

/** One that is younger than the server's second. */
const YOUNG = { youngReaders: [{ ...BLOCKER, age_s: 0 }] };

interface Case {
  readonly name: string;
  readonly guest: FakeGuest;
  /** Milliseconds since the hook's start, between which the lock statement is sent. */
  readonly locksBetween: readonly [number, number];
  /** The look that is waited for; null: none is. */
  readonly look: number | null;
  readonly also?: (world: FakeWorld) => void;
}

/** A window that took so long to lock. */
function slowWindow(ms: number): WindowRecord {
  return {
    caller: "vmware",
    opened_at: "2026-01-02T00:00:00.000Z",
    filesystems_frozen_at: null,
    timeline: [{ at_ms: 0, event: "locking" }, { at_ms: ms, event: "held" }],
  } as unknown as WindowRecord;
}

/** The same, and frozen so long after its opening. */
function frozenWindow(ms: number): WindowRecord {
  const filesystems_frozen_at = new Date(Date.UTC(2026, 0, 2) + ms).toISOString();
  return { ...slowWindow(30), filesystems_frozen_at };
}

const CASES: readonly Case[] = [
  {
    name: "vmware, where freezes showed that its hook starts 250 ms before the locker: earlier",
    guest: { ...VMWARE, history: [frozenWindow(750), frozenWindow(850)] },
    // The look is at 750 ms after the opening, which is 850 ms after the assumed start.
    locksBetween: [645, 665],
    look: 1_000,
  },
  {
    name: "vmware: shortly before its first look",
    guest: VMWARE,
    locksBetween: [730, 780],
    look: 1_000,
    also: ({ log }) => {
      // Of the preparation, of the last moment, under the lock.
      assert.equal(log.filter((entry) => entry === "flush").length, 3);
      assert.ok(log.lastIndexOf("open server0") < log.indexOf("flush"), "all else comes before");
    },
  },
  {
    name: "vmware, where locking was quick: not later than 200 ms before it",
    guest: { ...VMWARE, history: [slowWindow(20), slowWindow(30)] },
    locksBetween: [795, 815],
    look: 1_000,
  },
  {
    name: "vmware, where locking was slow: earlier",
    guest: { ...VMWARE, history: [slowWindow(500)] },
    locksBetween: [350, 380],
    look: 1_000,
  },
  {
    name: "vmware, where the history is never read: as if there were none",
    guest: { ...VMWARE, history: null },
    locksBetween: [730, 780],
    look: 1_000,
  },
  {
    name: "vmware, where the preparation takes until after the first look: before the second",
    guest: { ...VMWARE, flushEverything: { afterMs: 950, value: null } },
    locksBetween: [1_730, 1_780],
    look: 2_000,
  },
  {
    name: "vmware, where the first look can just be reached: at once",
    guest: { ...VMWARE, flushEverything: { afterMs: 665, value: null } },
    locksBetween: [760, 775],
    look: null,
  },
  {
    name: "vmware, where a blocker keeps it from the first look: before the second",
    guest: {
      ...VMWARE,
      servers: [{ looks: [...Array(5).fill({ blockers: [BLOCKER] }), {}] }],
    },
    locksBetween: [1_730, 1_780],
    look: 2_000,
  },
  {
    name: "vmware, where a reader begins just before the moment and stays: before the second look",
    guest: { ...VMWARE, servers: [{ looks: [{}, {}, {}, ...Array(8).fill(YOUNG), {}] }] },
    locksBetween: [1_730, 1_780],
    look: 2_000,
  },
  {
    name:
      "vmware, where that one stays longer than it can be young: before the third, and no later",
    guest: { ...VMWARE, servers: [{ looks: [{}, {}, {}, ...Array(200).fill(YOUNG)] }] },
    locksBetween: [2_730, 2_780],
    look: 3_000,
  },
  {
    name: "vmware, whose freeze_timeout leaves no time to wait: at once",
    guest: { ...VMWARE, settings: { freezeTimeoutMs: 1_200 } },
    locksBetween: [100, 110],
    look: null,
  },
  {
    name:
      "vmware, whose freeze_timeout leaves little time to wait: as late as it lets an attempt be",
    guest: { ...VMWARE, settings: { freezeTimeoutMs: 1_500 } },
    locksBetween: [395, 410],
    look: 1_000,
  },
  {
    name: "vmware, where the clock was set between pre-freeze and the locker: at once",
    guest: { ...VMWARE, beganBeforeMs: -5_000 },
    locksBetween: [100, 110],
    look: null,
  },
  {
    name: "vmware, called by something that does not say when it began: at once",
    guest: { caller: "vmware" },
    locksBetween: [100, 110],
    look: null,
  },
  {
    name: "qemu: at once",
    guest: { ...VMWARE, caller: "qemu" },
    locksBetween: [100, 110],
    look: null,
  },
];

for (const { name, guest, locksBetween: [from, to], look, also } of CASES) {
  Deno.test(`the moment of the lock, ${name}`, async () => {
    const world = openFakeWorld(guest);
    try {
      await world.pass(3_500);
      assert.equal(world.status().phase, "held");
      const { timeline } = world.status();
      const locking = timeline.find(({ event }) => event === "locking")?.at_ms ?? 0;
      const sinceHook = locking + SINCE_HOOK_MS;
      assert.ok(
        sinceHook >= from && sinceHook <= to,
        `locked ${sinceHook} ms after the hook began`,
      );
      const waits = timeline.filter(({ event }) => event.startsWith("waits with the lock"));
      assert.equal(waits.length > 0, look !== null, JSON.stringify(timeline));
      if (look !== null) {
        assert.match(waits.at(-1)?.event ?? "", new RegExp(`vmware looks ${look} ms after`));
      }
      also?.(world);
      world.thaw();
      await world.pass(1_000);
      assert.ok(world.isOver());
    } finally {
      world.restore();
    }
  });
}

Deno.test("a thaw while the lock waits for its moment cancels, and nothing is locked", async () => {
  const world = openFakeWorld(VMWARE);
  try {
    await world.pass(300);
    assert.equal(world.status().phase, "preparing");
    world.thaw();
    await world.pass(2_000);
    assert.ok(world.isOver());
    assert.equal(world.log.some((entry) => entry.startsWith("lock ")), false);
    assert.equal(world.closed.at(-1)?.outcome, "aborted");
  } finally {
    world.restore();
  }
});
