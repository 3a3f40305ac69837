/** What is found out about a server before it is locked. */
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { driverError } from "./errors.ts";
import { parseVersion, type ServerVersion } from "./flavor.ts";
import { APPLIER_VARIABLES, type Appliers, appliersOf } from "./image_position.ts";
import { QUERY_LIMIT_MS } from "./limits.ts";
import type { Session } from "./session.ts";

/** What was found out about a server before it was locked. */
export interface InstanceFacts {
  readonly name: string;
  readonly socket: string;
  readonly server: ServerVersion;
  /** CONNECTION_ID() of the lock session. */
  readonly connection_id: number;
  /** Identity and directories, as the server says them. */
  readonly hostname: string;
  readonly server_id: number;
  readonly server_uuid: string | null;
  readonly read_only: boolean;
  readonly datadir: string;
  readonly maxConnections: number;
  /** How often InnoDB writes its log in the background, in seconds; null where every commit does. */
  readonly logWriteIntervalS: number | null;
  /** How far InnoDB's redo log goes at least when the lock is taken; null where that is not known. */
  readonly redoPosition: number | null;
  /** How it applies what it replicates. */
  readonly appliers: Appliers;
  /** Directories whose filesystems hold data, redo, undo and binlog. */
  readonly dataDirectories: readonly string[];
}

const VARIABLES = [
  "version",
  "version_comment",
  "hostname",
  "server_id",
  "server_uuid",
  "read_only",
  "max_connections",
  "thread_handling",
  "wsrep_on",
  "wsrep_reject_queries",
  "group_replication_group_name",
  "datadir",
  "log_bin_basename",
  "relay_log_basename",
  ...APPLIER_VARIABLES,
  "innodb_flush_log_at_trx_commit",
  "innodb_flush_log_at_timeout",
  "innodb_data_home_dir",
  "innodb_log_group_home_dir",
  "innodb_undo_directory",
  "innodb_doublewrite_dir",
  "innodb_directories",
  "aria_log_dir_path",
];

/** Who we are and what we may. */
export async function readRights(
  session: Session,
): Promise<{ readonly account: string; readonly grants: readonly string[] }> {
  const [self] = await session.query(
    "SELECT /* locktables */ CURRENT_USER() AS account",
    QUERY_LIMIT_MS,
  );
  const account = String(self?.["account"] ?? "");
  try {
    const rows = await session.query("SHOW /* locktables */ GRANTS", QUERY_LIMIT_MS);
    return { account, grants: rows.map((row) => String(Object.values(row)[0])) };
  } catch (error) {
    // A server without accounts (1290, --skip-grant-tables) has no grants to show: what is not
    // known is left to the statements that need it.
    if (driverError(error).errno === undefined) throw error;
    return { account, grants: [] };
  }
}

/** The global variables that the facts are made from. */
export async function readVariables(session: Session): Promise<ReadonlyMap<string, string>> {
  const rows = await session.query(
    `SHOW /* locktables */ GLOBAL VARIABLES WHERE Variable_name IN ('${VARIABLES.join("','")}')`,
    QUERY_LIMIT_MS,
  );
  return new Map(rows.map((row) => [String(row["Variable_name"]), String(row["Value"])]));
}

/** The facts, or why the server is none that can be locked. */
export function factsFrom(
  options: { readonly name: string; readonly socket: string },
  variables: ReadonlyMap<string, string>,
  connectionId: number,
): InstanceFacts | Refusal {
  const text = variables.get("version") ?? "";
  const server = parseVersion(text, variables.get("version_comment") ?? "");
  if (server === null) {
    return refusal(
      EXIT.unreachable,
      "unknown-server",
      `The server at ${options.socket} is neither MySQL nor MariaDB: version '${text}'`,
      "Name the server's socket with socket= in [client] of /root/.my.cnf",
    );
  }
  return {
    name: options.name,
    socket: options.socket,
    server,
    connection_id: connectionId,
    hostname: variables.get("hostname") ?? "",
    server_id: Number(variables.get("server_id") ?? 0),
    server_uuid: variables.get("server_uuid") ?? null,
    read_only: (variables.get("read_only") ?? "OFF") !== "OFF",
    datadir: variables.get("datadir") ?? "",
    logWriteIntervalS: variables.get("innodb_flush_log_at_trx_commit") === "0"
      ? Number(variables.get("innodb_flush_log_at_timeout") ?? 1)
      : null,
    maxConnections: Number(variables.get("max_connections") ?? 0),
    redoPosition: null,
    appliers: appliersOf(variables),
    dataDirectories: dataDirectories(variables),
  };
}

/** The directories that hold what a restore needs; each once, absolute. */
export function dataDirectories(variables: ReadonlyMap<string, string>): string[] {
  const datadir = variables.get("datadir") ?? "";
  const parent = (path: string) => path.slice(0, Math.max(path.lastIndexOf("/"), 1));
  const named = [
    datadir,
    variables.get("innodb_data_home_dir"),
    variables.get("innodb_log_group_home_dir"),
    variables.get("innodb_undo_directory"),
    variables.get("innodb_doublewrite_dir"),
    ...(variables.get("innodb_directories") ?? "").split(";"),
    variables.get("aria_log_dir_path"),
    ...[variables.get("log_bin_basename"), variables.get("relay_log_basename")]
      .map((base) => base?.startsWith("/") ? parent(base) : undefined),
  ];
  const absolute = named
    .filter((path): path is string => path !== undefined && path !== "")
    .map((path) => path.startsWith("/") ? path : `${datadir}/${path}`)
    .map((path) => path.replaceAll(/\/(\.?\/)*/g, "/").replace(/\/\.?$/, "") || "/");
  return [...new Set(absolute)];
}
