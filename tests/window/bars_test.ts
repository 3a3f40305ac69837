/** A window as a picture. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { textOf } from "../../lib/base/styled.ts";
import { barsOf, barsText } from "../../lib/window/bars.ts";
import { type FrozenFacts, frozenMs } from "../../lib/window/frozen_span.ts";
import type { TimelineEntry } from "../../lib/window/record.ts";
import { GOOD_TIMELINE } from "./record_fixtures.ts";

const GOOD = windowOf(GOOD_TIMELINE);

function windowOf(timeline: readonly TimelineEntry[]): FrozenFacts {
  return { opened_at: "2026-01-02T03:00:00.000Z", timeline };
}

Deno.test("a good window is drawn as bars", () => {
  assert.equal(
    textOf(barsText(GOOD)),
    `  preparing                =============                                0.990 s
  waiting for the lock                  #                               0.010 s
  locked, writing out                   ###                             0.200 s
  locked for the snapshot                 #########################     1.799 s
  releasing                                                       #     0.001 s`,
  );
});

Deno.test("the freeze of the disks is drawn inside the lock, and timed once it is over", () => {
  const frozen = { ...GOOD, filesystems_frozen_at: "2026-01-02T03:00:01.400Z" };
  const thawed = { ...frozen, filesystems_thawed_at: "2026-01-02T03:00:02.600Z" };
  assert.equal(frozenMs(thawed), 1_200);
  assert.match(
    textOf(barsText(thawed)),
    /^ {2}locked for the snapshot .*\n {2}disks frozen {31}\*{17} {10}1\.200 s\n {2}releasing /m,
  );
  // Still frozen: the bar goes on to the end, and there is no time to report.
  assert.equal(frozenMs(frozen), null);
  assert.equal(barsOf(frozen).find(({ kind }) => kind === "frozen")?.toMs, 3_000.4);
  // A clock that was set back makes none.
  const back = { ...frozen, filesystems_thawed_at: "2026-01-02T02:00:00.000Z" };
  assert.deepEqual([frozenMs(back), barsOf(back)], [null, barsOf(GOOD)]);
});

Deno.test("an attempt that was not granted is a bar, and writers go on after it", () => {
  const bars = barsOf(windowOf([
    { at_ms: 0, event: "preparing" },
    { at_ms: 100, event: "locking" },
    { at_ms: 1_100, event: "not granted" },
    { at_ms: 1_101, event: "preparing" },
    { at_ms: 3_100, event: "locking" },
    { at_ms: 4_100, event: "releasing (refused)" },
    { at_ms: 4_100, event: "closed (refused)" },
  ]));
  assert.deepEqual(bars.map(({ label, kind }) => [label, kind]), [
    ["preparing", "runs"],
    ["waiting for the lock", "stops"],
    ["pause", "runs"],
    ["preparing", "runs"],
    ["waiting for the lock", "stops"],
  ]);
});

Deno.test("a window that is open ends where it is now, and an empty one is no picture", () => {
  assert.deepEqual(
    barsOf(windowOf(GOOD_TIMELINE.slice(0, 6))).at(-1)?.label,
    "locked, writing out",
  );
  assert.deepEqual(barsText(windowOf([])), []);
  assert.deepEqual(barsText(windowOf(GOOD_TIMELINE.slice(0, 1))), []);
});

Deno.test("whatever the timeline, every bar lies within a plain terminal", () => {
  const events = fc.constantFrom("preparing", "locking", "securing", "held", "closed (x)", "other");
  const entry = fc.record({ at_ms: fc.nat(1_000_000), event: events });
  fc.assert(fc.property(fc.array(entry), (entries) => {
    const timeline = entries.toSorted((one, other) => one.at_ms - other.at_ms);
    for (const line of textOf(barsText(windowOf(timeline))).split("\n")) {
      assert.ok(line.length <= 80, line);
    }
  }));
});
