/** The servers that provisioning brings: where each is, how it is called, and how it begins. */

import { mysql56Path, type ServerTree, serverTreePath } from "../../scripts/provision.ts";
import type { Flavor, ServerKind } from "./server.ts";

/** What a server of one kind is started with. */
interface Kind {
  readonly flavor: Flavor;
  /** Debian's own, or where it is unpacked. */
  readonly from: "debian" | "npm" | ServerTree;
  readonly args: readonly string[];
}

/** Small and quick: what a server needs for a few tables, and a binlog because coordinates matter. */
const COMMON = [
  "--user=root",
  "--skip-networking",
  "--skip-name-resolve",
  "--server-id=1",
  "--log-bin=binlog",
  "--innodb-buffer-pool-size=24M",
  "--key-buffer-size=1M",
  "--innodb-buffer-pool-dump-at-shutdown=OFF",
  "--innodb-buffer-pool-load-at-startup=OFF",
];

const MARIADB = [...COMMON, "--innodb-log-file-size=8M", "--aria-pagecache-buffer-size=2M"];

/** No X protocol, no keys and certificates, a small redo log: together most of a start. */
const MYSQL_QUICK = [
  "--mysqlx=OFF",
  "--auto-generate-certs=OFF",
  "--caching-sha2-password-auto-generate-rsa-keys=OFF",
  "--innodb-redo-log-capacity=32M",
  // Debian's compiled-in directory does not exist outside a real installation.
  "--secure-file-priv=",
];

const MYSQL_56 = [...COMMON, "--innodb-log-file-size=8M", "--explicit-defaults-for-timestamp"];

const KINDS: Readonly<Record<ServerKind, Kind>> = {
  "mariadb": { flavor: "mariadb", from: "debian", args: MARIADB },
  "mariadb-10.5": { flavor: "mariadb", from: "mariadb-bullseye", args: MARIADB },
  "mariadb-11.8": { flavor: "mariadb", from: "mariadb-trixie", args: MARIADB },
  "mariadb-sid": { flavor: "mariadb", from: "mariadb-sid", args: MARIADB },
  "mysql": { flavor: "mysql", from: "mysql-sid", args: [...COMMON, ...MYSQL_QUICK] },
  "mysql-5.6": { flavor: "mysql", from: "npm", args: MYSQL_56 },
};

/** The family that a kind of server belongs to. */
export function flavorOf(kind: ServerKind): Flavor {
  return KINDS[kind].flavor;
}

/** The arguments that every server of this kind is started with. */
export function argumentsOf(kind: ServerKind): readonly string[] {
  return KINDS[kind].args;
}

/** How the program of this kind is called. */
export async function commandOf(kind: ServerKind): Promise<string[]> {
  const { flavor, from } = KINDS[kind];
  if (from === "debian") return ["/usr/sbin/mariadbd", "--no-defaults"];
  if (from === "npm") return npmCommand(await mysql56Path());
  const root = await serverTreePath(from);
  return treeCommand(root, libraryPaths(from, root), {
    program: flavor === "mariadb" ? "mariadbd" : "mysqld",
    share: shareOf(from),
  });
}

/** Where a Debian release has its libraries. Before 12 the loader's own were not below /usr. */
function libraryPaths(tree: ServerTree, root: string): [string, ...string[]] {
  const below = (folder: string) => `${root}${folder}/x86_64-linux-gnu`;
  return tree === "mariadb-bullseye" ? [below("/lib"), below("/usr/lib")] : [below("/usr/lib")];
}

/** MariaDB had MySQL's folders until 10.11. */
function shareOf(tree: ServerTree): string {
  return tree === "mysql-sid" || tree === "mariadb-bullseye" ? "mysql" : "mariadb";
}

/**
 * A server runs out of its tree through the tree's own dynamic loader: no chroot, so that its paths
 * mean the same inside and outside.
 */
function treeCommand(
  root: string,
  libraries: readonly [string, ...string[]],
  { program, share }: { readonly program: string; readonly share: string },
): string[] {
  return [
    `${libraries[0]}/ld-linux-x86-64.so.2`,
    "--library-path",
    libraries.join(":"),
    `${root}/usr/sbin/${program}`,
    "--no-defaults",
    `--basedir=${root}/usr`,
    `--lc-messages-dir=${root}/usr/share/${share}`,
    `--character-sets-dir=${root}/usr/share/${share}/charsets`,
    `--plugin-dir=${root}/usr/lib/mysql/plugin`,
  ];
}

/** The machine's loader: only libaio is in the package, and nothing here has one of that name. */
function npmCommand(root: string): string[] {
  return [
    "/lib64/ld-linux-x86-64.so.2",
    "--library-path",
    root,
    `${root}/mysqld`,
    "--no-defaults",
    `--basedir=${root}`,
    `--lc-messages-dir=${root}/share`,
    `--character-sets-dir=${root}/share/charsets`,
  ];
}

/** How an empty data directory gets its system tables. */
export type Beginning =
  /** Debian's own script does it. */
  | { readonly by: "mariadb-install-db" }
  /** `mysqld --initialize-insecure` with these arguments; root's login is set afterwards. */
  | { readonly by: "initialize"; readonly args: readonly string[] }
  /** Statements for `--bootstrap`, on top of a copy of this directory where there is one. */
  | {
    readonly by: "bootstrap";
    readonly copyOf: string | null;
    readonly args: readonly string[];
    readonly sql: string;
  };

/** How a data directory of this kind begins. */
export async function beginningOf(kind: ServerKind): Promise<Beginning> {
  const { flavor, from } = KINDS[kind];
  if (from === "debian") return { by: "mariadb-install-db" };
  if (from === "npm") {
    return {
      by: "bootstrap",
      copyOf: `${await mysql56Path()}/data/mysql`,
      args: ["--innodb-log-file-size=8M"],
      sql: ROOT_ALONE,
    };
  }
  if (flavor === "mysql") return { by: "initialize", args: MYSQL_QUICK };
  const share = `${await serverTreePath(from)}/usr/share/${shareOf(from)}`;
  const names = from === "mariadb-bullseye" ? SCRIPTS_10_5 : SCRIPTS;
  const scripts = await Promise.all(
    names.map((name) => Deno.readTextFile(`${share}/${name}.sql`)),
  );
  return {
    by: "bootstrap",
    copyOf: null,
    args: [
      "--log-warnings=0",
      "--enforce-storage-engine=",
      "--max-allowed-packet=8M",
      "--net-buffer-length=16K",
      "--innodb-log-file-size=8M",
    ],
    sql: "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket='root';\n" +
      scripts.join("\n"),
  };
}

/**
 * What mysql_secure_installation does to 5.6. There is no auth_socket in the package: root comes in
 * without a password, but through the socket alone, as there is no network.
 */
const ROOT_ALONE = "DELETE FROM mysql.user WHERE user <> 'root' OR host <> 'localhost';\n";

/** What mariadb-install-db feeds to the server, in its order. It cannot start one through a loader. */
const SCRIPTS = [
  "mariadb_system_tables",
  "mariadb_performance_tables",
  "mariadb_system_tables_data",
  "fill_help_tables",
  "maria_add_gis_sp_bootstrap",
  "mariadb_sys_schema",
];

/** The same in 10.5, which had no sys schema yet. */
const SCRIPTS_10_5 = [
  "mysql_system_tables",
  "mysql_performance_tables",
  "mysql_system_tables_data",
  "fill_help_tables",
  "maria_add_gis_sp_bootstrap",
];
