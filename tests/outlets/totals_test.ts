/** What is counted over all windows. */
import assert from "node:assert/strict";
import { EXIT, refusal } from "../../lib/base/refusal.ts";
import {
  NO_TOTALS,
  parseTotals,
  type Totals,
  totalsOf,
  withReport,
} from "../../lib/outlets/totals.ts";
import type { WindowRecord } from "../../lib/window/record.ts";
import type { Report } from "../../lib/window/report.ts";
import { daysBefore, EXPIRED, GOOD, REFUSED } from "./records.ts";

const BLOCKED = refusal(EXIT.lockNotObtained, "blocked", "Blocked by id 12", "Wait");
const OPTIONS = refusal(EXIT.badSetup, "bad-setting", "Bad setting", "Mend it");

function closed(record: WindowRecord, refused: typeof BLOCKED | null = null): Report {
  return { kind: "window", record, refusal: refused };
}

function counts({ windows }: Totals): Record<string, number> {
  return Object.fromEntries(windows.map(({ outcome, count }) => [outcome, count]));
}

Deno.test("every window counts once, by outcome and verdict", () => {
  const reports = [
    closed(daysBefore(4, GOOD)),
    closed(daysBefore(3, GOOD)),
    closed(daysBefore(2, EXPIRED)),
    closed(REFUSED, BLOCKED),
    closed(REFUSED, BLOCKED),
  ];
  const totals = reports.reduce(withReport, NO_TOTALS);
  assert.deepEqual(counts(totals), { released: 2, expired: 1, refused: 1 });
  assert.equal(totals.last, REFUSED);
  assert.equal(totals.last_good_at, daysBefore(3, GOOD).locked_at);
  assert.deepEqual(totals.refusals, [{ exit_code: 10, count: 1 }]);
  assert.equal(totals.last_refusal?.summary, "Blocked by id 12");
});

Deno.test("a refusal before there was a window counts as a refusal, and changes no window", () => {
  const report: Report = {
    kind: "refusal",
    at: "2026-01-03T03:00:00.000Z",
    caller: "vmware",
    refusal: OPTIONS,
  };
  const totals = [closed(GOOD), report, report].reduce(withReport, NO_TOTALS);
  assert.deepEqual(counts(totals), { released: 1 });
  assert.equal(totals.last, GOOD);
  assert.deepEqual(totals.refusals, [{ exit_code: 22, count: 2 }]);
  assert.deepEqual(totals.last_refusal, {
    at: "2026-01-03T03:00:00.000Z",
    caller: "vmware",
    exit_code: 22,
    reason: "bad-setting",
    summary: "Bad setting",
  });
});

Deno.test("a rehearsal does not count", () => {
  const totals = withReport(NO_TOTALS, closed({ ...GOOD, is_rehearsal: true }, BLOCKED));
  assert.equal(totals, NO_TOTALS);
});

Deno.test("a report that waited for its disk is counted, and is not the last one", () => {
  const totals = [closed(GOOD), closed(daysBefore(1, EXPIRED))].reduce(withReport, NO_TOTALS);
  assert.deepEqual(counts(totals), { released: 1, expired: 1 });
  assert.equal(totals.last, GOOD);
});

Deno.test("totals that begin with a history count each of its windows, and none twice", () => {
  const history = [daysBefore(2, GOOD), daysBefore(1, REFUSED), GOOD];
  const totals = totalsOf(history);
  assert.deepEqual(counts(totals), { released: 2, refused: 1 });
  assert.equal(withReport(totals, closed(GOOD)), totals);
});

Deno.test("the memory of what is counted has a limit", () => {
  const reports = Array.from({ length: 100 }, (_, day) => closed(daysBefore(100 - day, GOOD)));
  const totals = reports.reduce(withReport, NO_TOTALS);
  assert.deepEqual(counts(totals), { released: 100 });
  assert.equal(totals.counted.length, 20);
});

Deno.test("totals read back as they were written", () => {
  const totals = [closed(GOOD), closed(REFUSED, BLOCKED)].reduce(withReport, NO_TOTALS);
  assert.deepEqual(parseTotals(JSON.stringify(totals)), totals);
  assert.deepEqual(parseTotals(JSON.stringify(NO_TOTALS)), NO_TOTALS);
});

for (
  const [what, text] of [
    ["nothing", null],
    ["an empty file", ""],
    ["a file that was cut off", JSON.stringify(NO_TOTALS).slice(0, 30)],
    ["a later version's", JSON.stringify({ ...NO_TOTALS, schema_version: 2 })],
    ["text in the place of a number", JSON.stringify({ ...NO_TOTALS, windows: [{ count: "1" }] })],
  ] as const
) {
  Deno.test(`${what} is no totals`, () => assert.equal(parseTotals(text), null));
}

Deno.test("a last window that this version cannot read costs no number", () => {
  const text = JSON.stringify({ ...withReport(NO_TOTALS, closed(GOOD)), last: { phase: "x" } });
  const totals = parseTotals(text);
  assert.equal(totals?.last, null);
  assert.deepEqual(totals?.windows.length, 1);
});
