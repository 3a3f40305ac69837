import assert from "node:assert/strict";
import { iniValue, withIniValue } from "../../lib/hooks/ini.ts";

const GET: readonly (readonly [string, string, string | null])[] = [
  ["a key of the section is found", "[a]\nk=v\n", "v"],
  ["blanks around section, key and value do not count", " [ a ] \n  k  =  v  \n", "v"],
  ["the last of several counts", "[a]\nk=1\nk=2\n", "2"],
  ["a section that comes again goes on", "[a]\nx=1\n[b]\nk=0\n[a]\nk=2\n", "2"],
  ["a key of another section is not found", "[b]\nk=v\n", null],
  ["a comment is no key", "[a]\n#k=v\n;k=v\n", null],
  ["a key that only begins alike is not found", "[a]\nkk=v\n", null],
  ["a line without an equals sign is not one", "[a]\nk\n", null],
  ["an empty value is a value", "[a]\nk=\n", ""],
  ["nothing is found in nothing", "", null],
];
for (const [name, text, wanted] of GET) {
  Deno.test(`ini: ${name}`, () => assert.equal(iniValue(text, "a", "k"), wanted));
}

const SET: readonly (readonly [string, string, string | null, string])[] = [
  ["a file that is empty gets the section", "", "v", "[a]\nk=v\n"],
  ["a section that is missing comes last", "[b]\nk=0\n", "v", "[b]\nk=0\n[a]\nk=v\n"],
  ["a last line without an end gets one", "[b]", "v", "[b]\n[a]\nk=v\n"],
  ["a key that is missing comes first", "# c\n[a]\nx=1\n", "v", "# c\n[a]\nk=v\nx=1\n"],
  ["the line that counts is replaced", "[a]\nk=1\nk = 2\nz=3\n", "v", "[a]\nk=1\nk=v\nz=3\n"],
  ["nothing takes the line away", "[a]\nk=1\nz=3\n", null, "[a]\nz=3\n"],
  ["nothing leaves what has no such line", "[b]\nz=3\n", null, "[b]\nz=3\n"],
  [
    "other lines stay to the letter",
    "\t[b] \r\n\n; x\n[a]\nk=1\n",
    "v",
    "\t[b] \r\n\n; x\n[a]\nk=v\n",
  ],
];
for (const [name, text, value, wanted] of SET) {
  Deno.test(`ini: ${name}`, () => assert.equal(withIniValue(text, "a", "k", value), wanted));
}
