/** What a monitor hears of the windows, as lines of a plugin. */
import assert from "node:assert/strict";
import { PLUGIN_STATE } from "../../lib/base/plugin_state.ts";
import {
  type Expectation,
  judge,
  type MonitorFacts,
  monitorFacts,
} from "../../lib/outlets/judgement.ts";
import { pluginLine, unknownLine } from "../../lib/outlets/nagios.ts";
import type { LastRefusal } from "../../lib/outlets/totals.ts";
import type { WindowRecord } from "../../lib/window/record.ts";
import { daysBefore, EXPIRED, GOOD, OPEN, REFUSED } from "./records.ts";

/** Two hours after the lock of {@linkcode GOOD}. */
const NOW = { monoMs: 0, wallMs: Date.UTC(2026, 0, 2, 5, 0, 1) };
const HOUR_MS = 60 * 60_000;
const NOTHING: Expectation = { maxAgeMs: null, warnHoldMs: null };
const REHEARSED: WindowRecord = { ...GOOD, caller: null, is_rehearsal: true };
const BAD_OPTION: LastRefusal = {
  at: "",
  caller: "vmware",
  exit_code: 22,
  reason: "bad-setting",
  summary: "Bad setting",
};
const NEVER_CLOSED: WindowRecord = { ...OPEN, window_id: "never closed" };

interface Case {
  readonly name: string;
  readonly locker?: MonitorFacts["locker"];
  readonly window?: WindowRecord;
  /** The last first; default: a good one. */
  readonly closed?: readonly WindowRecord[];
  readonly refusal?: LastRefusal;
  readonly expected?: Partial<Expectation>;
  readonly state: keyof typeof PLUGIN_STATE;
  readonly line: string;
}

const MEASURES = "age=7200s;;;0 held=2.0004s;;;0 open=0;;;0;1";

const CASES: readonly Case[] = [
  {
    name: "a good window",
    state: "ok",
    line:
      `LOCKTABLES OK: application-consistent 2 h 0 min ago, by qemu, held 2000.4 ms | ${MEASURES}`,
  },
  {
    name: "a good window within what is expected",
    expected: { maxAgeMs: 26 * HOUR_MS, warnHoldMs: 5_000 },
    state: "ok",
    line:
      "LOCKTABLES OK: application-consistent 2 h 0 min ago, by qemu, held 2000.4 ms | age=7200s;;93600;0 held=2.0004s;5;;0 open=0;;;0;1",
  },
  {
    name: "a good window that is too old",
    closed: [daysBefore(2, GOOD)],
    expected: { maxAgeMs: 26 * HOUR_MS },
    state: "critical",
    line:
      "LOCKTABLES CRITICAL: the last application-consistent window is 2 d 2 h old, expected one within 26h | age=180000s;;93600;0 held=2.0004s;;;0 open=0;;;0;1",
  },
  {
    name: "a good window that is as old as it may be",
    expected: { maxAgeMs: 2 * HOUR_MS },
    state: "ok",
    line:
      "LOCKTABLES OK: application-consistent 2 h 0 min ago, by qemu, held 2000.4 ms | age=7200s;;7200;0 held=2.0004s;;;0 open=0;;;0;1",
  },
  {
    name: "a good window that held for long",
    expected: { warnHoldMs: 500 },
    state: "warning",
    line:
      "LOCKTABLES WARNING: the last window held its lock for 2000.4 ms, expected at most 500ms | age=7200s;;;0 held=2.0004s;0.5;;0 open=0;;;0;1",
  },
  {
    name: "a bad window after a good one",
    closed: [EXPIRED, daysBefore(1, GOOD)],
    expected: { maxAgeMs: 36 * HOUR_MS, warnHoldMs: 5_000 },
    state: "critical",
    line:
      "LOCKTABLES CRITICAL: the window of 2026-01-02T03:00:00.000Z, by qemu, was crash-consistent (expired, hold-timeout); the last window held its lock for 60000 ms, expected at most 5s | age=93600s;;129600;0 held=60s;5;;0 open=0;;;0;1",
  },
  {
    name: "a bad window after a good one that is too old",
    closed: [REFUSED, daysBefore(1, EXPIRED), daysBefore(3, GOOD)],
    expected: { maxAgeMs: 26 * HOUR_MS },
    state: "critical",
    line:
      "LOCKTABLES CRITICAL: the window of 2026-01-02T03:00:00.000Z, by qemu, was not-quiesced (refused, refused): Blocked by id 12 / app@web; the last application-consistent window is 3 d 2 h old, expected one within 26h | age=266400s;;93600;0 held=U;;;0 open=0;;;0;1",
  },
  {
    name: "a good window after a bad one",
    closed: [GOOD, daysBefore(1, REFUSED)],
    expected: { maxAgeMs: 26 * HOUR_MS },
    state: "ok",
    line:
      "LOCKTABLES OK: application-consistent 2 h 0 min ago, by qemu, held 2000.4 ms | age=7200s;;93600;0 held=2.0004s;;;0 open=0;;;0;1",
  },
  {
    name: "a rehearsal after a bad window, which is no backup",
    closed: [REHEARSED, daysBefore(1, EXPIRED)],
    state: "critical",
    line:
      "LOCKTABLES CRITICAL: the window of 2026-01-01T03:00:00.000Z, by qemu, was crash-consistent (expired, hold-timeout) | age=U;;;0 held=60s;;;0 open=0;;;0;1",
  },
  {
    name: "a rehearsal alone",
    closed: [REHEARSED],
    expected: { maxAgeMs: 26 * HOUR_MS },
    state: "unknown",
    line:
      "LOCKTABLES UNKNOWN: no window before; no application-consistent window is known, expected one within 26h | age=U;;93600;0 held=U;;;0 open=0;;;0;1",
  },
  {
    name: "no window",
    closed: [],
    state: "unknown",
    line: "LOCKTABLES UNKNOWN: no window before | age=U;;;0 held=U;;;0 open=0;;;0;1",
  },
  {
    name: "a window that is open, as it should be",
    locker: "running",
    window: { ...OPEN, deadline: "2026-01-02T05:00:30.000Z" },
    state: "ok",
    line:
      "LOCKTABLES OK: application-consistent 2 h 0 min ago, by qemu, held 2000.4 ms | age=7200s;;;0 held=2.0004s;;;0 open=1;;;0;1",
  },
  {
    name: "a window that is open past its deadline",
    locker: "running",
    window: { ...OPEN, deadline: "2026-01-02T04:59:30.000Z" },
    state: "critical",
    line:
      "LOCKTABLES CRITICAL: a window is open past its deadline of 2026-01-02T04:59:30.000Z | age=7200s;;;0 held=2.0004s;;;0 open=1;;;0;1",
  },
  {
    name: "a window that is being released",
    locker: "running",
    window: { ...OPEN, deadline: "2026-01-02T04:59:55.000Z" },
    state: "ok",
    line:
      "LOCKTABLES OK: application-consistent 2 h 0 min ago, by qemu, held 2000.4 ms | age=7200s;;;0 held=2.0004s;;;0 open=1;;;0;1",
  },
  {
    name: "a locker that does not answer",
    locker: "no-answer",
    window: OPEN,
    state: "critical",
    line:
      "LOCKTABLES CRITICAL: the locker of a window does not answer and may hold its lock | age=7200s;;;0 held=2.0004s;;;0 open=1;;;0;1",
  },
  {
    name: "a refusal after a good window",
    refusal: { ...BAD_OPTION, at: "2026-01-02T04:00:00.000Z" },
    state: "critical",
    line:
      `LOCKTABLES CRITICAL: pre-freeze of vmware was refused at 2026-01-02T04:00:00.000Z (exit 22): Bad setting | ${MEASURES}`,
  },
  {
    name: "a refusal before a good window",
    refusal: { ...BAD_OPTION, at: "2026-01-02T02:00:00.000Z" },
    state: "ok",
    line:
      `LOCKTABLES OK: application-consistent 2 h 0 min ago, by qemu, held 2000.4 ms | ${MEASURES}`,
  },
  {
    name: "a refusal, and never a window",
    closed: [],
    refusal: { ...BAD_OPTION, at: "2026-01-02T02:00:00.000Z", caller: null },
    state: "critical",
    line:
      "LOCKTABLES CRITICAL: pre-freeze was refused at 2026-01-02T02:00:00.000Z (exit 22): Bad setting; no window before | age=U;;;0 held=U;;;0 open=0;;;0;1",
  },
  {
    name: "a refused window, once",
    closed: [REFUSED],
    refusal: { ...BAD_OPTION, at: REFUSED.closed_at ?? "", exit_code: 10 },
    state: "critical",
    line:
      "LOCKTABLES CRITICAL: the window of 2026-01-02T03:00:00.000Z, by qemu, was not-quiesced (refused, refused): Blocked by id 12 / app@web | age=U;;;0 held=U;;;0 open=0;;;0;1",
  },
  {
    name: "a second pre-freeze that was refused while a window is open",
    locker: "running",
    window: { ...OPEN, deadline: "2026-01-02T05:00:30.000Z" },
    refusal: { ...BAD_OPTION, at: "2026-01-02T05:00:00.000Z", exit_code: 11 },
    state: "ok",
    line:
      "LOCKTABLES OK: application-consistent 2 h 0 min ago, by qemu, held 2000.4 ms | age=7200s;;;0 held=2.0004s;;;0 open=1;;;0;1",
  },
  {
    name: "an image that was booted",
    closed: [NEVER_CLOSED, daysBefore(1, GOOD)],
    state: "warning",
    line:
      "LOCKTABLES WARNING: the window of 2026-01-02T03:00:00.000Z was never closed on this disk | age=93600s;;;0 held=U;;;0 open=0;;;0;1",
  },
];

for (const { name, locker = "no-locker", window = null, closed = [GOOD], ...rest } of CASES) {
  Deno.test(`a monitor hears of ${name}: ${rest.state}`, () => {
    const [last = null, ...history] = closed;
    const lastRefusal = rest.refusal ?? null;
    const expected = { ...NOTHING, ...rest.expected };
    const facts = monitorFacts({ locker, window, last, lastRefusal }, history);
    const judgement = judge(facts, expected, NOW);
    assert.equal(pluginLine(judgement, expected), rest.line);
    assert.equal(judgement.state, rest.state);
  });
}

Deno.test("the history is read only as far as it is needed", () => {
  function* history(): Generator<WindowRecord> {
    yield daysBefore(1, GOOD);
    assert.fail("read on");
  }
  const now = { locker: "no-locker", window: null, last: EXPIRED, lastRefusal: null } as const;
  const facts = monitorFacts(now, history());
  assert.equal(facts.last, EXPIRED);
  assert.equal(facts.lastGood?.verdict, "application-consistent");
});

Deno.test("nothing that others wrote makes a second line or a measure", () => {
  const line = unknownLine("one\ntwo | held=9s\u001b[31m");
  assert.equal(line, "LOCKTABLES UNKNOWN: one two / held=9s [31m");
});
