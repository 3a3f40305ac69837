import assert from "node:assert/strict";

import fc from "fast-check";

import {
  elapsedMs,
  type Instant,
  isReached,
  plus,
  remainingMs,
  rfc3339,
  systemClock,
} from "../../lib/base/clock.ts";

const NOON: Instant = { monoMs: 1_000, wallMs: Date.UTC(2026, 0, 2, 12) };
const DEADLINE = plus(NOON, 5_000);

Deno.test("a later moment is later on both clocks", () => {
  assert.deepEqual(DEADLINE, { monoMs: 6_000, wallMs: NOON.wallMs + 5_000 });
});

/** How far each clock has gone since noon; the deadline is at 5 s. */
const MOMENTS: readonly {
  readonly name: string;
  readonly monoMs: number;
  readonly wallMs: number;
  readonly isReached: boolean;
  readonly remainingMs: number;
}[] = [
  { name: "at the start", monoMs: 0, wallMs: 0, isReached: false, remainingMs: 5_000 },
  { name: "a millisecond before", monoMs: 4_999, wallMs: 4_999, isReached: false, remainingMs: 1 },
  { name: "exactly then", monoMs: 5_000, wallMs: 5_000, isReached: true, remainingMs: 0 },
  { name: "long after", monoMs: 99_000, wallMs: 99_000, isReached: true, remainingMs: 0 },
  {
    name: "with the wall clock set back an hour",
    monoMs: 4_000,
    wallMs: -3_596_000,
    isReached: false,
    remainingMs: 1_000,
  },
  {
    name: "in time, with the wall clock set back an hour",
    monoMs: 5_000,
    wallMs: -3_595_000,
    isReached: true,
    remainingMs: 0,
  },
  {
    name: "after a suspend that only the wall clock saw",
    monoMs: 10,
    wallMs: 60_000,
    isReached: true,
    remainingMs: 0,
  },
  {
    name: "with the wall clock two seconds ahead",
    monoMs: 1_000,
    wallMs: 3_000,
    isReached: false,
    remainingMs: 2_000,
  },
];

for (const moment of MOMENTS) {
  const { name, monoMs, wallMs } = moment;
  Deno.test(`${name}, the deadline is ${moment.isReached ? "" : "not "}reached`, () => {
    const now = { monoMs: NOON.monoMs + monoMs, wallMs: NOON.wallMs + wallMs };
    assert.equal(isReached(DEADLINE, now), moment.isReached);
    assert.equal(remainingMs(DEADLINE, now), moment.remainingMs);
  });
}

const instant = fc.record({
  monoMs: fc.integer({ min: 0, max: 1e9 }),
  wallMs: fc.integer({ min: 0, max: 2e12 }),
});

Deno.test("no time is left exactly when the deadline is reached", () => {
  fc.assert(fc.property(instant, instant, (deadline, now) => {
    assert.equal(remainingMs(deadline, now) === 0, isReached(deadline, now));
  }));
});

Deno.test("elapsed time is of the monotonic clock, to a tenth, and never negative", () => {
  const later = (monoMs: number) => ({ monoMs: NOON.monoMs + monoMs, wallMs: 0 });
  assert.equal(elapsedMs(NOON, later(12.34)), 12.3);
  assert.equal(elapsedMs(NOON, later(12.35001)), 12.4);
  assert.equal(elapsedMs(NOON, later(0)), 0);
  assert.equal(elapsedMs(NOON, later(-3)), 0);
});

Deno.test("a moment is written in UTC with milliseconds", () => {
  assert.equal(rfc3339(NOON), "2026-01-02T12:00:00.000Z");
});

Deno.test("the machine's clocks go on, and the wall clock counts from 1970", () => {
  const first = systemClock.now();
  const second = systemClock.now();
  assert.ok(second.monoMs >= first.monoMs);
  assert.ok(first.wallMs > Date.UTC(2025, 0, 1));
  assert.ok(first.monoMs < first.wallMs);
});
