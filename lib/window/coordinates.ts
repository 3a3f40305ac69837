/** Where the binlog stands: what a restore or a new replica starts from, and the proof of a hold. */

/** One channel (MySQL) or connection (MariaDB) of a replica. */
export interface ReplicaPosition {
  /** Its name; empty for the one without a name. */
  readonly channel: string;
  readonly source_host: string;
  readonly source_port: number;
  /** The source's binlog whose transactions are applied; null before the first. */
  readonly relay_source_log_file: string | null;
  /**
   * Where in it the next transaction begins: what a copy of this replica goes on from. With
   * parallel appliers it may be a lower bound, which `Coordinates.inexact` then says: MySQL shows
   * its last checkpoint (9.7.4: more than 100 transactions behind it were applied already, and it
   * may move once under the lock), MariaDB under BACKUP STAGE lags behind its own binlog.
   */
  readonly exec_source_log_pos: number;
  /**
   * What the server says about GTIDs, line feeds removed. MariaDB: `using_gtid`, `gtid_io_pos`,
   * `gtid_slave_pos`; MySQL: `auto_position`, `retrieved_gtid_set`, `executed_gtid_set`.
   */
  readonly gtid: Readonly<Record<string, string>>;
  /** As the server says it: `Yes`, `No`, `Connecting`, `Preparing`. */
  readonly io_running: string;
  readonly sql_running: string;
  /** Null where the server does not know: a thread is not running. */
  readonly seconds_behind: number | null;
}

/** Where a Galera node stands. */
export interface WsrepPosition {
  readonly cluster_state_uuid: string;
  /** With the UUID, the position of a `grastate.dat`: what a restored node rejoins from. */
  readonly last_committed: number;
  readonly cluster_size: number;
  /** `Primary`: this part of the cluster may commit. */
  readonly cluster_status: string;
  /** `Synced`; `Donor/Desynced` also while this node is locked. */
  readonly local_state_comment: string;
  /** Whether the node takes statements. */
  readonly ready: boolean;
}

/** What this server is in its replication group. */
export interface GroupMember {
  /** `ONLINE`, `RECOVERING`, `OFFLINE`, `ERROR`, `UNREACHABLE`. */
  readonly member_state: string;
  /** `PRIMARY` or `SECONDARY`; empty where the server has no such column (MySQL 5.7). */
  readonly member_role: string;
  readonly view_id: string;
}

/** Recorded positions that the image may be ahead of. */
export interface InexactPosition {
  /** Fields of the coordinates and of their replicas, by name. */
  readonly fields: readonly string[];
  /** Why; a sentence without its full stop. */
  readonly why: string;
  /** The field that says exactly the same, so that nothing is missing; null without one. */
  readonly exact_instead: string | null;
}

/** Binlog coordinates and GTIDs of one server at one moment. */
export interface Coordinates {
  /** Whether the server writes a binlog; without one there is nothing to compare. */
  readonly log_bin: boolean;
  /** Base name of the binlog being written, null without one. */
  readonly file: string | null;
  /** Byte position of its end, null without one. 64 bit on the server. */
  readonly position: number | null;
  /** The server's GTID variables, line feeds removed. */
  readonly gtid: Readonly<Record<string, string>>;
  /** Each channel or named connection of a replica: what a copy of it goes on from. */
  readonly replicas: readonly ReplicaPosition[];
  /** Which of these the image may be ahead of; null where a server booted on it repeats them all. */
  readonly inexact: InexactPosition | null;
  /** Of a Galera node; null elsewhere. */
  readonly wsrep: WsrepPosition | null;
  /** Of a member of a replication group; null elsewhere. */
  readonly group: GroupMember | null;
}

/** Where a server stands among others. */
export type Topology = Pick<Coordinates, "replicas" | "wsrep" | "group">;

/** A server that stands alone. */
export const ALONE: Topology = { replicas: [], wsrep: null, group: null };

/** Whether nothing was written to the binlog between two readings. */
export function isSamePosition(
  a: Pick<Coordinates, "file" | "position">,
  b: Pick<Coordinates, "file" | "position">,
): boolean {
  return a.file === b.file && a.position === b.position;
}

/**
 * Whether two readings show the same transactions, wherever the binlog ends. Only GTIDs can show
 * it: MariaDB gives one to every transaction in its binlog, MySQL only with gtid_mode=ON.
 */
export function isSameHistory(a: Coordinates, b: Coordinates): boolean {
  const names = "gtid_binlog_pos" in a.gtid
    // A replica without log_slave_updates commits into the second alone.
    ? ["gtid_binlog_pos", "gtid_slave_pos"]
    : a.gtid["gtid_mode"] === "ON" && b.gtid["gtid_mode"] === "ON"
    ? ["gtid_executed"]
    : [];
  return names.length > 0 && names.every((name) => a.gtid[name] === b.gtid[name]);
}

/** `binlog.000002:1234`, or that there is none. */
export function describePosition(at: Pick<Coordinates, "file" | "position">): string {
  return at.file === null ? "no binlog" : `${at.file}:${at.position}`;
}
