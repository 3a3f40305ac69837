/**
 * How far InnoDB's redo log goes. An image whose log ends before what was on disk before the lock has a
 * volume of an earlier moment, which neither binlog nor GTIDs show.
 */
import { allowedRows } from "./allowed_rows.ts";
import type { ServerVersion } from "./flavor.ts";
import type { Session } from "./session.ts";

/**
 * Which end is asked for: `on-disk` is what every later image has, and so what is recorded before a lock;
 * what is only in memory need not be in an image. `reached` is where recovery ended on an image, or later.
 */
export type RedoEnd = "on-disk" | "reached";

/** MariaDB shows both to every account from 10.5 on, and before that, like MySQL, in InnoDB's report. */
const STATUS_VARIABLES: Readonly<Record<RedoEnd, string>> = {
  "on-disk": "Innodb_lsn_flushed",
  "reached": "Innodb_lsn_current",
};

/** Needs PROCESS. */
export const BY_REPORT = "SHOW /* locktables */ ENGINE INNODB STATUS";

/** The lines of the report. */
const REPORT_LINES: Readonly<Record<RedoEnd, RegExp>> = {
  "on-disk": /^Log flushed up to\s+(\d{1,16})\s*$/m,
  "reached": /^Log sequence number\s+(\d{1,16})\s*$/m,
};

/**
 * An end of the log now, in bytes since it began; null where the server does not say. It is asked before
 * the lock: the report takes as long as there are transactions to report.
 */
export async function readRedoPosition(
  session: Session,
  { flavor }: ServerVersion,
  end: RedoEnd,
): Promise<number | null> {
  const sql = flavor === "mariadb"
    ? `SHOW /* locktables */ GLOBAL STATUS LIKE '${STATUS_VARIABLES[end]}'`
    : BY_REPORT;
  const rows = await allowedRows(session, sql);
  if (rows === null) return null;
  const [row] = rows;
  return redoPositionFrom(String(row?.["Value"] ?? row?.["Status"] ?? ""), end);
}

/**
 * Reads the value alone, or the line of the report. No log ends at 0: MySQL 5.6 says so of what is on disk
 * from its recovery to its first write.
 */
export function redoPositionFrom(text: string, end: RedoEnd): number | null {
  const [, digits] = /^(\d{1,16})$/.exec(text) ?? REPORT_LINES[end].exec(text) ?? [];
  const position = Number(digits);
  return digits !== undefined && Number.isSafeInteger(position) && position > 0 ? position : null;
}
