/**
 * Puts on this machine what the demo, the tests and CI need: Debian's packages, and MySQL from
 * Debian sid in a folder of its own, because stable Debian has no MySQL server.
 */

import {
  cacheDirectory,
  pathExists,
  run,
  runOrFail,
  ScriptError,
  scriptMain,
  tail,
} from "./shell.ts";

/** What is wanted besides MariaDB, which everything needs. */
export interface ProvisionOptions {
  readonly mariadb: true;
  /** MySQL from Debian sid as well. */
  readonly mysql: boolean;
  /** The programs that only tests use. */
  readonly testTools?: boolean;
  /** Further Debian packages. */
  readonly packages?: readonly string[];
  /** Where progress lines go; default: standard output. */
  readonly log?: (line: string) => void;
}

/** The -core packages have the programs alone: no service is started, no user is made. */
const MARIADB_PACKAGES = ["mariadb-server-core", "mariadb-client-core"];
const SYSTEM_PACKAGES = ["e2fsprogs", "util-linux", "mount", "procps"];
const TEST_PACKAGES = ["strace"];
const MYSQL_PACKAGES = ["mmdebstrap", "debian-archive-keyring"];

/** Bound of one apt-get call, its wait for another apt included. */
const APT_TIMEOUT_MS = 600_000;

/** How long another apt may hold the lock: unattended upgrades of a fresh machine take about this. */
const APT_LOCK_TIMEOUT_S = 120;

/** Bound of fetching and unpacking MySQL's tree; 8 s on a good line. */
const MYSQL_TREE_TIMEOUT_MS = 600_000;

/** Bump when the tree must be made anew. */
const MYSQL_TREE_FORMAT = 1;

const DEBIAN_MIRROR = "http://deb.debian.org/debian";
const DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Installs what is missing, and says what. */
export async function provision(options: ProvisionOptions): Promise<void> {
  const log = options.log ?? ((line: string) => console.log(line));
  const needsTree = options.mysql && !await pathExists(await mysqlTreePath());
  await installPackages([
    ...MARIADB_PACKAGES,
    ...SYSTEM_PACKAGES,
    ...(options.testTools ? TEST_PACKAGES : []),
    ...(needsTree ? MYSQL_PACKAGES : []),
    ...options.packages ?? [],
  ], log);
  if (needsTree) await installMysqlTree(log);
}

/** Where MySQL's tree is, or will be. */
export async function mysqlTreePath(): Promise<string> {
  return `${await cacheDirectory()}/mysql-sid-${MYSQL_TREE_FORMAT}`;
}

/** Installs Debian packages, if any of them is missing. */
export async function installPackages(
  packages: readonly string[],
  log: (line: string) => void,
): Promise<void> {
  const missing = await missingPackages(packages);
  if (missing.length === 0) return;
  if (Deno.uid() !== 0) {
    throw new ScriptError(
      `Not root, and packages are missing: apt-get install ${missing.join(" ")}`,
    );
  }
  log(`install  ${missing.join(" ")}`);
  if (!await hasPackageLists()) await updatePackageLists(log);
  const first = await aptGet(["install", ...missing]);
  if (first.code === 0) return;
  // Lists that are older than the mirror name files that it no longer has: one fresh try.
  await updatePackageLists(log);
  const second = await aptGet(["install", ...missing]);
  if (second.code !== 0) {
    throw new ScriptError(
      `apt-get install ${missing.join(" ")} failed with exit code ${second.code}:\n` +
        tail(second.stderr, 8),
    );
  }
}

async function missingPackages(packages: readonly string[]): Promise<string[]> {
  const query = await run([
    "dpkg-query",
    "--show",
    "--showformat=${db:Status-Status} ${Package}\n",
    ...packages,
  ]).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new ScriptError("Cannot provision this machine: it has no dpkg (Debian 12 is supported)");
  });
  const installed = new Set(
    query.stdout.split("\n").filter((line) => line.startsWith("installed "))
      .map((line) => line.slice("installed ".length)),
  );
  return packages.filter((name) => !installed.has(name));
}

/** Whether apt knows any packages; images of containers come without lists. */
async function hasPackageLists(): Promise<boolean> {
  if (!await pathExists("/var/lib/apt/lists")) return false;
  for await (const entry of Deno.readDir("/var/lib/apt/lists")) {
    if (/_Packages(\.|$)/.test(entry.name)) return true;
  }
  return false;
}

async function updatePackageLists(log: (line: string) => void): Promise<void> {
  log("install  apt-get update");
  // The lock of the lists has no waiting option of its own, unlike dpkg's.
  const deadline = performance.now() + APT_LOCK_TIMEOUT_S * 1000;
  while (true) {
    const result = await aptGet(["update"]);
    if (result.code === 0) return;
    if (!/Could not get lock/.test(result.stderr) || performance.now() > deadline) {
      throw new ScriptError(
        `apt-get update failed with exit code ${result.code}:\n${tail(result.stderr, 8)}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

function aptGet(args: readonly string[]) {
  return run([
    "apt-get",
    "-qq",
    "-y",
    "--no-install-recommends",
    "-o",
    `DPkg::Lock::Timeout=${APT_LOCK_TIMEOUT_S}`,
    "-o",
    "Dpkg::Use-Pty=0",
    ...args,
  ], {
    env: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" },
    timeoutMs: APT_TIMEOUT_MS,
  }).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new ScriptError(
      "Cannot provision this machine: it has no apt-get (Debian 12 is supported)",
    );
  });
}

/** Unpacks MySQL's server and every library it needs into one folder, complete or not at all. */
async function installMysqlTree(log: (line: string) => void): Promise<void> {
  if (Deno.uid() !== 0) throw new ScriptError("Not root: cannot unpack MySQL's tree");
  log("install  mysql-server-core from Debian sid, unpacked into the cache");
  const destination = await mysqlTreePath();
  const temporary = await Deno.makeTempDir({ dir: await cacheDirectory(), prefix: "mysql-" });
  try {
    await runOrFail("Unpacking MySQL from Debian sid", [
      "mmdebstrap",
      "--quiet",
      "--variant=extract",
      `--keyring=${DEBIAN_KEYRING}`,
      // A mirror may be a snapshot past its date; the signatures are still checked.
      '--aptopt=Acquire::Check-Valid-Until "false"',
      "--include=mysql-server-core",
      "sid",
      `${temporary}/tree`,
      DEBIAN_MIRROR,
    ], { timeoutMs: MYSQL_TREE_TIMEOUT_MS });
    await Deno.chmod(`${temporary}/tree`, 0o755);
    if (!await pathExists(destination)) await Deno.rename(`${temporary}/tree`, destination);
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

if (import.meta.main) {
  await scriptMain(() => provision({ mariadb: true, mysql: true, testTools: true }));
}
