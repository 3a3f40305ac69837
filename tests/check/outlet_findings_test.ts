/** Whether people hear of windows, as check sees it. */
import assert from "node:assert/strict";
import { outletFindings } from "../../lib/check/outlet_findings.ts";
import type { WindowRecord } from "../../lib/window/record.ts";
import { daysBefore, EXPIRED, GOOD } from "../outlets/records.ts";

/** A day and an hour after {@linkcode GOOD}. */
const NOW = { monoMs: 0, wallMs: Date.UTC(2026, 0, 3, 4) };

function night(ago: number, record = GOOD): WindowRecord {
  return daysBefore(ago, record);
}

const REHEARSED: WindowRecord = { ...GOOD, is_rehearsal: true };

const CASES:
  readonly (readonly [name: string, history: readonly WindowRecord[], title?: RegExp])[] = [
    ["no window", []],
    ["three windows, which show no rhythm", [night(5), night(6), night(7)]],
    ["a window every night", [night(0), night(1), night(2), night(3)]],
    [
      "a night without a window",
      [night(1), night(2), night(3), night(4)],
      /, 49 h ago; .* every 24 h/,
    ],
    [
      "bad nights",
      [night(0, EXPIRED), night(1, EXPIRED), night(2), night(3), night(4)],
      /opened at 2025-12-31T03:00:00\.000Z, 73 h ago/,
    ],
    [
      "a bad night after a good one",
      [night(0, EXPIRED), night(1), night(2), night(3)],
      /, 49 h ago/,
    ],
    ["a bad night, and a second window", [
      night(0),
      night(0, EXPIRED),
      night(1),
      night(2),
      night(3),
    ]],
    [
      "a rehearsal in place of a night",
      [REHEARSED, night(1), night(2), night(3), night(4)],
      /, 49 h/,
    ],
    ["a window every week", [night(8), night(15), night(22), night(29)]],
    ["a week without its window", [night(15), night(22), night(29), night(36)], /every 168 h/],
    ["no good window at all", [
      night(1, EXPIRED),
      night(2, EXPIRED),
      night(3, EXPIRED),
      night(4, EXPIRED),
    ]],
    [
      "a rhythm that became quicker",
      [...Array.from({ length: 14 }, (_, at) => night(3 + at)), night(24), night(31), night(38)],
      /every 24 h/,
    ],
  ];

for (const [name, history, title] of CASES) {
  Deno.test(`check ${title === undefined ? "says nothing of" : "warns of"} ${name}`, () => {
    const findings = outletFindings({ history, unreported: [] }, NOW);
    assert.deepEqual(
      findings.map(({ code }) => code),
      title === undefined ? [] : ["image-overdue"],
    );
    if (title !== undefined) assert.match(findings[0]?.title ?? "", title);
  });
}

Deno.test("check warns of each outlet that failed", () => {
  const unreported = [{ outlet: "journal", why: "It hangs" }, {
    outlet: "notify",
    why: "exit 1",
  }] as const;
  const findings = outletFindings({ history: [], unreported }, NOW);
  assert.deepEqual(findings.map(({ code, title }) => [code, title]), [
    ["not-reported", "The last window could not be reported (journal): It hangs"],
    ["not-reported", "The last window could not be reported (notify): exit 1"],
  ]);
});
