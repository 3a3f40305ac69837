import assert from "node:assert/strict";
import { plainJson, plainLine, plainLines } from "../../lib/base/plain_text.ts";

const LINES: readonly (readonly [name: string, text: string, plain: string])[] = [
  ["plain text", "MariaDB 10.11: Größe 5 €", "MariaDB 10.11: Größe 5 €"],
  ["an escape sequence", "a\u001b[31mb", "a [31mb"],
  ["an escape sequence of eight bits", "a\u009b31mb", "a 31mb"],
  ["ends of lines", "a\r\n  b\u2028c\u2029d", "a b c d"],
  ["a turned direction", "a\u202eb", "a b"],
  ["half a character", "a\ud800b", "a b"],
];

Deno.test("nothing in a line is obeyed by a terminal", async (t) => {
  for (const [name, text, plain] of LINES) {
    await t.step(name, () => assert.equal(plainLine(text), plain));
  }
});

Deno.test("lines of ours stay lines", () => {
  assert.equal(plainLines("a\n  b\u001bc\n"), "a\n  b c\n");
});

Deno.test("JSON says the same, with what is not seen escaped", () => {
  const value = { text: LINES.map(([, text]) => text).join(" "), tag: "\u{e0001}" };
  const json = plainJson(value, 2);
  assert.deepEqual(JSON.parse(json), value);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(json, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/u);
});
