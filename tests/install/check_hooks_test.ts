/** check's findings about hooks: each is provoked, ended by the command it prints, and gone. */
import assert from "node:assert/strict";
import { CATALOGUE, type FindingCode } from "../../lib/check/catalogue.ts";
import type { Finding } from "../../lib/check/finding.ts";
import { openSandbox, type Sandbox } from "../support/sandbox.ts";
import { HOOK_CASES } from "./check_hook_cases.ts";

async function hookFindings(sandbox: Sandbox): Promise<readonly Finding[]> {
  const { stdout, stderr } = await sandbox.sh("locktables check --json");
  assert.equal(stderr, "");
  const { findings }: { readonly findings: readonly Finding[] } = JSON.parse(stdout);
  return findings.filter(({ code }) => CATALOGUE[code].theme === "hooks");
}

const ofCode = (findings: readonly Finding[], code: FindingCode) =>
  findings.filter((one) => one.code === code);

for (const { code, name, given, otherwise } of HOOK_CASES) {
  Deno.test(`check finds ${code} and it is gone after its remedy: ${name}`, async () => {
    const sandbox = await openSandbox();
    try {
      // Where the tests' machine has an agent: that is another case.
      if (code !== "no-hooks") await sandbox.sh("rm -f /usr/sbin/qemu-ga");
      const set = await sandbox.sh(`set -e; ${given}`);
      assert.equal(set.code, 0, set.stderr);
      const found = await hookFindings(sandbox);
      const [first] = ofCode(found, code);
      assert.ok(first !== undefined, JSON.stringify(found, null, 1));
      assert.equal(first.severity, CATALOGUE[code].severity);
      const remedy = first.remedy ?? otherwise;
      assert.ok(remedy !== null && remedy !== undefined, first.title);
      const cured = await sandbox.sh(remedy);
      assert.equal(cured.code, 0, `${remedy}\n${cured.stderr}`);
      const left = await hookFindings(sandbox);
      assert.deepEqual(ofCode(left, code), [], remedy);
    } finally {
      await sandbox.close();
    }
  });
}

Deno.test("hooks that were just installed are nothing to complain of, for every caller", async () => {
  const sandbox = await openSandbox();
  try {
    await sandbox.sh(
      "mkdir -p /etc/qemu/fsfreeze-hook.d; printf '#!/bin/sh\\n' >/etc/qemu/fsfreeze-hook; chmod 755 /etc/qemu/fsfreeze-hook; mkdir /usr/lib/snapper /etc/sanoid; echo 'pre_snapshot_script = /etc/locktables/sanoid.sh' >/etc/sanoid/sanoid.conf",
    );
    const calls = [
      "vmware",
      "vmware --legacy",
      "qemu",
      "qemu --direct --replace",
      "veeam",
      "nutanix",
      "aws",
      "azure",
      "google",
      "snapper",
      "sanoid",
      "run",
    ];
    for (const call of calls) {
      const done = await sandbox.sh(`locktables install ${call}`);
      assert.equal(done.code, 0, done.stderr);
      assert.deepEqual(await hookFindings(sandbox), [], call);
      assert.equal((await sandbox.sh("locktables uninstall")).code, 0);
    }
  } finally {
    await sandbox.close();
  }
});
