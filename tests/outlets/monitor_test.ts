/** `status` as a monitor runs it: the compiled program, and Debian's `negate` in front of it. */
import assert from "node:assert/strict";
import { unpackedPath } from "../../scripts/provision.ts";
import type { WindowRecord } from "../../lib/window/record.ts";
import { HISTORY_FILE, RECORD_FILE } from "../../lib/base/paths.ts";
import { openSandbox, type Sandbox } from "../support/sandbox.ts";
import { EXPIRED, GOOD } from "./records.ts";

const HOUR_MS = 60 * 60_000;
const NOBODY = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];

async function inSandbox(test: (sandbox: Sandbox) => Promise<void>): Promise<void> {
  const sandbox = await openSandbox();
  try {
    await test(sandbox);
  } finally {
    await sandbox.close();
  }
}

/** Writes closed windows, the last one last, each so many hours old. */
async function putWindows(
  sandbox: Sandbox,
  ...windows: readonly (readonly [record: WindowRecord, hoursOld: number])[]
): Promise<void> {
  const records = windows.map(([record, hoursOld]) => {
    const at = new Date(Date.now() - hoursOld * HOUR_MS).toISOString();
    return { ...record, opened_at: at, locked_at: at, closed_at: at };
  });
  const lines = records.map((record) => `${JSON.stringify(record)}\n`);
  // An earlier version wrote other lines, and the disk was full once.
  await sandbox.writeFile(HISTORY_FILE, `{"schema_version":0}\n${lines.join("")}{"cut`);
  await sandbox.writeFile(RECORD_FILE, lines.at(-1) ?? "");
}

function status(sandbox: Sandbox, ...args: readonly string[]) {
  return sandbox.run([sandbox.binary, "status", ...args]);
}

Deno.test("status --nagios says in one line and by its exit code how things are", () =>
  inSandbox(async (sandbox) => {
    const cases: readonly {
      readonly windows: Parameters<typeof putWindows>[1][];
      readonly args: readonly string[];
      readonly code: number;
      readonly line: RegExp;
    }[] = [
      {
        windows: [[GOOD, 3]],
        args: [],
        code: 0,
        line: /^LOCKTABLES OK: application-consistent 3 h 0 min ago, by qemu, held 2000.4 ms \|/,
      },
      {
        windows: [[GOOD, 3]],
        args: ["--warn-hold", "500ms"],
        code: 1,
        line:
          /^LOCKTABLES WARNING: the last window held its lock for 2000.4 ms.* held=2.0004s;0.5;/,
      },
      {
        windows: [[GOOD, 30]],
        args: ["--max-age", "26h"],
        code: 2,
        line: /^LOCKTABLES CRITICAL: the last application-consistent window is 1 d 6 h old/,
      },
      {
        windows: [[GOOD, 20], [EXPIRED, 2]],
        args: ["--max-age", "26h"],
        code: 2,
        line:
          /^LOCKTABLES CRITICAL: the window of .* was crash-consistent.* age=72\d\d\ds;;93600;0 /,
      },
    ];
    for (const { windows, args, code, line } of cases) {
      await putWindows(sandbox, ...windows);
      const ended = await status(sandbox, "--nagios", ...args);
      assert.match(ended.stdout, line);
      assert.equal(ended.stdout.trimEnd().split("\n").length, 1);
      assert.deepEqual([ended.code, ended.stderr], [code, ""], ended.stdout);
    }
  }));

Deno.test("status --nagios is UNKNOWN where nothing can be judged, with stderr empty", () =>
  inSandbox(async (sandbox) => {
    const cases: readonly (readonly [args: readonly string[], line: RegExp, before?: string])[] = [
      [[], /^LOCKTABLES UNKNOWN: no window before \|/],
      [["--max-age", "soon"], /^LOCKTABLES UNKNOWN: --max-age is "soon", expected 1s to 366d/],
      [["--max-aeg", "26h"], /^LOCKTABLES UNKNOWN: Unexpected option or argument: --max-aeg\./],
      [["--json"], /^LOCKTABLES UNKNOWN: --nagios prints one line; leave out --json$/m],
      [
        [],
        /^LOCKTABLES UNKNOWN: \/var\/lib\/locktables.* is a file; expected a directory\. Move/,
        "rm -rf /var/lib/locktables && touch /var/lib/locktables",
      ],
    ];
    for (const [args, line, before] of cases) {
      if (before !== undefined) await sandbox.sh(before);
      const ended = await status(sandbox, "--nagios", ...args);
      assert.match(ended.stdout, line);
      assert.deepEqual([ended.code, ended.stderr], [3, ""]);
    }
    const nobody = await sandbox.run([...NOBODY, sandbox.binary, "status", "--nagios"]);
    assert.match(
      nobody.stdout,
      /^LOCKTABLES UNKNOWN: status runs as the user 65534; expected root/,
    );
    assert.deepEqual([nobody.code, nobody.stderr], [3, ""]);
  }));

Deno.test("Debian's negate reads the exit codes as those of any plugin", () =>
  inSandbox(async (sandbox) => {
    const negate = `${await unpackedPath(
      "monitoring-plugins-common",
    )}/usr/lib/nagios/plugins/negate`;
    const negated = (...args: readonly string[]) =>
      sandbox.run([
        negate,
        "--substitute",
        ...["--ok=CRITICAL", "--warning=UNKNOWN", "--critical=OK", "--unknown=WARNING", "--"],
        sandbox.binary,
        "status",
        "--nagios",
        ...args,
      ]);
    const unknown = await negated();
    assert.deepEqual([unknown.code, unknown.stdout.slice(0, 20)], [1, "LOCKTABLES WARNING: "]);
    await putWindows(sandbox, [GOOD, 3]);
    const ok = await negated("--max-age", "26h");
    assert.deepEqual([ok.code, ok.stdout.slice(0, 21)], [2, "LOCKTABLES CRITICAL: "]);
    const warning = await negated("--warn-hold", "1s");
    assert.deepEqual([warning.code, warning.stdout.slice(0, 20)], [3, "LOCKTABLES UNKNOWN: "]);
    const critical = await negated("--max-age", "2h");
    assert.deepEqual([critical.code, critical.stdout.slice(0, 15)], [0, "LOCKTABLES OK: "]);
  }));

Deno.test("status --max-age is exit 12 and a line on stderr where the image is not as expected", () =>
  inSandbox(async (sandbox) => {
    const none = await status(sandbox, "--max-age", "26h");
    assert.equal(none.code, 12);
    assert.match(none.stdout, /^No window before\.$/m);
    assert.match(none.stderr, /^locktables: Not as expected: no window before; .*\n$/);
    await putWindows(sandbox, [GOOD, 3]);
    const good = await status(sandbox, "--max-age", "26h", "--json");
    assert.deepEqual([good.code, good.stderr], [0, ""]);
    assert.equal(JSON.parse(good.stdout).last.verdict, "application-consistent");
    const old = await status(sandbox, "--max-age", "2h");
    assert.equal(old.code, 12);
    assert.match(
      old.stderr,
      /is 3 h 0 min old, expected one within 2h\. See: locktables status\n$/,
    );
    // Who does not ask for it is not bothered.
    assert.equal((await status(sandbox)).code, 0);
    await putWindows(sandbox, [GOOD, 3], [EXPIRED, 2]);
    assert.equal((await status(sandbox, "--max-age", "26h")).code, 12);
    assert.equal((await status(sandbox, "--warn-hold", "5s")).code, 2);
  }));

Deno.test("history shows the windows that are still known, whatever else is in the file", () =>
  inSandbox(async (sandbox) => {
    const history = (...args: readonly string[]) =>
      sandbox.run([sandbox.binary, "history", ...args]);
    assert.deepEqual((await history()).stdout, "No windows.\n");
    await putWindows(sandbox, [GOOD, 50], [{ ...GOOD, caller: "vmware" }, 20], [EXPIRED, 2]);
    const all = await history();
    assert.deepEqual([all.code, all.stderr], [0, ""]);
    assert.match(all.stdout, /^window .* why$/m);
    assert.match(all.stdout, /^3 windows, 2 application-consistent\.$/m);
    assert.equal(all.stdout.trimEnd().split("\n").length, 6);
    const recent = await history("--since", "1d", "--caller", "qemu", "--json");
    const { schema_version, windows } = JSON.parse(recent.stdout);
    assert.equal(schema_version, 1);
    assert.deepEqual(windows.map(({ outcome }: WindowRecord) => outcome), ["expired"]);
    const last = await history("last");
    assert.match(last.stdout, /^Window 00000000-0000-4000-8000-000000000001$/m);
    assert.match(last.stdout, /^ {2}locked for the snapshot +#+ +1\.799 s$/m);
    const page = await history("last", "--html");
    assert.match(page.stdout, /^<!DOCTYPE html>\n[^]*: 0 of 1 application-consistent<\/title>/);
    const both = await history("--html", "--json");
    assert.match(both.stderr, /^locktables: --json and --html exclude each other\./);
    const none = await history("ffff");
    assert.deepEqual(
      [none.code, none.stderr],
      [2, "locktables: No window ffff is known. See: locktables history\n"],
    );
    const nobody = await sandbox.run([...NOBODY, sandbox.binary, "history"]);
    assert.equal(nobody.code, 22);
    assert.match(nobody.stderr, /^locktables: history runs as the user 65534; expected root/);
  }));
