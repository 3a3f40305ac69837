/** Text of HTML in which everything that is put in is escaped. Pure. */
import { plainLine } from "../../base/plain_text.ts";

/** A piece of HTML. Only {@linkcode markup} makes one, so that a string is never taken for it. */
export class Html {
  constructor(readonly text: string) {}
}

/** What may be put in: text and numbers are escaped, pieces and lists of pieces are not. */
export type Part = string | number | Html | readonly Html[];

/** A piece of HTML: markup`<td>${text}</td>`. Its indentation is that of the source, and left out. */
export function markup(literal: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(
    literal.map((source, at) => {
      const text = source.replaceAll(/\s*\n\s*/g, "\n");
      const part = parts[at];
      return part === undefined ? text : text + textOfPart(part);
    }).join(""),
  );
}

/** Nothing. */
export const NONE: Html = markup`

`;

function textOfPart(part: Part): string {
  if (part instanceof Html) return part.text;
  if (typeof part === "object") return part.map(({ text }) => text).join("");
  return escaped(plainLine(String(part)));
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** The same as text between tags, and in an attribute in quotation marks. */
function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
