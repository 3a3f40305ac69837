/**
 * What is counted over all windows, and the last one: kept in a file of its own, because the history
 * is cut. Pure.
 */
import { array, literal, nullable, number, object, safeParse, string, unknown } from "zod/mini";
import { parseRecord } from "../window/parse_record.ts";
import type { WindowRecord } from "../window/record.ts";
import { isOfImage, type Report } from "../window/report.ts";

/** Version of this shape. */
const TOTALS_VERSION = 1;

/** How many windows are remembered as counted: more than can be on their way at a time. */
const REMEMBERED = 20;

/** A pre-freeze that was refused. */
export interface LastRefusal {
  readonly at: string;
  readonly caller: string | null;
  readonly exit_code: number;
  readonly reason: string;
  readonly summary: string;
}

/** The numbers. Rehearsals are not among them. */
export interface Totals {
  readonly schema_version: typeof TOTALS_VERSION;
  readonly windows: readonly {
    readonly outcome: string;
    readonly verdict: string;
    readonly count: number;
  }[];
  /** Of pre-freeze. */
  readonly refusals: readonly { readonly exit_code: number; readonly count: number }[];
  readonly last: WindowRecord | null;
  /** When the last application-consistent image shows the servers. */
  readonly last_good_at: string | null;
  readonly last_refusal: LastRefusal | null;
  /** Windows that are counted, the newest last. */
  readonly counted: readonly string[];
}

/** Before the first window. */
export const NO_TOTALS: Totals = {
  schema_version: TOTALS_VERSION,
  windows: [],
  refusals: [],
  last: null,
  last_good_at: null,
  last_refusal: null,
  counted: [],
};

/** The totals after one more report; the same ones where it is counted already. */
export function withReport(totals: Totals, report: Report): Totals {
  if (!isOfImage(report)) return totals;
  const windowId = report.kind === "window" ? report.record.window_id : null;
  if (windowId !== null && totals.counted.includes(windowId)) return totals;
  const withWindow = report.kind === "window" ? addWindow(totals, report.record) : totals;
  return report.refusal === null ? withWindow : addRefusal(withWindow, {
    at: report.kind === "window" ? report.record.closed_at ?? report.record.opened_at : report.at,
    caller: report.kind === "window" ? report.record.caller : report.caller,
    exit_code: report.refusal.code,
    reason: report.refusal.reason,
    summary: report.refusal.summary,
  });
}

/** The totals of a history, for a guest that has windows but no totals yet. The oldest first. */
export function totalsOf(history: Iterable<WindowRecord>): Totals {
  let totals = NO_TOTALS;
  for (const record of history) {
    totals = withReport(totals, { kind: "window", record, refusal: null });
  }
  return totals;
}

function addWindow(totals: Totals, record: WindowRecord): Totals {
  const { outcome, verdict, window_id } = record;
  const imageAt = record.locked_at ?? record.opened_at;
  // A report that waited for its disk may come after that of the next window.
  const isLast = totals.last === null || totals.last.opened_at <= record.opened_at;
  const isLastGood = verdict === "application-consistent" &&
    (totals.last_good_at === null || totals.last_good_at <= imageAt);
  const isSame = (one: Totals["windows"][number]) =>
    one.outcome === outcome && one.verdict === verdict;
  return {
    ...totals,
    windows: outcome === null || verdict === null ? totals.windows : [
      ...totals.windows.filter((one) => !isSame(one)),
      { outcome, verdict, count: (totals.windows.find(isSame)?.count ?? 0) + 1 },
    ],
    last: isLast ? record : totals.last,
    last_good_at: isLastGood ? imageAt : totals.last_good_at,
    counted: [...totals.counted, window_id].slice(-REMEMBERED),
  };
}

function addRefusal(totals: Totals, last_refusal: LastRefusal): Totals {
  const { exit_code } = last_refusal;
  const isSame = (one: Totals["refusals"][number]) => one.exit_code === exit_code;
  return {
    ...totals,
    refusals: [
      ...totals.refusals.filter((one) => !isSame(one)),
      { exit_code, count: (totals.refusals.find(isSame)?.count ?? 0) + 1 },
    ],
    last_refusal,
  };
}

const shape = object({
  schema_version: literal(TOTALS_VERSION),
  windows: array(object({ outcome: string(), verdict: string(), count: number() })),
  refusals: array(object({ exit_code: number(), count: number() })),
  last: nullable(unknown()),
  last_good_at: nullable(string()),
  last_refusal: nullable(object({
    at: string(),
    caller: nullable(string()),
    exit_code: number(),
    reason: string(),
    summary: string(),
  })),
  counted: array(string()),
});

/** Reads totals back; null for text that is none of this version. */
export function parseTotals(text: string | null): Totals | null {
  if (text === null) return null;
  try {
    const read = safeParse(shape, JSON.parse(text));
    if (!read.success) return null;
    const last = parseRecord(JSON.stringify(read.data.last));
    return { ...read.data, last };
  } catch {
    return null; // cut off or foreign: they are counted again from the history
  }
}
