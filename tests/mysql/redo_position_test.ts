/** Where the servers say how far InnoDB's redo log goes. */
import assert from "node:assert/strict";
import { redoPositionFrom } from "../../lib/mysql/redo_position.ts";

const CASES: readonly (readonly [text: string, position: number | null])[] = [
  ["20123456", 20_123_456],
  ["0", 0],
  [
    "\n---\nLOG\n---\nLog sequence number          20123999\nLog flushed up to   20123456\n",
    20_123_456,
  ],
  ["Log flushed up to 7\nLog flushed up to 8\n", 7],
  ["", null],
  ["no such line\n", null],
  ["99999999999999999999", null],
];

Deno.test("the end of the redo log is read from the value or from InnoDB's report", () => {
  for (const [text, position] of CASES) assert.equal(redoPositionFrom(text), position, text);
});
