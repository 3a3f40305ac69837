/** InnoDB's transaction numbers, as servers show them. */
import assert from "node:assert/strict";
import { markFromReport, takenMost } from "../../lib/mysql/transaction_mark.ts";

/** MySQL 9.7.4, cut. */
const REPORT = `
------------
TRANSACTIONS
------------
Trx id counter 2252
Purge done for trx's n:o < 2245 undo n:o < 0 state: running but idle
History list length 7
LIST OF TRANSACTIONS FOR EACH SESSION:
---TRANSACTION 421849239533400, not started
0 lock struct(s), heap size 1192, 0 row lock(s)
---TRANSACTION 2243, ACTIVE 2 sec
2 lock struct(s), heap size 1192, 1 row lock(s), undo log entries 3
MySQL thread id 12, OS thread handle 140, query id 75 localhost root
---TRANSACTION 2240, ACTIVE 2 sec
1 lock struct(s), heap size 1192, 0 row lock(s), undo log entries 1
`;

Deno.test("the next number and what is not committed are read in InnoDB's report", () => {
  const cases: readonly (readonly [string, unknown])[] = [
    [REPORT, { next_id: 2252, open: 2 }],
    ["Trx id counter 28933", { next_id: 28933, open: 0 }],
    // Before 5.6 it was written in two words.
    ["Trx id counter 0 4711", null],
    ["Trx id counter 99999999999999999", null],
    ["", null],
    // Its list of transactions is cut.
    [REPORT + "x".repeat(1_000_000), null],
  ];
  for (const [text, mark] of cases) assert.deepEqual(markFromReport(text), mark);
});

const MYSQL = { flavor: "mysql" } as const;

Deno.test("what others have done since a start bounds the numbers that they took", () => {
  const cases: readonly (readonly [Readonly<Record<string, number>>, number, number])[] = [
    [{}, 0, 0],
    [{ Opened_tables: 150 }, 0, 0],
    [{ Opened_tables: 180 }, 0, 60],
    [{ Com_select: 14 }, 14, 0],
    [{ Com_select: 14 }, 4, 10],
    [{ Innodb_rows_inserted: 1, Innodb_rows_updated: 2, Innodb_rows_deleted: 3 }, 0, 12],
    // MySQL changes its dictionary when it starts, and remembers sizes that were asked for.
    [{ Innodb_system_rows_inserted: 47, Innodb_system_rows_updated: 331 }, 0, 47],
    [{ Innodb_system_rows_deleted: 8, Innodb_system_rows_updated: 600 }, 0, 96],
  ];
  for (const [counters, own, most] of cases) {
    assert.equal(takenMost(new Map(Object.entries(counters)), own, MYSQL), most);
  }
});
