/** Findings about what people hear of windows: is the last good one too old, was one not reported? */
import type { Instant } from "../base/clock.ts";
import type { FileLook } from "../base/look.ts";
import { LOGGER } from "../base/paths.ts";
import { LOG_SOCKETS } from "../outlets/journal.ts";
import type { Unreported } from "../outlets/unreported.ts";
import type { WindowRecord } from "../window/record.ts";
import { type Finding, finding } from "./finding.ts";
import { frequencyFindings } from "./frequency_findings.ts";

/** What is known. */
export interface OutletFacts {
  /** Closed windows, the newest first; rehearsals among them. */
  readonly history: readonly WindowRecord[];
  readonly unreported: readonly Unreported[];
  /** Null where no log is wanted. */
  readonly log: LogFacts | null;
  /** Null where no metrics are wanted, or no collector is there. */
  readonly metrics: MetricsFacts | null;
}

/** The way to journal and syslog. */
export interface LogFacts {
  readonly logger: FileLook | null;
  /** Those sockets of log daemons that are there. */
  readonly sockets: readonly string[];
}

/** The file for node_exporter. */
export interface MetricsFacts {
  readonly path: string;
  /** Null where it is not there. */
  readonly look: FileLook | null;
  /** Whether `install prometheus` has put it there. */
  readonly isInstalled: boolean;
  /** What only its owner may read of the way to it, the file included; the outermost first. */
  readonly closed: readonly string[];
}

/** How many distances between windows show what is usual. */
const FEWEST_DISTANCES = 3;

/** How many of the last ones count: two weeks of nights, so that a new rhythm is soon the usual one. */
const DISTANCES = 14;

/** How many usual distances may pass without a good window: one that failed is repeated the next time. */
const OVERDUE_FACTOR = 2;

/** Windows that follow each other within less are trials. */
const SHORTEST_DISTANCE_MS = 60_000;

/** Says it. */
export function outletFindings(facts: OutletFacts, now: Instant): Finding[] {
  return [
    ...overdueFindings(facts, now),
    ...frequencyFindings(facts.history, now),
    ...unreportedFindings(facts),
    ...logFindings(facts),
    ...metricsFindings(facts, now),
  ];
}

function overdueFindings({ history }: OutletFacts, now: Instant): Finding[] {
  const windows = history.filter(({ is_rehearsal }) => !is_rehearsal);
  const good = windows.find(({ verdict }) => verdict === "application-consistent");
  const usualMs = usualDistanceMs(windows);
  if (good === undefined || usualMs === null) return [];
  const passedMs = now.wallMs - Date.parse(good.opened_at);
  if (passedMs <= OVERDUE_FACTOR * usualMs) return [];
  return [finding(
    "image-overdue",
    `The last application-consistent window was opened at ${good.opened_at}, ${
      hours(passedMs)
    } ago; expected one every ${hours(usualMs)}, as before. See: locktables history`,
  )];
}

/** The median of the last distances between windows; null where there are too few. */
function usualDistanceMs(newestFirst: readonly WindowRecord[]): number | null {
  const opened = newestFirst.map(({ opened_at }) => Date.parse(opened_at));
  const distances = opened.slice(1).map((earlier, at) => (opened[at] ?? earlier) - earlier)
    .filter((ms) => ms >= SHORTEST_DISTANCE_MS).slice(0, DISTANCES).sort((a, b) => a - b);
  if (distances.length < FEWEST_DISTANCES) return null;
  return distances[Math.floor(distances.length / 2)] ?? null;
}

function hours(ms: number): string {
  return ms < 60 * 60_000
    ? `${Math.round(ms / 60_000)} min`
    : `${Math.round(ms / (60 * 60_000))} h`;
}

function unreportedFindings({ unreported }: OutletFacts): Finding[] {
  return unreported.map(({ outlet, why }) =>
    finding("not-reported", `The last window could not be reported (${outlet}): ${why}`)
  );
}

function logFindings({ log }: OutletFacts): Finding[] {
  if (log === null) return [];
  const or = "or set log=off in [locktables]";
  if (log.logger === null || (log.logger.mode & RUNNABLE) === 0) {
    return [finding(
      "log-unreachable",
      `Windows cannot be logged: ${LOGGER} is ${
        log.logger === null ? "not there" : "not executable"
      }. It is part of util-linux; ${or}`,
    )];
  }
  if (log.sockets.length > 0) return [];
  return [finding(
    "log-unreachable",
    `Windows cannot be logged: no log daemon listens at ${
      LOG_SOCKETS.join(" or ")
    }. Start one; ${or}`,
  )];
}

/** The bits of a mode that let a program be started. */
const RUNNABLE = 0o111;

/** How long a report may take: it waits up to a minute for a frozen disk. */
const REPORT_MS = 2 * 60_000;

function metricsFindings({ history, metrics }: OutletFacts, now: Instant): Finding[] {
  if (metrics === null) return [];
  const { path, look, isInstalled, closed } = metrics;
  const again = { remedy: "locktables install prometheus" };
  if (look === null) {
    return isInstalled
      ? [finding("metrics-stale", `${path} was installed and is not there any more`, again)]
      : [];
  }
  const last = history.find(({ is_rehearsal }) => !is_rehearsal)?.closed_at ?? null;
  const lastMs = last === null ? -Infinity : Date.parse(last);
  const isStale = look.changedMs < lastMs && now.wallMs - lastMs > REPORT_MS;
  return [
    ...(isStale
      ? [finding(
        "metrics-stale",
        `${path} is of ${
          new Date(look.changedMs).toISOString()
        }, and the last window was closed at ${last}: Prometheus does not know of it`,
        again,
      )]
      : []),
    ...(closed[0] === undefined ? [] : [finding(
      "metrics-unreadable",
      `${path} cannot be read by node_exporter, which is not root: ${
        closed.join(" and ")
      } is for its owner alone`,
      { remedy: closed.map((one) => `chmod o+rX ${one}`).join(" && ") },
    )]),
  ];
}
