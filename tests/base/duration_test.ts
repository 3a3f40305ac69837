import assert from "node:assert/strict";

import fc from "fast-check";

import { formatAge, formatDuration, parseAge, parseDuration } from "../../lib/base/duration.ts";

const DURATIONS: readonly (readonly [text: string, ms: number | null])[] = [
  ["500ms", 500],
  ["8s", 8_000],
  ["2m", 120_000],
  ["0s", 0],
  ["008s", 8_000],
  ["999999999m", 59_999_999_940_000],
  ["1000000000m", null],
  ["8", null],
  ["8 s", null],
  ["8S", null],
  ["1.5s", null],
  ["-1s", null],
  ["+1s", null],
  ["1h", null],
  ["s", null],
  ["", null],
  ["8s\n", null],
  ["٨s", null],
];

for (const [text, ms] of DURATIONS) {
  Deno.test(`the duration ${JSON.stringify(text)} is ${ms === null ? "refused" : `${ms} ms`}`, () => {
    assert.equal(parseDuration(text), ms);
  });
}

Deno.test("a duration is written in the largest whole unit", () => {
  assert.deepEqual([0, 500, 1_500, 8_000, 90_000, 120_000].map(formatDuration), [
    "0s",
    "500ms",
    "1500ms",
    "8s",
    "90s",
    "2m",
  ]);
});

Deno.test("a written duration reads back", () => {
  fc.assert(fc.property(fc.nat(999_999_999), (ms) => {
    assert.equal(parseDuration(formatDuration(ms)), ms);
  }));
});

const AGES: readonly (readonly [text: string, ms: number | null])[] = [
  ["26h", 93_600_000],
  ["7d", 604_800_000],
  ["90s", 90_000],
  ["9999d", 863_913_600_000],
  ["10000d", null],
  ["1.5h", null],
  ["1w", null],
  ["h", null],
  ["", null],
];

for (const [text, ms] of AGES) {
  Deno.test(`the age ${JSON.stringify(text)} is ${ms === null ? "refused" : `${ms} ms`}`, () => {
    assert.equal(parseAge(text), ms);
  });
}

Deno.test("a written age reads back, in days and hours where they are whole", () => {
  assert.deepEqual([0, 90_000, 93_600_000, 172_800_000].map(formatAge), ["0s", "90s", "26h", "2d"]);
  fc.assert(fc.property(fc.nat(999_999_999), (ms) => {
    assert.equal(parseAge(formatAge(ms)), ms);
  }));
});
