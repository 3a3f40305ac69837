import assert from "node:assert/strict";
import { ALONE, type Coordinates } from "../../lib/window/coordinates.ts";
import { proofOf, type ReadAgain, type ReleaseProof } from "../../lib/window/verdict.ts";

function at(file: string | null, position: number | null, more: Partial<Coordinates> = {}) {
  return { ...ALONE, inexact: null, log_bin: file !== null, file, position, gtid: {}, ...more };
}

const gtid = (text: string) => ({ gtid: { gtid_binlog_pos: text, gtid_slave_pos: "" } });
const node = (last_committed: number) => ({
  wsrep: { cluster_uuid: "a", last_committed },
} as unknown as Partial<Coordinates>);

const CASES: readonly (readonly [string, Coordinates | null, ReadAgain | null, ReleaseProof])[] = [
  ["nothing was promised", null, null, "same-session"],
  ["the position cannot be read again", at("b.1", 4), null, "unread"],
  [
    "the binlog ends where it ended",
    at("b.1", 4),
    { position: at("b.1", 4), history: null, wsrep: null },
    "equal",
  ],
  [
    "the binlog is off: there is nothing to compare",
    at(null, null),
    { position: at(null, null), history: null, wsrep: null },
    "same-session",
  ],
  [
    "somebody has rotated the log",
    at("b.1", 4, gtid("0-1-7")),
    { position: at("b.2", 4), history: at("b.2", 4, gtid("0-1-7")), wsrep: null },
    "equal",
  ],
  [
    "something was committed",
    at("b.1", 4, gtid("0-1-7")),
    { position: at("b.1", 9), history: at("b.1", 9, gtid("0-1-8")), wsrep: null },
    "moved",
  ],
  [
    "the log was rotated, and nothing tells that from a commit",
    at("b.1", 4),
    { position: at("b.2", 4), history: at("b.2", 4), wsrep: null },
    "moved",
  ],
  [
    "a node without a binlog has applied nothing",
    at(null, null, node(7)),
    { position: at(null, null), history: null, wsrep: at(null, null, node(7)).wsrep },
    "equal",
  ],
  [
    "a node without a binlog has applied a write set",
    at(null, null, node(7)),
    { position: at(null, null), history: null, wsrep: at(null, null, node(8)).wsrep },
    "moved",
  ],
  [
    "a node without a binlog does not say what it has applied",
    at(null, null, node(7)),
    { position: at(null, null), history: null, wsrep: null },
    "moved",
  ],
];

for (const [name, held, now, proof] of CASES) {
  Deno.test(`the proof of a hold: ${name}`, () => assert.equal(proofOf(held, now), proof));
}
