import assert from "node:assert/strict";
import { aligned, type Line, styled, textOf } from "../../lib/base/styled.ts";

const LINES: readonly Line[] = [
  [styled("heading", "Servers")],
  ...aligned([["main", "good ", styled("aside", "[a]")], ["reporting", styled("error", "bad")]]),
];

Deno.test("labels are as wide as the longest, and nothing is coloured unless asked", () => {
  assert.equal(textOf(LINES), "Servers\n  main       good [a]\n  reporting  bad");
});

Deno.test("a part is painted as what it is, and the rest is left alone", () => {
  const painted = textOf(LINES, (text, as) => `<${as} ${text}>`);
  assert.equal(
    painted,
    "<heading Servers>\n  main       good <aside [a]>\n  reporting  <error bad>",
  );
});

Deno.test("what a server says moves no cursor and ends no line, in whatever part it stands", () => {
  const said = "a\u001b[2Jb\nc";
  assert.equal(textOf([[said, styled("error", said)]], (text) => `|${text}`), "a [2Jb c|a [2Jb c");
});
