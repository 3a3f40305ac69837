import assert from "node:assert/strict";
import { crowdOf } from "../../lib/mysql/crowd_watch.ts";

const LIMITS = { name: "main", maxConnections: 100, connectionMark: 0.9 };

const CASES: readonly (readonly [
  string,
  connected: number,
  grown: number,
  limits: Partial<typeof LIMITS>,
  boolean,
])[] = [
  ["few clients", 10, 0, {}, false],
  ["just below the mark", 89, 0, {}, false],
  ["at the mark", 90, 0, {}, true],
  ["far below it, and coming quickly", 60, 27, {}, true],
  ["far below it, and coming slowly", 60, 26, {}, false],
  ["a server that does not say its limit", 1_000, 0, { maxConnections: 0 }, false],
];

for (const [name, connected, grown, limits, isNear] of CASES) {
  Deno.test(`clients near max_connections: ${name}`, () => {
    assert.equal(crowdOf(connected, grown, { ...LIMITS, ...limits }) !== null, isNear);
  });
}

Deno.test("clients near max_connections: without a mark nothing is near", () => {
  assert.equal(crowdOf(100, 0, { ...LIMITS, connectionMark: null }), null);
});
