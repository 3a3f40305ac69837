/** A window as a picture. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { textOf } from "../../lib/base/styled.ts";
import { barsOf, barsText } from "../../lib/window/bars.ts";

const GOOD = [
  { at_ms: 0, event: "preparing" },
  { at_ms: 400, event: "connected" },
  { at_ms: 990, event: "locking" },
  { at_ms: 1_000, event: "securing" },
  { at_ms: 1_150, event: "answering" },
  { at_ms: 1_200, event: "held" },
  { at_ms: 2_999, event: "releasing (thaw)" },
  { at_ms: 3_000.4, event: "closed (thaw)" },
];

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

Deno.test("an attempt that was not granted is a bar, and writers go on after it", () => {
  const bars = barsOf([
    { at_ms: 0, event: "preparing" },
    { at_ms: 100, event: "locking" },
    { at_ms: 1_100, event: "not granted" },
    { at_ms: 1_101, event: "preparing" },
    { at_ms: 3_100, event: "locking" },
    { at_ms: 4_100, event: "releasing (refused)" },
    { at_ms: 4_100, event: "closed (refused)" },
  ]);
  assert.deepEqual(bars.map(({ label, stops }) => [label, stops]), [
    ["preparing", false],
    ["waiting for the lock", true],
    ["pause", false],
    ["preparing", false],
    ["waiting for the lock", true],
  ]);
});

Deno.test("a window that is open ends where it is now, and an empty one is no picture", () => {
  assert.deepEqual(barsOf(GOOD.slice(0, 6)).at(-1)?.label, "locked, writing out");
  assert.deepEqual(barsText([]), []);
  assert.deepEqual(barsText([{ at_ms: 0, event: "preparing" }]), []);
});

Deno.test("whatever the timeline, every bar lies within a plain terminal", () => {
  const events = fc.constantFrom("preparing", "locking", "securing", "held", "closed (x)", "other");
  const entry = fc.record({ at_ms: fc.nat(1_000_000), event: events });
  fc.assert(fc.property(fc.array(entry), (entries) => {
    const timeline = entries.toSorted((one, other) => one.at_ms - other.at_ms);
    for (const line of textOf(barsText(timeline)).split("\n")) assert.ok(line.length <= 80, line);
  }));
});
