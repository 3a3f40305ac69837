/** Every order in which a window's parts can end, in a world where time is a value. */
import assert from "node:assert/strict";
import { LOCK_WAIT_TIMEOUT } from "../../lib/mysql/errors.ts";
import type { Blocker } from "../../lib/mysql/guard.ts";
import { EXIT, refusal } from "../../lib/base/refusal.ts";
import { WAIT_FOR_LOCK, WAIT_FOR_SNAPSHOT, WINDOW_FILE } from "../../lib/base/paths.ts";
import type { WindowRecord } from "../../lib/window/record.ts";
import { THAW_HOOK_GRACE_MS } from "../../lib/window/window.ts";
import { type FakeGuest, type FakeWorld, openFakeWorld } from "./fake_world.ts";

const NOT_GRANTED = refusal(EXIT.lockNotObtained, LOCK_WAIT_TIMEOUT, "not granted", "try again");
const DENIED = refusal(EXIT.denied, "access-denied", "denied", "GRANT");
const FULL = refusal(EXIT.badSetup, "disk-full", "no space left", "make room");
const UNREAD = refusal(EXIT.unreachable, "session-failed", "no coordinates", "look");

/** Longer than anything but a frozen disk. */
const LONG_MS = 60_000;

interface Ordering {
  readonly name: string;
  readonly guest?: FakeGuest;
  /** What happens; the window is closed at its end, or {@linkcode LONG_MS} later. */
  readonly given: (world: FakeWorld) => Promise<void>;
  /** How it ends. */
  readonly ends: Partial<WindowRecord>;
  /** What pre-freeze was told, by the events' names. */
  readonly told: readonly string[];
  /** More about it. */
  readonly also?: (world: FakeWorld, record: WindowRecord) => void;
}

/** Lets the window be held, and the caller take its snapshot. */
async function hold(world: FakeWorld): Promise<void> {
  await world.pass(100);
  assert.equal(world.status().phase, "held");
}

const GOOD: Partial<WindowRecord> = {
  outcome: "released",
  reason: "thaw",
  verdict: "application-consistent",
  was_held: true,
};
const REFUSED: Partial<WindowRecord> = {
  outcome: "refused",
  reason: "refused",
  verdict: "not-quiesced",
  was_held: false,
};
const HELD = ["frozen", "held"];

const blocker: Blocker = {
  id: 12,
  user: "app",
  age_s: 9,
  state: "executing",
  statement: "UPDATE t",
  kind: "writer",
};

const ORDERINGS: readonly Ordering[] = [
  {
    name: "a thaw after the snapshot",
    given: async (world) => {
      await hold(world);
      await world.pass(3_000);
      world.thaw();
    },
    ends: { ...GOOD, attempts: 1 },
    told: HELD,
    also: (_, record) => assert.ok((record.held_ms ?? 0) >= 3_000),
  },
  {
    name: "a second thaw while the first is being answered",
    guest: { servers: [{ releases: { afterMs: 400, value: "equal" } }] },
    given: async (world) => {
      await hold(world);
      world.thaw();
      await world.pass(200);
      world.thaw();
    },
    ends: GOOD,
    told: HELD,
    also: (world) => assert.equal(world.verdicts.length, 2),
  },
  {
    name: "an abort after the snapshot failed",
    given: async (world) => {
      await hold(world);
      world.abort();
    },
    ends: { outcome: "aborted", reason: "freeze-failed", was_held: true },
    told: HELD,
  },
  {
    name: "the hook's word, and its post-thaw",
    given: async (world) => {
      await hold(world);
      world.hookWord();
      await world.pass(THAW_HOOK_GRACE_MS / 2);
      world.thaw();
    },
    ends: GOOD,
    told: HELD,
  },
  {
    name: "the hook's word, and no post-thaw",
    given: async (world) => {
      await hold(world);
      world.hookWord();
      await world.pass(THAW_HOOK_GRACE_MS + 200);
    },
    ends: { reason: "thaw-hook", verdict: "crash-consistent", was_held: true },
    told: HELD,
  },
  {
    name: "the lock file removed by hand",
    given: async (world) => {
      await hold(world);
      world.removeLockFile();
    },
    ends: { outcome: "lost", reason: "lock-file-removed", verdict: "crash-consistent" },
    told: HELD,
  },
  {
    name: "a thaw that comes after the deadline",
    given: async (world) => {
      await hold(world);
      await world.pass(20_000);
      world.thaw();
    },
    ends: { outcome: "expired", reason: "hold-timeout", verdict: "crash-consistent" },
    told: HELD,
  },
  {
    name: "a thaw while the guard waits",
    guest: { servers: [{ looks: [{ blockers: [blocker] }] }] },
    given: async (world) => {
      await world.pass(500);
      world.thaw();
    },
    ends: { reason: "thaw", verdict: "not-quiesced", was_held: false },
    told: ["refused"],
  },
  {
    name: "a thaw while the lock waits",
    guest: { servers: [{ locks: [{ afterMs: 900, value: null }] }] },
    given: async (world) => {
      await world.pass(300);
      world.thaw();
    },
    ends: { reason: "thaw", verdict: "not-quiesced", was_held: false },
    told: ["refused"],
  },
  {
    name: "a thaw while the data is written out under the lock",
    guest: { commit: { afterMs: 2_000, value: null } },
    given: async (world) => {
      await world.pass(500);
      assert.equal(world.status().phase, "securing");
      world.thaw();
    },
    ends: { reason: "thaw", verdict: "not-quiesced", was_held: false },
    told: ["refused"],
  },
  {
    name: "pre-freeze dies while it waits for the lock",
    guest: { servers: [{ locks: [{ afterMs: 900, value: null }] }], acceptsAfterMs: null },
    given: async (world) => {
      await world.pass(300);
      world.preFreezeDies();
    },
    ends: { reason: "starter-lost", verdict: "not-quiesced", was_held: false },
    told: ["refused"],
  },
  {
    name: "pre-freeze does not accept the answer",
    guest: { acceptsAfterMs: null },
    given: async (world) => {
      await world.pass(1_000);
      assert.equal(world.status().phase, "answering");
    },
    ends: { reason: "stall-limit", verdict: "not-quiesced", was_held: false },
    told: ["frozen", "refused"],
  },
  {
    name: "pre-freeze dies once the lock is promised",
    given: async (world) => {
      await hold(world);
      world.preFreezeDies();
      await world.pass(2_000);
      world.thaw();
    },
    ends: GOOD,
    told: HELD,
  },
  {
    name: "pre-freeze is gone before the answer",
    guest: { hasPreFreeze: false },
    given: async (world) => {
      await world.pass(1_000);
    },
    ends: { reason: "starter-lost", verdict: "not-quiesced", was_held: false },
    told: [],
  },
  {
    name: "a session lost while the lock is held",
    given: async (world) => {
      await hold(world);
      world.loseSession(0, "the server closed the connection");
      await world.pass(1_000);
    },
    ends: {
      outcome: "lost",
      reason: "session-lost",
      verdict: "crash-consistent",
      detail: "server0: the server closed the connection",
    },
    told: HELD,
  },
  {
    name: "a session lost before the answer",
    guest: { commit: { afterMs: 2_000, value: null } },
    given: async (world) => {
      await world.pass(500);
      world.loseSession(0, "killed");
    },
    ends: { reason: "session-lost", verdict: "not-quiesced", was_held: false },
    told: ["refused"],
  },
  {
    name: "clients near the limit while the lock is held",
    given: async (world) => {
      await hold(world);
      world.crowd(0, "server0: 140 of 151");
    },
    ends: { outcome: "expired", reason: "connections-near-limit", detail: "server0: 140 of 151" },
    told: HELD,
  },
  {
    name: "a signal while the lock is held",
    given: async (world) => {
      await hold(world);
      world.signal("SIGTERM");
    },
    ends: { outcome: "lost", reason: "signal", detail: "got SIGTERM" },
    told: HELD,
  },
  {
    name: "transactions that were committed under the lock",
    guest: { servers: [{ releases: { afterMs: 0, value: "moved" } }] },
    given: async (world) => {
      await hold(world);
      world.thaw();
    },
    ends: { outcome: "lost", reason: "coordinates-moved", verdict: "crash-consistent" },
    told: HELD,
  },
  {
    name: "two servers, one of which releases unproven",
    guest: { servers: [{}, { releases: { afterMs: 300, value: "cut" } }] },
    given: async (world) => {
      await hold(world);
      world.thaw();
    },
    ends: { outcome: "lost", reason: "release-unconfirmed", verdict: "crash-consistent" },
    told: HELD,
    also: (_, { instances }) =>
      assert.deepEqual(instances.map(({ verdict }) => verdict), [
        "application-consistent",
        "crash-consistent",
      ]),
  },
  {
    name: "a release that never reports",
    guest: { servers: [{ releases: { afterMs: null, value: "equal" } }] },
    given: async (world) => {
      await hold(world);
      world.thaw();
    },
    ends: { outcome: "lost", reason: "release-unconfirmed", verdict: "crash-consistent" },
    told: HELD,
  },
  {
    name: "a server that refuses the login",
    guest: { servers: [{ opens: [{ afterMs: 20, value: DENIED }] }] },
    given: () => Promise.resolve(),
    ends: { ...REFUSED, attempts: 0 },
    told: ["refused"],
  },
  {
    name: "one of two servers refuses the login: the other is closed",
    guest: { servers: [{}, { opens: [{ afterMs: 20, value: DENIED }] }] },
    given: () => Promise.resolve(),
    ends: { ...REFUSED, attempts: 0 },
    told: ["refused"],
    also: ({ log }) => {
      assert.ok(log.includes("release server0"));
      assert.ok(!log.some((entry) => entry.startsWith("lock ")));
    },
  },
  {
    name: "one of two servers refuses the lock: the other is released",
    guest: { servers: [{}, { locks: [{ afterMs: 20, value: DENIED }] }] },
    given: () => Promise.resolve(),
    ends: { ...REFUSED, attempts: 1 },
    told: ["refused"],
    also: ({ log }) => assert.ok(log.includes("release server0")),
  },
  {
    name: "a lock that is granted at the second attempt",
    guest: {
      servers: [{ locks: [{ afterMs: 1_000, value: NOT_GRANTED }, { afterMs: 5, value: null }] }],
    },
    given: async (world) => {
      await world.pass(3_500);
      assert.equal(world.status().phase, "held");
      world.thaw();
    },
    ends: { ...GOOD, attempts: 2 },
    told: HELD,
    also: ({ log }, record) => {
      assert.equal(log.filter((entry) => entry === "open server0").length, 2);
      // Its sessions are new ones.
      assert.equal(record.instances[0]?.transactions?.next_id, 4711);
    },
  },
  {
    name: "a lock that is never granted",
    guest: { servers: [{ locks: [{ afterMs: 1_000, value: NOT_GRANTED }] }] },
    given: () => Promise.resolve(),
    ends: { ...REFUSED, attempts: 3 },
    told: ["refused"],
  },
  {
    name: "a lock that is not granted, with no time left for another attempt",
    guest: {
      servers: [{ locks: [{ afterMs: 1_000, value: NOT_GRANTED }] }],
      settings: { freezeTimeoutMs: 3_500 },
    },
    given: () => Promise.resolve(),
    ends: { ...REFUSED, attempts: 1 },
    told: ["refused"],
  },
  {
    name: "a second attempt whose login is refused",
    guest: {
      servers: [
        { locks: [{ afterMs: 1_000, value: NOT_GRANTED }] },
        { opens: [{ afterMs: 5, value: null }, { afterMs: 5, value: DENIED }] },
      ],
    },
    given: () => Promise.resolve(),
    ends: { ...REFUSED, attempts: 1, detail: "denied" },
    told: ["refused"],
  },
  {
    name: "a second attempt that a blocker prevents",
    guest: {
      servers: [
        { locks: [{ afterMs: 1_000, value: NOT_GRANTED }] },
        { looks: [{}, { blockers: [blocker] }] },
      ],
    },
    given: () => Promise.resolve(),
    ends: { ...REFUSED, attempts: 1 },
    told: ["refused"],
    also: (_, { detail }) => assert.match(detail ?? "", /id 12/),
  },
  {
    name: "a thaw between two attempts",
    guest: { servers: [{ locks: [{ afterMs: 1_000, value: NOT_GRANTED }] }] },
    given: async (world) => {
      await world.pass(2_000);
      assert.equal(world.status().phase, "preparing");
      world.thaw();
    },
    ends: { reason: "thaw", verdict: "not-quiesced", attempts: 1 },
    told: ["refused"],
  },
  {
    name: "a thaw while the sessions of a failed attempt are released",
    guest: {
      servers: [{
        locks: [{ afterMs: 1_000, value: NOT_GRANTED }],
        releases: { afterMs: 500, value: "same-session" },
      }],
    },
    given: async (world) => {
      await world.pass(1_200);
      assert.equal(world.status().phase, "locking");
      world.thaw();
    },
    ends: { reason: "thaw", verdict: "not-quiesced" },
    told: ["refused"],
    also: ({ log }) => assert.equal(log.filter((entry) => entry === "release server0").length, 1),
  },
  {
    name: "a blocker that goes away in time",
    guest: {
      servers: [{
        looks: [{ blockers: [blocker] }, { blockers: [blocker] }, {}],
      }],
    },
    given: async (world) => {
      await world.pass(1_000);
      assert.equal(world.status().phase, "held");
      world.thaw();
    },
    ends: GOOD,
    told: HELD,
  },
  {
    name: "a blocker that stays",
    guest: { servers: [{ looks: [{ blockers: [blocker] }] }] },
    given: () => Promise.resolve(),
    ends: { ...REFUSED, attempts: 0 },
    told: ["refused"],
    also: ({ log }, { detail }) => {
      assert.match(detail ?? "", /long_query_guard.*id 12/);
      assert.ok(!log.some((entry) => entry.startsWith("lock ")));
    },
  },
  {
    name: "a guard that sees only a part says so, once",
    guest: {
      servers: [{ looks: [{ blockers: [blocker], blind: ["blind"] }, { blind: ["blind"] }] }],
    },
    given: async (world) => {
      await world.pass(500);
      world.thaw();
    },
    ends: { ...GOOD, warnings: ["blind"] },
    told: HELD,
  },
  {
    name: "a session that does not answer the guard",
    guest: { servers: [{ looks: [UNREAD] }] },
    given: () => Promise.resolve(),
    ends: { ...REFUSED, detail: "no coordinates" },
    told: ["refused"],
  },
  {
    name: "many killed statements: the record stays short",
    guest: {
      servers: [{
        looks: [
          {
            blockers: [blocker],
            killed: Array.from({ length: 300 }, (_, at) => ({ ...blocker, id: at })),
          },
          {},
        ],
      }],
      closeRecord: { afterMs: 2_000, value: null },
    },
    given: async (world) => {
      await world.pass(500);
      world.thaw();
    },
    ends: GOOD,
    told: HELD,
    also: ({ verdicts: [told] }) => {
      assert.equal(told?.warnings.length, 101);
      assert.match(told?.warnings.at(-1) ?? "", /The final record was not on disk/);
    },
  },
  {
    name: "a reader that has just begun, and ends",
    guest: {
      servers: [{ looks: [{ youngReaders: [{ ...blocker, kind: "reader" }] }, {}] }],
    },
    given: async (world) => {
      await hold(world);
      world.thaw();
    },
    ends: GOOD,
    told: HELD,
  },
  {
    name: "a server that answers too late",
    guest: { servers: [{ opens: [{ afterMs: null, value: null }] }] },
    given: () => Promise.resolve(),
    ends: { outcome: "refused", reason: "freeze-timeout", verdict: "not-quiesced" },
    told: ["refused"],
  },
  {
    name: "coordinates that cannot be read",
    guest: { servers: [{ reads: { afterMs: 5, value: UNREAD } }] },
    given: () => Promise.resolve(),
    ends: { reason: "not-secured", verdict: "not-quiesced", was_held: false },
    told: ["refused"],
  },
  {
    name: "a full disk before the lock",
    guest: { reserve: { afterMs: 5, value: FULL } },
    given: () => Promise.resolve(),
    ends: { ...REFUSED, attempts: 0 },
    told: ["refused"],
  },
  {
    name: "a disk that does not answer before the lock",
    guest: { reserve: { afterMs: null, value: null }, closeRecord: { afterMs: null, value: null } },
    given: (world) => world.pass(LONG_MS),
    ends: { ...REFUSED, attempts: 0 },
    told: ["refused"],
    also: (_, { detail }) => assert.match(detail ?? "", /does not answer \(5000 ms\)/),
  },
  {
    name: "a place that is reserved too late is given back",
    guest: { reserve: { afterMs: 6_000, value: null } },
    given: (world) => world.pass(LONG_MS),
    ends: REFUSED,
    told: ["refused"],
    also: ({ log }) => assert.ok(log.includes("discard")),
  },
  {
    name: "a record that cannot be written under the lock",
    guest: { commit: { afterMs: 5, value: FULL } },
    given: () => Promise.resolve(),
    ends: { reason: "not-secured", verdict: "not-quiesced", detail: "no space left" },
    told: ["refused"],
  },
  {
    name: "a record that takes longer than stall_limit",
    guest: { commit: { afterMs: 20_000, value: null } },
    given: () => Promise.resolve(),
    ends: { reason: "stall-limit", verdict: "not-quiesced" },
    told: ["refused"],
    also: (_, { detail }) => assert.match(detail ?? "", /writing \/var\/lib\/locktables\/record/),
  },
  {
    name: "data that takes longer than stall_limit",
    // Before the lock it is quick: only the second flush is under it.
    guest: { flush: { afterMs: 6_000, value: null }, settings: { freezeTimeoutMs: 60_000 } },
    given: (world) => world.pass(LONG_MS),
    ends: { reason: "stall-limit", verdict: "not-quiesced" },
    told: ["refused"],
    also: ({ log }) => assert.ok(log.includes("flush abandoned")),
  },
  {
    name: "a network filesystem that hangs does not cost the backup",
    guest: { flushEverything: { afterMs: null, value: null } },
    given: async (world) => {
      await world.pass(5_200);
      assert.equal(world.status().phase, "held");
      world.thaw();
    },
    ends: GOOD,
    told: HELD,
    also: ({ log }, { warnings }) => {
      assert.ok(log.includes("sync abandoned"));
      assert.match(warnings.join(), /not done after 5000 ms/);
    },
  },
  {
    name: "a server that refuses while a network filesystem hangs",
    guest: {
      servers: [{ opens: [{ afterMs: 20, value: DENIED }] }],
      flushEverything: { afterMs: null, value: null },
    },
    given: async (world) => {
      await world.pass(100);
      assert.ok(world.log.includes("line to pre-freeze ended"), "nobody waits for it");
    },
    ends: { ...REFUSED, attempts: 0, detail: "denied" },
    told: ["refused"],
    also: ({ log }) => assert.ok(log.includes("sync abandoned")),
  },
  {
    name: "a disk that is still frozen at the thaw",
    guest: { closeRecord: { afterMs: 5_000, value: null } },
    given: async (world) => {
      await hold(world);
      world.thaw();
      await world.pass(1_500);
      assert.equal(world.verdicts.length, 1, "nobody waits for the disk");
      assert.ok(!world.isOver());
    },
    ends: GOOD,
    told: HELD,
  },
  {
    name: "a defect while a server is opened",
    guest: { servers: [{ breaksAt: "open" }] },
    given: () => Promise.resolve(),
    ends: REFUSED,
    told: ["refused"],
    also: (_, { detail }) => assert.match(detail ?? "", /A defect in locktables: .*broken open/),
  },
  {
    name: "a defect in the guard",
    guest: { servers: [{ breaksAt: "look" }] },
    given: () => Promise.resolve(),
    ends: REFUSED,
    told: ["refused"],
  },
  {
    name: "a defect in the lock",
    guest: { servers: [{}, { breaksAt: "lock" }] },
    given: () => Promise.resolve(),
    ends: REFUSED,
    told: ["refused"],
    also: ({ log }) => assert.ok(log.includes("release server0"), "the other is released"),
  },
  {
    name: "a defect under the lock",
    guest: { servers: [{ breaksAt: "readCoordinates" }] },
    given: () => Promise.resolve(),
    ends: { reason: "not-secured", verdict: "not-quiesced" },
    told: ["refused"],
  },
];

for (const { name, guest, given, ends, told, also } of ORDERINGS) {
  Deno.test(`the locker: ${name}`, async () => {
    const world = openFakeWorld(guest);
    try {
      await given(world);
      await world.pass(LONG_MS);
      assert.equal(world.failure(), null);
      assert.ok(world.isOver(), "the locker has ended");
      const record = world.closed.at(-1) ?? world.verdicts.at(-1) ?? null;
      const seen = record ?? refusedRecord(world);
      for (const [key, value] of Object.entries(ends)) {
        assert.deepEqual(seen[key as keyof WindowRecord], value, `${key}: ${world.log.join(", ")}`);
      }
      assert.deepEqual(world.sent.map(({ event }) => event), told);
      also?.(world, seen);
      assertNothingLeft(world);
      assertReportedOnce(world, seen);
    } finally {
      world.restore();
    }
  });
}

/** Where the disk never answered, what pre-freeze was told is all there is. */
function refusedRecord(world: FakeWorld): WindowRecord {
  const last = world.sent.at(-1);
  assert.ok(last?.event === "refused");
  return { ...REFUSED, attempts: 0, detail: last.refusal.summary } as WindowRecord;
}

/** The outlets hear of every end, once, when no lock is held any more; and whoever waits, before. */
function assertReportedOnce({ log, reports }: FakeWorld, record: WindowRecord): void {
  const [report] = reports;
  assert.equal(reports.length, 1, log.join(", "));
  assert.ok(report?.kind === "window");
  const { outcome, reason, verdict, closed_at } = report.record;
  assert.deepEqual([outcome, reason, verdict], [record.outcome, record.reason, record.verdict]);
  assert.notEqual(closed_at, null);
  const releases = log.findLastIndex((entry) => entry.startsWith("release "));
  assert.ok(log.indexOf("report") > releases, log.join(", "));
  // The hook that heard the end is not to be slowed down by it.
  assert.ok(log.indexOf("report") > log.indexOf("line to pre-freeze ended"), log.join(", "));
}

Deno.test("people hear of a lock that expired at that moment, though its disk is frozen", async () => {
  const world = openFakeWorld({ closeRecord: { afterMs: 30_000, value: null } });
  try {
    await hold(world);
    await world.pass(20_200);
    assert.deepEqual(world.reports.map(({ kind }) => kind), ["window"]);
    assert.equal(world.closed.length, 0, "the record waits for the disk");
    await world.pass(LONG_MS);
    assert.equal(world.reports.length, 1);
  } finally {
    world.restore();
  }
});

Deno.test("people hear of a thaw soon, though the disk is still frozen", async () => {
  const world = openFakeWorld({ closeRecord: { afterMs: 30_000, value: null } });
  try {
    await hold(world);
    world.thaw();
    await world.pass(900);
    assert.equal(world.reports.length, 0, "post-thaw is not answered yet");
    await world.pass(300);
    assert.equal(world.verdicts.length, 1);
    assert.equal(world.reports.length, 1);
    await world.pass(LONG_MS);
    assert.equal(world.reports.length, 1);
  } finally {
    world.restore();
  }
});

Deno.test("a thaw is reported when post-thaw has gone", async () => {
  const world = openFakeWorld();
  try {
    await hold(world);
    world.thaw();
    await world.pass(200);
    assert.equal(world.verdicts.length, 1);
    assert.ok(world.log.includes("hung up"));
    assert.equal(world.reports.length, 0);
    await world.pass(200);
    assert.equal(world.reports.length, 1);
  } finally {
    world.restore();
  }
});

/** After any end: every server that was opened is released, once, and no file is left. */
function assertNothingLeft({ log, files, closed, verdicts }: FakeWorld): void {
  const opened = log.filter((entry) => entry.startsWith("open ")).length;
  const released = log.filter((entry) => entry.startsWith("release ")).length;
  assert.ok(released <= opened, "released once");
  if (log.some((entry) => entry.startsWith("lock "))) {
    assert.ok(released > 0, log.join(", "));
  }
  assert.ok(closed.length <= 1, "one final record");
  assert.ok(!files.has(WAIT_FOR_LOCK));
  assert.ok(!files.has(WAIT_FOR_SNAPSHOT));
  const wasHeld = closed.some(({ was_held }) => was_held);
  // It stays for a post-thaw that comes when the locker is gone.
  assert.equal(files.has(WINDOW_FILE), wasHeld && verdicts.length === 0);
}
