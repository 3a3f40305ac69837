/**
 * Where a server stands among others: what a new replica or a rejoining node starts from, and
 * when a cluster node is in no state to be locked.
 */
import type { GroupMember, ReplicaPosition, WsrepPosition } from "../window/coordinates.ts";
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { adminCommand } from "./admin_command.ts";
import type { ServerVersion } from "./flavor.ts";
import type { Row } from "./session.ts";

/** The columns that are about GTIDs. Each server has three of them. */
const GTID_COLUMNS = [
  "Using_Gtid",
  "Gtid_IO_Pos",
  "Gtid_Slave_Pos",
  "Auto_Position",
  "Retrieved_Gtid_Set",
  "Executed_Gtid_Set",
];

/**
 * Reads the rows of SHOW REPLICA STATUS, SHOW SLAVE STATUS or SHOW ALL SLAVES STATUS: MySQL
 * from 8.0.22 on writes Source and Replica where everybody else writes Master and Slave.
 */
export function replicaPositions(rows: readonly Row[]): ReplicaPosition[] {
  return rows.map((row) => {
    const either = (now: string, before: string): unknown => row[now] ?? row[before];
    const file = text(either("Relay_Source_Log_File", "Relay_Master_Log_File"));
    const behind = either("Seconds_Behind_Source", "Seconds_Behind_Master") ?? null;
    return {
      channel: text(either("Channel_Name", "Connection_name")),
      source_host: text(either("Source_Host", "Master_Host")),
      source_port: Number(either("Source_Port", "Master_Port") ?? 0),
      relay_source_log_file: file === "" ? null : file,
      exec_source_log_pos: Number(either("Exec_Source_Log_Pos", "Exec_Master_Log_Pos") ?? 0),
      gtid: Object.fromEntries(
        GTID_COLUMNS.filter((name) => name in row)
          .map((name) => [name.toLowerCase(), text(row[name])]),
      ),
      io_running: text(either("Replica_IO_Running", "Slave_IO_Running")),
      sql_running: text(either("Replica_SQL_Running", "Slave_SQL_Running")),
      seconds_behind: behind === null ? null : Number(behind),
    };
  });
}

/**
 * Reads the rows of SHOW GLOBAL STATUS LIKE 'wsrep%'. Null when the server is no Galera node: a
 * MariaDB without a provider has a dozen wsrep variables, too, but no local state.
 */
export function wsrepPosition(rows: readonly Row[]): WsrepPosition | null {
  const status = new Map(rows.map((row) => [text(row["Variable_name"]), text(row["Value"])]));
  const state = status.get("wsrep_local_state_comment");
  if (state === undefined) return null;
  return {
    cluster_state_uuid: status.get("wsrep_cluster_state_uuid") ?? "",
    last_committed: Number(status.get("wsrep_last_committed") ?? -1),
    cluster_size: Number(status.get("wsrep_cluster_size") ?? 0),
    cluster_status: status.get("wsrep_cluster_status") ?? "",
    local_state_comment: state,
    ready: status.get("wsrep_ready") === "ON",
  };
}

/**
 * Why a node must not be locked now, or null. To be asked *before* the lock: the lock itself
 * desyncs the node. A node that is desynced already may be paused by another backup, and then
 * its lock statement waits without any limit that the server keeps
 * (`docs/locking.md#8-replicas-and-clusters`).
 */
export function galeraRefusal(
  node: WsrepPosition | null,
  server: ServerVersion,
  socket: string,
): Refusal | null {
  if (node === null) return null;
  const { ready, cluster_status, local_state_comment } = node;
  if (ready && cluster_status === "Primary" && local_state_comment === "Synced") return null;
  const isDesynced = ready && cluster_status === "Primary";
  return refusal(
    EXIT.lockNotObtained,
    "galera-not-synced",
    `The Galera node at ${socket} is ${local_state_comment}, ${cluster_status}, ${
      ready ? "ready" : "not ready"
    }; it must be Synced, Primary and ready`,
    isDesynced
      ? "Let its state transfer or the other backup end, or take it back into the group: SET GLOBAL wsrep_desync=OFF"
      : "Bring the node back into its cluster, or take the snapshot on a node that is Synced",
    // Without one where it is out of its cluster: whether it or the cluster is to be brought back is
    // not for a command to decide, and a state transfer ends on its own.
    isDesynced ? adminCommand({ server, socket }, "SET GLOBAL wsrep_desync=OFF") : null,
  );
}

/**
 * Why a node that is kept from taking statements must not be locked, or null: it answers
 * SHOW and SELECT without a table, and refuses the lock itself (10.11.19).
 * @param setting `wsrep_reject_queries`, undefined where the server has none
 */
export function rejectingRefusal(
  setting: string | undefined,
  server: ServerVersion,
  socket: string,
): Refusal | null {
  return setting === undefined || setting === "NONE" ? null : refusal(
    EXIT.unreachable,
    "galera-not-ready",
    `The Galera node at ${socket} has wsrep_reject_queries=${setting}; it must be NONE, or it refuses the lock`,
    "Let it take statements again: SET GLOBAL wsrep_reject_queries=NONE",
    adminCommand({ server, socket }, "SET GLOBAL wsrep_reject_queries=NONE"),
  );
}

/**
 * Reads the server's own row of performance_schema.replication_group_members, joined with the view
 * of replication_group_member_stats. Null when it is in no group: there is no row without the
 * plugin, and one of 8.0 without an id where the plugin has never run.
 */
export function groupMember(rows: readonly Row[]): GroupMember | null {
  const row = rows.find((row) => text(row["MEMBER_ID"]) !== "");
  if (row === undefined) return null;
  return {
    member_state: text(row["MEMBER_STATE"]),
    member_role: text(row["MEMBER_ROLE"]),
    view_id: text(row["VIEW_ID"]),
  };
}

/** A value as text; MySQL breaks long GTID sets into lines, which mean nothing. */
function text(value: unknown): string {
  return value === null || value === undefined ? "" : String(value).replaceAll("\n", "");
}
