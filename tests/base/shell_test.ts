import assert from "node:assert/strict";

import { shellWord } from "../../lib/base/shell.ts";

const WORDS: readonly (readonly [text: string, word: string])[] = [
  ["/root/.my.cnf", "/root/.my.cnf"],
  ["", '""'],
  ["two words", '"two words"'],
  ["GRANT x TO 'o''hara'@'%'", `"GRANT x TO 'o''hara'@'%'"`],
  ["ALTER TABLE `a`", "'ALTER TABLE `a`'"],
  ["it's $HOME!", `'it'\\''s $HOME!'`],
  ['say "no"', `'say "no"'`],
  ["a\\b", "'a\\b'"],
  ["line\nfeed", '"line\nfeed"'],
];

for (const [text, word] of WORDS) {
  Deno.test(`a shell reads ${word} as the text that was meant`, async () => {
    assert.equal(shellWord(text), word);
    const { stdout } = await new Deno.Command("/bin/sh", {
      args: ["-c", `printf %s ${shellWord(text)}`],
    }).output();
    assert.equal(new TextDecoder().decode(stdout), text);
  });
}
