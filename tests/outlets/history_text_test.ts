/** The windows so far, as people see them. */
import assert from "node:assert/strict";
import { textOf } from "../../lib/base/styled.ts";
import {
  chosenWindows,
  historyText,
  oneWindowText,
  windowNamed,
} from "../../lib/outlets/history_text.ts";
import { daysBefore, EXPIRED, FROZEN, GOOD, OPEN, REFUSED } from "./records.ts";

const REHEARSED = { ...GOOD, caller: null, is_rehearsal: true };
const time = (moment: string) => moment.slice(0, 16);

Deno.test("the history is a line a window, and how many were good", () => {
  const records = [daysBefore(3, FROZEN), daysBefore(2, EXPIRED), daysBefore(1, REFUSED), REHEARSED]
    .map((record) => ({ ...record, window_id: GOOD.window_id }));
  assert.equal(
    textOf(historyText(records, time)),
    `window    opened            by        verdict                 pre-freeze      held   frozen  stalled  why
00000000  2025-12-30T03:00  qemu      application-consistent     1.200 s   2.000 s  1.200 s  2.010 s
00000000  2025-12-31T03:00  qemu      crash-consistent           1.200 s  60.000 s        -  2.010 s  expired, hold-timeout
00000000  2026-01-01T03:00  qemu      not-quiesced                     -         -        -  0.000 s  refused, refused: Blocked by id 12 | app@web
00000000  2026-01-02T03:00  rehearse  application-consistent     1.200 s   2.000 s        -  2.010 s

3 windows, 1 application-consistent; 1 rehearsal.`,
  );
});

Deno.test("the history says from when on good windows are thinned, where it shows any", () => {
  const records = [daysBefore(3, GOOD), GOOD];
  const lastLine = (shown: typeof records) =>
    textOf(historyText(shown, time, GOOD.opened_at)).split("\n").at(-1);
  assert.equal(
    lastLine(records),
    "Before 2026-01-02T03:00 bad windows are all kept, and of good ones one an hour; fewer where they do not fit.",
  );
  assert.equal(lastLine([GOOD]), "1 window, 1 application-consistent.");
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
  assert.match(text, /^00000000 {2}2026-01-02T03:00 {2}- +none .* never closed on this disk$/m);
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

Deno.test("one window is named by the beginning of its id, or is the last one", () => {
  const one = { ...GOOD, window_id: "abcd1111-0000-4000-8000-000000000000" };
  const other = { ...GOOD, window_id: "abce2222-0000-4000-8000-000000000000" };
  assert.equal(windowNamed([one, other], "last"), other);
  assert.equal(windowNamed([one, other], "ABCD"), one);
  assert.equal(windowNamed([one, other], "abc"), "2 windows begin with abc.");
  assert.equal(windowNamed([one, other], "0000"), "No window 0000 is known.");
  assert.equal(windowNamed([], "last"), "No window last is known.");
});

Deno.test("one window is shown with its picture and its timeline", () => {
  const text = textOf(oneWindowText(EXPIRED, time));
  assert.match(text, /^Window 00000000-0000-4000-8000-000000000001$/m);
  assert.match(text, /^ {2}verdict {2}crash-consistent \(expired, hold-timeout\)$/m);
  assert.match(text, /^ {2}locked for the snapshot +#+ +1\.799 s$/m);
  assert.match(text, /^ {4}1200\.0 ms {2}held$/m);
});
