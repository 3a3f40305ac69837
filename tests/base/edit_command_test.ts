/** The commands that are proposed for an option file, run by a real shell on a real file. */
import assert from "node:assert/strict";

import {
  append,
  commentOut,
  editCommand,
  groupAbove,
  replaceInLine,
  setValue,
  substitution,
} from "../../lib/base/edit_command.ts";
import { readOptionFile } from "../../lib/options/option_file.ts";
import { isRefusal } from "../../lib/base/refusal.ts";

interface EditCase {
  readonly name: string;
  readonly before: string;
  readonly command: (file: string) => string | null;
  readonly after: string;
}

const EDITS: readonly EditCase[] = [
  {
    name: "a line becomes a comment, and the others keep their numbers",
    before: "[a]\nuser=x\nsocket=y\n",
    command: (file) => commentOut({ file, line: 2 }),
    after: "[a]\n# user=x\nsocket=y\n",
  },
  {
    name: "a key is written in full",
    before: "[a]\npass=pass\n",
    command: (file) => replaceInLine({ file, line: 2 }, "pass", "password"),
    after: "[a]\npassword=pass\n",
  },
  {
    name: "a value is replaced, and special characters mean themselves",
    before: "x=1\ny = 2\n",
    command: (file) => setValue({ file, line: 2 }, "a/b&c\\d"),
    after: "x=1\ny =a/b&c\\d\n",
  },
  {
    name: "a path is replaced wherever it stands, taken literally",
    before: "socket=/a.b/c*[d]\nother=/aXb/c*[d]\n",
    command: (file) => editCommand(file, [substitution("/a.b/c*[d]", "/e/f")]),
    after: "socket=/e/f\nother=/aXb/c*[d]\n",
  },
  {
    name: "a group is put above a line",
    before: "user=x\n",
    command: (file) => groupAbove({ file, line: 1 }, "client"),
    after: "[client]\nuser=x\n",
  },
  {
    name: "a group is added behind a file without a line end",
    before: "[a]\nb=1",
    command: (file) => append(file, ["[locktables]", "method=auto"]),
    after: "[a]\nb=1\n[locktables]\nmethod=auto\n",
  },
];

for (const { name, before, command, after } of EDITS) {
  Deno.test(name, async () => {
    const file = await Deno.makeTempFile({ prefix: "option file's " });
    try {
      await Deno.writeTextFile(file, before);
      const text = command(file);
      if (text !== null) {
        const { success } = await new Deno.Command("/bin/sh", { args: ["-c", text] }).output();
        assert.ok(success, text);
      }
      assert.equal(await Deno.readTextFile(file), after);
    } finally {
      await Deno.remove(file);
    }
  });
}

Deno.test("an option file that is a link stays a link, and the file behind it is edited", async () => {
  const dir = await Deno.makeTempDir({ prefix: "option file's " });
  try {
    await Deno.writeTextFile(`${dir}/real.cnf`, "[client]\nhost=x\n");
    await Deno.symlink(`${dir}/real.cnf`, `${dir}/my.cnf`);
    const commands = [
      commentOut({ file: `${dir}/my.cnf`, line: 2 }),
      append(`${dir}/my.cnf`, ["[locktables]", "host=localhost"]),
    ];
    for (const command of commands) {
      const { success } = await new Deno.Command("/bin/sh", { args: ["-c", command] }).output();
      assert.ok(success, command);
    }
    assert.ok((await Deno.lstat(`${dir}/my.cnf`)).isSymlink);
    assert.equal(
      await Deno.readTextFile(`${dir}/real.cnf`),
      "[client]\n# host=x\n\n[locktables]\nhost=localhost\n",
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("what an include that cannot be read brings comes in the place of its line", async () => {
  const dir = await Deno.makeTempDir({ prefix: "option file's " });
  try {
    const file = `${dir}/my.cnf`;
    await Deno.mkdir(`${dir}/my.cnf.d`);
    await Deno.writeTextFile(`${dir}/my.cnf.d/a.cnf`, "[client]\nuser=boss");
    await Deno.writeTextFile(`${dir}/my.cnf.d/b.cnf`, "[client]\npassword=p4nel\n");
    const text = `[mysql]\n!includedir ${dir}/my.cnf.d\nprompt=x\n`;
    await Deno.writeTextFile(file, text);
    const read = readOptionFile({
      read: () => ({ kind: "text", text, worldWritable: false }),
      list: () => ({ kind: "denied", why: "not permitted" }),
    }, file);
    assert.ok(isRefusal(read));
    const { success } = await new Deno.Command("/bin/sh", { args: ["-c", read.remedy ?? "false"] })
      .output();
    assert.ok(success, read.remedy ?? "");
    assert.equal(
      await Deno.readTextFile(file),
      `[mysql]\n# !includedir ${dir}/my.cnf.d\n[client]\nuser=boss\n[client]\npassword=p4nel\n[mysql]\nprompt=x\n`,
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
