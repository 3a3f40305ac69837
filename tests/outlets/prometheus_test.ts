/** The text that Prometheus reads, and what Debian's promtool says of it. */
import assert from "node:assert/strict";
import { unpackedPath } from "../../scripts/provision.ts";
import { run } from "../../scripts/shell.ts";
import { metricsText } from "../../lib/outlets/prometheus.ts";
import { NO_TOTALS, withReport } from "../../lib/outlets/totals.ts";
import { EXIT, refusal } from "../../lib/base/refusal.ts";
import { daysBefore, EXPIRED, FROZEN, GOOD, REFUSED } from "./records.ts";

const FACTS = { version: "0.1.0", isOpen: false };
const BLOCKED = refusal(EXIT.lockNotObtained, "blocked", "Blocked by id 12", "Wait");

const GOOD_ALONE = withReport(NO_TOTALS, { kind: "window", record: FROZEN, refusal: null });

const MANY = [
  { kind: "window", record: daysBefore(2, GOOD), refusal: null },
  { kind: "window", record: daysBefore(1, EXPIRED), refusal: null },
  { kind: "refusal", at: "2026-01-02T02:00:00.000Z", caller: null, refusal: BLOCKED },
  { kind: "window", record: REFUSED, refusal: BLOCKED },
] as const;
const BAD_NIGHT = MANY.reduce(withReport, NO_TOTALS);

const ODD = withReport(NO_TOTALS, {
  kind: "window",
  record: {
    ...GOOD,
    instances: GOOD.instances.map((one) => ({ ...one, version: 'x"\\\n# HELP y' })),
  },
  refusal: null,
});

Deno.test("the metrics of a good window", () => {
  assert.equal(
    metricsText(GOOD_ALONE, FACTS),
    `# HELP locktables_build_info Version of locktables that wrote this.
# TYPE locktables_build_info gauge
locktables_build_info{version="0.1.0"} 1
# HELP locktables_window_open Whether a window is open now.
# TYPE locktables_window_open gauge
locktables_window_open 0
# HELP locktables_last_application_consistent_timestamp_seconds When the last application-consistent window locked the servers: what its image shows.
# TYPE locktables_last_application_consistent_timestamp_seconds gauge
locktables_last_application_consistent_timestamp_seconds 1767322801
# HELP locktables_last_window_start_timestamp_seconds When the last window was opened.
# TYPE locktables_last_window_start_timestamp_seconds gauge
locktables_last_window_start_timestamp_seconds 1767322800
# HELP locktables_last_window_end_timestamp_seconds When the last window was closed.
# TYPE locktables_last_window_end_timestamp_seconds gauge
locktables_last_window_end_timestamp_seconds 1767322803.1
# HELP locktables_last_window_success Whether the last window was application-consistent.
# TYPE locktables_last_window_success gauge
locktables_last_window_success 1
# HELP locktables_last_window_verdict What the last window's image is worth: 1 for one of the verdicts.
# TYPE locktables_last_window_verdict gauge
locktables_last_window_verdict{verdict="application-consistent"} 1
locktables_last_window_verdict{verdict="crash-consistent"} 0
locktables_last_window_verdict{verdict="not-quiesced"} 0
# HELP locktables_last_window_outcome How the last window closed: 1 for one of the outcomes.
# TYPE locktables_last_window_outcome gauge
locktables_last_window_outcome{outcome="released"} 1
locktables_last_window_outcome{outcome="expired"} 0
locktables_last_window_outcome{outcome="lost"} 0
locktables_last_window_outcome{outcome="failed"} 0
locktables_last_window_outcome{outcome="aborted"} 0
locktables_last_window_outcome{outcome="refused"} 0
# HELP locktables_last_window_preparation_seconds From the start of pre-freeze to the lock statement.
# TYPE locktables_last_window_preparation_seconds gauge
locktables_last_window_preparation_seconds 0.99
# HELP locktables_last_window_lock_wait_seconds From the lock statement to the lock.
# TYPE locktables_last_window_lock_wait_seconds gauge
locktables_last_window_lock_wait_seconds 0.01
# HELP locktables_last_window_freeze_seconds The whole of pre-freeze.
# TYPE locktables_last_window_freeze_seconds gauge
locktables_last_window_freeze_seconds 1.2
# HELP locktables_last_window_hold_seconds From the lock to its release.
# TYPE locktables_last_window_hold_seconds gauge
locktables_last_window_hold_seconds 2.0004
# HELP locktables_last_window_frozen_seconds For how long the servers' filesystems were frozen under the lock.
# TYPE locktables_last_window_frozen_seconds gauge
locktables_last_window_frozen_seconds 1.2
# HELP locktables_last_window_stall_seconds Longest time for which writers had to wait for the window.
# TYPE locktables_last_window_stall_seconds gauge
locktables_last_window_stall_seconds 2.0104
# HELP locktables_last_window_server_info The servers of the last window, and how each was locked.
# TYPE locktables_last_window_server_info gauge
locktables_last_window_server_info{server="main",flavor="mariadb",version="10.11.19-MariaDB-0+deb12u1",method="backup-stage"} 1
# HELP locktables_last_window_server_success Whether the last window was application-consistent for one server.
# TYPE locktables_last_window_server_success gauge
locktables_last_window_server_success{server="main"} 1
# HELP locktables_windows_total Closed windows by outcome and verdict. Rehearsals do not count.
# TYPE locktables_windows_total counter
locktables_windows_total{outcome="released",verdict="application-consistent"} 1
locktables_windows_total{outcome="expired",verdict="crash-consistent"} 0
locktables_windows_total{outcome="lost",verdict="crash-consistent"} 0
locktables_windows_total{outcome="failed",verdict="not-quiesced"} 0
locktables_windows_total{outcome="aborted",verdict="not-quiesced"} 0
locktables_windows_total{outcome="refused",verdict="not-quiesced"} 0`,
  );
});

Deno.test("the metrics of a bad night", () => {
  const lines = metricsText(BAD_NIGHT, { ...FACTS, isOpen: true }).split("\n");
  for (
    const line of [
      "locktables_window_open 1",
      "locktables_last_application_consistent_timestamp_seconds 1767150001",
      "locktables_last_window_success 0",
      'locktables_last_window_verdict{verdict="not-quiesced"} 1',
      'locktables_last_window_outcome{outcome="refused"} 1',
      'locktables_windows_total{outcome="released",verdict="application-consistent"} 1',
      'locktables_windows_total{outcome="expired",verdict="crash-consistent"} 1',
      'locktables_windows_total{outcome="refused",verdict="not-quiesced"} 1',
      'locktables_pre_freeze_refusals_total{exit_code="10"} 2',
    ]
  ) assert.ok(lines.includes(line), line);
  // What this window did not come to is left out, and not 0.
  assert.ok(!lines.some((line) => line.startsWith("locktables_last_window_hold_seconds")));
});

for (
  const [what, totals] of [
    ["before the first window", NO_TOTALS],
    ["of a good window", GOOD_ALONE],
    ["of a bad night", BAD_NIGHT],
    ["of a server with an odd name", ODD],
  ] as const
) {
  Deno.test(`promtool has nothing to say of the metrics ${what}`, async () => {
    const promtool = `${await unpackedPath("prometheus")}/usr/bin/promtool`;
    const text = `${metricsText(totals, FACTS)}\n`;
    const { code, stdout, stderr } = await run([promtool, "check", "metrics"], { stdin: text });
    assert.deepEqual([code, stdout, stderr], [0, "", ""]);
  });
}
