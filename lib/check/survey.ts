/**
 * What `check` asks a server beyond what a window asks it. Only questions: nothing is locked,
 * set beyond the session or written. It runs on a session of its own, the third that a window may
 * need, so that an account which may have only two is found out.
 */
import { sqlText } from "../mysql/sql_text.ts";
import { oneLine } from "../base/plain_text.ts";
import type { Refusal } from "../base/refusal.ts";
import { driverError, refusalFor } from "../mysql/errors.ts";
import { capabilitiesOf, checkCapabilitiesOf, type ServerVersion } from "../mysql/flavor.ts";
import { QUEUED_STATES } from "../mysql/guard.ts";
import { type NameHolder, nameHolder } from "../mysql/server_name.ts";
import { openSession, type Row, type Session } from "../mysql/session.ts";

/** Longest wait for an ordinary answer, in milliseconds: they come in less than ten. */
const QUESTION_LIMIT_MS = 1_000;

/**
 * Longest wait for an answer that takes longer the more tables there are. The server itself stops
 * looking then, so that nothing of ours goes on when we have left.
 */
const TABLES_LIMIT_MS = 3_000;

/** What the server gets beyond its own limit to say that it has stopped. */
const STOP_MS = 250;

/** Longest wait for each half of ending a question; both fit into what a check has left. */
const KILL_LIMIT_MS = 500;

/** Where tables are counted no further: more names than anybody reads, and half a megabyte. */
export const TABLES_MOST = 10_000;

/** How many tables are asked for their size: on MariaDB each is opened for it. */
export const SIZED_TABLES = 20;

/** How many files outside the data directory are looked at. */
const OUTSIDE_FILES_MOST = 1_000;

/** Engines that keep rows on disk without a log: what they lose without a lock, nothing repairs. */
const UNLOGGED_ENGINES = ["MyISAM", "Aria", "CSV", "ARCHIVE"];

/** The servers' own schemas. */
const SYSTEM_SCHEMAS = ["mysql", "information_schema", "performance_schema", "sys"];

const VARIABLES = [
  "gtid_mode",
  "group_replication_group_name",
  "lock_wait_timeout",
  "replica_parallel_workers",
  "slave_parallel_workers",
];

/** A table whose engine keeps no log. */
export interface UnloggedTable {
  readonly schema: string;
  readonly name: string;
  readonly engine: string;
  /** Null where the server was not asked, or does not say. */
  readonly bytes: number | null;
}

/** A session that holds the server's global read lock. */
export interface LockHolder {
  readonly id: number;
  readonly user: string;
  readonly age_s: number;
}

/** A question that got no answer. */
export interface Unanswered {
  /** What it was about: "the tables". */
  readonly question: string;
  readonly why: string;
}

/** What a server said. Null: it did not say, or the account may not ask. */
export interface Survey {
  /** Set where there is no third session, so that nothing could be asked. */
  readonly refusal: Refusal | null;
  readonly variables: ReadonlyMap<string, string>;
  /** Who has the name that keeps two locktables apart. */
  readonly nameHolder: NameHolder | null;
  /** What a replica's channels complain of, by name. */
  readonly replicaErrors: ReadonlyMap<string, string>;
  readonly lockHolders: readonly LockHolder[] | null;
  /** Sessions that wait for a lock like ours. */
  readonly queued: { readonly count: number; readonly longest_s: number } | null;
  /** Paths of InnoDB's files that are not in the data directory. */
  readonly outsideFiles: readonly string[];
  readonly unloggedTables: readonly UnloggedTable[];
  readonly unanswered: readonly Unanswered[];
}

/** Whom to ask. */
export interface SurveyOptions {
  readonly socket: string;
  readonly user: string;
  readonly password: string | null;
  readonly server: ServerVersion;
  /** As SQL writes it, for the statements that are proposed. */
  readonly account: string;
  readonly isReplica: boolean;
  /** When the last answer must be there, on the clock of `performance.now()`. */
  readonly deadlineMs: number;
}

/** Asks everything. Never rejects; ends at the deadline. */
export async function survey(options: SurveyOptions): Promise<Survey> {
  const { server, deadlineMs } = options;
  const leftMs = () => Math.max(deadlineMs - performance.now(), 1);
  const unanswered: Unanswered[] = [];
  let session: Session;
  try {
    session = await openSession({
      ...options,
      limitMs: leftMs(),
      onLost: () => {}, // the question that is under way says so
    });
  } catch (error) {
    return nothing(refusalFor(error, `Cannot open a third session as ${options.user}`, options));
  }
  let isStuck = false;
  /** One answer; null where there is none, which is noted unless it is a "may not". */
  const attempt = async <T>(
    question: string,
    asked: (limitMs: number) => Promise<T>,
    mostMs = QUESTION_LIMIT_MS,
  ): Promise<T | null> => {
    // A session that owes an answer takes no other question.
    if (isStuck) return null;
    const limitMs = Math.round(Math.min(mostMs, leftMs()));
    try {
      return await asked(limitMs);
    } catch (error) {
      const { errno, code, message } = driverError(error);
      if (errno !== undefined && DENIED.includes(errno)) return null;
      isStuck = errno === undefined;
      const why = code === "NO_ANSWER" ? `no answer within ${limitMs} ms` : message;
      unanswered.push({ question, why: isStuck ? `${why}, and nothing more was asked` : why });
      return null;
    }
  };
  const ask: Ask = (question, sql, mostMs) =>
    attempt(question, (limitMs) => session.query(sql, limitMs), mostMs);
  try {
    const check = checkCapabilitiesOf(server);
    const settings = check.questionSettings(Math.min(TABLES_LIMIT_MS, leftMs()));
    if (await ask("its settings", `SET /* locktables */ SESSION ${settings}`) === null) {
      return { ...nothing(null), unanswered };
    }
    const variables = await ask(
      "its variables",
      `SHOW /* locktables */ GLOBAL VARIABLES WHERE Variable_name IN (${list(VARIABLES)})`,
    );
    const holder = await attempt("its named locks", (limitMs) => nameHolder(session, limitMs));
    const channels = options.isReplica
      ? await ask("its replica channels", capabilitiesOf(server).replicaStatusStatement)
      : [];
    const holders = check.globalLockStatement === null
      ? null
      : await ask("who holds a lock", check.globalLockStatement);
    const queued = await ask(
      "who waits for a lock",
      `SELECT /* locktables */ COUNT(*) AS n, MAX(time) AS longest
 FROM information_schema.processlist WHERE state IN (${list(QUEUED_STATES)})`,
    );
    const outside = await ask("files outside the data directory", check.outsideFilesStatement);
    return {
      refusal: null,
      variables: new Map(
        variables?.map((row) => [String(row["Variable_name"]), String(row["Value"])]),
      ),
      nameHolder: holder,
      replicaErrors: replicaErrors(channels ?? []),
      lockHolders: holders?.map((row) => ({
        id: Number(row["id"]),
        user: String(row["user"]),
        age_s: Number(row["age_s"]),
      })) ?? null,
      queued: queued === null
        ? null
        : { count: Number(queued[0]?.["n"]), longest_s: Number(queued[0]?.["longest"] ?? 0) },
      outsideFiles: outside?.slice(0, OUTSIDE_FILES_MOST).map((row) => String(row["path"])) ?? [],
      unloggedTables: await unloggedTables(ask),
      unanswered,
    };
  } finally {
    session.close();
    if (isStuck && !checkCapabilitiesOf(server).boundsQuestions) await end(options, session.id);
  }
}

/**
 * Ends a question that the server itself does not bound, and that goes on without its asker. An
 * account may kill its own sessions without any privilege. Whatever keeps it from that, the answer
 * has been given up already.
 */
async function end(login: SurveyOptions, id: number): Promise<void> {
  try {
    const killer = await openSession({ ...login, limitMs: KILL_LIMIT_MS, onLost: () => {} });
    await killer.query(`KILL /* locktables */ ${id}`, KILL_LIMIT_MS).finally(() => killer.close());
  } catch {
    // It is gone, or the server does not answer.
  }
}

/** The account may not: which privilege is missing is said elsewhere. */
const DENIED = [1142, 1227];

type Ask = (question: string, sql: string, mostMs?: number) => Promise<readonly Row[] | null>;

async function unloggedTables(ask: Ask): Promise<UnloggedTable[]> {
  const limitMs = TABLES_LIMIT_MS + STOP_MS;
  const rows = await ask(
    "the tables",
    `SELECT /* locktables */ table_schema AS s, table_name AS t, engine AS e
 FROM information_schema.tables WHERE engine IN (${list(UNLOGGED_ENGINES)})
 AND table_schema NOT IN (${list(SYSTEM_SCHEMAS)}) LIMIT ${TABLES_MOST}`,
    limitMs,
  ) ?? [];
  const tables = rows.map((row) => ({
    schema: String(row["s"]),
    name: String(row["t"]),
    engine: String(row["e"]),
    bytes: null,
  }));
  if (tables.length === 0) return [];
  const sized = tables.slice(0, SIZED_TABLES);
  // Each by its name alone: nothing else of the schema is opened for it.
  const sizes = await ask(
    "the sizes of tables",
    sized.map(({ schema, name }, at) =>
      `SELECT /* locktables */ ${at} AS at, data_length + index_length AS bytes
 FROM information_schema.tables WHERE table_schema = ${sqlText(schema)} AND table_name = ${
        sqlText(name)
      }`
    ).join(" UNION ALL "),
    limitMs,
  ) ?? [];
  const bytes = new Map(sizes.map((row) => [Number(row["at"]), row["bytes"]]));
  return tables.map((table, at) => {
    const size = bytes.get(at) ?? null;
    return { ...table, bytes: size === null ? null : Number(size) };
  });
}

/** What each channel last complained of; only what it still stands by. */
function replicaErrors(rows: readonly Row[]): Map<string, string> {
  return new Map(rows.map((row) => {
    const errors = [row["Last_IO_Error"], row["Last_SQL_Error"]]
      .map((value) => oneLine(String(value ?? "")))
      .filter((value) => value !== "");
    return [String(row["Channel_Name"] ?? row["Connection_name"] ?? ""), errors.join("; ")];
  }));
}

function nothing(refusal: Refusal | null): Survey {
  return {
    refusal,
    variables: new Map(),
    nameHolder: null,
    replicaErrors: new Map(),
    lockHolders: null,
    queued: null,
    outsideFiles: [],
    unloggedTables: [],
    unanswered: [],
  };
}

function list(texts: readonly string[]): string {
  return texts.map(sqlText).join(", ");
}
