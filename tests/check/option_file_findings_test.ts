import assert from "node:assert/strict";

import { optionFileFindings, passwordElsewhere } from "../../lib/check/option_file_findings.ts";
import { readOptionFile } from "../../lib/options/option_file.ts";
import { settingsFrom } from "../../lib/options/settings.ts";
import { isRefusal } from "../../lib/report/refusal.ts";
import { memoryReader } from "../options/memory_reader.ts";

const PATH = "/root/.my.cnf";

function optionsIn(text: string) {
  const read = readOptionFile(memoryReader({ files: { [PATH]: text } }), PATH);
  assert.ok(!isRefusal(read));
  return read;
}

const PASSWORDS: readonly (readonly [sentence: string, text: string, lines: string | null])[] = [
  ["no password anywhere", "[mysql]\nuser=a\n", null],
  ["the password of another program", "[client]\nuser=a\n[mysqldump]\npassword=b\n", "4"],
  ["its user goes with it", "[mysql]\nuser=a\nprompt=x\npassword=b\n", "2 4"],
  ["a password that we read", "[mysql]\npassword=a\n[client]\npassword=b\n", null],
  ["one of an instance's group", "[mysql]\npassword=a\n[client_x]\npassword=b\n", null],
  ["one of our own group", "[mysql]\npassword=a\n[locktables]\npassword=b\n", null],
  ["one of a server's group, which is no login", "[mysqld]\npassword=a\n", null],
  ["another case of letters", "[MySQL]\nPassword=a\n", "2"],
];

for (const [sentence, text, lines] of PASSWORDS) {
  Deno.test(`option file: ${sentence}`, () => {
    const [found] = passwordElsewhere(optionsIn(text).options);
    if (lines === null) return assert.equal(found, undefined);
    assert.equal(found?.code, "password-elsewhere");
    assert.match(found.title, new RegExp(`:(${lines.replaceAll(" ", "|")}) `));
    assert.equal(found.remedy, null, "a password is for a person to move");
    assert.ok(!`${found.title}${found.remedy}`.includes("password=b"), "no password is shown");
  });
}

Deno.test("option file: a mode is told with what it should be", () => {
  const read = settingsFrom(optionsIn(""), null);
  const look = { kind: "file", mode: 0o664, uid: 0, changedMs: 0 } as const;
  const found = optionFileFindings({ read, files: [{ path: "/x/it's", look }] });
  assert.deepEqual(found.map(({ code, remedy }) => [code, remedy]), [
    ["option-file-readable", `chmod 0600 "/x/it's"`],
  ]);
  assert.match(found[0]?.title ?? "", /mode 0664; want 0600/);
  const good = { ...look, mode: 0o400, uid: 0 };
  assert.deepEqual(optionFileFindings({ read, files: [{ path: "/x/y", look: good }] }), []);
});
