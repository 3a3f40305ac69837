/**
 * CHECK TABLE over the tables of a server on an image. It reads, and waits for no lock longer than a
 * session's lock_wait_timeout; MyISAM and Aria note in a table's header that it was checked.
 */
import { driverError } from "../mysql/errors.ts";
import { WITHOUT_TRANSACTIONS } from "../mysql/image_marks.ts";
import { QUERY_LIMIT_MS } from "../mysql/limits.ts";
import type { Row, Session } from "../mysql/session.ts";
import { sleep } from "../base/sleep.ts";
import { type Login, openLogged } from "./ask_server.ts";
import type { CheckedTable, Level, TableChecks } from "./facts.ts";
import { type StatementLog, statementLog } from "./statement_log.ts";
import { isRemarkable, sqlName } from "./table_findings.ts";

/** Engines that keep nothing on this disk. */
const WITHOUT_DATA = ["MEMORY", "BLACKHOLE", "FEDERATED", "PERFORMANCE_SCHEMA"];

/** Longest wait for the list of tables: MariaDB reads a file for each. */
const LIST_LIMIT_MS = 60_000;

/** How many tables are listed; a server with more is a farm of servers. */
const TABLES_MOST = 200_000;

/** `--quick` answers within ten seconds; the rest is for logging in and the coordinates. */
const QUICK_LIMIT_MS = 6_000;

/** How many tables of a quick look share a statement. */
const QUICK_BATCH = 50;

/** Longest check of one table: several terabytes are read within a day. */
const CHECK_LIMIT_MS = 24 * 3_600_000;

/** With `--full` the disk is left to others for a fifth of the time, but for no more at once. */
const REST_SHARE = 0.25;
const REST_MOST_MS = 5_000;

/** What a statement says of how it looks. */
const WORDS: Readonly<Record<Level, string>> = {
  // Only what was not closed, and its index alone.
  quick: "FAST QUICK",
  default: "MEDIUM",
  full: "EXTENDED",
};

/** How to look, and where progress is reported. */
export interface CheckOptions {
  readonly login: Login;
  readonly session: Session;
  readonly level: Level;
  readonly log: StatementLog;
  /** Ends it early, and the statement on the server with it. */
  readonly signal: AbortSignal;
  readonly onProgress: (checked: number, total: number, elapsedMs: number) => void;
}

/** Checks the tables that the level wants. Never rejects for what a server answers. */
export async function checkTables(options: CheckOptions): Promise<TableChecks> {
  const { session, level, signal, onProgress, login } = options;
  const began = performance.now();
  const tookMs = () => Math.round(performance.now() - began);
  const remarkable: CheckedTable[] = [];
  let checked = 0;
  let tables: readonly Listed[] = [];
  let at: string | null = null;
  const end = (endedBy: TableChecks["endedBy"]): TableChecks => ({
    remarkable,
    checked,
    total: tables.length,
    tookMs: tookMs(),
    endedBy,
    endedAt: at,
  });
  const kill = () => endStatement(login, session.id);
  signal.addEventListener("abort", kill, { once: true });
  try {
    tables = await listTables(session, level);
    options.log.note(`CHECK TABLE SCHEMA.TABLE ${WORDS[level]}, for ${tables.length} tables`);
    const batch = level === "quick" ? QUICK_BATCH : 1;
    for (let from = 0; from < tables.length; from += batch) {
      if (signal.aborted) return end("interrupted");
      const leftMs = level === "quick" ? QUICK_LIMIT_MS - tookMs() : CHECK_LIMIT_MS;
      if (leftMs <= 0) return end("limit");
      const some = tables.slice(from, from + batch);
      at = some.map(({ schema, name }) => sqlName(schema, name)).join(", ");
      const since = performance.now();
      const rows = await session.query(
        `CHECK /* locktables */ TABLE ${at} ${WORDS[level]}`,
        level === "quick" ? leftMs + QUERY_LIMIT_MS : leftMs,
      );
      remarkable.push(...answersFor(some, rows).filter(isRemarkable));
      checked += some.length;
      onProgress(checked, tables.length, tookMs());
      if (level === "full") {
        await sleep(Math.min((performance.now() - since) * REST_SHARE, REST_MOST_MS));
      }
    }
    return end(null);
  } catch (error) {
    if (signal.aborted) return end("interrupted");
    const { code } = driverError(error);
    if (code === "NO_ANSWER") {
      await kill();
      return end("no-answer");
    }
    if (!session.isClosed()) throw error;
    return end(await hasEnded(login, tookMs()) ? "server-ended" : "no-answer");
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

interface Listed {
  readonly schema: string;
  readonly name: string;
  readonly engine: string;
}

async function listTables(session: Session, level: Level): Promise<readonly Listed[]> {
  const list = (words: readonly string[]) => words.map((word) => `'${word}'`).join(", ");
  const engines = level === "full"
    ? `engine IS NOT NULL AND engine NOT IN (${list(WITHOUT_DATA)})`
    : `engine IN (${list(WITHOUT_TRANSACTIONS)})`;
  const rows = await session.query(
    `SELECT /* locktables */ table_schema AS s, table_name AS t, engine AS e
 FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND ${engines}
 AND table_schema NOT IN ('information_schema', 'performance_schema') LIMIT ${TABLES_MOST}`,
    LIST_LIMIT_MS,
  );
  return rows.map((row) => ({
    schema: String(row["s"]),
    name: String(row["t"]),
    engine: String(row["e"]),
  }));
}

/** The rows of each table; the server names it `schema.table`. */
function answersFor(tables: readonly Listed[], rows: readonly Row[]): CheckedTable[] {
  const byName = Map.groupBy(rows, (row) => String(row["Table"]));
  return tables.map((table) => ({
    ...table,
    rows: (byName.get(`${table.schema}.${table.name}`) ?? []).map((row) => ({
      type: String(row["Msg_type"]).toLowerCase(),
      text: String(row["Msg_text"]),
    })),
  }));
}

/** Ends a statement that goes on without its asker; an account may kill its own sessions. */
async function endStatement(login: Login, id: number): Promise<void> {
  try {
    const killer = await openLogged(login, statementLog());
    await killer.query(`KILL /* locktables */ ${id}`, QUERY_LIMIT_MS).finally(() => killer.close());
  } catch {
    // It is gone, or the server does not answer.
  }
}

/** Whether a session ended because its server ended: no server answers, or one that was started later. */
async function hasEnded(login: Login, sinceMs: number): Promise<boolean> {
  try {
    const session = await openLogged(login, statementLog());
    const [row] = await session.query(
      "SHOW /* locktables */ GLOBAL STATUS LIKE 'Uptime'",
      QUERY_LIMIT_MS,
    ).finally(() => session.close());
    return Number(row?.["Value"] ?? 0) * 1_000 < sinceMs;
  } catch {
    return true;
  }
}
