/**
 * What each session of ours sets before it asks anything. A session begins with the server's
 * global settings, which others choose, and then with `init_connect`: a `sql_select_limit`
 * of one, and the guard sees one session of a thousand.
 *
 * Not in the list: what only costs time (the optimizer's settings, buffers, logs), what belongs to
 * statements that we never send, and what takes a privilege to set (MySQL's "restricted session
 * variables"). `tests/server/hostile_globals_test.ts` sets those to their worst as well.
 */
import { isAtLeast, parseVersion, type ServerVersion } from "./flavor.ts";

/** A session variable and the value that our statements are written for. */
export interface SessionSetting {
  readonly name: string;
  /** As SQL writes it: a number, or text in single quotes, which every `sql_mode` reads alike. */
  readonly value: string;
}

interface KnownSetting extends SessionSetting {
  /** What it does to our statements where it is set globally. */
  readonly why: string;
  /** The servers that have it; all where it says nothing. */
  readonly on?: (server: ServerVersion) => boolean;
}

/** From this version on; null where the family never had it. */
type Since = readonly [major: number, minor: number, patch?: number] | null;

function since(mysql: Since, mariadb: Since): (server: ServerVersion) => boolean {
  return (server) => {
    const from = server.flavor === "mariadb" ? mariadb : mysql;
    return from !== null && isAtLeast(server, ...from);
  };
}

const ALWAYS: Since = [0, 0];

/** `transaction_isolation` and `transaction_read_only`; before that they began with `tx_`. */
const isNewTransactionName = since([5, 7, 20], [11, 1]);

/**
 * No character. The literal would be NULL under MariaDB's sql_mode=EMPTY_STRING_IS_NULL, under which
 * the statement that ends that mode is read.
 */
const EMPTY_TEXT = "LEFT('x',0)";

/** The largest number of 64 bits, the servers' own default where there is no limit. */
const NO_LIMIT = "18446744073709551615";

const SETTINGS: readonly KnownSetting[] = [
  // The first, because too little is not enough for a statement that sets all the others.
  {
    name: "max_session_mem_used",
    value: "9223372036854775807",
    why: "statements are refused (1290)",
    on: since(null, [10, 1, 21]),
  },

  // What a statement means.
  { name: "sql_mode", value: "0", why: "ANSI_QUOTES, PIPES_AS_CONCAT, ORACLE and others" },
  {
    name: "old_mode",
    value: "0",
    why: "the behaviour of older versions",
    on: since(null, ALWAYS),
  },
  { name: "sql_auto_is_null", value: "0", why: "IS NULL finds the row inserted last" },
  { name: "autocommit", value: "1", why: "questions would leave a transaction open" },
  { name: "completion_type", value: "0", why: "RELEASE ends the session with a transaction" },
  {
    name: "transaction_isolation",
    value: "'REPEATABLE-READ'",
    why: "SERIALIZABLE locks what it reads",
    on: isNewTransactionName,
  },
  {
    name: "tx_isolation",
    value: "'REPEATABLE-READ'",
    why: "SERIALIZABLE locks what it reads",
    on: (server) => !isNewTransactionName(server),
  },
  {
    name: "transaction_read_only",
    value: "0",
    why: "what is no question is refused (1792)",
    on: isNewTransactionName,
  },
  {
    name: "tx_read_only",
    value: "0",
    why: "what is no question is refused (1792)",
    on: (server) => !isNewTransactionName(server),
  },
  {
    name: "terminology_use_previous",
    value: "'NONE'",
    why: "other words for what threads do, by which the guard knows them",
    on: since([8, 0, 26], null),
  },
  { name: "time_zone", value: "'+00:00'", why: "times would be read as others than they are" },

  // In which letters it is sent, compared and answered: --skip-character-set-client-handshake.
  { name: "character_set_client", value: "'utf8mb4'", why: "names in our statements" },
  { name: "character_set_results", value: "'utf8mb4'", why: "names in the answers" },
  { name: "collation_connection", value: "'utf8mb4_unicode_ci'", why: "what equals what" },
  { name: "lc_messages", value: "'en_US'", why: "errors are shown beside our English" },

  // How much comes back.
  { name: "sql_select_limit", value: NO_LIMIT, why: "rows of SELECT and SHOW are left out" },
  { name: "sql_big_selects", value: "1", why: "a join is refused (1104)" },
  { name: "max_join_size", value: NO_LIMIT, why: "a join is refused (1104)" },
  { name: "sql_safe_updates", value: "0", why: "max_join_size counts for every statement" },
  { name: "max_sort_length", value: "1024", why: "GROUP BY takes different names for one" },

  // Memory and temporary tables: too little is an error, or a write to a disk that may be frozen.
  { name: "big_tables", value: "0", why: "each temporary table is on disk" },
  { name: "tmp_table_size", value: "16777216", why: "temporary tables are on disk" },
  { name: "max_heap_table_size", value: "16777216", why: "temporary tables are on disk" },
  {
    name: "tmp_disk_table_size",
    value: NO_LIMIT,
    why: "a temporary table is full (1114)",
    on: since(null, [10, 2, 7]),
  },
  {
    name: "max_tmp_session_space_usage",
    value: "0",
    why: "temporary files are too large (4200)",
    on: since(null, [11, 5]),
  },
  { name: "sort_buffer_size", value: "262144", why: "sorting is refused (1038)" },

  // How long. Each statement has a limit of ours, and the lock's are set before it is asked for.
  {
    name: "max_statement_time",
    value: "0",
    why: "any statement is ended (1969), the lock's too",
    on: since(null, [10, 1]),
  },
  {
    name: "max_execution_time",
    value: "0",
    why: "SELECT is ended (3024)",
    on: since([5, 7, 8], null),
  },
  { name: "lock_wait_timeout", value: "5", why: "no table that is in use is waited for" },
  { name: "wait_timeout", value: "28800", why: "the session ends between two statements" },
  { name: "net_read_timeout", value: "30", why: "the session ends in a statement" },
  { name: "net_write_timeout", value: "60", why: "the session ends in an answer" },
  ...["idle_transaction_timeout", "idle_readonly_transaction_timeout"].map((name) => ({
    name,
    value: "0",
    why: "the session ends where an answer keeps a transaction open",
    on: since(null, [10, 3]),
  })),

  // For whom it waits.
  {
    name: "wsrep_sync_wait",
    value: "0",
    why: "every SELECT and SHOW waits for the cluster, for ever on a locked node (10.11.19)",
    on: since(null, [10, 1]),
  },
  {
    name: "group_replication_consistency",
    value: "'EVENTUAL'",
    why: "every SELECT waits for the group, for ever on a locked member",
    on: since([8, 0, 14], null),
  },

  // What comes with an answer: it is not read, and the driver has to take it apart.
  ...[
    { name: "session_track_schema", value: "0", on: since([5, 7, 4], [10, 2]) },
    { name: "session_track_state_change", value: "0", on: since([5, 7, 4], [10, 2]) },
    { name: "session_track_system_variables", value: EMPTY_TEXT, on: since([5, 7, 4], [10, 2]) },
    { name: "session_track_gtids", value: "'OFF'", on: since([5, 7, 6], null) },
    { name: "session_track_transaction_info", value: "'OFF'", on: since([5, 7, 8], [10, 2]) },
  ].map((setting) => ({ ...setting, why: "changes are sent along with each answer" })),
];

/** Percona XtraDB Cluster, whose greeting does not tell it from a server without a cluster. */
const PERHAPS: readonly SessionSetting[] = [{ name: "wsrep_sync_wait", value: "0" }];

/** What a session sets. */
export interface SessionSettings {
  /** What this version is known to have: one statement. */
  readonly known: readonly SessionSetting[];
  /** What only some builds of it have: one statement each. */
  readonly perhaps: readonly SessionSetting[];
}

/**
 * What to set on a server that greets with this version. One whose version says nothing is given
 * what every server has: it is refused in a moment, by its version.
 */
export function sessionSettingsFor(greeted: string | undefined): SessionSettings {
  const server = parseVersion(greeted ?? "", "");
  const known = SETTINGS.filter(({ on }) => on === undefined || (server !== null && on(server)));
  const isMariadb = server?.flavor === "mariadb";
  return { known, perhaps: isMariadb ? [] : PERHAPS };
}

/** The statement that sets these. */
export function setStatement(settings: readonly SessionSetting[]): string {
  const list = settings.map(({ name, value }) => `${name}=${value}`).join(",");
  return `SET /* locktables */ SESSION ${list}`;
}
