/** Where the servers say how far InnoDB's redo log goes. */
import assert from "node:assert/strict";
import { redoPositionFrom } from "../../lib/mysql/redo_position.ts";

const CASES: readonly (readonly [
  text: string,
  onDisk: number | null,
  reached: number | null,
])[] = [
  ["20123456", 20_123_456, 20_123_456],
  ["0", null, null],
  [
    "\n---\nLOG\n---\nLog sequence number          20123999\nLog flushed up to   20123456\n",
    20_123_456,
    20_123_999,
  ],
  // MySQL 5.6 after a recovery, before anything was written.
  ["Log sequence number 1670129\nLog flushed up to   0\n", null, 1_670_129],
  ["Log flushed up to 7\nLog flushed up to 8\n", 7, null],
  ["", null, null],
  ["no such line\n", null, null],
  ["99999999999999999999", null, null],
];

Deno.test("the ends of the redo log are read from the value or from InnoDB's report", () => {
  for (const [text, onDisk, reached] of CASES) {
    assert.equal(redoPositionFrom(text, "on-disk"), onDisk, text);
    assert.equal(redoPositionFrom(text, "reached"), reached, text);
  }
});
