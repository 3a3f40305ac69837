import assert from "node:assert/strict";
import { stretch, underLoad } from "./load.ts";

Deno.test("limits stretch with the processes that want a processor, and not without end", () => {
  for (
    const [loadavg, processors, expected] of [
      ["0.00 3.00 9.00 1/99 7\n", 2, 1.5],
      ["4.00 0.00 0.00 2/99 7\n", 2, 3],
      ["0.10 0.00 0.00 8/99 7\n", 2, 5],
      ["4.00 0.00 0.00 2/99 7\n", 16, 1.25],
      ["900.00 0.00 0.00 2/99 7\n", 2, 10],
      ["nonsense", 2, 1],
    ] as const
  ) assert.equal(stretch(loadavg, processors), expected, loadavg);
  assert.ok(underLoad(100) >= 100 && underLoad(100) <= 1_000);
});
