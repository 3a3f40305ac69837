/** Whether people hear of windows, as check sees it. */
import assert from "node:assert/strict";
import { type OutletFacts, outletFindings } from "../../lib/check/outlet_findings.ts";
import type { FileLook } from "../../lib/base/look.ts";
import type { WindowRecord } from "../../lib/window/record.ts";
import { daysBefore, EXPIRED, GOOD } from "../outlets/records.ts";

/** A day and an hour after {@linkcode GOOD}. */
const NOW = { monoMs: 0, wallMs: Date.UTC(2026, 0, 3, 4) };

const QUIET: OutletFacts = { history: [], unreported: [], log: null, metrics: null };

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
    const findings = outletFindings({ ...QUIET, history }, NOW);
    assert.deepEqual(
      findings.map(({ code }) => code),
      title === undefined ? [] : ["image-overdue"],
    );
    if (title !== undefined) assert.match(findings[0]?.title ?? "", title);
  });
}

/** So many windows before {@linkcode NOW}, a minute apart. */
function minutes(count: number, record = GOOD): WindowRecord[] {
  return Array.from({ length: count }, (_, at) => ({
    ...record,
    opened_at: new Date(NOW.wallMs - (at + 0.5) * 60_000).toISOString(),
  }));
}

Deno.test("check warns of windows every minute, and says what they cost", () => {
  const twice = [...minutes(3, { ...GOOD, caller: "aws", held_ms: null }), ...minutes(100)];
  assert.deepEqual(
    outletFindings({ ...QUIET, history: twice }, NOW).map(({ code, severity, title }) => [
      code,
      severity,
      title.slice(0, title.indexOf(". Proxmox")),
    ]),
    [[
      "windows-frequent",
      "warning",
      "63 windows in the last hour, by aws and qemu, each 1.9 s of lock: writers could wait 120.0 s of the hour (3.3 %)",
    ]],
  );
  for (const history of [minutes(11), minutes(60, REHEARSED)]) {
    assert.deepEqual(outletFindings({ ...QUIET, history }, NOW), []);
  }
});

Deno.test("check warns of each outlet that failed", () => {
  const unreported = [{ outlet: "journal", why: "It hangs" }, {
    outlet: "notify",
    why: "exit 1",
  }] as const;
  const findings = outletFindings({ ...QUIET, unreported }, NOW);
  assert.deepEqual(findings.map(({ code, title }) => [code, title]), [
    ["not-reported", "The last window could not be reported (journal): It hangs"],
    ["not-reported", "The last window could not be reported (notify): exit 1"],
  ]);
});

const LOGGER: FileLook = { kind: "file", mode: 0o755, uid: 0, changedMs: 0 };

Deno.test("check warns where windows cannot be logged, before the first one, too", () => {
  const cases: readonly (readonly [log: OutletFacts["log"], title: RegExp | null])[] = [
    [null, null],
    [{ logger: LOGGER, sockets: ["/dev/log"] }, null],
    [
      { logger: LOGGER, sockets: [] },
      /no log daemon listens at .* or \/dev\/log\. Start one; or set/,
    ],
    [{ logger: null, sockets: ["/dev/log"] }, /\/usr\/bin\/logger is not there\. It is part of/],
    [{ logger: { ...LOGGER, mode: 0o644 }, sockets: [] }, /logger is not executable/],
  ];
  for (const [log, title] of cases) {
    const findings = outletFindings({ ...QUIET, log }, NOW);
    assert.deepEqual(findings.map(({ code }) => code), title === null ? [] : ["log-unreachable"]);
    if (title !== null) assert.match(findings[0]?.title ?? "", title);
  }
});

Deno.test("check warns of metrics that are older than the last window, gone, or not to be read", () => {
  const path = "/var/lib/prometheus/node-exporter/locktables.prom";
  const fresh = { ...LOGGER, mode: 0o644, changedMs: Date.parse(GOOD.closed_at ?? "") + 100 };
  const old = { ...fresh, changedMs: fresh.changedMs - 60_000 };
  const usual = { path, look: fresh, isInstalled: true, closed: [] };
  const cases: readonly (readonly [
    metrics: NonNullable<OutletFacts["metrics"]>,
    history: readonly WindowRecord[],
    code: string | null,
    title?: RegExp,
  ])[] = [
    [usual, [GOOD], null],
    [
      { ...usual, look: old },
      [GOOD],
      "metrics-stale",
      /is of 2026-01-02T02:59:03\.2.*, and the last/,
    ],
    [{ ...usual, look: old }, [REHEARSED], null],
    [{ ...usual, look: old }, [], null],
    // A report may be under way.
    [
      { ...usual, look: old },
      [{ ...GOOD, closed_at: new Date(NOW.wallMs - 60_000).toISOString() }],
      null,
    ],
    [{ ...usual, look: null }, [GOOD], "metrics-stale", /was installed and is not there any more/],
    // The next window makes it.
    [{ ...usual, look: null, isInstalled: false }, [GOOD], null],
    [
      { ...usual, closed: ["/var/lib/prometheus", path] },
      [],
      "metrics-unreadable",
      /: \/var\/lib\/prometheus and .*locktables\.prom is for its owner alone/,
    ],
  ];
  for (const [metrics, history, code, title] of cases) {
    const findings = outletFindings({ ...QUIET, history, metrics }, NOW);
    assert.deepEqual(findings.map((one) => one.code), code === null ? [] : [code]);
    if (title !== undefined) assert.match(findings[0]?.title ?? "", title);
  }
});
