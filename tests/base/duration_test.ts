import assert from "node:assert/strict";

import fc from "fast-check";

import { formatDuration, parseDuration } from "../../lib/base/duration.ts";

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
