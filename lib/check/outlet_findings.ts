/** Findings about what people hear of windows: is the last good one too old, was one not reported? */
import type { Instant } from "../base/clock.ts";
import type { Unreported } from "../outlets/unreported.ts";
import type { WindowRecord } from "../window/record.ts";
import { type Finding, finding } from "./finding.ts";

/** What is known. */
export interface OutletFacts {
  /** Closed windows, the newest first; rehearsals among them. */
  readonly history: readonly WindowRecord[];
  readonly unreported: readonly Unreported[];
}

/** How many distances between windows show what is usual. */
const FEWEST_DISTANCES = 3;

/** How many of the last ones count: two weeks of nights, so that a new rhythm is soon the usual one. */
const DISTANCES = 14;

/** How many usual distances may pass without a good window: one that failed is repeated the next time. */
const OVERDUE_FACTOR = 2;

/** Half a minute's windows one after the other are somebody's trials. */
const SHORTEST_DISTANCE_MS = 60_000;

/** Says it. */
export function outletFindings(facts: OutletFacts, now: Instant): Finding[] {
  return [...overdueFindings(facts, now), ...unreportedFindings(facts)];
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
