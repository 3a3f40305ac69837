/**
 * Which server this is. The one place that asks "is it MariaDB?": everybody else
 * asks a {@linkcode Server} what it can do.
 */
import { sqlText } from "./sql_text.ts";

/** Families of servers that behave alike. */
export type Flavor = "mysql" | "percona" | "mariadb";

/** A server's family and version, and what follows from them. */
export interface ServerVersion {
  readonly flavor: Flavor;
  /** The version as the server says it, such as `10.11.19-MariaDB-0+deb12u1-log`. */
  readonly text: string;
  /** Major, minor and patch. */
  readonly number: readonly [number, number, number];
  /** For people: `MariaDB 10.11.19`. */
  readonly label: string;
}

const LABEL: Record<Flavor, string> = {
  mysql: "MySQL",
  percona: "Percona Server",
  mariadb: "MariaDB",
};

/**
 * Reads `@@version` and `@@version_comment`. MariaDB says so in the version; Percona
 * Server only in the comment. Returns null for text without a version number.
 */
export function parseVersion(version: string, comment: string): ServerVersion | null {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (match === null) return null;
  const number = [Number(match[1]), Number(match[2]), Number(match[3])] as const;
  const flavor: Flavor = /mariadb/i.test(version) || /mariadb/i.test(comment)
    ? "mariadb"
    : /percona/i.test(comment)
    ? "percona"
    : "mysql";
  return { flavor, text: version, number, label: `${LABEL[flavor]} ${number.join(".")}` };
}

/** Whether the server's version is at least this one. */
export function isAtLeast(server: ServerVersion, major: number, minor: number, patch = 0): boolean {
  const [a, b, c] = server.number;
  if (a !== major) return a > major;
  if (b !== minor) return b > minor;
  return c >= patch;
}

/** What differs between servers and matters to a freeze window. Facts: `docs/locking.md`. */
export interface Capabilities {
  /** BACKUP STAGE blocks commits without waiting for running statements (3.1). */
  readonly backupStage: boolean;
  /** FLUSH TABLES WITH READ LOCK waits for running SELECTs (1.1). */
  readonly ftwrlWaitsForReaders: boolean;
  /**
   * The statement that shows sleeping sessions with LOCK TABLES or HANDLER (1.1, 1.3), null
   * where the server does not show them. Needs SELECT on performance_schema. MySQL 5.7 shows them
   * only while the instrument wait/lock/metadata/sql/mdl is on, which it is not by default.
   */
  readonly idleLocksStatement: string | null;
  /**
   * "Waiting for backup lock" is DDL behind LOCK INSTANCE FOR BACKUP, which has begun and keeps FTWRL
   * waiting; on MariaDB it is a session that queues behind a lock like ours.
   */
  readonly ddlWaitsForInstanceLock: boolean;
  /** `max_statement_time` (seconds) bounds any statement (1.2). */
  readonly maxStatementTime: boolean;
  /**
   * The statement that makes InnoDB write its log to the file, null where none does: MariaDB's
   * FLUSH ENGINE LOGS leaves it in memory under innodb_flush_log_at_trx_commit=0 (10.11.19).
   */
  readonly flushLogStatement: string | null;
  /** The statement that shows the binlog coordinates (5). */
  readonly binlogStatusStatement: string;
  /** The statement that shows every channel or named connection of a replica (5). */
  readonly replicaStatusStatement: string;
  /** The statement that shows this server's place in its replication group, null without any. */
  readonly groupStatement: string | null;
  /** Global variables that hold GTIDs (5); readable without privilege. */
  readonly gtidVariables: readonly string[];
}

/**
 * LOCK TABLES READ shows as SHARED_READ_ONLY, WRITE as SHARED_NO_READ_WRITE, FLUSH TABLES … WITH READ
 * LOCK and FOR EXPORT as SHARED_NO_WRITE, and HANDLER as a lock with the duration EXPLICIT; an open
 * transaction shows as none of them (MySQL 9.7.4).
 */
const IDLE_LOCKS = `SELECT /* locktables */ t.processlist_id AS id, t.processlist_user AS user,
 t.processlist_time AS age_s, MIN(CONCAT(m.object_schema, '.', m.object_name)) AS held
 FROM performance_schema.metadata_locks AS m
 JOIN performance_schema.threads AS t ON t.thread_id = m.owner_thread_id
 WHERE m.object_type = 'TABLE' AND m.lock_status = 'GRANTED' AND t.processlist_command = 'Sleep'
 AND (m.lock_type IN ('SHARED_READ_ONLY', 'SHARED_NO_WRITE', 'SHARED_NO_READ_WRITE') OR m.lock_duration = 'EXPLICIT')
 GROUP BY t.processlist_id, t.processlist_user, t.processlist_time`;

/** This server's own row; the view is in the statistics. MySQL Reference Manual, group replication. */
const GROUP_MEMBER = `SELECT /* locktables */ m.*, s.VIEW_ID
 FROM performance_schema.replication_group_members AS m
 LEFT JOIN performance_schema.replication_group_member_stats AS s USING (MEMBER_ID)
 WHERE m.MEMBER_ID IN ('', @@server_uuid)`;

/** MySQL has the table metadata_locks from 5.7.3 on; MariaDB's is empty unless asked for. */
function showsMetadataLocks(server: ServerVersion): boolean {
  return server.flavor !== "mariadb" && isAtLeast(server, 5, 7, 3);
}

/** The command line client that belongs to a server; MariaDB has the other name as well. */
export function clientProgram(server: ServerVersion | null): "mariadb" | "mysql" {
  return server?.flavor === "mariadb" ? "mariadb" : "mysql";
}

/** What this server can do. */
export function capabilitiesOf(server: ServerVersion): Capabilities {
  const isMariadb = server.flavor === "mariadb";
  const isMysql82 = !isMariadb && isAtLeast(server, 8, 2);
  return {
    backupStage: isMariadb && isAtLeast(server, 10, 5),
    ftwrlWaitsForReaders: !(isMariadb && isAtLeast(server, 10, 5)),
    idleLocksStatement: showsMetadataLocks(server) ? IDLE_LOCKS : null,
    ddlWaitsForInstanceLock: !isMariadb,
    maxStatementTime: isMariadb,
    flushLogStatement: isMariadb ? null : "FLUSH /* locktables */ NO_WRITE_TO_BINLOG ENGINE LOGS",
    binlogStatusStatement: isMysql82
      ? "SHOW /* locktables */ BINARY LOG STATUS"
      : "SHOW /* locktables */ MASTER STATUS",
    replicaStatusStatement: isMariadb
      ? "SHOW /* locktables */ ALL SLAVES STATUS"
      : isAtLeast(server, 8, 0, 22)
      ? "SHOW /* locktables */ REPLICA STATUS"
      : "SHOW /* locktables */ SLAVE STATUS",
    groupStatement: isMariadb ? null : GROUP_MEMBER,
    gtidVariables: isMariadb
      ? ["gtid_binlog_pos", "gtid_slave_pos", "gtid_current_pos", "gtid_binlog_state"]
      : ["gtid_mode", "gtid_executed", "gtid_purged"],
  };
}

/** What differs between servers and matters to `check` alone. */
export interface CheckCapabilities {
  /**
   * Session settings under which a question about many tables leaves nothing behind, and ends by
   * itself where the server can see to it, for questions of at most so many milliseconds.
   */
  readonly questionSettings: (limitMs: number) => string;
  /** Whether they bound it: where not, it runs until its session is killed. */
  readonly boundsQuestions: boolean;
  /** The statement that shows InnoDB's files outside the data directory, as `path` (PROCESS). */
  readonly outsideFilesStatement: string;
  /** The statement that shows who holds the server's global read lock, null where none does. */
  readonly globalLockStatement: string | null;
  /** The variable that counts a replica's workers, whose number makes its position inexact. */
  readonly inexactWorkersVariable: string | null;
  /** The statement that starts a channel's threads again. */
  readonly startReplica: (channel: string) => string;
}

/**
 * A held FLUSH TABLES WITH READ LOCK shows as two locks, of which this is the one
 * (`docs/locking.md#13-how-it-shows`). MariaDB's metadata locks are off by default, and so not
 * asked for.
 */
const GLOBAL_LOCK = `SELECT /* locktables */ t.processlist_id AS id, t.processlist_user AS user,
 t.processlist_time AS age_s FROM performance_schema.metadata_locks AS m
 JOIN performance_schema.threads AS t ON t.thread_id = m.owner_thread_id
 WHERE m.object_type = 'GLOBAL' AND m.lock_type = 'SHARED' AND m.lock_duration = 'EXPLICIT'
 AND m.lock_status = 'GRANTED'`;

/** InnoDB writes the path of a file in the data directory relative to it. */
function outsideFiles(view: string, column: string): string {
  return `SELECT /* locktables */ ${column} AS path FROM information_schema.${view}
 WHERE ${column} LIKE '/%'`;
}

function outsideFilesOf(server: ServerVersion): string {
  const isMariadb = server.flavor === "mariadb";
  // MDEV-22343 moved the path.
  if (isMariadb && isAtLeast(server, 10, 6)) {
    return outsideFiles("INNODB_SYS_TABLESPACES", "FILENAME");
  }
  return !isMariadb && isAtLeast(server, 8, 0)
    ? outsideFiles("INNODB_DATAFILES", "PATH")
    : outsideFiles("INNODB_SYS_DATAFILES", "PATH");
}

/**
 * MySQL from 8.0 on would write the statistics it is asked for into its dictionary. A table that
 * somebody has locked is left out by MariaDB when it is not waited for; MySQL waits for none.
 */
function questionSettingsOf(server: ServerVersion): (limitMs: number) => string {
  if (server.flavor === "mariadb") {
    return (limitMs) => `max_statement_time=${limitMs / 1000}, lock_wait_timeout=0`;
  }
  return (limitMs) =>
    [
      ...(boundsQuestions(server) ? [`max_execution_time=${limitMs}`] : []),
      "lock_wait_timeout=1",
      ...(isAtLeast(server, 8, 0) ? ["information_schema_stats_expiry=0"] : []),
    ].join(", ");
}

/** max_execution_time came with MySQL 5.7.8 (Reference Manual, server system variables). */
function boundsQuestions(server: ServerVersion): boolean {
  return server.flavor === "mariadb" || isAtLeast(server, 5, 7, 8);
}

/** What this server can be asked by `check`, and what cures it. */
export function checkCapabilitiesOf(server: ServerVersion): CheckCapabilities {
  const isMariadb = server.flavor === "mariadb";
  const saysReplica = !isMariadb && isAtLeast(server, 8, 0, 22);
  const workers = !isMariadb && isAtLeast(server, 8, 0, 26)
    ? "replica_parallel_workers"
    : "slave_parallel_workers";
  return {
    questionSettings: questionSettingsOf(server),
    boundsQuestions: boundsQuestions(server),
    outsideFilesStatement: outsideFilesOf(server),
    globalLockStatement: showsMetadataLocks(server) ? GLOBAL_LOCK : null,
    // MariaDB's position is inexact under one of its methods only, which is not chosen then.
    inexactWorkersVariable: isMariadb ? null : workers,
    startReplica: (channel) => {
      if (isMariadb) return `START SLAVE ${sqlText(channel)}`;
      // Channels came with 5.7.6.
      if (!isAtLeast(server, 5, 7, 6)) return "START SLAVE";
      return `START ${saysReplica ? "REPLICA" : "SLAVE"} FOR CHANNEL ${sqlText(channel)}`;
    },
  };
}
