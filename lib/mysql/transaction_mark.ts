/**
 * The numbers that InnoDB gives to transactions. An image whose numbers go further than under the lock has
 * data of a later moment, which a binlog of the lock's moment does not show where there are no GTIDs.
 */
import type { TransactionMark } from "../window/image_marks.ts";
import { allowedRows } from "./allowed_rows.ts";
import { isAtLeast, type ServerVersion } from "./flavor.ts";
import { BY_REPORT } from "./redo_position.ts";
import type { Row, Session } from "./session.ts";

/** MariaDB has both in tables; needs PROCESS. */
const BY_TABLES = `SELECT /* locktables */ (SELECT variable_value
 FROM information_schema.global_status WHERE variable_name = 'INNODB_MAX_TRX_ID') AS next_id,
 (SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_rows_modified > 0) AS open`;

/** A report of a megabyte is cut in its list of transactions, which are not counted then. */
const REPORT_MOST = 1_000_000;

/**
 * Asked under the lock; null where the account may not ask, or the server does not say. MySQL has the
 * next number in InnoDB's report alone.
 */
export async function readTransactionMark(
  session: Session,
  { flavor }: ServerVersion,
): Promise<Omit<TransactionMark, "clients_most"> | null> {
  const [row] = await allowedRows(session, flavor === "mariadb" ? BY_TABLES : BY_REPORT) ?? [];
  return flavor === "mariadb"
    ? markFrom(row?.["next_id"], row?.["open"])
    : markFromReport(String(row?.["Status"] ?? ""));
}

/** Reads InnoDB's report. */
export function markFromReport(text: string): Omit<TransactionMark, "clients_most"> | null {
  if (text.length > REPORT_MOST) return null;
  const next = /^Trx id counter (\d{1,16})$/m.exec(text)?.[1];
  return markFrom(next, text.match(/, undo log entries \d+$/gm)?.length ?? 0);
}

function markFrom(next: unknown, open: unknown): Omit<TransactionMark, "clients_most"> | null {
  const mark = { next_id: Number(next ?? NaN), open: Number(open ?? NaN) };
  return Number.isSafeInteger(mark.next_id) && Number.isSafeInteger(mark.open) ? mark : null;
}

/** Where a server on an image is with them. */
export interface TransactionsNow {
  /** The number that the next one gets. */
  readonly nextId: number;
  /** How many numbers others may have taken since the start without a trace in the binlog, at most. */
  readonly takenMost: number;
  /** Tables whose statistics the server has written by itself since the lock; null where they are not seen. */
  readonly statisticsWritten: number | null;
}

/** Counters of a server since its start. Not every server has all of them. */
const COUNTERS = [
  "Com_select",
  "Opened_tables",
  "Innodb_rows_inserted",
  "Innodb_rows_updated",
  "Innodb_rows_deleted",
  "Innodb_system_rows_inserted",
  "Innodb_system_rows_updated",
  "Innodb_system_rows_deleted",
] as const;

const IN_COUNTERS = `WHERE Variable_name IN ('${COUNTERS.join("', '")}')`;

/**
 * Ten seconds after much of a table was changed its statistics are written, under a lock, too. The server
 * keeps whole seconds: some of the second before the lock are counted with them.
 */
function statisticsStatement(lockedMs: number): string {
  return `SELECT /* locktables */ COUNT(*) AS n FROM mysql.innodb_table_stats
 WHERE last_update >= FROM_UNIXTIME(${Math.floor(lockedMs / 1_000)})`;
}

/** Asked on an image whose lock was taken at this moment. */
export async function readTransactionsNow(
  session: Session,
  server: ServerVersion,
  lockedMs: number,
): Promise<TransactionsNow | null> {
  const mark = await readTransactionMark(session, server);
  if (mark === null) return null;
  const all = countersOf(
    await allowedRows(session, `SHOW /* locktables */ GLOBAL STATUS ${IN_COUNTERS}`) ?? [],
  );
  const own = countersOf(
    await allowedRows(session, `SHOW /* locktables */ SESSION STATUS ${IN_COUNTERS}`) ?? [],
  );
  if (all.size === 0) return null;
  // What is partitioned opens all of its partitions, and counts as one table.
  const partitions = openedSinceStart(all, server) === 0
    ? 0
    : (await allowedRows(session, partitionsStatement(server)))?.[0]?.["n"];
  if (partitions === undefined) return null;
  const [statistics] = await allowedRows(session, statisticsStatement(lockedMs)) ?? [];
  return {
    nextId: mark.next_id,
    takenMost: takenMost(all, own.get("Com_select") ?? 0, server) + Number(partitions),
    statisticsWritten: statistics === undefined ? null : Number(statistics["n"]),
  };
}

/**
 * MySQL 9.7 changes 331 rows of its dictionary when it starts, in 12 transactions; 5.6 and MariaDB do not
 * count such rows.
 */
const CHANGED_BY_START = 512;

/** What a server opens when it starts: 16 on MariaDB 10.5 to 11.8, 136 on MySQL 9.7, 70 on 5.6. */
const OPENED_BY_START = { mariadb: 16, mysql: 150, percona: 150 } as const;

function openedSinceStart(
  all: ReadonlyMap<string, number>,
  { flavor }: Pick<ServerVersion, "flavor">,
) {
  return Math.max(0, (all.get("Opened_tables") ?? 0) - OPENED_BY_START[flavor]);
}

function partitionsStatement(server: ServerVersion): string {
  const isNew = server.flavor !== "mariadb" && isAtLeast(server, 8, 0);
  return `SELECT /* locktables */ COUNT(*) AS n FROM information_schema.${
    isNew ? "innodb_tables" : "innodb_sys_tables"
  } WHERE name LIKE '%#p#%'`;
}

/**
 * What others may have taken. A locking read takes one number, a change two; a table that is opened for
 * the first time one, or two on MySQL 5.6; a row of the dictionary one, which is how MySQL remembers the
 * sizes of tables that somebody asked for.
 */
export function takenMost(
  all: ReadonlyMap<string, number>,
  ownSelects: number,
  server: Pick<ServerVersion, "flavor">,
): number {
  const of = (name: typeof COUNTERS[number]) => all.get(name) ?? 0;
  const rows = of("Innodb_rows_inserted") + of("Innodb_rows_updated") + of("Innodb_rows_deleted");
  return Math.max(0, of("Com_select") - ownSelects) + 2 * rows + 2 * openedSinceStart(all, server) +
    of("Innodb_system_rows_inserted") + of("Innodb_system_rows_deleted") +
    Math.max(0, of("Innodb_system_rows_updated") - CHANGED_BY_START);
}

function countersOf(rows: readonly Row[]): ReadonlyMap<string, number> {
  return new Map(rows.map((row) => [String(row["Variable_name"]), Number(row["Value"])]));
}
