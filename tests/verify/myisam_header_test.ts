/** Headers of MyISAM index files, as servers write them. */
import assert from "node:assert/strict";
import { myisamState } from "../../lib/verify/myisam_header.ts";

/** The first 24 bytes of MariaDB 10.11 and MySQL 9.7; open count and flags follow. */
const MARIADB = "fefe07010000012200b0006400b000000000000008000000";
const MYSQL = "fefe07010000012200b0006400b0000000000000ff000000";

const CASES: readonly (readonly [header: string, state: string | null])[] = [
  [`${MARIADB}000000`, "closed"],
  [`${MARIADB}000119`, "open"],
  [`${MYSQL}000019`, "closed"],
  [`${MYSQL}000119`, "open"],
  [`${MYSQL}010019`, "open"],
  [`${MYSQL}00001b`, "crashed"],
  [`${MYSQL}00011d`, "crashed"],
  // Aria's, which are recovered by its log.
  ["fefe09030c00017400d7008700d700000000000000000303000199", null],
  ["", null],
  ["fefe07", null],
];

Deno.test("a MyISAM index says whether it was closed, left open or found crashed", () => {
  for (const [header, state] of CASES) {
    const bytes = new Uint8Array((header.match(/../g) ?? []).map((pair) => parseInt(pair, 16)));
    assert.equal(myisamState(bytes), state, header);
  }
});
