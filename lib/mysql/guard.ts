/** The look for sessions that would make the lock wait, and everybody else behind it. */
import type { Method } from "./methods.ts";
import type { Capabilities } from "./flavor.ts";
import type { Row } from "./session.ts";

/** A session that would make the lock wait. */
export interface Blocker {
  readonly id: number;
  readonly user: string;
  /** How long its statement has been running, in whole seconds. */
  readonly age_s: number;
  readonly state: string;
  /** The first 80 characters of its statement; of an idle session, what it holds. */
  readonly statement: string;
  /** What it does: only reads, may write, or sleeps on a lock of its own. */
  readonly kind: "reader" | "writer" | "idle";
}

/** What the guard needs to know besides the process list. */
export interface GuardPolicy {
  readonly method: Method;
  readonly can: Capabilities;
  /** Ids of our own sessions. */
  readonly ownIds: readonly number[];
  /** Age in milliseconds from which a statement counts (`long_query_guard`). */
  readonly thresholdMs: number;
}

/** Threads of the server itself, never a client's statement. */
const SYSTEM_COMMANDS = ["Sleep", "Daemon", "Binlog Dump", "Binlog Dump GTID", "Slave_IO"];
const SYSTEM_USERS = ["system user", "event_scheduler"];

/**
 * States of those who queue behind a lock like ours. They hold nothing that it would wait for; what
 * they wait for is a lock of another session that ours is compatible with, or our own last attempt.
 */
export const QUEUED_STATES = [
  "Waiting for global read lock",
  "Waiting for commit lock",
  "Waiting for backup lock",
  "Waiting for table flush",
];
/** Of these: on MySQL it is DDL behind LOCK INSTANCE FOR BACKUP, which FTWRL waits for (9.7.4). */
const WAITS_FOR_BACKUP = "Waiting for backup lock";
/** What a statement is in that waits for a table to be free. */
const WAITS_FOR_METADATA = "Waiting for table metadata lock";
/**
 * These wait for another blocker, so killing them alone does not help: named last. The second is that of MyISAM's
 * tables, and of a table under LOCK TABLES … READ on MySQL 5.6.
 */
const CHAINED_STATES = [WAITS_FOR_METADATA, "Waiting for table level lock"];

/**
 * Statements that hold nothing while they wait for a table, where the server's FTWRL does not wait
 * for readers: measured on MariaDB 10.11, as it is for {@linkcode HOLDS_NOTHING_YET}.
 */
const DML = ["select", "with", "insert", "update", "delete", "replace", "load"];

/** First words of statements that only read. */
const READERS = ["select", "show", "describe", "desc", "explain", "with", "table", "values"];
/**
 * First words of statements that do not touch a table at all. STOP REPLICA waits for the appliers:
 * they are in the way themselves where it is.
 */
const HARMLESS = ["use", "kill", "begin", "rollback", "start", "stop"];
/** First words of statements that touch a table only in a subquery or a stored function. */
const EVALUATES = ["set", "do"];
/** What shows what the server itself is about. */
const SHOWS = /^show\s+(?:binlog|relaylog)\s+events\b/i;
/** What only shows a plan: its tables are open once it plans, which may take long. */
const EXPLAINS = /^explain\b(?!.*\banalyze\b)/is;
/**
 * The server's own functions that people wait in. Any other may be a stored one, which can read a
 * table that the statement does not name.
 */
const WAITING_FUNCTIONS = [
  "sleep",
  "benchmark",
  "get_lock",
  "master_pos_wait",
  "source_pos_wait",
  "master_gtid_wait",
  "wait_for_executed_gtid_set",
  "wait_until_sql_thread_after_gtids",
].join("|");
/** A call of one of them. Without parentheses inside there is no subquery and no other call. */
const WAITING_CALL = new RegExp(`(?<![\`.\\w$])(?:${WAITING_FUNCTIONS})\\s*\\([^()]*\\)`, "gi");
/** A SELECT of nothing but such calls, each with or without a name. */
const SELECTS_CALLS = (() => {
  const call = String.raw`\?(?:\s+as\s+[\w\`]+)?`;
  return new RegExp(
    String.raw`^select\s+${call}(?:\s*,\s*${call})*(?:\s+from\s+dual)?\s*;?\s*$`,
    "i",
  );
})();
/** MariaDB's settings for one statement, which comes behind them. */
const SET_STATEMENT = /^set\s+statement\s.*?\sfor\s+(?=[a-z(])/is;
/** MariaDB's EXPLAIN that runs the statement, which comes behind it. */
const ANALYZE =
  /^analyze\s+(?:format\s*=\s*\w+\s+)?(?=(?:select|with|insert|update|delete|replace)\b)/i;
/**
 * A commit that lasts: its own statement, or the state of one that waits for a replica's receipt or
 * for the commit before it. Measured with MariaDB's semisynchronous source under BACKUP STAGE.
 */
const COMMITS = /^(?:xa\s+)?commit\b/i;
const COMMITTING_STATE = /semi-sync ack|^commit|prior transaction to commit/i;
/** What makes or removes a table: BLOCK_COMMIT first waits for it, and not for ALTER TABLE. */
const TABLE_DDL = /^(?:create\s+(?:or\s+replace\s+)?table|drop|truncate|rename)\b/i;
/** What BLOCK_COMMIT waits for even while it waits for a table itself. */
const HOLDS_WHILE_IT_WAITS =
  /^(?:drop\s+(?:database|schema|trigger)\b|create\s+(?:or\s+replace\s+)?(?:definer\s*=\s*\S+\s+)?trigger\b|alter\s+table\s+\S+\s+rename\s+(?!column\b|index\b|key\b))/i;
/**
 * What else holds nothing while it waits for a table, on MariaDB. DROP of a database, an index or a
 * trigger is none of them, nor is ALTER TABLE: the lock waits for those.
 */
const HOLDS_NOTHING_YET =
  /^(?:create\s+(?:or\s+replace\s+)?table|drop\s+(?:tables?|view|sequence)|truncate|rename|lock\s+tables?|flush\s+tables?)\b/i;
/** A SELECT that takes its rows for writing. */
const LOCKS_ROWS = /\bfor\s+update\b/i;
/** The same behind a common table expression: WITH … UPDATE, WITH … DELETE. */
const WRITES_AFTER_WITH = /\b(update|delete)\b/i;

/**
 * The sessions in a SHOW PROCESSLIST that would make this method wait on this server
 * (`docs/locking.md#11-what-it-waits-for`, `docs/locking.md#31-what-it-waits-for`): readers only
 * where the method waits for readers, everything else only where it waits for writers.
 */
export function findBlockers(processList: readonly Row[], policy: GuardPolicy): Blocker[] {
  return findInTheWay(processList, policy)
    .filter(({ age_s }) => age_s * 1000 >= policy.thresholdMs);
}

/**
 * Readers whose age the server does not tell yet, because it counts whole seconds, where the
 * method waits for readers. Where one of them turns out to be long, even a lock that is given up
 * leaves everybody else who reads its tables waiting until it ends
 * (`docs/locking.md#12-how-lock_wait_timeout-bounds-it`).
 */
export function findYoungReaders(processList: readonly Row[], policy: GuardPolicy): Blocker[] {
  return policy.method.waitsForReaders(policy.can)
    ? findInTheWay(processList, policy)
      .filter(({ kind, age_s }) => kind === "reader" && age_s === 0)
    : [];
}

/** Everybody that this method would wait for, however young. */
function findInTheWay(processList: readonly Row[], policy: GuardPolicy): Blocker[] {
  return processList.flatMap((row) => {
    const statement = String(row["Info"] ?? "");
    const session = {
      id: Number(row["Id"]),
      user: String(row["User"]),
      age_s: Number(row["Time"] ?? 0),
      state: String(row["State"] ?? ""),
      statement: statement.slice(0, 80),
    };
    const isSystem = SYSTEM_COMMANDS.includes(String(row["Command"])) ||
      SYSTEM_USERS.includes(session.user);
    if (isSystem || policy.ownIds.includes(session.id)) return [];
    if (QUEUED_STATES.includes(session.state)) {
      const isInTheWay = session.state === WAITS_FOR_BACKUP && policy.can.ddlWaitsForInstanceLock;
      if (!isInTheWay) return [];
    }
    const kind = kindOf(statement);
    if (kind === null) return [];
    if (
      session.state === WAITS_FOR_METADATA && !policy.method.waitsForReaders(policy.can) &&
      (DML.includes(firstWord(statement)) || HOLDS_NOTHING_YET.test(withoutComments(statement)))
    ) return [];
    if (session.state === WAITS_FOR_METADATA && EXPLAINS.test(withoutComments(statement))) {
      return [];
    }
    const isInTheWay = kind === "reader"
      ? policy.method.waitsForReaders(policy.can)
      : policy.method.waitsForWriters === "all" || isCommitting(statement, session.state);
    return isInTheWay ? [{ ...session, kind }] : [];
  });
}

/** Whether a statement is in what only the end of a write does. */
function isCommitting(text: string, state: string): boolean {
  const statement = withoutComments(text);
  return COMMITS.test(statement) || COMMITTING_STATE.test(state) ||
    HOLDS_WHILE_IT_WAITS.test(statement) ||
    (TABLE_DDL.test(statement) && state !== WAITS_FOR_METADATA);
}

/**
 * Sleeping sessions that would make the lock wait: LOCK TABLES and HANDLER, where the server
 * shows them (`Capabilities.idleLocksStatement`) and the method waits for them.
 */
export function findIdleBlockers(
  idleLocks: readonly Row[],
  { method, can, ownIds }: Omit<GuardPolicy, "thresholdMs">,
): Blocker[] {
  if (!method.waitsForReaders(can)) return [];
  return idleLocks
    .map((row) => ({
      id: Number(row["id"]),
      user: String(row["user"]),
      age_s: Number(row["age_s"] ?? 0),
      state: "Sleep",
      statement: `holds ${row["held"]} by LOCK TABLES or HANDLER`,
      kind: "idle" as const,
    }))
    .filter(({ id }) => !ownIds.includes(id));
}

/** Blockers in the order in which ending them helps: those that wait for another one last. */
export function byCause(blockers: readonly Blocker[]): Blocker[] {
  return [
    ...blockers.filter((blocker) => !isChained(blocker)),
    ...blockers.filter(isChained),
  ];
}

function isChained({ state }: Blocker): boolean {
  return CHAINED_STATES.includes(state);
}

/**
 * Whether killing this one does not help: it reads or writes a table that another session has, continues
 * when that one is gone, and is no more in the way than that one, who may be unseen (an
 * idle LOCK TABLES). DDL that waits is different: an open transaction that it waits for is in
 * the way of no lock.
 */
export function isHeldUp(blocker: Blocker): boolean {
  return isChained(blocker) && DML.includes(firstWord(blocker.statement));
}

/**
 * Which of the blockers may be killed under `kill_long_queries`, now that they were seen twice:
 * a session whose id, user and statement are the same and whose age has not gone back. Only
 * statements are killed (KILL QUERY), never a session that sleeps, and none that
 * is {@linkcode isHeldUp}.
 */
export function findVictims(
  before: readonly Blocker[],
  now: readonly Blocker[],
  setting: "off" | "select" | "all",
): Blocker[] {
  const isWanted = (kind: Blocker["kind"]) =>
    (setting === "select" && kind === "reader") || (setting === "all" && kind !== "idle");
  // By id: of ten thousand sessions each must not be compared with each.
  const seen = Map.groupBy(before, ({ id }) => id);
  return now.filter((blocker) =>
    isWanted(blocker.kind) &&
    !isHeldUp(blocker) &&
    (seen.get(blocker.id) ?? []).some((same) =>
      same.user === blocker.user && same.statement === blocker.statement &&
      same.age_s <= blocker.age_s
    )
  );
}

function kindOf(text: string): "reader" | "writer" | null {
  if (text.trim() === "") return null;
  const statement = withoutComments(text).replace(SET_STATEMENT, "").replace(ANALYZE, "");
  const word = firstWord(statement);
  if (HARMLESS.includes(word) || SHOWS.test(statement)) return null;
  // Waiting calls become a mark; what has parentheses still may be in a table.
  const marked = statement.replaceAll("?", "").replace(WAITING_CALL, "?");
  if (EVALUATES.includes(word)) return marked.includes("(") ? "reader" : null;
  if (SELECTS_CALLS.test(marked)) return null;
  const isReader = READERS.includes(word) && !LOCKS_ROWS.test(statement) &&
    !(word === "with" && WRITES_AFTER_WITH.test(statement));
  // No word at all is a comment that the process list cut off: it counts as a write, because
  // a wait too long costs a refusal and a blocker missed costs every writer its turn.
  return isReader ? "reader" : "writer";
}

/** The first word after comments and parentheses; that of `/*!40000 ALTER` is `alter`. */
function firstWord(statement: string): string {
  return (/^[a-z]+/i.exec(withoutComments(statement))?.[0] ?? "").toLowerCase();
}

function withoutComments(statement: string): string {
  return statement.replace(
    /^(\s|\(|\/\*M?!\d*|\/\*.*?\*\/|--(?=\s)[^\n]*|#[^\n]*)+/s,
    "",
  );
}

/** One blocker as a phrase: `id 12 (app, 40 s, Sending data): SELECT …`. */
export function describeBlocker(blocker: Blocker): string {
  const { id, user, age_s, state, statement } = blocker;
  const about = [user, `${age_s} s`, state].filter((part) => part !== "").join(", ");
  return `id ${id} (${about}): ${withoutPasswords(statement.replaceAll(/\s+/g, " "))}`;
}

/** How many are named in a line that a hook prints and a record keeps: a crowd has one cause. */
const NAMED_MOST = 10;

/** Blockers in one line, the first of them by name. */
export function describeBlockers(blockers: readonly Blocker[]): string {
  const named = blockers.slice(0, NAMED_MOST).map(describeBlocker);
  const others = blockers.length - named.length;
  return [...named, ...(others === 0 ? [] : [`and ${others} more`])].join("; ");
}

/** A statement that sets a password must not carry it into a log or into the image. */
function withoutPasswords(statement: string): string {
  return statement.replaceAll(
    // MASTER_PASSWORD and SOURCE_PASSWORD of a replica, too, and any column named like it.
    /(\bidentified\b(?:\s+(?:via|with|by|as|using)\b)?|\w*password\w*)(.*)/gi,
    "$1 …",
  );
}
