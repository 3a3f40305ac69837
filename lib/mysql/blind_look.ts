/** What the guard goes on without, and says so: a question that the server has refused. */
import { driverError } from "./errors.ts";

/** The account may not ask (SELECT on performance_schema): documented, and the same in each window. */
const DENIED = [1142, 1227];

/**
 * The answer, or `otherwise` where the server answers with an error; `noted` is then called with the
 * line for the record, unless the account may not ask at all.
 * @throws where the session itself does not answer: nothing more can be asked on it.
 */
export async function orBlind<T>(
  what: string,
  asked: () => Promise<T>,
  otherwise: T,
  noted: (line: string) => void,
): Promise<T> {
  try {
    return await asked();
  } catch (error) {
    const { errno, message } = driverError(error);
    if (errno === undefined) throw error;
    if (!DENIED.includes(errno)) {
      noted(
        `the guard did not see ${what}: error ${errno}: ${message}; what it does not see stops writers for up to lock_wait_timeout an attempt (guard-blind)`,
      );
    }
    return otherwise;
  }
}
