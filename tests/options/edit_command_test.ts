/** The commands that are proposed for an option file, run by a real shell on a real file. */
import assert from "node:assert/strict";

import {
  append,
  commentOut,
  editCommand,
  groupAbove,
  moveToEnd,
  replaceInLine,
  setValue,
  substitution,
} from "../../lib/options/edit_command.ts";

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
    name: "lines are moved to the end, and stay as comments",
    before: "[locktables]\nuser=a\npassword=b\n[client]\nuser=c\n",
    command: (file) => moveToEnd([{ file, line: 2 }, { file, line: 3 }], "locktables"),
    after:
      "[locktables]\n# user=a\n# password=b\n[client]\nuser=c\n[locktables]\n\nuser=a\npassword=b\n",
  },
  {
    name: "the last line can be one of those that are moved",
    before: "[mysql]\npassword='p$\"w'",
    command: (file) => moveToEnd([{ file, line: 2 }], "client"),
    after: "[mysql]\n# password='p$\"w'\n[client]\n\npassword='p$\"w'",
  },
  {
    name: "nothing to move is no command",
    before: "[a]\n",
    command: () => moveToEnd([], "client"),
    after: "[a]\n",
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
