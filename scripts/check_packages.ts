/**
 * `deno task packages`: makes the packages twice and compares them, asks lintian, and lives through
 * the story of each kind (`packages/story.sh`) in a Debian of its own. Takes minutes, and is no part
 * of the tests for that.
 */

import { X86_64 } from "./architectures.ts";
import { sha256OfFile } from "./hashes.ts";
import { buildDeb } from "./packages/deb.ts";
import { buildRpm } from "./packages/rpm.ts";
import { requirePrivateGuest } from "./private_guest.ts";
import { installPackages } from "./provision.ts";
import { packageParts, release } from "./release.ts";
import {
  cacheDirectory,
  keepInCache,
  pathExists,
  repositoryRoot,
  runOrFail,
  ScriptError,
  scriptMain,
} from "./shell.ts";

/** Judge the packages, and make the Debian that they are tried in. */
const TOOLS = ["rpm", "lintian", "git", "mmdebstrap", "debian-archive-keyring"];

/** What a guest has, besides what every Debian has; bump the number when it must be made anew. */
const GUEST = {
  folder: "packages-bookworm-1",
  suite: "bookworm",
  mirror: "http://deb.debian.org/debian",
  packages: ["mariadb-server-core", "mariadb-client-core", "qemu-guest-agent", "systemd", "rpm"],
} as const;

/** Bound of making the guest, 80 s on a good line. */
const GUEST_TIMEOUT_MS = 900_000;

/** Bound of a story, one minute on a quiet machine. */
const STORY_TIMEOUT_MS = 600_000;

/** Bound of lintian, which unpacks 90 MB and reads them. */
const LINTIAN_TIMEOUT_MS = 300_000;

/**
 * Shows a guest at $1/root whose changes go with the namespace; $2 is the Debian, the others are the
 * story. Its processes end with it.
 */
const ENTER = `set -eu
mount -t tmpfs -o mode=0755 tmpfs "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/changes,workdir=$1/work" overlay "$1/root"
root=$1/root
mkdir "$root/story"
mount --bind "$3" "$root/story"
shift 3
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
exec env -i LC_ALL=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive \\
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
  chroot "$root" /bin/bash /story/story.sh "$@"
`;

async function main(): Promise<void> {
  const log = (line: string) => console.log(line);
  await requirePrivateGuest("deno task packages");
  await installPackages(TOOLS, log);
  const debian = await guestTree(log);
  const scratch = await Deno.makeTempDir({ prefix: "lt-packages-" });
  try {
    const [one, other] = [`${scratch}/one`, `${scratch}/deeper/down/other`];
    const first = await makeRelease(one, 0o022);
    const second = await makeRelease(other, 0o077);
    for (const [name, sum] of first) {
      if (second.get(name) !== sum) throw new ScriptError(`${name} is not the same twice`);
      log(`same     ${name} ${sum}`);
    }
    for (const name of first.keys()) {
      if (name.endsWith(".deb")) await askLintian(`${one}/dist/${name}`, log);
    }
    await liveThrough(one, scratch, debian, log);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/** Makes a release of a copy of this checkout; returns the packages with their hashes. */
async function makeRelease(root: string, umask: number): Promise<ReadonlyMap<string, string>> {
  await Deno.mkdir(root, { recursive: true });
  const files = await runOrFail("git ls-files", ["git", "-C", repositoryRoot(), "ls-files", "-z"]);
  await runOrFail("tar", [
    "sh",
    "-c",
    'cd -- "$1" && tar -c --null -T - | tar -x -C "$2"',
    "sh",
    repositoryRoot(),
    root,
  ], { stdin: files.stdout });
  const before = Deno.umask(umask);
  try {
    await release({ root, allowDirty: true });
  } finally {
    Deno.umask(before);
  }
  const sums = new Map<string, string>();
  for await (const { name } of Deno.readDir(`${root}/dist`)) {
    if (/\.(deb|rpm)$/.test(name)) sums.set(name, await sha256OfFile(`${root}/dist/${name}`));
  }
  return sums;
}

/** Nothing may be left to complain of, but for what the package's overrides explain. */
async function askLintian(deb: string, log: (line: string) => void): Promise<void> {
  const { stdout } = await runOrFail("lintian", [
    "lintian",
    "--allow-root",
    "--no-cfg",
    "--display-info",
    "--fail-on=error,warning,info",
    deb,
  ], { timeoutMs: LINTIAN_TIMEOUT_MS });
  if (stdout.trim() !== "") throw new ScriptError(`lintian says of ${deb}:\n${stdout}`);
  log(`lintian  has nothing to say of ${deb}`);
}

/** Runs both stories, with this version and one that follows it. */
async function liveThrough(
  root: string,
  scratch: string,
  debian: string,
  log: (line: string) => void,
): Promise<void> {
  const story = `${scratch}/story`;
  await Deno.mkdir(story);
  const parts = await packageParts(root, `${root}/dist`);
  await Deno.copyFile(`${root}/scripts/packages/story.sh`, `${story}/story.sh`);
  await Deno.copyFile(`${root}/dist/locktables`, `${story}/locktables`);
  const { version }: { version: string } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  for (const [kind, make] of [["deb", buildDeb], ["rpm", buildRpm]] as const) {
    const packages: string[] = [];
    for (const next of ["", ".1"]) {
      packages.push(
        await make({
          version: `${version}${next}`,
          architecture: X86_64,
          program: `${root}/dist/locktables`,
          parts,
          time: new Date("2026-01-01T00:00:00Z"),
          directory: story,
          scratch: `${scratch}/${kind}${next}`,
        }),
      );
    }
    const guest = `${scratch}/guest-${kind}`;
    await Deno.mkdir(guest);
    const { stdout } = await runOrFail(`The story of the ${kind}`, [
      "unshare",
      "--mount",
      "--pid",
      "--fork",
      "--kill-child=KILL",
      "--propagation",
      "private",
      "sh",
      "-c",
      ENTER,
      "sh",
      guest,
      debian,
      story,
      kind,
      ...packages.map((name) => `/story/${name}`),
      "/story/locktables",
    ], { timeoutMs: STORY_TIMEOUT_MS });
    log(stdout);
  }
}

/** A small Debian, complete or not at all, in the cache. */
async function guestTree(log: (line: string) => void): Promise<string> {
  const place = `${await cacheDirectory()}/${GUEST.folder}`;
  if (await pathExists(place)) return place;
  log(`install  Debian ${GUEST.suite} with ${GUEST.packages.join(" ")}, into the cache`);
  const scratch = await Deno.makeTempDir({ dir: await cacheDirectory(), prefix: "unpack-" });
  try {
    await runOrFail("mmdebstrap", [
      "mmdebstrap",
      "--quiet",
      "--variant=minbase",
      // A mirror may be a snapshot past its date; the signatures are still checked.
      '--aptopt=Acquire::Check-Valid-Until "false"',
      `--include=${GUEST.packages.join(",")}`,
      GUEST.suite,
      `${scratch}/tree`,
      GUEST.mirror,
    ], { timeoutMs: GUEST_TIMEOUT_MS });
    await keepInCache(`${scratch}/tree`, place);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
  return place;
}

if (import.meta.main) await scriptMain(main);
