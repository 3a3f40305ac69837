/** A calendar of nights, each with the worst of its windows. Pure. */
import type { WindowRecord } from "../../window/record.ts";
import { type Html, markup, NONE } from "./html.ts";
import { anchorOf, markOf, MARKS, shape, worstMark } from "./marks.ts";

const MONTHS = [
  ...["January", "February", "March", "April", "May", "June", "July", "August", "September"],
  ...["October", "November", "December"],
];
const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const DAY_MS = 24 * 60 * 60_000;

/** What a day is, by its date: `2026-01-02`. */
type Days = ReadonlyMap<string, readonly WindowRecord[]>;

/** How many months are shown at once: what is older is opened by hand. */
const OPEN_MONTHS = 3;

/** What the colours mean, and one table for each month that has a window. */
export function calendar(
  records: readonly WindowRecord[],
  dayOf: (moment: string) => string,
): Html {
  const days = new Map<string, WindowRecord[]>();
  for (const record of records) {
    const day = dayOf(record.opened_at);
    days.set(day, [...days.get(day) ?? [], record]);
  }
  const dates = [...days.keys()].sort();
  const [first = "", last = first] = [dates[0], dates.at(-1)];
  const tables = [...new Set(dates.map((date) => date.slice(0, 7)))].map((month) =>
    monthTable(month, days, first, last)
  );
  const earlier = tables.slice(0, -OPEN_MONTHS);
  return markup`
    ${legend(records)}
    <div class="months">${tables.slice(-OPEN_MONTHS)}</div>
    ${
    earlier.length === 0 ? NONE : markup`
      <details>
        <summary>${earlier.length} earlier ${earlier.length === 1 ? "month" : "months"}</summary>
        <div class="months">${earlier}</div>
      </details>
    `
  }
  `;
}

function monthTable(month: string, days: Days, first: string, last: string): Html {
  const begin = Date.parse(`${month}-01T00:00:00Z`);
  const blanks = (new Date(begin).getUTCDay() + 6) % 7;
  const cells: Html[] = Array.from({ length: blanks }, () =>
    markup`
      <td class="blank"></td>
    `);
  for (let at = begin; isoDay(at).startsWith(month); at += DAY_MS) {
    cells.push(dayCell(isoDay(at), days, isoDay(at) > first && isoDay(at) < last));
  }
  const weeks = Array.from({ length: Math.ceil(cells.length / 7) }, (_, week) =>
    markup`
      <tr>${cells.slice(week * 7, week * 7 + 7)}</tr>
    `);
  const name = `${MONTHS[Number(month.slice(5)) - 1]} ${month.slice(0, 4)}`;
  return markup`
    <table class="month">
      <caption>${name}</caption>
      <thead><tr>${
    WEEKDAYS.map((day) =>
      markup`
          <th scope="col" abbr="${day}">${day.slice(0, 1)}</th>
        `
    )
  }</tr></thead>
      <tbody>${weeks}</tbody>
    </table>
  `;
}

function dayCell(date: string, days: Days, isBetween: boolean): Html {
  const records = days.get(date);
  const number = markup`
    <span class="number">${Number(date.slice(8))}</span>
  `;
  if (records === undefined) {
    return isBetween
      ? markup`
        <td class="none" title="${date}: no window">
          ${number}<span class="unseen">no window</span>
        </td>
      `
      : markup`
        <td class="outside">${number}</td>
      `;
  }
  const mark = worstMark(records);
  const worst = records.find((record) => markOf(record) === mark);
  const words = markup`
    ${number}${shape(mark)}<span class="unseen">${MARKS[mark].word}</span>
  `;
  // A good day needs no further look, and would be a stop of the Tab key.
  const isLink = mark !== "good" && worst !== undefined;
  return markup`
    <td class="${mark}" title="${date}: ${countsText(records)}">${
    isLink
      ? markup`
        <a href="#${anchorOf(worst)}">${words}</a>
      `
      : words
  }</td>
  `;
}

/** `3 windows: 2 application-consistent, 1 crash-consistent`, or the verdict of the only one. */
function countsText(records: readonly WindowRecord[]): string {
  if (records.length === 1 && records[0] !== undefined) return MARKS[markOf(records[0])].word;
  const counts = Object.entries(MARKS).flatMap(([mark, { word }]) => {
    const count = records.filter((record) => markOf(record) === mark).length;
    return count === 0 ? [] : [`${count} ${word}`];
  });
  return `${records.length} windows: ${counts.join(", ")}`;
}

/** What the colours and shapes mean. */
function legend(records: readonly WindowRecord[]): Html {
  const seen = new Set(records.map(markOf));
  const marks = Object.entries(MARKS).reverse().flatMap(([mark, { word }]) =>
    seen.has(mark as keyof typeof MARKS)
      ? [markup`
        <li><span class="chip ${mark}">${shape(mark as keyof typeof MARKS)}</span>${word}</li>
      `]
      : []
  );
  return marks.length === 0 ? NONE : markup`
    <ul class="legend">${marks}<li><span class="chip none"></span>no window</li></ul>
  `;
}

function isoDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
