/**
 * The totals as Prometheus reads them, for node_exporter's textfile collector
 * (https://github.com/prometheus/node_exporter#textfile-collector): base units, no timestamps, HELP
 * and TYPE once. Pure.
 */
import { type Outcome, OUTCOMES, verdictOf, VERDICTS } from "../window/verdict.ts";
import { frozenMs } from "../window/frozen_span.ts";
import { longestStallMs } from "../window/stall.ts";
import type { WindowRecord } from "../window/record.ts";
import type { Totals } from "./totals.ts";
import { windowTimes } from "./window_times.ts";

/** What is known besides the totals. */
export interface MetricsFacts {
  readonly version: string;
  /** Of now; null where it is not known, as in a file that is written after each window. */
  readonly isOpen: boolean | null;
}

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

interface Metric {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** The whole file, without the line feed at its end. */
export function metricsText(totals: Totals, facts: MetricsFacts): string {
  return metricsOf(totals, facts).filter(({ samples }) => samples.length > 0).flatMap((
    { name, type, help, samples },
  ) => [
    `# HELP locktables_${name} ${help}`,
    `# TYPE locktables_${name} ${type}`,
    ...samples.map(([labels, value]) => `locktables_${name}${labelsText(labels)} ${value}`),
  ]).join("\n");
}

function metricsOf(totals: Totals, { version, isOpen }: MetricsFacts): Metric[] {
  const { last, last_good_at, last_refusal } = totals;
  const gauge = (name: string, help: string, samples: readonly Sample[]): Metric => ({
    name,
    type: "gauge",
    help,
    samples,
  });
  return [
    gauge("build_info", "Version of locktables that wrote this.", [[{ version }, 1]]),
    gauge(
      "window_open",
      "Whether a window is open now.",
      isOpen === null ? [] : [[{}, isOpen ? 1 : 0]],
    ),
    gauge(
      "last_application_consistent_timestamp_seconds",
      "When the last application-consistent window locked the servers: what its image shows.",
      momentOf(last_good_at),
    ),
    ...(last === null ? [] : lastMetrics(last, gauge)),
    {
      name: "windows_total",
      type: "counter",
      help: "Closed windows by outcome and verdict. Rehearsals do not count.",
      samples: windowSamples(totals),
    },
    {
      name: "pre_freeze_refusals_total",
      type: "counter",
      help: "Calls of pre-freeze that were refused, by exit code.",
      samples: totals.refusals.map(({ exit_code, count }): Sample => [
        { exit_code: String(exit_code) },
        count,
      ]).sort(([one], [other]) => Number(one["exit_code"]) - Number(other["exit_code"])),
    },
    gauge(
      "last_pre_freeze_refusal_timestamp_seconds",
      "When pre-freeze was last refused.",
      momentOf(last_refusal?.at ?? null),
    ),
  ];
}

function lastMetrics(
  last: WindowRecord,
  gauge: (name: string, help: string, samples: readonly Sample[]) => Metric,
): Metric[] {
  const { preparationMs, lockWaitMs, freezeMs } = windowTimes(last);
  const isGood = last.verdict === "application-consistent";
  return [
    gauge(
      "last_window_start_timestamp_seconds",
      "When the last window was opened.",
      momentOf(last.opened_at),
    ),
    gauge(
      "last_window_end_timestamp_seconds",
      "When the last window was closed.",
      momentOf(last.closed_at),
    ),
    gauge(
      "last_window_success",
      "Whether the last window was application-consistent.",
      [[{}, isGood ? 1 : 0]],
    ),
    gauge(
      "last_window_verdict",
      "What the last window's image is worth: 1 for one of the verdicts.",
      Object.keys(VERDICTS).map((verdict) => [{ verdict }, last.verdict === verdict ? 1 : 0]),
    ),
    gauge(
      "last_window_outcome",
      "How the last window closed: 1 for one of the outcomes.",
      Object.keys(OUTCOMES).map((outcome) => [{ outcome }, last.outcome === outcome ? 1 : 0]),
    ),
    gauge(
      "last_window_preparation_seconds",
      "From the start of pre-freeze to the lock statement.",
      secondsOf(preparationMs),
    ),
    gauge(
      "last_window_lock_wait_seconds",
      "From the lock statement to the lock.",
      secondsOf(lockWaitMs),
    ),
    gauge("last_window_freeze_seconds", "The whole of pre-freeze.", secondsOf(freezeMs)),
    gauge(
      "last_window_hold_seconds",
      "From the lock to its release.",
      secondsOf(last.held_ms),
    ),
    gauge(
      "last_window_frozen_seconds",
      "For how long the servers' filesystems were frozen under the lock.",
      secondsOf(frozenMs(last)),
    ),
    gauge(
      "last_window_stall_seconds",
      "Longest time for which writers had to wait for the window.",
      secondsOf(longestStallMs(last.timeline)),
    ),
    gauge(
      "last_window_server_info",
      "The servers of the last window, and how each was locked.",
      last.instances.map(({ name, flavor, version, method }) => [
        { server: name, flavor, version, method },
        1,
      ]),
    ),
    gauge(
      "last_window_server_success",
      "Whether the last window was application-consistent for one server.",
      last.instances.map(({ name, verdict }) => [
        { server: name },
        verdict === "application-consistent" ? 1 : 0,
      ]),
    ),
  ];
}

/** Every outcome has its sample from the beginning: a counter that appears with 1 is not counted. */
function windowSamples({ windows }: Totals): readonly Sample[] {
  const usual = (Object.keys(OUTCOMES) as Outcome[]).map((outcome) => ({
    outcome: outcome as string,
    verdict: verdictOf(outcome) as string,
    count: 0,
  }));
  const isOf = (one: typeof usual[number]) => (other: typeof usual[number]) =>
    one.outcome === other.outcome && one.verdict === other.verdict;
  return [
    ...usual.map((one) => windows.find(isOf(one)) ?? one),
    ...windows.filter((one) => !usual.some(isOf(one))),
  ].map(({ outcome, verdict, count }) => [{ outcome, verdict }, count]);
}

function momentOf(moment: string | null): readonly Sample[] {
  return moment === null ? [] : [[{}, Date.parse(moment) / 1_000]];
}

function secondsOf(ms: number | null): readonly Sample[] {
  return ms === null ? [] : [[{}, Number((ms / 1_000).toFixed(4))]];
}

function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** Versions and names are the servers'. */
function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
