/**
 * What an image is known by besides its coordinates. Asked before the lock, because nothing of it may
 * cost time under it, and of an image in the same words: each is the same at the lock. Only the numbers of
 * transactions are asked for under it.
 */
import type { ClosedBinlog, DatabaseTables, ImageMarks } from "../window/image_marks.ts";
import { atMost } from "../base/at_most.ts";
import { driverError } from "./errors.ts";
import { isAtLeast, type ServerVersion } from "./flavor.ts";
import { QUERY_LIMIT_MS } from "./limits.ts";
import { openSession, type Row, type Session, type SessionOptions } from "./session.ts";
import { readTransactionMark } from "./transaction_mark.ts";

/** A server keeps binlogs by the thousand; the newest ones tell its history from another's. */
const BINLOGS_MOST = 20;

/** How many databases are recorded: 64 KiB are reserved for a record, and each takes 100 bytes. */
export const DATABASES_MOST = 50;

/** Engines that keep rows on disk without transactions: what a lock is for. */
export const WITHOUT_TRANSACTIONS = ["MyISAM", "MRG_MyISAM", "Aria", "CSV", "ARCHIVE"];

/**
 * How long the server may count tables, in milliseconds. MariaDB 10.11 takes 90 ms for 10,000, for the
 * engine is in a file of each; MySQL 9.7 takes 15.
 */
const COUNT_LIMIT_MS = 1_000;

/** How long a window waits for all of it, login included, in milliseconds: it is as good without. */
const MARKS_LIMIT_MS = 2_000;

/** The files themselves, in their order; needs the right to see coordinates. */
export const BINLOGS_STATEMENT = "SHOW /* locktables */ BINARY LOGS";

/** ER_NO_BINARY_LOGGING. */
export const NO_BINLOG = 1381;

/**
 * How long the record waits under the lock for the numbers of transactions, in milliseconds. They come in
 * less than one, beside coordinates and `sync`; writers wait, too, and the window is as good without.
 */
const UNDER_LOCK_LIMIT_MS = 500;

/**
 * How long the same question may take before the lock: what is not answered then is not asked under it. With
 * the time for counting tables it is less than {@linkcode MARKS_LIMIT_MS}.
 */
const FIRST_QUESTION_LIMIT_MS = 500;

/** Marks that were answered. */
export interface AskedMarks {
  readonly marks: ImageMarks;
  /** For the question under the lock. Never rejects; null where there is no answer in time. */
  askTransactions(): ReturnType<typeof readTransactionMark>;
  /** Not before pre-freeze has its answer: it takes as long as a statement. */
  close(): void;
}

/**
 * Asks for all of it, in a session of its own, because a question that gets no answer costs its session;
 * it stays open for the one that is asked under the lock, where none is opened. Never rejects; null where
 * there is no answer in time, and then nothing is left open.
 */
export async function askImageMarks(
  login: Pick<SessionOptions, "socket" | "user" | "password">,
  server: ServerVersion,
): Promise<AskedMarks | null> {
  let session: Session | null = null;
  let isLate = false;
  const close = () => {
    session?.close();
    session = null;
  };
  const asking = (async (): Promise<AskedMarks | null> => {
    const opened = await openSession({ ...login, limitMs: MARKS_LIMIT_MS, onLost: () => {} });
    session = opened;
    if (isLate) return null;
    const marks = await readImageMarks(opened, server, COUNT_LIMIT_MS);
    const ask = (limitMs: number) =>
      atMost(readTransactionMark(opened, server).catch(() => null), limitMs, null);
    // The driver makes a function for the columns of each answer that is new to it.
    const isAnswered = await ask(FIRST_QUESTION_LIMIT_MS) !== null;
    return {
      marks,
      askTransactions: () => isAnswered ? ask(UNDER_LOCK_LIMIT_MS) : Promise.resolve(null),
      close,
    };
  })();
  const asked = await atMost(asking.catch(() => null), MARKS_LIMIT_MS, null);
  if (asked !== null) return asked;
  isLate = true;
  close();
  // A login that is under way ends later.
  asking.finally(close).catch(() => {});
  return null;
}

/**
 * Asks for all of it.
 * @param countLimitMs how long the server may count tables
 * @throws where the server does not answer
 */
export async function readImageMarks(
  session: Session,
  server: ServerVersion,
  countLimitMs: number,
): Promise<ImageMarks> {
  const binlogs = await rowsOf(session, BINLOGS_STATEMENT);
  const databases = await databasesOf(session, server, countLimitMs);
  // Where every server has a server_uuid, the age of a table adds nothing.
  const made = server.flavor === "mariadb" ? await rowsOf(session, MADE) : null;
  return {
    closed_binlogs: binlogs === null ? null : closedBinlogs(binlogs),
    databases,
    system_tables_made_at: madeAt(made?.[0]?.["made"]),
  };
}

/** In the server's own time zone it could be an hour off: it is asked for in seconds since 1970. */
const MADE = `SELECT /* locktables */ UNIX_TIMESTAMP(create_time) AS made
 FROM information_schema.tables WHERE table_schema = 'mysql' AND table_name = 'db'`;

/** The moment of so many seconds; null for what is none. */
export function madeAt(seconds: unknown): string | null {
  const made = new Date(Number(seconds ?? NaN) * 1_000);
  return Number.isNaN(made.getTime()) ? null : made.toISOString();
}

/** All but the one that is being written. */
function closedBinlogs(rows: readonly Row[]): ClosedBinlog[] {
  return rows.slice(0, -1).slice(-BINLOGS_MOST).map((row) => ({
    name: String(row["Log_name"]),
    bytes: Number(row["File_size"]),
  }));
}

/** Tables of each database, the largest first; null where the server cannot bound the question. */
async function databasesOf(
  session: Session,
  server: ServerVersion,
  limitMs: number,
): Promise<DatabaseTables[] | null> {
  const statement = countStatement(server, limitMs);
  const rows = statement === null
    ? null
    : await rowsOf(session, statement, limitMs + QUERY_LIMIT_MS);
  if (rows === null || rows.length === 0) return null;
  return rows.map((row) => ({
    name: String(row["name"]),
    tables: Number(row["tables"]),
    without_transactions: Number(row["plain"]),
  }));
}

/** max_execution_time came with MySQL 5.7.8; without it a count could keep a window waiting. */
function countStatement(server: ServerVersion, limitMs: number): string | null {
  const count = (hint: string) =>
    `SELECT ${hint}/* locktables */ table_schema AS name, COUNT(*) AS tables,
 SUM(engine IN ('${WITHOUT_TRANSACTIONS.join("', '")}')) AS plain
 FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND engine IS NOT NULL
 AND table_schema NOT IN ('information_schema', 'performance_schema')
 GROUP BY table_schema ORDER BY COUNT(*) DESC LIMIT ${DATABASES_MOST}`;
  if (server.flavor === "mariadb") {
    // A table that somebody has locked is left out when it is not waited for.
    return `SET STATEMENT max_statement_time=${limitMs / 1_000}, lock_wait_timeout=0 FOR ${
      count("")
    }`;
  }
  return isAtLeast(server, 5, 7, 8) ? count(`/*+ MAX_EXECUTION_TIME(${limitMs}) */ `) : null;
}

/** The rows; null where the account may not ask, the time is over, or the server does not know. */
async function rowsOf(
  session: Session,
  sql: string,
  limitMs = QUERY_LIMIT_MS,
): Promise<readonly Row[] | null> {
  try {
    return await session.query(sql, limitMs);
  } catch (error) {
    const { errno } = driverError(error);
    // Without a number it is no answer at all, which the next question finds out as well.
    if (errno === undefined) throw error;
    return errno === NO_BINLOG && sql === BINLOGS_STATEMENT ? [] : null;
  }
}
