/** Debian's sanoid in a guest without ZFS: `zfs` is a stub that says what there is, and when. */
import assert from "node:assert/strict";
import { unpackedPath } from "../../scripts/provision.ts";
import type { Sandbox, SandboxResult } from "./sandbox.ts";

/** Where each snapshot that is taken is written down, with what the program said at that moment. */
export const SNAPSHOTS_FILE = "/run/zfs-snapshots";

/** The datasets are those that sanoid asks for; there is no snapshot before the first. */
const ZFS = `#!/bin/sh
case $1 in
  list) echo tank/mysql ;;
  snapshot) echo "$* $(locktables status --json | grep -o '"phase":.*' | head -n 1)" >>${SNAPSHOTS_FILE} ;;
esac
`;

/** Puts sanoid, its configuration and the stub into a guest. */
export async function installSanoid(sandbox: Sandbox, settings: readonly string[]): Promise<void> {
  await sandbox.writeFile("/usr/sbin/zfs", ZFS, 0o755);
  const root = await tree();
  // Its defaults are where no file of a guest can be put here.
  const given = await sandbox.sh(`set -e; mkdir -p /etc/sanoid
    cp ${root}/usr/share/sanoid/sanoid.defaults.conf /etc/sanoid/
    sed s,/usr/share/sanoid/,/etc/sanoid/, ${root}/usr/sbin/sanoid >/run/sanoid
    rm -rf ${SNAPSHOTS_FILE} /run/sanoid-*`);
  assert.equal(given.code, 0, given.stderr);
  const none = ["daily", "weekly", "monthly", "yearly"].map((period) => `${period} = 0`);
  // Its limit of 5 s is what freeze_timeout keeps to; a busy machine must not.
  const limit = "script_timeout = 60";
  const lines = ["[tank/mysql]", "hourly = 1", ...none, "autosnap = yes", "autoprune = no", limit];
  await sandbox.writeFile("/etc/sanoid/sanoid.conf", `${[...lines, ...settings].join("\n")}\n`);
}

/** One run, as its timer starts it. */
export async function runSanoid(sandbox: Sandbox): Promise<SandboxResult> {
  const perl = await Promise.all(
    (["libconfig-inifiles-perl", "libcapture-tiny-perl"] as const).map(unpackedPath),
  );
  const words = ["--take-snapshots", "--verbose", "--force-update", "--configdir=/etc/sanoid"];
  const result = await sandbox.run([
    "/usr/bin/perl",
    "/run/sanoid",
    ...words,
    "--cache-dir=/run/sanoid-cache",
    "--run-dir=/run/sanoid-run",
  ], {
    env: {
      TZ: "UTC",
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      PERL5LIB: perl.map((path) => `${path}/usr/share/perl5`).join(":"),
    },
  });
  assert.equal(result.code, 0, result.stderr);
  return result;
}

/** The snapshots that were taken: a line each. */
export async function snapshotsTaken(sandbox: Sandbox): Promise<readonly string[]> {
  const { stdout } = await sandbox.sh(`cat ${SNAPSHOTS_FILE} 2>/dev/null`);
  return stdout.split("\n").filter((line) => line !== "");
}

function tree(): Promise<string> {
  return unpackedPath("sanoid");
}
