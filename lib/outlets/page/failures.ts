/** The last windows that were not good, why, and what to do. Pure. */
import type { WindowRecord } from "../../window/record.ts";
import { byWhom } from "../../window/status_text.ts";
import { remedyOf, whyOf } from "../../window/remedy.ts";
import { type Html, markup, NONE } from "./html.ts";
import { badge, markOf } from "./marks.ts";

/** How many are shown; the table has them all. */
const SHOWN = 10;

/** A list, the newest first. */
export function failures(
  records: readonly WindowRecord[],
  time: (moment: string) => string,
): Html {
  const bad = records.filter((record) => markOf(record) !== "good").reverse();
  if (bad.length === 0) {
    return markup`
      <p class="calm">Every window was application-consistent.</p>
    `;
  }
  return markup`
    <ol class="failures">${
    bad.slice(0, SHOWN).map((record) =>
      markup`
        <li class="${markOf(record)}">
          <p class="when">${badge(markOf(record))} <b>${time(record.opened_at)}</b>${
        byWhom(
          record,
        )
      }</p>
          <p>${whyOf(record)}</p>
          <p class="remedy"><b>What to do</b> ${remedyOf(record)}</p>
        </li>
      `
    )
  }</ol>${
    bad.length > SHOWN
      ? markup`
        <p class="more">And ${bad.length - SHOWN} before them, which are in the table.</p>
      `
      : NONE
  }
  `;
}
