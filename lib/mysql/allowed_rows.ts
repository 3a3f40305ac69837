/** Questions that may stay without an answer. */
import { driverError } from "./errors.ts";
import { QUERY_LIMIT_MS } from "./limits.ts";
import type { Row, Session } from "./session.ts";

/**
 * The rows of a statement; null where the account may not ask, or the server does not know it.
 * @throws where there is no answer at all, which has no error number: the next question finds that out as well
 */
export async function allowedRows(
  session: Session,
  statement: string,
  limitMs = QUERY_LIMIT_MS,
): Promise<readonly Row[] | null> {
  try {
    return await session.query(statement, limitMs);
  } catch (error) {
    if (driverError(error).errno === undefined) throw error;
    return null;
  }
}
