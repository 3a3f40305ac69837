import assert from "node:assert/strict";

import fc from "fast-check";

import {
  lastOfEach,
  type OptionFile,
  type OptionLine,
  optionsOfGroups,
  readOptionFile,
  shown,
} from "../../lib/options/option_file.ts";
import { EXIT, isRefusal, type Refusal } from "../../lib/base/refusal.ts";
import { optionFileReader } from "../../lib/options/reader.ts";
import { type MemoryDisk, memoryReader } from "./memory_reader.ts";

interface Vector {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  /** Such as "0o666". */
  readonly modes?: Readonly<Record<string, string>>;
  readonly entry: string;
  readonly groups: readonly string[];
  readonly expect: Readonly<Record<string, string | null>>;
  readonly raw_options_in_order: readonly string[];
  readonly error?: string;
  readonly warning?: string;
}

const VECTORS: readonly Vector[] = JSON.parse(
  Deno.readTextFileSync(new URL("../data/mycnf-vectors.json", import.meta.url)),
);

function modesOf({ modes = {} }: Vector): Record<string, number> {
  return Object.fromEntries(Object.entries(modes).map(([path, mode]) => [path, Number(mode)]));
}

const TOP = "/root/.my.cnf";

function readText(text: string, more: Partial<MemoryDisk> = {}): OptionFile | Refusal {
  return readOptionFile(
    memoryReader({ ...more, files: { [TOP]: text, ...more.files } }),
    TOP,
  );
}

function optionsIn(text: string, more: Partial<MemoryDisk> = {}): OptionLine[] {
  return good(readText(text, more)).options;
}

function good(read: OptionFile | Refusal): OptionFile {
  assert.ok(!isRefusal(read), `refused: ${JSON.stringify(read)}`);
  return read;
}

function refused(read: OptionFile | Refusal): Refusal {
  assert.ok(isRefusal(read), `not refused: ${JSON.stringify(read)}`);
  assert.equal(read.code, EXIT.badSetup);
  assert.equal(read.reason, "bad-option-file");
  return read;
}

/** As `my_print_defaults` prints an option. */
function printed(option: OptionLine): string {
  return `--${option.rawKey}${option.value === null ? "" : `=${option.value}`}`;
}

/** `FILE at line: N`, as the clients say it, to `FILE:N`, as we say it. */
function placeOf(clientError: string): string {
  const [, file, line] = /file: (\S+) at line:? (\d+)/.exec(clientError) ?? [];
  return `${file}:${line}`;
}

for (const vector of VECTORS) {
  Deno.test(`option file vector: ${vector.name}`, () => {
    const read = readOptionFile(
      memoryReader({ files: vector.files, modes: modesOf(vector) }),
      vector.entry,
    );
    if (vector.error !== undefined) {
      const { summary } = refused(read);
      assert.ok(summary.toLowerCase().includes(`option file ${placeOf(vector.error)}`), summary);
      return;
    }
    const { options, warnings } = good(read);
    const selected = optionsOfGroups(options, vector.groups);
    assert.deepEqual(selected.map(printed), vector.raw_options_in_order);
    assert.deepEqual(
      Object.fromEntries([...lastOfEach(selected)].map(([key, option]) => [key, option.value])),
      vector.expect,
    );
    const warning = vector.warning?.replace(/^Warning: /, "");
    assert.equal(warnings.length, warning === undefined ? 0 : 1);
    if (warning !== undefined) assert.ok(warnings[0]!.text.startsWith(warning), warnings[0]!.text);
  });
}

const MY_PRINT_DEFAULTS = "/usr/bin/my_print_defaults";

/** A test that compares with the client's own reader; skipped, by its name, where there is none. */
function testBesideClient(
  name: string,
  fn: (test: Deno.TestContext) => void | Promise<void>,
): void {
  const isThere = exists(MY_PRINT_DEFAULTS);
  Deno.test({
    name: isThere ? name : `${name} (skipped: no mariadb-client-core here)`,
    ignore: !isThere,
    fn,
  });
}

testBesideClient(
  "every vector reads from a real disk as my_print_defaults reads it",
  async (test) => {
    for (const vector of VECTORS) {
      await test.step(vector.name, () => {
        const dir = Deno.makeTempDirSync({ prefix: "locktables-option-file-" });
        try {
          const placed = (path: string) => path.replace(/^\/x\//, `${dir}/`);
          for (const [path, text] of Object.entries(vector.files)) {
            Deno.mkdirSync(placed(path).replace(/\/[^/]*$/, ""), { recursive: true });
            Deno.writeTextFileSync(placed(path), text.replaceAll("/x/", `${dir}/`));
            Deno.chmodSync(placed(path), modesOf(vector)[path] ?? 0o600);
          }
          const { client, complaint, failed } = myPrintDefaults(
            placed(vector.entry),
            vector.groups,
          );
          const read = readOptionFile(optionFileReader, placed(vector.entry));
          assert.equal(isRefusal(read), failed, complaint);
          if (isRefusal(read)) {
            assert.ok(read.summary.includes(placeOf(complaint)), `${complaint} / ${read.summary}`);
            return;
          }
          const ours = optionsOfGroups(read.options, vector.groups);
          assert.equal(ours.map((option) => `${printed(option)}\n`).join(""), client);
          assert.equal(
            complaint.trim().replace(/^Warning: /, ""),
            read.warnings.map(({ text }) => text.split(";")[0]).join("\n"),
          );
        } finally {
          Deno.removeSync(dir, { recursive: true });
        }
      });
    }
  },
);

testBesideClient("random files read as my_print_defaults reads them", () => {
  const dir = Deno.makeTempDirSync({ prefix: "locktables-option-file-" });
  const path = `${dir}/random.cnf`;
  // No "!": what a random include meets on this disk is no property of the reader.
  const piece = fc.constantFrom(
    ..."\"'\\#;=[]_-ansbtr \t\v\f\r\n".split(""),
    "[client]\n",
    "\nuser=",
    '\npassword="',
    "\n'k\\'#'=",
  );
  const text = fc.array(piece, { maxLength: 40 }).map((pieces) => `[client]\n${pieces.join("")}\n`);
  try {
    fc.assert(
      fc.property(text, (text) => {
        Deno.writeTextFileSync(path, text, { mode: 0o600 });
        const { client, failed } = myPrintDefaults(path, ["client"]);
        const read = readOptionFile(optionFileReader, path);
        assert.equal(isRefusal(read), failed);
        if (isRefusal(read)) return;
        const ours = optionsOfGroups(read.options, ["client"]);
        // An empty name after blanks makes the client copy from before the line's start.
        fc.pre(ours.every((option) => option.rawKey !== ""));
        assert.equal(ours.map((option) => `${printed(option)}\n`).join(""), client);
      }),
      { numRuns: 300 },
    );
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});

function myPrintDefaults(path: string, groups: readonly string[]) {
  const { code, stdout, stderr } = new Deno.Command(MY_PRINT_DEFAULTS, {
    args: [`--defaults-file=${path}`, ...groups],
    env: { LC_ALL: "C" },
  }).outputSync();
  const decoder = new TextDecoder();
  return {
    client: decoder.decode(stdout),
    complaint: decoder.decode(stderr),
    failed: code !== 0,
  };
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("no file has no options", () => {
  const read = readOptionFile(memoryReader({ files: {} }), TOP);
  assert.deepEqual(read, { options: [], warnings: [] });
});

Deno.test("lines may end in CRLF", () => {
  const options = optionsIn('[client]\r\nuser=bob\r\npassword="x "\r\n\r\nssl\r\n');
  assert.deepEqual(options.map(printed), ["--user=bob", "--password=x ", "--ssl"]);
});

Deno.test("the last line needs no line end, not even an include", () => {
  const options = optionsIn("[client]\n!include /x/inc.cnf", {
    files: { "/x/inc.cnf": "[client]\nuser=bob" },
  });
  assert.deepEqual(options.map(printed), ["--user=bob"]);
});

Deno.test("an option knows its file, line, group and name as written", () => {
  const [, included] = optionsIn("[client]\nuser=a\n!include /x/inc.cnf\n", {
    files: { "/x/inc.cnf": "# c\n\n[LockTables] x\n  Loose_Hold_Timeout = 8s # why\n" },
  });
  assert.deepEqual(included, {
    group: "LockTables",
    key: "Loose-Hold-Timeout",
    rawKey: "Loose_Hold_Timeout",
    loose: false,
    value: "8s",
    file: "/x/inc.cnf",
    line: 4,
  });
});

Deno.test("loose- is taken off the key", () => {
  const [first, second] = optionsIn("[client]\nloose-a_b=1\nloose_c\n");
  assert.deepEqual([first?.key, first?.loose, first?.value], ["a-b", true, "1"]);
  assert.deepEqual([second?.key, second?.loose, second?.value], ["c", true, null]);
});

Deno.test("password without a value is null, not empty", () => {
  const [none, empty] = optionsIn("[client]\npassword\npassword=\n");
  assert.equal(none?.value, null);
  assert.equal(empty?.value, "");
});

Deno.test("groups compare case-insensitively and in full", () => {
  const options = optionsIn("[CLIENT]\na=1\n[client-server]\nb=2\n[clien]\nc=3\n");
  assert.deepEqual(optionsOfGroups(options, ["Client"]).map(printed), ["--a=1"]);
});

Deno.test("a long line is one option", () => {
  const long = "x".repeat(100_000);
  assert.deepEqual(optionsIn(`[client]\npassword=${long}\nuser=bob\n`).map(printed), [
    `--password=${long}`,
    "--user=bob",
  ]);
});

Deno.test("a line of blanks and quotes takes linear time", () => {
  const started = performance.now();
  const blanks = " ".repeat(300_000);
  optionsIn(`[client]\nuser=${blanks}x${blanks}\n${blanks}k${blanks}=1\n!include ${blanks}x\n`);
  assert.ok(performance.now() - started < 2_000);
});

Deno.test("a value ends with the whole character that it ends with", () => {
  const [accented, blank] = optionsIn("[client]\npassword=voilà\nuser=bob\u{a0}\n");
  assert.equal(accented?.value, "voilà");
  assert.equal(blank?.value, "bob\u{a0}");
});

Deno.test("NUL ends a line", () => {
  const options = optionsIn("[client]\nuser=a\0b\nport=1\n");
  assert.deepEqual(options.map(printed), ["--user=a", "--port=1"]);
});

Deno.test("includes are followed ten deep and then skipped with a warning", () => {
  const { options, warnings } = good(readText(`[client]\nuser=a\n!include ${TOP}\n`));
  assert.equal(options.length, 11);
  assert.deepEqual(warnings.map(({ text }) => text), [
    `Option file ${TOP}:3: !include ${TOP} is skipped, includes are nested 10 deep already`,
  ]);
});

Deno.test("files that include each other many times are refused, not read for ever", () => {
  const { summary } = refused(readText(`!include ${TOP}\n`.repeat(10)));
  assert.match(summary, /includes more than 1000 files/);
});

Deno.test("includedir reads the .cnf files in the order of their names", () => {
  const options = optionsIn("!includedir /x/d\n", {
    files: {
      "/x/d/b.cnf": "[client]\nuser=b\n",
      "/x/d/.cnf": "[client]\nuser=dot\n",
      "/x/d/a.b.cnf": "[client]\nuser=a\n",
      "/x/d/X.CNF": "[client]\nuser=upper\n",
      "/x/d/x.cnf.bak": "[client]\nuser=bak\n",
    },
  });
  assert.deepEqual(options.map((option) => option.value), ["dot", "a", "b"]);
});

Deno.test("an include of a directory is ignored with a warning", () => {
  const { options, warnings } = good(
    readText("[client]\n!include /x/d\nuser=a\n", { files: { "/x/d/a.cnf": "" } }),
  );
  assert.deepEqual(options.map(printed), ["--user=a"]);
  assert.deepEqual(warnings.map(({ text }) => text), [
    `Option file ${TOP}:2: /x/d is a directory and is ignored`,
  ]);
});

const REFUSED: readonly { name: string; text: string; more?: Partial<MemoryDisk>; says: RegExp }[] =
  [
    {
      name: "an include that permissions forbid",
      text: "[client]\n\n!include /etc/mysql/my.cnf\n",
      more: { denied: ["/etc"] },
      says: /^Option file \/root\/\.my\.cnf:3 includes \/etc\/mysql\/my\.cnf, which cannot be read/,
    },
    {
      name: "an includedir that permissions forbid",
      text: "!includedir /etc/mysql/conf.d\n",
      more: { denied: ["/etc"] },
      says: /\.my\.cnf:1 includes \/etc\/mysql\/conf\.d, which cannot be read/,
    },
    {
      name: "an includedir that does not exist",
      text: "!includedir /nope\n",
      says: /\.my\.cnf:1: !includedir \/nope names no directory/,
    },
    {
      name: "an include without a path",
      text: "[client]\n!include  \n",
      says: /Wrong '!include' directive in option file \/root\/\.my\.cnf:2/,
    },
    {
      name: "an error in an included file, which it names",
      text: "[client]\n!include /x/inc.cnf\n",
      more: { files: { "/x/inc.cnf": "\nuser=a\n" } },
      says: /option without preceding group in option file \/x\/inc\.cnf:2/,
    },
    {
      name: "a byte order mark",
      text: "\u{feff}[client]\n",
      says: /\.my\.cnf:1 starts with a UTF-8 byte order mark/,
    },
    {
      name: "a file that permissions forbid",
      text: "",
      more: { denied: [TOP] },
      says: /^Option file \/root\/\.my\.cnf cannot be read: not permitted$/,
    },
  ];

for (const { name, text, more, says } of REFUSED) {
  Deno.test(`the option file is refused for ${name}`, () => {
    const { summary, hint } = refused(readText(text, more));
    assert.match(summary, says);
    assert.ok(hint.length > 0);
    assert.ok(!/[\r\n]/.test(summary + hint));
  });
}

Deno.test("a directory in place of the option file is refused", () => {
  const reader = memoryReader({ files: { [`${TOP}/a.cnf`]: "" } });
  const { summary } = refused(readOptionFile(reader, TOP));
  assert.equal(summary, `Option file ${TOP} is a directory; expected a regular file`);
});

Deno.test("an error in a file of an includedir ends the reading", () => {
  const { summary } = refused(
    readText("!includedir /x\n[client\n", { files: { "/x/a.cnf": "\nuser=a\n" } }),
  );
  assert.match(summary, /option file \/x\/a\.cnf:2/);
});

Deno.test("the hint for a forbidden include says where its options belong", () => {
  const read = readText("[client]\n!include /etc/my.cnf\n", { denied: ["/etc"] });
  assert.equal(
    refused(read).hint,
    "Put the options of /etc/my.cnf into /root/.my.cnf itself and remove line 2 of /root/.my.cnf",
  );
});

Deno.test("a refusal does not repeat a line that may be the password", () => {
  const { summary, hint } = refused(readText("password=s3cret\n"));
  assert.ok(!`${summary}${hint}`.includes("s3cret"));
});

Deno.test("text in messages is one printable line of bounded length", () => {
  assert.equal(
    shown("a\u{1b}[2J\r\n\u{202e}é\u{d800}"),
    "a\\u{1b}[2J\\u{d}\\u{a}\\u{202e}é\\u{d800}",
  );
  assert.equal(shown("x".repeat(500)).length, 81);
});

Deno.test("the reader takes any text without throwing", () => {
  const piece = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      "[",
      "]",
      "\n",
      "!",
      "!include ",
      "!includedir ",
      TOP,
      "=",
      "#",
      '"',
      "\\",
      "\0",
    ),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const read = readText(pieces.join(""));
      if (isRefusal(read)) assert.ok(!read.summary.includes("\n"));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("a quoted and escaped value comes back as it was", () => {
  const written: Readonly<Record<string, string>> = {
    "\\": "\\\\",
    '"': '\\"',
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\b": "\\b",
  };
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => {
      fc.pre(!value.includes("\0"));
      const quoted = value.replace(/[\\"\n\r\t\b]/g, (character) => written[character]!);
      const [option] = optionsIn(`[client]\n  password = "${quoted}" # a comment\n`);
      assert.equal(option?.value, value);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("the disk's reader tells apart what a path can be", async (test) => {
  const dir = Deno.makeTempDirSync({ prefix: "locktables-option-file-" });
  const path = `${dir}/a.cnf`;
  const write = (data: Uint8Array | string, mode = 0o600) => {
    Deno.writeFileSync(path, typeof data === "string" ? new TextEncoder().encode(data) : data);
    Deno.chmodSync(path, mode);
  };
  try {
    await test.step("missing", () => {
      assert.deepEqual(optionFileReader.read(path), { kind: "missing" });
      assert.deepEqual(optionFileReader.list(`${dir}/nope`), { kind: "missing" });
    });
    await test.step("text, with its byte order mark", () => {
      write("\u{feff}é");
      const text = { kind: "text", text: "\u{feff}é", worldWritable: false };
      assert.deepEqual(optionFileReader.read(path), text);
      assert.deepEqual(optionFileReader.list(dir), { kind: "names", names: ["a.cnf"] });
      assert.deepEqual(optionFileReader.list(path), { kind: "missing" });
    });
    await test.step("group-writable is accepted, world-writable is marked", () => {
      write("", 0o660);
      assert.equal(worldWritable(path), false);
      write("", 0o602);
      assert.equal(worldWritable(path), true);
    });
    await test.step("not UTF-8", () => {
      write(new Uint8Array([0x5b, 0xff]));
      assert.deepEqual(optionFileReader.read(path), {
        kind: "invalid",
        why: "it is not UTF-8",
      });
    });
    await test.step("too large", () => {
      write(new Uint8Array((1 << 20) + 1));
      assert.equal(optionFileReader.read(path).kind, "invalid");
    });
    await test.step("a directory, a FIFO", () => {
      assert.deepEqual(optionFileReader.read(dir), { kind: "not-a-file", why: "a directory" });
      assert.ok(new Deno.Command("mkfifo", { args: [`${dir}/fifo`] }).outputSync().success);
      assert.deepEqual(optionFileReader.read(`${dir}/fifo`), { kind: "not-a-file", why: "a FIFO" });
    });
    await test.step("a link to /dev/null is an empty file", () => {
      Deno.symlinkSync("/dev/null", `${dir}/null.cnf`);
      assert.deepEqual(optionFileReader.read(`${dir}/null.cnf`), {
        kind: "text",
        text: "",
        worldWritable: false,
      });
    });
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});

Deno.test({
  name: "the disk's reader is denied what its permissions do not name",
  permissions: { read: [import.meta.dirname!] },
  fn() {
    const why = "it is outside the paths that locktables is permitted to read";
    assert.deepEqual(optionFileReader.read("/etc/nope.cnf"), { kind: "denied", why });
    assert.deepEqual(optionFileReader.list("/etc"), { kind: "denied", why });
  },
});

function worldWritable(path: string): boolean {
  const read = optionFileReader.read(path);
  return read.kind === "text" && read.worldWritable;
}
