/**
 * The windows so far as one file of HTML: no script, nothing from elsewhere, so that it works from a
 * mail and from a disk. Pure.
 */
import type { WindowRecord } from "../../window/record.ts";
import { longestStallMs } from "../../window/stall.ts";
import { byWhom } from "../../window/status_text.ts";
import { thinnedText } from "../history_text.ts";
import { calendar } from "./calendar.ts";
import { curves } from "./curves.ts";
import { failures } from "./failures.ts";
import { type Html, markup, NONE } from "./html.ts";
import { badge, markOf, SHAPES, spanText } from "./marks.ts";
import { STYLE } from "./style.ts";
import { windowTable } from "./table.ts";
import { BAR_LEGEND, slowest, waterfall } from "./waterfall.ts";

/** What is known besides the windows. */
export interface PageFacts {
  readonly version: string;
  /** Of now, as a record has it. */
  readonly now: string;
  /** A moment for people, and the date of it: `2026-01-02`. */
  readonly time: (moment: string) => string;
  readonly day: (moment: string) => string;
  /** Since when all windows are in the history; null where nothing was thinned. */
  readonly completeSince: string | null;
}

/** The page of closed windows, the oldest first. */
export function historyPage(records: readonly WindowRecord[], facts: PageFacts): string {
  const ofImages = records.filter(({ is_rehearsal }) => !is_rehearsal);
  const good = ofImages.filter((record) => markOf(record) === "good").length;
  const host = records.findLast(({ instances }) => instances.length > 0)?.instances[0]?.hostname;
  const heading = host === undefined ? "Windows" : `Windows of ${host}`;
  const page = markup`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'"
        >
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${heading}: ${good} of ${ofImages.length} application-consistent</title>
        <style>
        ${STYLE}
        </style>
      </head>
      <body>
        ${SHAPES}<main>
          <a class="skip" href="#windows">To the table of windows</a>
          <h1>${heading}</h1>
          ${records.length === 0 ? nothing() : content(records, ofImages, good, facts)}
          <footer>
            Made by locktables ${facts.version} at ${
    facts.time(
      facts.now,
    )
  }. Times are those of the machine.
          </footer>
        </main>
      </body>
    </html>
  `;
  return page.text.trim();
}

function nothing(): Html {
  return markup`
    <p class="soft">
      No windows. The first one will be here when it is closed; until then:
      <code>locktables check</code>, <code>locktables rehearse</code>.
    </p>
  `;
}

function content(
  records: readonly WindowRecord[],
  ofImages: readonly WindowRecord[],
  good: number,
  { time, day, completeSince }: PageFacts,
): Html {
  const slow = slowest(ofImages);
  const thinned = thinnedText(records, completeSince, time);
  return markup`
    <p class="soft">What the images of this guest are worth, and what they cost.</p>
    ${thinned === null ? NONE : markup`<p class="soft">${thinned}</p>`} ${
    tiles(ofImages, good, time)
  } ${
    ofImages.length === 0 ? NONE : markup`
      <section aria-labelledby="nights">
        <h2 id="nights">Nights</h2>
        ${calendar(ofImages, day)}
      </section>
      <section aria-labelledby="failed"><h2 id="failed">What went wrong</h2>${
      failures(
        ofImages,
        time,
      )
    }</section>
      <section aria-labelledby="cost"><h2 id="cost">What it cost, over time</h2>${
      curves(
        ofImages,
        time,
      )
    }</section>
    `
  } ${
    slow.length === 0 ? NONE : markup`
      <section aria-labelledby="slow">
        <h2 id="slow">The slowest ${
      slow.length === 1 ? "window" : `${slow.length} windows`
    }</h2>${BAR_LEGEND}${slow.map((record) => waterfall(record, time))}
      </section>
    `
  }
    <section aria-labelledby="windows">
      <h2 id="windows" tabindex="-1">All windows</h2>${windowTable(records, time)}
    </section>
  `;
}

function tiles(
  ofImages: readonly WindowRecord[],
  good: number,
  time: (moment: string) => string,
): Html {
  const last = ofImages.at(-1);
  if (last === undefined) return NONE;
  const held = ofImages.flatMap(({ held_ms }) => held_ms ?? []).sort((one, other) => one - other);
  const usual = held[Math.floor(held.length / 2)];
  const stall = Math.max(...ofImages.map(({ timeline }) => longestStallMs(timeline)));
  return markup`
    <dl class="tiles">
      <div>
        <dt>Last window</dt>
        <dd>${badge(markOf(last))}<small>${time(last.opened_at)}${byWhom(last)}</small></dd>
      </div>
      <div>
        <dt>Application-consistent</dt>
        <dd>${good} of ${ofImages.length}<small>${
    Math.floor(
      good / ofImages.length * 100,
    )
  } %</small></dd>
      </div>${
    usual === undefined ? NONE : markup`
        <div>
          <dt>Lock held</dt>
          <dd>${spanText(usual)}<small>usual; at most ${spanText(held.at(-1) ?? usual)}</small></dd>
        </div>
      `
  }<div>
        <dt>Writers waited</dt>
        <dd>${spanText(stall)}<small>the longest</small></dd>
      </div>
    </dl>
  `;
}
