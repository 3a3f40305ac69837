/** Says regularly that a session is alive, so that its `wait_timeout` ends it only when it is not. */
import { driverError } from "./errors.ts";
import type { Session } from "./session.ts";

/**
 * The dead man's switch, in seconds: the server drops the lock session, and with it the
 * lock, when it has heard nothing for so long (`wait_timeout`). This is what frees the
 * writers when the locker is stopped or starved. Four missed keepalives: long enough for
 * a guest whose disks have just been frozen or whose CPU was taken away for a moment.
 */
export const WAIT_TIMEOUT_S = 10;

/** How often, in milliseconds: a quarter of the switch. */
const KEEPALIVE_MS = WAIT_TIMEOUT_S * 1000 / 4;

/** DO is refused on a Galera node that has lost its cluster (1047), SELECT without a table is not. */
export const KEEPALIVE = "SELECT /* locktables */ 1";

/** Longest wait for the answer to a keepalive; beyond it the lock is not proven any more. */
export const KEEPALIVE_LIMIT_MS = 2_000;

/**
 * Begins.
 * @param isPaused asked each time: behind a waiting lock statement it would only queue up
 * @param onSilent called each time that the session does not answer
 * @returns ends it
 */
export function keepAlive(
  session: Session,
  isPaused: () => boolean,
  onSilent: (why: string) => void,
): () => void {
  const timer = setInterval(async () => {
    if (isPaused() || session.isClosed()) return;
    try {
      await session.query(KEEPALIVE, KEEPALIVE_LIMIT_MS);
    } catch (error) {
      onSilent(driverError(error).message);
    }
  }, KEEPALIVE_MS);
  return () => clearInterval(timer);
}
