/** What a look at thousands of tables says of the time that is left. */
import assert from "node:assert/strict";
import { leftText } from "../../lib/commands/progress.ts";

const CASES: readonly (readonly [
  done: number,
  total: number,
  elapsedMs: number,
  text: string,
])[] = [
  [0, 10, 0, "about 0 s left"],
  [1, 2, 1_500, "about 2 s left"],
  [100, 10_000, 10_000, "about 17 min left"],
  [1, 10_000, 36_000, "about 100 h left"],
  [9, 10, 900_000, "about 100 s left"],
];

Deno.test("the time that is left is that of the rest at the pace so far", () => {
  for (const [done, total, elapsedMs, text] of CASES) {
    assert.equal(leftText(done, total, elapsedMs), text);
  }
});
