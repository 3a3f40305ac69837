/** Ends sessions from outside. */
import { sleep } from "../base/sleep.ts";
import { driverError } from "./errors.ts";
import { KILL_LIMIT_MS } from "./limits.ts";
import { isLockSession } from "./server_name.ts";
import { openSession, type Session } from "./session.ts";

/** ER_NO_SUCH_THREAD: the session that was to be killed has ended already. */
export const NO_SUCH_THREAD = 1094;

/**
 * Ends the lock session from outside and waits until the server has forgotten it: dropping
 * the socket does not cancel a waiting FTWRL on MySQL
 * (`docs/locking.md#12-how-lock_wait_timeout-bounds-it`). An account may kill its own sessions
 * without any privilege.
 */
export async function kill(control: Session, session: Session): Promise<void> {
  const deadline = performance.now() + KILL_LIMIT_MS;
  try {
    await control.query(`KILL /* locktables */ ${session.id}`, KILL_LIMIT_MS);
    while (performance.now() < deadline) {
      const rows = await control.query("SHOW /* locktables */ PROCESSLIST", KILL_LIMIT_MS);
      if (!rows.some((row) => Number(row["Id"]) === session.id)) return;
      await sleep(10);
    }
  } catch {
    // 1094 (no such session) is the end that was wanted. Where the control session does not
    // answer either, closing both sockets and the server's own timeouts are what is left.
  }
}

/**
 * Ends a lock session whose locker does not answer, so that the clients need not wait for
 * `wait_timeout`. Null when it is gone, else why it may not be.
 */
export async function killLockSession(
  login: { socket: string; user: string; password: string | null },
  id: number,
): Promise<string | null> {
  try {
    const session = await openSession({ ...login, limitMs: KILL_LIMIT_MS, onLost: () => {} });
    try {
      if (!await isLockSession(session, id, KILL_LIMIT_MS)) return null;
      await session.query(`KILL /* locktables */ ${id}`, KILL_LIMIT_MS);
    } finally {
      session.close();
    }
    return null;
  } catch (error) {
    const { errno, message } = driverError(error);
    return errno === NO_SUCH_THREAD ? null : message;
  }
}
