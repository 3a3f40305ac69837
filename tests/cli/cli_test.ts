/** The command line for people, on the compiled program and without any environment. */
import assert from "node:assert/strict";

import { hookNamesOf } from "../../lib/callers/call.ts";
import { CALLERS } from "../../lib/callers/table.ts";
import { EXIT } from "../../lib/base/refusal.ts";
import { VERSION } from "../../lib/base/version.ts";
import { repositoryRoot } from "../../scripts/shell.ts";

const BINARY = Deno.env.get("LOCKTABLES_BINARY") ?? `${repositoryRoot()}/dist/locktables`;

const COMMANDS = [
  "pre-freeze",
  "post-thaw",
  "status",
  "history",
  "metrics",
  "check",
  "rehearse",
  "verify",
  "install",
  "uninstall",
  "completions",
  "help",
];

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end, with nothing but the environment given. */
async function run(argv: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const [program = "", ...args] = argv;
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    clearEnv: true,
    env,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Runs the program with words separated by blanks. */
function locktables(line: string): Promise<Ended> {
  return run([BINARY, ...line.split(" ").filter((word) => word !== "")]);
}

Deno.test("command line: the version is one line", async () => {
  for (const line of ["--version", "-V"]) {
    assert.deepEqual(await locktables(line), {
      code: 0,
      out: `locktables ${VERSION}\n`,
      err: "",
    });
  }
});

Deno.test("command line: the help names every command, exit code, file and caller's name", async () => {
  const { code, out, err } = await locktables("--help");
  assert.deepEqual([code, err], [0, ""]);
  const pages = await Promise.all(["-h", "help", "help --help"].map(locktables));
  assert.equal(pages[0]?.out, out);
  assert.equal(pages[1]?.out, out);
  for (const name of COMMANDS) assert.match(out, new RegExp(`^  ${name}  `, "m"));
  for (const exit of Object.values(EXIT)) {
    assert.match(out, new RegExp(`^  ${exit} *  |^   ${exit}  `, "m"));
  }
  for (const command of ["pre-freeze", "post-thaw"] as const) {
    const { verbs, programs } = hookNamesOf(command);
    for (const name of [...verbs, ...programs, ...CALLERS]) assert.ok(out.includes(name), name);
  }
  for (const path of ["/root/.my.cnf", "/run/veeam/waitforsnapshot", "/var/lib/locktables/"]) {
    assert.ok(out.includes(path), path);
  }
  assert.ok(!out.includes("locker"), "the locker is not for people");
});

Deno.test("command line: every command has a page with its options and what exit 0 means", async () => {
  for (const name of COMMANDS) {
    const asked = await locktables(`${name} --help`);
    assert.deepEqual([asked.code, asked.err], [0, ""]);
    assert.deepEqual(await locktables(`help ${name}`), asked);
    assert.match(asked.out, new RegExp(`^Usage: locktables ${name}\\b`, "m"));
    assert.match(asked.out, /^Exit 0: \S/m);
    assert.match(asked.out, /^ {2}-h, --help {2,}\S/m);
  }
});

Deno.test("command line: no line of the help is wider than a plain terminal", async () => {
  for (const topic of ["", ...COMMANDS]) {
    const { out } = await locktables(`help ${topic}`);
    assert.deepEqual(out.split("\n").filter((line) => line.length > 80 || / $/.test(line)), []);
  }
});

Deno.test("command line: help on a caller's verb explains the command and freezes nothing", async () => {
  const { out } = await locktables("pre-freeze --help");
  for (const line of ["freeze --help", "freeze -h", "help freeze", "help pre-script"]) {
    assert.deepEqual(await locktables(line), { code: 0, out, err: "" });
  }
});

Deno.test("command line: without a word it prints the help, and is no success", async () => {
  const { out } = await locktables("--help");
  assert.deepEqual(await locktables(""), { code: 2, out, err: "" });
});

const MISTAKES: readonly (readonly [line: string, says: string])[] = [
  ["statsu", 'Unknown command "statsu". Did you mean status? Run: locktables --help'],
  ["pre-freze", 'Unknown command "pre-freze". Did you mean pre-freeze? Run: locktables --help'],
  ["freez", 'Unknown command "freez". Did you mean freeze? Run: locktables --help'],
  ["locke", 'Unknown command "locke". Run: locktables --help'],
  ["constructor", 'Unknown command "constructor". Run: locktables --help'],
  [
    "completions constructor --",
    'SHELL is "constructor", expected one of bash, zsh, fish. Run: locktables completions --help',
  ],
  ["statsu --help", 'Unknown command "statsu". Did you mean status? Run: locktables --help'],
  ["help statsu", 'Unknown command "statsu". Did you mean status? Run: locktables --help'],
  ["--vesion", "Unknown option --vesion. Did you mean --version? Run: locktables --help"],
  ["--json status", "Unknown option --json. Options follow the command. Run: locktables --help"],
  ["--version x", 'Unexpected argument "x". Run: locktables --help'],
  [
    "status --jsn",
    "Unexpected option or argument: --jsn. Did you mean --json? Run: locktables status --help",
  ],
  [
    "pre-freeze --caler aws",
    "Unexpected option or argument: --caler. Did you mean --caller? Run: locktables pre-freeze --help",
  ],
  ["status -j", "Unexpected option or argument: -j. Run: locktables status --help"],
  ["status x", "Unexpected option or argument: x. Run: locktables status --help"],
  [
    "verify --quick --full",
    "--quick and --full exclude each other. Run: locktables verify --help",
  ],
  [
    "verify --verdict",
    "--verdict requires FILE. Run: locktables verify --help",
  ],
  ["status --json --json", "--json cannot be used multiple times. Run: locktables status --help"],
  [
    "pre-freeze --caller vmwar",
    `--caller is "vmwar", expected one of ${
      CALLERS.join(", ")
    }. Did you mean vmware? Run: locktables pre-freeze --help`,
  ],
  [
    "post-thaw --caller aw",
    `--caller is "aw", expected one of ${
      CALLERS.join(", ")
    }. Did you mean aws? Run: locktables post-thaw --help`,
  ],
  ["post-thaw --caller", "--caller requires NAME. Run: locktables post-thaw --help"],
  ...["2", "2h", "-1s", "1.5s", "901s", "x"].map((hold) =>
    [
      `rehearse --hold ${hold}`,
      `--hold is "${hold}", expected 0s to 15m, written like 500ms, 8s or 2m. Run: locktables rehearse --help`,
    ] as const
  ),
  ["rehearse --hold", "--hold requires DURATION. Run: locktables rehearse --help"],
  [
    "completions",
    "completions needs a SHELL: bash, zsh or fish. Run: locktables completions --help",
  ],
  [
    "completions pwsh",
    'SHELL is "pwsh", expected one of bash, zsh, fish. Run: locktables completions --help',
  ],
];

for (const [line, says] of MISTAKES) {
  Deno.test(`command line: a mistake is one line and exit 2: locktables ${line}`, async () => {
    assert.deepEqual(await locktables(line), {
      code: EXIT.usage,
      out: "",
      err: `locktables: ${says}\n`,
    });
  });
}

Deno.test("command line: a reader that closes early is no error", async () => {
  const { out, err } = await run([
    "/bin/bash",
    "-c",
    `set -o pipefail; "$0" completions zsh | head -c 1; echo " \${PIPESTATUS[0]}"`,
    BINARY,
  ], { PATH: "/usr/bin:/bin" });
  assert.deepEqual([out, err], ["# 0\n", ""]);
});

Deno.test("command line: a slow reader gets the whole text", async () => {
  const script = `"$0" completions bash | { sleep 1; wc -c; }`;
  const { out } = await run(["/bin/bash", "-c", script, BINARY], { PATH: "/usr/bin:/bin" });
  const whole = await locktables("completions bash");
  assert.equal(Number(out), new TextEncoder().encode(whole.out).length);
});

Deno.test("command line: what cannot be printed is an error", async () => {
  const script = `"$0" completions bash > /dev/full`;
  const { code, err } = await run(["/bin/bash", "-c", script, BINARY]);
  assert.equal(code, EXIT.defect);
  assert.match(err, /^locktables: Cannot print: .*No space left.*\n$/);
});

Deno.test("completions: the script makes bash complete commands, options and values", async () => {
  // What readline does: the words around the cursor in COMP_WORDS, then the registered function.
  const script = `
    set -eu
    source <("$1" completions bash)
    registered=$(complete -p locktables)
    function_of=\${registered#*-F }; function_of=\${function_of%% *}
    locktables() { "$binary" "$@"; }
    binary=$1; shift
    COMP_WORDS=(locktables "$@"); COMP_CWORD=$#
    COMP_LINE="locktables $*"; COMP_POINT=\${#COMP_LINE}
    set +eu
    "$function_of" locktables "\${!#}" ""
    printf '%s\\n' "\${COMPREPLY[@]}"
  `;
  const complete = async (...words: string[]) => {
    const { code, out, err } = await run(
      ["/bin/bash", "--norc", "-c", script, "bash", BINARY, ...words],
      { PATH: "/usr/bin:/bin" },
    );
    assert.deepEqual([code, err], [0, ""]);
    return out.split("\n").filter((line) => line !== "");
  };
  assert.deepEqual(await complete("st"), ["status"]);
  assert.deepEqual(await complete(""), COMMANDS);
  assert.deepEqual(await complete("--v"), ["--version"]);
  assert.deepEqual((await complete("rehearse", "--")).sort(), ["--help", "--hold", "--json"]);
  assert.deepEqual(await complete("pre-freeze", "--caller", ""), [...CALLERS]);
  assert.deepEqual(await complete("completions", "z"), ["zsh"]);
  assert.deepEqual(await complete("help", "po"), ["post-thaw"]);
  assert.deepEqual(await complete("lock"), [], "the locker is not for people");
  assert.deepEqual(await complete("nosuch", ""), []);
});

Deno.test("completions: each shell gets candidates in its own form", async () => {
  const brief = "Say whether a lock is held now, and how the last window ended";
  assert.equal((await locktables("completions bash -- st")).out, "status\n");
  assert.equal((await locktables("completions zsh -- st")).out, `status\0${brief}\0\n`);
  assert.equal((await locktables("completions fish -- st")).out, `status\t${brief}\n`);
  assert.deepEqual(await locktables("completions fish -- nosuch x"), { code: 0, out: "", err: "" });
});

for (const shell of ["bash", "zsh", "fish"]) {
  const path = ["/usr/bin", "/bin"].map((folder) => `${folder}/${shell}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  Deno.test({
    name: `completions: ${shell} accepts its script${path ? "" : ` (skipped: no ${shell} here)`}`,
    ignore: path === undefined,
    fn: async () => {
      const file = await Deno.makeTempFile({ prefix: "lt-completions-" });
      try {
        const { code, out } = await locktables(`completions ${shell}`);
        assert.equal(code, 0);
        assert.match(out, /\blocktables\b/);
        await Deno.writeTextFile(file, out);
        const checked = await run([path ?? "", "-n", file], { HOME: "/tmp" });
        assert.deepEqual(checked, { code: 0, out: "", err: "" });
      } finally {
        await Deno.remove(file);
      }
    },
  });
}
