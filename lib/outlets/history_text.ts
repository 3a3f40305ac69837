/** The windows so far as a table for people. Pure. */
import { type Line, styled } from "../base/styled.ts";
import type { WindowRecord } from "../window/record.ts";
import { longestStallMs } from "../window/stall.ts";
import { barsText } from "../window/bars.ts";
import { frozenMs } from "../window/frozen_span.ts";
import { type TimeText, windowText } from "../window/status_text.ts";
import { windowTimes } from "./window_times.ts";

/** Which windows are asked for; null where all are. */
export interface HistoryFilter {
  /** Opened since this moment on the wall clock. */
  readonly sinceMs: number | null;
  readonly caller: string | null;
}

/** Those that are asked for, in the same order. */
export function chosenWindows(
  records: readonly WindowRecord[],
  { sinceMs, caller }: HistoryFilter,
): WindowRecord[] {
  return records.filter((record) =>
    (sinceMs === null || Date.parse(record.opened_at) >= sinceMs) &&
    (caller === null || record.caller === caller)
  );
}

const HEADINGS = [
  "window",
  "opened",
  "by",
  "verdict",
  "pre-freeze",
  "held",
  "frozen",
  "stalled",
] as const;

/** What people must know of the windows before a moment: not all of them are in the history. */
export function thinnedText(
  records: readonly WindowRecord[],
  completeSince: string | null,
  time: TimeText,
): string | null {
  const isThinned = completeSince !== null && records.some((one) => one.opened_at < completeSince);
  return isThinned
    ? `Before ${
      time(completeSince)
    } bad windows are all kept, and of good ones one an hour; fewer where they do not fit.`
    : null;
}

/**
 * One line a window, in the order that they come in; and how many were good.
 * @param completeSince since when all windows are in the history; null where nothing was thinned
 */
export function historyText(
  records: readonly WindowRecord[],
  time: TimeText,
  completeSince: string | null = null,
): Line[] {
  const thinned = thinnedText(records, completeSince, time);
  if (records.length === 0) return [["No windows."]];
  const rows = records.map((record) => ({ record, cells: cellsOf(record, time) }));
  const widths = HEADINGS.map((heading, at) =>
    Math.max(heading.length, ...rows.map(({ cells }) => cells[at]?.length ?? 0))
  );
  const padded = (cells: readonly string[]) =>
    cells.map((cell, at) =>
      // Numbers below each other, texts from the left.
      at >= FIRST_NUMBER ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)
    );
  return [
    [styled("heading", `${padded(HEADINGS).join("  ")}  why`)],
    ...rows.map(({ record, cells }): Line => {
      const [id, opened, by, verdict, ...numbers] = padded(cells);
      const why = whyOf(record);
      return [
        `${id}  ${opened}  ${by}  `,
        isGood(record) ? styled("good", verdict ?? "") : styled("error", verdict ?? ""),
        `  ${numbers.join("  ")}`,
        ...(why === "" ? [] : ["  ", styled("warning", why)]),
      ];
    }),
    [],
    [summaryOf(records)],
    ...(thinned === null ? [] : [[thinned]]),
  ];
}

/** Where the columns with numbers begin. */
const FIRST_NUMBER = 4;

/** Length of the part of an id that distinguishes one window from another. */
const ID_LENGTH = 8;

function cellsOf(record: WindowRecord, time: TimeText): readonly string[] {
  const { freezeMs } = windowTimes(record);
  return [
    record.window_id.slice(0, ID_LENGTH),
    time(record.opened_at),
    record.is_rehearsal ? "rehearse" : record.caller ?? "-",
    record.verdict ?? "none",
    secondsText(freezeMs),
    secondsText(record.held_ms),
    secondsText(frozenMs(record)),
    secondsText(longestStallMs(record.timeline)),
  ];
}

function secondsText(ms: number | null): string {
  return ms === null ? "-" : `${(ms / 1_000).toFixed(3)} s`;
}

function whyOf(record: WindowRecord): string {
  if (isGood(record)) return "";
  const { outcome, reason, detail } = record;
  if (outcome === null) return "never closed on this disk";
  return `${outcome}, ${reason}${detail === null ? "" : `: ${detail}`}`;
}

function summaryOf(records: readonly WindowRecord[]): string {
  const ofImages = records.filter(({ is_rehearsal }) => !is_rehearsal);
  const good = ofImages.filter(isGood).length;
  const rehearsals = records.length - ofImages.length;
  const windows = `${ofImages.length} ${ofImages.length === 1 ? "window" : "windows"}`;
  return `${windows}, ${good} application-consistent${
    rehearsals === 0 ? "" : `; ${rehearsals} ${rehearsals === 1 ? "rehearsal" : "rehearsals"}`
  }.`;
}

function isGood({ verdict }: WindowRecord): boolean {
  return verdict === "application-consistent";
}

/** One window with its picture. */
export function oneWindowText(record: WindowRecord, time: TimeText): Line[] {
  return [
    ...windowText(`Window ${record.window_id}`, record, time),
    [],
    ...barsText(record),
    [],
    ...record.timeline.map(({ at_ms, event }): Line => [
      `${at_ms.toFixed(1).padStart(10)} ms  ${event}`,
    ]),
  ];
}

/** The newest, or the one whose id begins with this; or in one line why it is none. */
export function windowNamed(
  oldestFirst: readonly WindowRecord[],
  name: string,
): WindowRecord | string {
  const found = name === "last"
    ? oldestFirst.slice(-1)
    : oldestFirst.filter(({ window_id }) => window_id.startsWith(name.toLowerCase()));
  const [one] = found;
  if (one === undefined) return `No window ${name} is known.`;
  return found.length === 1 ? one : `${found.length} windows begin with ${name}.`;
}
