/**
 * Text of others (servers, statements, names of accounts, files) on its way to a terminal, a log or
 * a record: nothing in it ends the line, and no terminal obeys it.
 */

/**
 * What a terminal or a reader may mistake for something else: control characters, of
 * eight bits, too; characters that turn the direction of writing; separators of lines.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu;

/** In one line, with nothing in it that is not seen. */
export function plainLine(text: string): string {
  return text.replaceAll(new RegExp(`\\s*${UNSEEN.source}\\s*`, "gu"), " ");
}

/** Several lines of a message as one. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ");
}

/** A defect in one line, with its stack. */
export function defectText(error: unknown): string {
  return oneLine(
    `A defect in locktables: ${(error as { stack?: unknown } | null)?.stack ?? String(error)}`,
  );
}

/** JSON that says the same and holds nothing of that kind, but for the line feeds of its layout. */
export function plainJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replaceAll(
    /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) =>
      [...Array(character.length).keys()]
        .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
        .join(""),
  );
}

/** Several lines of ours, in which nothing but their ends is unseen. */
export function plainLines(text: string): string {
  return text.split("\n").map(plainLine).join("\n");
}
