/**
 * How far InnoDB's redo log goes on disk: what is only in memory need not be in an image. An image whose log ends before what it was before the lock has a
 * volume of an earlier moment, which neither binlog nor GTIDs show.
 */
import { driverError } from "./errors.ts";
import type { ServerVersion } from "./flavor.ts";
import { QUERY_LIMIT_MS } from "./limits.ts";
import type { Session } from "./session.ts";

/** MariaDB shows it to everybody from 10.5 on, and before that, like MySQL, in InnoDB's report. */
const BY_STATUS = "SHOW /* locktables */ GLOBAL STATUS LIKE 'Innodb_lsn_flushed'";

/** Needs PROCESS. */
const BY_REPORT = "SHOW /* locktables */ ENGINE INNODB STATUS";

/**
 * The end of the log on disk now, in bytes since it began; null where the server does not say. It is asked
 * before the lock: the report takes as long as there are transactions to report.
 */
export async function readRedoPosition(
  session: Session,
  { flavor }: ServerVersion,
): Promise<number | null> {
  try {
    const [row] = await session.query(flavor === "mariadb" ? BY_STATUS : BY_REPORT, QUERY_LIMIT_MS);
    return redoPositionFrom(String(row?.["Value"] ?? row?.["Status"] ?? ""));
  } catch (error) {
    // Without a number it is no answer at all, which the next question finds out as well.
    if (driverError(error).errno === undefined) throw error;
    return null;
  }
}

/** Reads the value alone, or the line of the report. */
export function redoPositionFrom(text: string): number | null {
  const [, digits] = /^(\d{1,16})$/.exec(text) ??
    /^Log flushed up to\s+(\d{1,16})\s*$/m.exec(text) ?? [];
  const position = Number(digits);
  return digits !== undefined && Number.isSafeInteger(position) ? position : null;
}
