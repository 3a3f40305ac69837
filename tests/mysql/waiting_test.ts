import assert from "node:assert/strict";
import { gaveUp, waitingIn } from "../../lib/mysql/waiting.ts";

const row = (Id: number, Time: number, State = "Waiting for backup lock") => ({ Id, Time, State });

Deno.test("those in the states of our lock wait", () => {
  const rows = [
    row(1, 2),
    row(2, 0, "Waiting for global read lock"),
    row(3, 0, "Waiting for commit lock"),
    row(4, 9, "Waiting for table metadata lock"),
    row(5, 9, ""),
  ];
  assert.deepEqual([...waitingIn(rows)], [[1, 2], [2, 0], [3, 0]]);
});

const CASES:
  readonly (readonly [string, ReturnType<typeof row>[], ReturnType<typeof row>[], number])[] = [
    ["who still waits has not given up", [row(1, 1)], [row(1, 2)], 0],
    ["who is gone has", [row(1, 1), row(2, 1)], [row(2, 1)], 1],
    ["who does something else has", [row(1, 1)], [row(1, 0, "")], 1],
    ["who waits anew has", [row(1, 3)], [row(1, 0)], 1],
    ["who has come has not", [], [row(1, 0)], 0],
  ];

for (const [name, before, now, count] of CASES) {
  Deno.test(`while the lock is held: ${name}`, () => {
    assert.equal(gaveUp(waitingIn(before), waitingIn(now)), count);
  });
}
