/** The alert rules that ship, judged and evaluated by Debian's promtool. */
import assert from "node:assert/strict";
import { unpackedPath } from "../../scripts/provision.ts";
import { repositoryRoot, run } from "../../scripts/shell.ts";

const RULES = `${repositoryRoot()}/docs/locktables.rules.yml`;

async function promtool(...args: readonly string[]) {
  return await run([`${await unpackedPath("prometheus")}/usr/bin/promtool`, ...args]);
}

interface RuleCase {
  readonly name: string;
  /** Samples of one guest, each 30 minutes apart, in promtool's notation; time begins with 0. */
  readonly series: Readonly<Record<string, string>>;
  readonly atHours: number;
  /** Which alerts fire then. */
  readonly alerts: readonly string[];
}

const GOOD_AT = "locktables_last_application_consistent_timestamp_seconds";
const SUCCESS = "locktables_last_window_success";
const END = "locktables_last_window_end_timestamp_seconds";
const REFUSED_AT = "locktables_last_pre_freeze_refusal_timestamp_seconds";
const HOLD = "locktables_last_window_hold_seconds";
const EXPIRED = 'locktables_last_window_outcome{outcome="expired"}';
const INFO = 'locktables_build_info{version="0.1.0"}';

const CASES: readonly RuleCase[] = [
  {
    name: "a good night",
    series: { [INFO]: "1x100", [GOOD_AT]: "3600x100", [SUCCESS]: "1x100", [EXPIRED]: "0x100" },
    atHours: 25,
    alerts: [],
  },
  {
    name: "no good window for 27 hours",
    series: { [INFO]: "1x100", [GOOD_AT]: "3600x100", [SUCCESS]: "1x100" },
    atHours: 28,
    alerts: ["LocktablesNoGoodWindow"],
  },
  {
    name: "a guest that has not had a window for an hour",
    series: { [INFO]: "1x100" },
    atHours: 1,
    alerts: [],
  },
  {
    name: "a guest that has never had a good window",
    series: { [INFO]: "1x100" },
    atHours: 28,
    alerts: ["LocktablesNeverGoodWindow"],
  },
  {
    name: "a bad window, though the one before is young enough",
    series: { [INFO]: "1x100", [GOOD_AT]: "3600x100", [SUCCESS]: "0x100" },
    atHours: 2,
    alerts: ["LocktablesLastWindowBad"],
  },
  {
    name: "a refusal after the last window",
    series: { [INFO]: "1x100", [GOOD_AT]: "3600x100", [END]: "3603x100", [REFUSED_AT]: "7200x100" },
    atHours: 3,
    alerts: ["LocktablesRefused"],
  },
  {
    name: "a refusal before the last window",
    series: { [INFO]: "1x100", [GOOD_AT]: "7200x100", [END]: "7203x100", [REFUSED_AT]: "3600x100" },
    atHours: 3,
    alerts: [],
  },
  {
    name: "a refusal, and never a window",
    series: { [INFO]: "1x100", [REFUSED_AT]: "3600x100" },
    atHours: 3,
    alerts: ["LocktablesRefused"],
  },
  {
    name: "a window that nobody closed",
    series: { [INFO]: "1x100", [GOOD_AT]: "3600x100", [SUCCESS]: "0x100", [EXPIRED]: "1x100" },
    atHours: 2,
    alerts: ["LocktablesLastWindowBad", "LocktablesWindowOpenTooLong"],
  },
  {
    name: "a window that is open",
    series: { [INFO]: "1x100", [GOOD_AT]: "3600x100", locktables_window_open: "1x100" },
    atHours: 2,
    alerts: ["LocktablesWindowOpenNow"],
  },
  {
    name: "a hold that grew",
    series: { [INFO]: "1x100", [GOOD_AT]: "3600x100", [HOLD]: "2x40 9x60" },
    atHours: 24,
    alerts: ["LocktablesHoldGrew"],
  },
  {
    name: "a hold that grew, and is short",
    series: { [INFO]: "1x100", [GOOD_AT]: "3600x100", [HOLD]: "0.1x40 0.9x60" },
    atHours: 24,
    alerts: [],
  },
];

/** The names of all rules, so that each can be shown to be silent. */
async function ruleNames(): Promise<string[]> {
  const text = await Deno.readTextFile(RULES);
  return [...text.matchAll(/^ +- alert: (\w+)$/gm)].map(([, name = ""]) => name);
}

Deno.test("promtool has nothing to say of the alert rules", async () => {
  const { code, stdout, stderr } = await promtool("check", "rules", RULES);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, new RegExp(`SUCCESS: ${(await ruleNames()).length} rules found`));
});

for (const { name, series, atHours, alerts } of CASES) {
  Deno.test(`alerts of ${name}: ${alerts.join(", ") || "none"}`, async () => {
    const labelled = (metric: string) =>
      metric.endsWith("}")
        ? metric.replace("}", ',instance="db1",job="node"}')
        : `${metric}{instance="db1",job="node"}`;
    const firing = await Promise.all((await ruleNames()).map(async (alert) => {
      // One at a time: what promtool expects of an alert that fires is all of its labels.
      const test = {
        rule_files: [RULES],
        evaluation_interval: "30m",
        tests: [{
          interval: "30m",
          input_series: Object.entries(series).map(([metric, values]) => ({
            series: labelled(metric),
            values,
          })),
          alert_rule_test: [{ eval_time: `${atHours}h`, alertname: alert, exp_alerts: [] }],
        }],
      };
      const file = await Deno.makeTempFile({ suffix: ".yml" });
      try {
        await Deno.writeTextFile(file, JSON.stringify(test));
        const { code, stderr } = await promtool("test", "rules", file);
        if (code !== 0) assert.match(stderr, /got:\[/);
        return code === 0 ? [] : [alert];
      } finally {
        await Deno.remove(file);
      }
    }));
    assert.deepEqual(firing.flat(), alerts);
  });
}
