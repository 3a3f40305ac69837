/**
 * Texts for people, in marked parts: coloured on a terminal, and the same words without colours
 * everywhere else. Pure.
 */
import { plainLine } from "./plain_text.ts";

/** What a part is, not how it looks. */
export type Style = "heading" | "error" | "warning" | "good" | "command" | "aside";

/** A part of a line. */
export interface Styled {
  readonly text: string;
  readonly as: Style;
}

/** One line, in parts. */
export type Line = readonly (string | Styled)[];

/** Gives a part its looks. */
export type Paint = (text: string, as: Style) => string;

/** As a file or a pipe gets it. */
export const unpainted: Paint = (text) => text;

/** A part that is something. */
export function styled(as: Style, text: string): Styled {
  return { text, as };
}

/** Lines as one text. Whatever is in a part, it ends no line, and no terminal obeys it. */
export function textOf(lines: readonly Line[], paint: Paint = unpainted): string {
  return lines.map((line) =>
    line.map((part) =>
      typeof part === "string" ? plainLine(part) : paint(plainLine(part.text), part.as)
    ).join("")
  ).join("\n");
}

/** A label and what belongs to it. */
export type Row = readonly [label: string, ...rest: Line];

/** Rows below each other, their labels as wide as the longest. */
export function aligned(rows: readonly Row[], indent = 2): Line[] {
  const width = Math.max(0, ...rows.map(([label]) => label.length));
  return rows.map(([label, ...rest]) => [
    `${" ".repeat(indent)}${label.padEnd(width)}  `,
    ...rest,
  ]);
}
