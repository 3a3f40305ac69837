/** How `deno task test` chooses, runs and counts test files. */
import assert from "node:assert/strict";
import { isQuick, longestFirst } from "../../scripts/test_files.ts";
import { runTests } from "../../scripts/test_process.ts";
import {
  countsOf,
  failureText,
  finalText,
  progressLine,
  type TestEnd,
  totalOf,
} from "../../scripts/test_report.ts";
import { parseTestArguments } from "../../scripts/test.ts";
import { ScriptError } from "../../scripts/shell.ts";

const END: TestEnd = {
  name: "tests/a_test.ts",
  exitCode: 0,
  isTimedOut: false,
  tookMs: 1_234,
  output: "running 1 test\n\nok | 1 passed | 0 failed (1ms)\n",
  junit: "",
};

const COUNTED: readonly {
  readonly name: string;
  readonly end: Partial<TestEnd>;
  readonly counts: readonly [passed: number, steps: number, failed: number, skipped: number];
}[] = [
  { name: "one good test", end: {}, counts: [1, 0, 0, 0] },
  {
    name: "steps, failures and what was skipped",
    end: {
      exitCode: 1,
      output:
        "FAILED | 4 passed (2 steps) | 3 failed (1 step) | 2 ignored (1 step) | 9 filtered out (1s)",
    },
    counts: [4, 2, 3, 2],
  },
  {
    name: "a file that does not load",
    end: { exitCode: 1, output: 'error: Module not found "file:///none.ts".' },
    counts: [0, 0, 1, 0],
  },
  {
    name: "good tests, and an error between them",
    end: { exitCode: 1, output: "FAILED | 4 passed | 0 failed | 1 ignored (1s)" },
    counts: [4, 0, 1, 1],
  },
  {
    name: "a summary that a test has printed before its own",
    end: { output: "ok | 99 passed | 0 failed (1s)\nok | 2 passed | 0 failed (1s)\n" },
    counts: [2, 0, 0, 0],
  },
];

Deno.test("a run is counted by its last line, and a failure without a failed test as one", async (step) => {
  for (const { name, end, counts: [passed, steps, failed, skipped] } of COUNTED) {
    await step.step(name, () => {
      assert.deepEqual(countsOf({ ...END, ...end }), { passed, steps, failed, skipped });
    });
  }
});

Deno.test("the end says the slowest, the skipped with why, the failed, and last the counts", () => {
  const junit = (cases: string) =>
    `<testsuites><testsuite name="./tests/b_test.ts">${cases}</testsuite></testsuites>`;
  const one = (name: string, time: string, inside = "") =>
    `<testcase name="${name}" classname="./tests/b_test.ts" time="${time}" line="1">${inside}</testcase>`;
  const ends: TestEnd[] = [
    END,
    {
      ...END,
      name: "tests/b_test.ts",
      exitCode: 1,
      output:
        "all of it\n ERRORS \n\nthis one\nFAILED | 2 passed (1 step) | 1 failed | 1 ignored (9s)",
      junit: junit(
        one("a &gt; b &amp; c", "2.500") + one("slow", "9.100") +
          one("slow &gt; its step", "9.000") +
          one("zsh (skipped: no zsh here)", "0.000", "<skipped/>"),
      ),
    },
    { ...END, name: "tests/c_test.ts", exitCode: 1, output: "error: no module" },
    { ...END, name: "tests/d_test.ts", exitCode: 137, isTimedOut: true, output: "" },
  ];
  assert.equal(
    finalText(ends, 71_400),
    `
Slowest:
     9.1 s  tests/b_test.ts: slow
     2.5 s  tests/b_test.ts: a > b & c

Skipped:
  tests/b_test.ts: zsh (skipped: no zsh here)

Failed:
  tests/b_test.ts: 1 failed
  tests/c_test.ts: it came to no end, exit code 1
  tests/d_test.ts: it did not end in time

FAILED | 3 passed (1 steps) | 3 failed | 1 ignored (1m11s)`,
  );
  assert.deepEqual(totalOf(ends.map(countsOf)), { passed: 3, steps: 1, failed: 3, skipped: 1 });
  assert.match(progressLine(END, 3, 12), /^\[ 3\/12\] ok +tests\/a_test\.ts +1 passed +1\.2 s$/);
  const [, failed] = ends;
  assert.ok(failed !== undefined);
  assert.match(progressLine(failed, 4, 12), /FAILED .* 2 passed 1 failed 1 skipped/);
  assert.match(failureText(failed), /^ ERRORS \n\nthis one\n/);
});

Deno.test("a test is quick unless it reaches a server, a sandbox or the program, however far", async () => {
  const sources: Record<string, string> = {
    "tests/pure_test.ts": 'import { a } from "../lib/a.ts";\nimport assert from "node:assert";',
    "lib/a.ts": 'export { b } from "./b.ts";',
    "lib/b.ts": 'import "./a.ts";',
    "tests/far_test.ts": 'const { x } = await import("./support/middle.ts");',
    "tests/support/middle.ts": 'import type { Server } from "./server.ts";',
    "tests/compiled_test.ts": 'Deno.env.get("LOCKTABLES_BINARY");',
  };
  const read = (path: string) => Promise.resolve(sources[path] ?? "");
  assert.equal(await isQuick("tests/pure_test.ts", read), true);
  assert.equal(await isQuick("tests/far_test.ts", read), false);
  assert.equal(await isQuick("tests/compiled_test.ts", read), false);
});

Deno.test("the longest file is begun first: as remembered, else as listed, else after those", () => {
  assert.deepEqual(
    longestFirst(
      [
        "tests/new_test.ts",
        "tests/known_test.ts",
        "tests/callers/vmware_test.ts",
        "tests/s_test.ts",
      ],
      { "tests/known_test.ts": 600_000, "tests/s_test.ts": 500 },
    ),
    ["tests/known_test.ts", "tests/callers/vmware_test.ts", "tests/new_test.ts", "tests/s_test.ts"],
  );
});

Deno.test("the command line has files, a filter, and what deno test takes", async () => {
  assert.deepEqual(
    await parseTestArguments([
      "--quick",
      "--jobs",
      "3",
      "tests/process",
      "--",
      "--filter",
      "tests",
      "--fail-fast",
    ]),
    {
      isQuick: true,
      jobs: 3,
      paths: ["tests/process"],
      args: ["--filter", "tests", "--fail-fast"],
    },
  );
  for (const wrong of [["--jobs=x"], ["--jobs", "0"], ["tests/no_such_test.ts"], ["/etc"]]) {
    await assert.rejects(parseTestArguments(wrong), ScriptError);
  }
});

/** Runs a file that says what it sees of the machine. */
async function runProbe(text: string): Promise<TestEnd> {
  const dir = await Deno.makeTempDir({ prefix: "lt-runner-" });
  try {
    await Deno.writeTextFile(`${dir}/probe_test.ts`, text);
    return await runTests({
      name: "probe",
      files: [`${dir}/probe_test.ts`],
      args: ["--no-config"],
      binary: null,
      dir,
      signal: new AbortController().signal,
      isShown: false,
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a test file that does not load is a failure of a real run", async () => {
  const end = await runProbe('import "./none.ts"; Deno.test("x", () => {});');
  assert.deepEqual(countsOf(end), { passed: 0, steps: 0, failed: 1, skipped: 0 });
});

Deno.test({
  name: "a test has a /tmp of its own",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const strange = await Deno.makeTempFile({ dir: "/tmp", prefix: "lt-of-the-machine-" });
    try {
      const end = await runProbe(
        `Deno.test("alone", () => {
          const names = [...Deno.readDirSync("/tmp")].map(({ name }) => name);
          if (names.some((name) => name.startsWith("lt-of-the-machine"))) throw new Error(names.join());
          Deno.writeTextFileSync("/tmp/lt-of-the-test", "");
        });`,
      );
      assert.equal(end.exitCode, 0, end.output);
      assert.throws(() => Deno.statSync("/tmp/lt-of-the-test"), Deno.errors.NotFound);
    } finally {
      await Deno.remove(strange);
    }
  },
});

Deno.test("tests and builds get no variable and no umask of the machine", async () => {
  const { stdout } = await new Deno.Command("/bin/sh", {
    args: [
      "-c",
      'umask 077; exec "$0" eval "$1"',
      Deno.execPath(),
      `
      import { forgetMachine } from "${new URL("../../scripts/test_process.ts", import.meta.url)}";
      forgetMachine();
      console.log(JSON.stringify([Deno.umask(), Object.keys(Deno.env.toObject()).sort()]));`,
    ],
    clearEnv: true,
    env: {
      PATH: "/usr/bin:/bin",
      DENO_DIR: Deno.env.get("DENO_DIR") ?? "",
      https_proxy: "",
      LANG: "de_DE.ISO-8859-1",
      LC_ALL: "tr_TR.UTF-8",
      MYSQL_HOME: "/opt",
      MYSQL_PWD: "x",
      RUST_BACKTRACE: "1",
      TMPDIR: "/nowhere",
      TZ: "Pacific/Kiritimati",
    },
  }).output();
  const [umask, names] = JSON.parse(new TextDecoder().decode(stdout));
  assert.equal(umask, 0o022);
  assert.deepEqual(
    names,
    ["DENO_DIR", "HOME", "LANG", "NO_COLOR", "PATH", "TZ", "https_proxy"].filter((name) =>
      name !== "HOME" || Deno.uid() === 0
    ),
  );
});

Deno.test("a test that does not end is ended with the run", async () => {
  const dir = await Deno.makeTempDir({ prefix: "lt-runner-" });
  try {
    await Deno.writeTextFile(
      `${dir}/hang_test.ts`,
      'Deno.test("hangs", () => new Promise((resolve) => setTimeout(resolve, 600_000)));',
    );
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 1_000);
    const end = await runTests({
      name: "hang",
      files: [`${dir}/hang_test.ts`],
      args: ["--no-config"],
      binary: null,
      dir,
      signal: abort.signal,
      isShown: false,
    });
    assert.notEqual(end.exitCode, 0);
    assert.equal(countsOf(end).failed, 1);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
