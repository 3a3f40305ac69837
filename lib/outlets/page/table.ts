/** Every window as a row: for screen readers, for searching, and for exact numbers. Pure. */
import { frozenMs } from "../../window/frozen_span.ts";
import type { WindowRecord } from "../../window/record.ts";
import { whyOf } from "../../window/remedy.ts";
import { longestStallMs } from "../../window/stall.ts";
import { windowTimes } from "../window_times.ts";
import { type Html, markup } from "./html.ts";
import { anchorOf, badge, markOf, spanOr } from "./marks.ts";

const HEADINGS = [
  ...["Opened", "By", "Verdict", "pre-freeze", "Held", "Frozen", "Stalled", "Why"],
] as const;

/** How many rows are shown at once; more are opened by hand. */
const OPEN_ROWS = 40;

/** The table, the newest window first; rehearsals among them. */
export function windowTable(
  records: readonly WindowRecord[],
  time: (moment: string) => string,
): Html {
  const count = `${records.length} ${records.length === 1 ? "window" : "windows"}`;
  // Roles, because narrow screens show rows as blocks, and a table that is none has no roles.
  return markup`<details${
    records.length <= OPEN_ROWS ? markup` open` : markup``
  }><summary>${count}, the newest first</summary>
<table class="windows" role="table"><thead role="rowgroup"><tr role="row">${
    HEADINGS.map((heading) => markup`<th scope="col" role="columnheader">${heading}</th>`)
  }</tr></thead><tbody role="rowgroup">${
    records.toReversed().map((record) => row(record, time))
  }</tbody></table></details>`;
}

function row(record: WindowRecord, time: (moment: string) => string): Html {
  const cells: readonly (string | Html)[] = [
    time(record.opened_at),
    record.is_rehearsal ? "rehearse" : record.caller ?? "-",
    badge(markOf(record)),
    spanOr(windowTimes(record).freezeMs),
    spanOr(record.held_ms),
    spanOr(frozenMs(record)),
    spanOr(longestStallMs(record.timeline)),
    markOf(record) === "good" ? "" : whyOf(record),
  ];
  return markup`<tr role="row" class="${markOf(record)}" id="${anchorOf(record)}" tabindex="-1">${
    cells.map((cell, at) => markup`<td role="cell" data-label="${HEADINGS[at] ?? ""}">${cell}</td>`)
  }</tr>`;
}
