/** What the packages are made of, and what their scripts decide; `deno task packages` builds them. */
import assert from "node:assert/strict";
import { X86_64 } from "../../scripts/architectures.ts";
import { DESCRIPTION } from "../../scripts/packages/about.ts";
import { debChangelog, debControl, debCopyright, debName } from "../../scripts/packages/deb.ts";
import { packagedFiles, type PackageParts } from "../../scripts/packages/layout.ts";
import { DEB_SCRIPTS, PACKAGED_PROGRAM, RPM_PREUN } from "../../scripts/packages/removal.ts";
import { rpmName, rpmSpec } from "../../scripts/packages/rpm.ts";
import { stageFiles } from "../../scripts/packages/stage.ts";
import { repositoryRoot, run, runOrFail } from "../../scripts/shell.ts";
import { RECEIPT_FILE, STATE_DIR } from "../../lib/base/paths.ts";
import { emptyReceipt } from "../../lib/hooks/receipt.ts";

const TIME = new Date("2026-03-04T05:06:07Z");

const PARTS: PackageParts = {
  completions: { bash: "b\n", zsh: "z\n", fish: "f\n" },
  manPage: ".TH\n",
  sbom: "{}\n",
  alertRules: "groups: []\n",
  license: "",
  changelog: "# Changelog\n",
  readme: "# locktables\n",
  pages: new Map([["README.md", "x\n"], ["callers/qemu.md", "y\n"]]),
};

async function withTempDir(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "lt-packages-" });
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("packages: names and versions are those of the distributions, and a candidate sorts before its release", () => {
  assert.equal(debName("1.2.3", X86_64), "locktables_1.2.3-1_amd64.deb");
  assert.equal(debName("1.2.3-rc.1", X86_64), "locktables_1.2.3~rc.1-1_amd64.deb");
  assert.equal(rpmName("1.2.3", X86_64), "locktables-1.2.3-1.x86_64.rpm");
  assert.equal(rpmName("1.2.3-rc.1", X86_64), "locktables-1.2.3~rc.1-1.x86_64.rpm");
});

Deno.test("packages: Debian's control file, changelog and copyright say what they must", async () => {
  const control = debControl("1.2.3", X86_64, 1025);
  for (const line of ["Package: locktables", "Version: 1.2.3-1", "Installed-Size: 2"]) {
    assert.ok(control.split("\n").includes(line), line);
  }
  // A description's lines are indented, and a blank one is a dot.
  assert.match(control, /\nDescription: \S.*\n( \S.*\n)+ \.\n( \S.*\n)+$/);
  assert.ok(DESCRIPTION.flat().every((line) => line.length < 76));
  assert.match(
    debChangelog("1.2.3", TIME),
    /^locktables \(1\.2\.3-1\) stable; urgency=medium\n\n {2}\* .*\n\n -- .* <.*@.*> {2}Wed, 04 Mar 2026 05:06:07 \+0000\n$/,
  );
  const license = await Deno.readTextFile(`${repositoryRoot()}/LICENSE`);
  const copyright = debCopyright(license);
  assert.match(copyright, /^Copyright: 2026 The locktables authors$/m);
  assert.match(copyright, /^ Permission is hereby granted/m);
  assert.match(copyright, /^ OTHER DEALINGS IN THE SOFTWARE|^ SOFTWARE\.$/m);
  assert.doesNotMatch(copyright.trimEnd(), /\n\n /);
});

Deno.test("packages: the rpm's spec names every file, owns its directories, and strips nothing", () => {
  const files = packagedFiles("rpm", PARTS);
  const spec = rpmSpec("1.2.3", files, "/stage");
  for (const { path } of files) assert.ok(spec.includes(` ${path}\n`), path);
  assert.match(spec, /^%attr\(0755,root,root\) \/usr\/sbin\/locktables$/m);
  assert.match(spec, /^%dir \/usr\/share\/doc\/locktables\/docs\/callers$/m);
  assert.doesNotMatch(spec, /^%dir \/usr\/share\/doc$/m);
  assert.match(spec, /^AutoReqProv: no$/m);
});

Deno.test("packages: files are staged with one time and the same modes under any umask", async () => {
  const seen: string[] = [];
  for (const umask of [0o022, 0o077]) {
    await withTempDir(async (dir) => {
      await Deno.writeTextFile(`${dir}/program`, "program");
      const before = Deno.umask(umask);
      try {
        await stageFiles(`${dir}/root`, packagedFiles("deb", PARTS), `${dir}/program`, TIME);
      } finally {
        Deno.umask(before);
      }
      const { stdout } = await runOrFail("find", [
        "sh",
        "-c",
        `cd "$1" && find . -printf '%p %m %TY-%Tm-%Td %s\\n' | sed '/ 755 .* [0-9]*$/s/ [0-9]*$//' | sort; find . -type f -exec sha256sum {} + | sort`,
        "sh",
        `${dir}/root`,
      ]);
      seen.push(stdout);
    });
  }
  assert.equal(seen[0], seen[1]);
  assert.match(seen[0] ?? "", /^\.\/usr\/sbin\/locktables 755 2026-03-04/m);
  assert.match(seen[0] ?? "", /^\.\/usr\/share\/doc\/locktables\/docs\/callers 755 2026-03-04/m);
});

// -----------------------------------------------------------------------------------------------
// The scripts, with a program and a guest of the test's

const SCRIPTS: Readonly<Record<string, string>> = {
  ...DEB_SCRIPTS,
  preun: `#!/bin/sh\n${RPM_PREUN}`,
};

/** Runs one of the scripts in a guest of its own; `program` is what stands for the program. */
async function runScript(
  dir: string,
  script: string,
  args: readonly string[],
  program: string | null,
) {
  const text = (SCRIPTS[script] ?? "")
    .replaceAll(PACKAGED_PROGRAM, `${dir}/locktables`)
    .replaceAll(/(?<![\w.])\/(?:var|run)\//g, (path) => `${dir}${path}`)
    // The receipt has the real path.
    .replaceAll(`${dir}/locktables"'`, `${PACKAGED_PROGRAM}"'`);
  await Deno.writeTextFile(`${dir}/${script}`, text);
  if (program !== null) {
    await Deno.writeTextFile(`${dir}/locktables`, `#!/bin/sh\n${program}\n`, { mode: 0o755 });
  }
  return await run(["sh", `${dir}/${script}`, ...args], {
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin" },
  });
}

/** A receipt with one hook that calls this program. */
function receiptFor(program: string): string {
  const install = {
    caller: "qemu",
    form: "dispatcher",
    option: null,
    version: "1.0.0",
    program,
    installed_at: "2026-01-01T00:00:00.000Z",
    files: [],
    directories: [],
  } as const;
  return JSON.stringify({ ...emptyReceipt([]), installs: [install] }, null, 2);
}

interface RemovalCase {
  readonly name: string;
  readonly program: string | null;
  readonly receipt?: string;
  readonly code: number;
  readonly says?: RegExp;
}

const REMOVALS: readonly RemovalCase[] = [
  { name: "goes with the hooks", program: 'echo "$@" >>"$0.called"', code: 0 },
  {
    name: "stays while a window is open",
    program: "exit 11",
    code: 11,
    says: /not removed, because of the line above/,
  },
  { name: "stays where a hook was edited", program: "exit 22", code: 22, says: /not removed/ },
  {
    name: "stays where its program does not run and has hooks",
    program: "exit 127",
    receipt: receiptFor(PACKAGED_PROGRAM),
    code: 1,
    says: /does not run \(exit code 127\)\. Install the package again/,
  },
  {
    name: "stays where its program has hooks by the merged path, and is not there",
    program: null,
    receipt: receiptFor("/usr/bin/locktables"),
    code: 1,
    says: /does not run/,
  },
  {
    name: "goes where its program does not run, and another's hooks are there",
    program: "kill -SEGV $$",
    receipt: receiptFor("/usr/local/sbin/locktables"),
    code: 0,
  },
  { name: "goes where its program is not there", program: null, code: 0 },
];

for (const [script, word] of [["prerm", "remove"], ["preun", "0"]] as const) {
  for (const { name, program, receipt, code, says } of REMOVALS) {
    Deno.test(`packages: by its ${script} a package ${name}`, async () => {
      await withTempDir(async (dir) => {
        await Deno.mkdir(`${dir}${STATE_DIR}`, { recursive: true });
        if (receipt !== undefined) await Deno.writeTextFile(`${dir}${RECEIPT_FILE}`, receipt);
        const result = await runScript(dir, script, [word], program);
        assert.equal(result.code, code, result.stderr);
        assert.match(result.stderr, says ?? /^(?!.*not removed)/s);
        if (name === "goes with the hooks") {
          assert.equal(await Deno.readTextFile(`${dir}/locktables.called`), "uninstall --own\n");
        }
      });
    });
  }
}

for (
  const [script, ...words] of [
    ["prerm", "upgrade", "1.2.4-1"],
    ["prerm", "failed-upgrade", "1.2.2-1"],
    ["prerm", "deconfigure", "in-favour", "x", "1"],
    ["postrm", "remove"],
    ["postrm", "upgrade", "1.2.4-1"],
    ["preun", "1"],
  ] as const
) {
  Deno.test(`packages: ${script} ${words.join(" ")} touches nothing`, async () => {
    await withTempDir(async (dir) => {
      await Deno.mkdir(`${dir}${STATE_DIR}`, { recursive: true });
      await Deno.writeTextFile(`${dir}${STATE_DIR}/record.json`, "{}");
      const result = await runScript(dir, script, words, 'touch "$0.called"; exit 11');
      assert.deepEqual([result.code, result.stdout, result.stderr], [0, "", ""]);
      assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), [
        "locktables",
        script,
        "var",
      ]);
      assert.equal(await Deno.readTextFile(`${dir}${STATE_DIR}/record.json`), "{}");
    });
  });
}

Deno.test("packages: purge forgets the windows, and leaves what is not the program's", async () => {
  await withTempDir(async (dir) => {
    const state = `${dir}${STATE_DIR}`;
    await Deno.mkdir(`${state}/freeze-sensor`, { recursive: true });
    await Deno.mkdir(`${dir}/run/veeam`, { recursive: true });
    for (const name of ["record.json", "history.jsonl", "totals.json", "check.tmp"]) {
      await Deno.writeTextFile(`${state}/${name}`, "");
    }
    await Deno.mkdir(`${state}/image`);
    await Deno.symlink("/elsewhere", `${state}/main.sock`);
    const result = await runScript(dir, "postrm", ["purge"], null);
    assert.deepEqual([result.code, result.stderr], [0, ""]);
    assert.deepEqual([...Deno.readDirSync(state)].map(({ name }) => name).sort(), [
      "image",
      "main.sock",
    ]);
    assert.deepEqual([...Deno.readDirSync(`${dir}/run`)], []);
  });
});

Deno.test("packages: purge leaves the records to another program that has hooks", async () => {
  await withTempDir(async (dir) => {
    await Deno.mkdir(`${dir}${STATE_DIR}`, { recursive: true });
    await Deno.writeTextFile(`${dir}${RECEIPT_FILE}`, receiptFor("/usr/local/sbin/locktables"));
    await Deno.writeTextFile(`${dir}${STATE_DIR}/record.json`, "");
    const result = await runScript(dir, "postrm", ["purge"], null);
    assert.deepEqual([result.code, result.stderr], [0, ""]);
    assert.deepEqual([...Deno.readDirSync(`${dir}${STATE_DIR}`)].length, 2);
  });
});
