import assert from "node:assert/strict";

import { longestStallMs } from "../../lib/window/stall.ts";

type Case = readonly [sentence: string, timeline: readonly (readonly [number, string])[], number];

const ONCE = [
  [0, "preparing"],
  [80, "connected"],
  [90.2, "written out"],
  [100, "locking"],
  [110, "securing"],
  [112, "coordinates read"],
  [130, "on disk"],
  [131, "answering"],
  [132, "held"],
  [632, "releasing (thaw)"],
  [640.44, "closed (thaw)"],
] as const;

const CASES: readonly Case[] = [
  ["a lock that was granted at once stops writers until its release", ONCE, 540.4],
  [
    "the pause between two attempts stops nobody",
    [
      [0, "preparing"],
      [100, "locking"],
      [3_100, "not granted"],
      [3_110, "preparing"],
      [9_200, "locking"],
      [9_210, "securing"],
      [9_250, "held"],
      [9_750, "releasing (thaw)"],
      [9_760, "closed (thaw)"],
    ],
    3_000,
  ],
  ["a released lock stops nobody while the thaw is awaited", [
    [100, "locking"],
    [150, "held"],
    [250, "releasing (thaw-hook)"],
    [260, "settling (thaw-hook)"],
    [2_260, "closed (thaw-hook)"],
  ], 160],
  ["a window that was refused before its lock stopped nobody", [
    [0, "preparing"],
    [5_000, "releasing (refused)"],
    [5_001, "closed (refused)"],
  ], 0],
  ["a window without a timeline stopped nobody", [], 0],
];

for (const [sentence, timeline, ms] of CASES) {
  Deno.test(sentence, () => {
    assert.equal(longestStallMs(timeline.map(([at_ms, event]) => ({ at_ms, event }))), ms);
  });
}
