/** How a verdict looks: a colour, a shape and a word, so that none of them is needed alone. Pure. */
import type { WindowRecord } from "../../window/record.ts";
import type { Verdict } from "../../window/verdict.ts";
import { type Html, markup } from "./html.ts";

/** What an image is worth, as a class of the page's style. */
export type Mark = "good" | "crash" | "bare" | "open";

/** The worst first: that of a day is its worst. */
export const MARKS: Readonly<Record<Mark, { readonly word: string }>> = {
  bare: { word: "not-quiesced" },
  crash: { word: "crash-consistent" },
  open: { word: "never closed" },
  good: { word: "application-consistent" },
};

const MARK_OF: Readonly<Record<Verdict, Mark>> = {
  "application-consistent": "good",
  "crash-consistent": "crash",
  "not-quiesced": "bare",
};

/** The mark of a window. */
export function markOf({ verdict }: Pick<WindowRecord, "verdict">): Mark {
  return verdict === null ? "open" : MARK_OF[verdict];
}

/** The worst mark of several windows. */
export function worstMark(records: readonly WindowRecord[]): Mark {
  const marks = new Set(records.map(markOf));
  return (Object.keys(MARKS) as Mark[]).find((mark) => marks.has(mark)) ?? "good";
}

/** The shapes, drawn once and used by name: a font may not have such characters. */
export const SHAPES: Html = markup`
  <svg width="0" height="0" class="shapes" aria-hidden="true">
    <defs>
      <symbol id="s-good" viewBox="-8 -8 16 16">
        <path class="stroke" d="M-5.5 .5L-1.8 4.5L5.5-4.5" />
      </symbol>
      <symbol id="s-crash" viewBox="-8 -8 16 16"><path class="stroke" d="M0-6V1.2M0 4.8V6" /></symbol>
      <symbol id="s-bare" viewBox="-8 -8 16 16">
        <path class="stroke" d="M-5-5L5 5M5-5L-5 5" />
      </symbol>
      <symbol id="s-open" viewBox="-8 -8 16 16">
        <path class="stroke" d="M-6 0H-3.5M-1.2 0H1.2M3.5 0H6" />
      </symbol>
      <circle id="d-good" r="3.6" />
      <path id="d-crash" d="M0-5L4.8 3.6H-4.8z" />
      <path id="d-bare" d="M0-5L5 0L0 5L-5 0z" />
      <rect id="d-open" x="-3" y="-3" width="6" height="6" />
    </defs>
  </svg>
`;

/** The shape alone. */
export function shape(mark: Mark): Html {
  return markup`
    <svg class="shape" aria-hidden="true"><use href="#s-${mark}" /></svg>
  `;
}

/** The shape on its colour, and the word. */
export function badge(mark: Mark): Html {
  return markup`
    <span class="badge"><span class="chip ${mark}">${shape(mark)}</span>${MARKS[mark].word}</span>
  `;
}

/** Where the row of a window is. */
export function anchorOf({ window_id }: WindowRecord): string {
  return `w-${window_id}`;
}

/** A time for people, with three digits at most that count. */
export function spanText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(2)} s`;
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round(ms / 1_000) % 60} s`;
}

/** The same of what may not be known. */
export function spanOr(ms: number | null): string {
  return ms === null ? "-" : spanText(ms);
}
