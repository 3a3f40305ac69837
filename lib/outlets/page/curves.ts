/** What the windows cost over time: a dot a window, on a scale from milliseconds to minutes. Pure. */
import { frozenMs } from "../../window/frozen_span.ts";
import type { WindowRecord } from "../../window/record.ts";
import { longestStallMs } from "../../window/stall.ts";
import { windowTimes } from "../window_times.ts";
import { type Html, markup, NONE } from "./html.ts";
import { markOf, MARKS, spanText } from "./marks.ts";

/** One measure of a window. */
interface Measure {
  readonly name: string;
  readonly what: string;
  readonly of: (record: WindowRecord) => number | null;
}

const MEASURES: readonly Measure[] = [
  { name: "Held", what: "from the lock to its release", of: ({ held_ms }) => held_ms },
  {
    name: "Stalled",
    what: "the longest time for which writers waited",
    of: ({ timeline }) => longestStallMs(timeline),
  },
  {
    name: "pre-freeze",
    what: "from its start to its answer",
    of: (record) => windowTimes(record).freezeMs,
  },
  { name: "Disks frozen", what: "as the freeze sensor saw it", of: frozenMs },
];

/** The lines of the scale, each ten times the one below or about that. */
const LINES_MS = [1, 10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000];

/** How much of the picture is free at each side, in percent: a dot at the edge is whole. */
const MARGIN = 3;

interface Dot {
  readonly record: WindowRecord;
  readonly ms: number;
  readonly atMs: number;
}

/** One picture for each measure that any window has. */
export function curves(records: readonly WindowRecord[], time: (moment: string) => string): Html {
  const pictures = MEASURES.map((measure) => picture(measure, records, time));
  return markup`
    <div class="curves">${pictures}</div>
  `;
}

function picture(
  { name, what, of }: Measure,
  records: readonly WindowRecord[],
  time: (moment: string) => string,
): Html {
  const dots = records.flatMap((record): Dot[] => {
    const ms = of(record);
    return ms === null || ms <= 0 ? [] : [{ record, ms, atMs: Date.parse(record.opened_at) }];
  });
  const [first, last] = [dots[0], dots.at(-1)];
  if (first === undefined || last === undefined) return NONE;
  const values = dots.map(({ ms }) => ms).sort((one, other) => one - other);
  const usual = values[Math.floor(values.length / 2)] ?? 0;
  const most = values.at(-1) ?? 0;
  const scale = scaleOf(values[0] ?? 0, most);
  const moments = dots.map(({ atMs }) => atMs);
  const from = Math.min(...moments);
  const length = Math.max(...moments) - from;
  const x = (atMs: number) => within(length === 0 ? 0.5 : (atMs - from) / length);
  const y = (ms: number) => 100 - within(scale.at(ms));
  const usualY = percent(y(usual));
  return markup`
    <figure class="curve">
      <figcaption>
        <b>${name}</b> <span class="aside">${what}</span><br>
        <span class="aside">usual ${spanText(usual)}, at most ${spanText(most)}</span>
      </figcaption>
      <div class="plot">
        <div class="axis" aria-hidden="true">${
    scale.lines.map((ms) =>
      markup`
            <span style="top:${percent(y(ms))}">${spanLabel(ms)}</span>
          `
    )
  }</div>
        <svg
          role="img"
          aria-label="${name}: ${dots.length} windows, usual ${spanText(usual)}, at most ${
    spanText(
      most,
    )
  }"
        >
          ${
    scale.lines.map((ms) =>
      markup`
              <line class="grid" x1="0" x2="100%" y1="${percent(y(ms))}" y2="${percent(y(ms))}" />
            `
    )
  }<line
            class="usual"
            x1="0"
            x2="100%"
            y1="${usualY}"
            y2="${usualY}"
          />${
    dots.map(({ record, ms, atMs }) => {
      const mark = markOf(record);
      return markup`
              <use href="#d-${mark}" class="dot ${mark}" x="${percent(x(atMs))}" y="${
        percent(
          y(ms),
        )
      }">
                <title>${time(record.opened_at)}: ${spanText(ms)}, ${MARKS[mark].word}</title>
              </use>
            `;
    })
  }
        </svg>
        <div class="dates" aria-hidden="true"><span>${
    time(first.record.opened_at).slice(
      0,
      10,
    )
  }</span>${
    length === 0 ? NONE : markup`
          <span>${time(last.record.opened_at).slice(0, 10)}</span>
        `
  }</div>
      </div>
    </figure>
  `;
}

/** A scale on which the same factor is the same distance, from the line below to the line above. */
function scaleOf(least: number, most: number) {
  const bottom = LINES_MS.findLast((ms) => ms <= least) ?? Math.min(least, 1);
  const top = LINES_MS.find((ms) => ms >= most && ms > bottom) ?? most * 2;
  const size = Math.log(top) - Math.log(bottom);
  return {
    lines: LINES_MS.filter((ms) => ms >= bottom && ms <= top),
    at: (ms: number) => (Math.log(ms) - Math.log(bottom)) / size,
  };
}

function within(part: number): number {
  return MARGIN + part * (100 - 2 * MARGIN);
}

function percent(value: number): string {
  return `${value.toFixed(2)}%`;
}

/** A line of the scale: a whole number of its unit. */
function spanLabel(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  return ms < 60_000 ? `${ms / 1_000} s` : `${ms / 60_000} min`;
}
