/** The windows so far, as people see them. */
import assert from "node:assert/strict";
import { textOf } from "../../lib/base/styled.ts";
import { chosenWindows, historyText } from "../../lib/outlets/history_text.ts";
import { daysBefore, EXPIRED, GOOD, OPEN, REFUSED } from "./records.ts";

const REHEARSED = { ...GOOD, caller: null, is_rehearsal: true };
const time = (moment: string) => moment.slice(0, 16);

Deno.test("the history is a line a window, and how many were good", () => {
  const records = [daysBefore(3, GOOD), daysBefore(2, EXPIRED), daysBefore(1, REFUSED), REHEARSED];
  assert.equal(
    textOf(historyText(records, time)),
    `opened            by        verdict                 pre-freeze      held  stalled  why
2025-12-30T03:00  qemu      application-consistent     1.200 s   2.000 s  2.010 s
2025-12-31T03:00  qemu      crash-consistent           1.200 s  60.000 s  2.010 s  expired, hold-timeout
2026-01-01T03:00  qemu      not-quiesced                     -         -  0.000 s  refused, refused: Blocked by id 12 | app@web
2026-01-02T03:00  rehearse  application-consistent     1.200 s   2.000 s  2.010 s

3 windows, 1 application-consistent; 1 rehearsal.`,
  );
});

Deno.test("what is bad stands out on a terminal", () => {
  const painted = textOf(
    historyText([GOOD, EXPIRED], time),
    (text, as) => as === "error" || as === "warning" ? `<${text}>` : text,
  );
  assert.match(painted, / <crash-consistent {6}> .* <expired, hold-timeout>$/m);
  assert.equal(painted.match(/</g)?.length, 2);
});

Deno.test("a history of nothing, and of a window that was never closed", () => {
  assert.equal(textOf(historyText([], time)), "No windows.");
  const text = textOf(historyText([{ ...OPEN, caller: null }], time));
  assert.match(text, /^2026-01-02T03:00 {2}- +none .* never closed on this disk$/m);
  assert.match(text, /^1 window, 0 application-consistent\.$/m);
});

Deno.test("nothing that others wrote begins a line of its own", () => {
  const odd = { ...REFUSED, detail: "one\ntwo \u001b[31mred" };
  assert.equal(textOf(historyText([odd], time)).split("\n").length, 4);
});

Deno.test("since when and of whom the windows are chosen", () => {
  const vmware = { ...daysBefore(1, GOOD), caller: "vmware" };
  const records = [daysBefore(3, GOOD), vmware, GOOD];
  const sinceMs = Date.parse(vmware.opened_at);
  assert.deepEqual(chosenWindows(records, { sinceMs: null, caller: null }), records);
  assert.deepEqual(chosenWindows(records, { sinceMs, caller: null }), [vmware, GOOD]);
  assert.deepEqual(chosenWindows(records, { sinceMs: sinceMs + 1, caller: null }), [GOOD]);
  assert.deepEqual(chosenWindows(records, { sinceMs: null, caller: "vmware" }), [vmware]);
});
