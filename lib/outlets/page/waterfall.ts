/** One window as bars, each where it was on the window's own time. Pure. */
import { type Bar, barsOf } from "../../window/bars.ts";
import type { WindowRecord } from "../../window/record.ts";
import { longestStallMs } from "../../window/stall.ts";
import { byWhom } from "../../window/status_text.ts";
import { type Html, markup, NONE } from "./html.ts";
import { badge, markOf, spanText } from "./marks.ts";

/** How many are drawn: as many as are compared at a glance. */
const SLOWEST = 5;

/** The windows that stopped writers longest, the worst first. */
export function slowest(records: readonly WindowRecord[]): readonly WindowRecord[] {
  return records.map((record) => ({ record, ms: longestStallMs(record.timeline) }))
    .filter(({ ms }) => ms > 0)
    .sort((one, other) => other.ms - one.ms)
    .slice(0, SLOWEST)
    .map(({ record }) => record);
}

const KIND_WORDS: Readonly<Record<Bar["kind"], string>> = {
  runs: "writers go on",
  stops: "writers wait",
  frozen: "disks frozen",
};

/** The picture of one window. */
export function waterfall(record: WindowRecord, time: (moment: string) => string): Html {
  const bars = barsOf(record);
  const end = Math.max(...bars.map(({ toMs }) => toMs), 0);
  if (end === 0) return NONE;
  return markup`
    <figure class="waterfall">
      <figcaption>
        ${badge(markOf(record))} <b>${time(record.opened_at)}</b><span class="aside">${
    byWhom(
      record,
    )
  }: writers waited ${spanText(longestStallMs(record.timeline))}</span>
      </figcaption>
      <ol>${
    bars.map(({ label, kind, fromMs, toMs }) => {
      const left = (fromMs / end) * 100;
      const width = ((toMs - fromMs) / end) * 100;
      return markup`
          <li title="${label}: ${spanText(toMs - fromMs)}, ${KIND_WORDS[kind]}">
            <span class="label">${label}</span><span class="track"><span
              class="bar ${kind}"
              style="left:${left.toFixed(2)}%;width:${width.toFixed(2)}%"
            ></span></span><span class="span">${spanText(toMs - fromMs)}</span>
          </li>
        `;
    })
  }</ol>
    </figure>
  `;
}

/** What the bars mean. */
export const BAR_LEGEND: Html = markup`
  <ul class="legend">${
  Object.entries(KIND_WORDS).map(([kind, word]) =>
    markup`
      <li><span class="key bar ${kind}"></span>${word}</li>
    `
  )
}</ul>
`;
