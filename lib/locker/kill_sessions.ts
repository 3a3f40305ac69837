/** Ends the sessions of a locker that cannot do it itself any more. */
import { parseCaller } from "../callers/table.ts";
import { WAIT_TIMEOUT_S } from "../mysql/keepalive.ts";
import { killLockSession } from "../mysql/kill.ts";
import { isRefusal } from "../base/refusal.ts";
import type { WindowRecord } from "../window/record.ts";
import { readSettings } from "./main.ts";

/**
 * Kills the lock sessions that a window's record names, so that no client has to wait for
 * `wait_timeout` or `lock_wait_timeout`: a stopped locker still has its sessions, and a killed one
 * leaves a waiting FTWRL on MySQL. Says for each instance what came of it.
 */
export async function killSessions(window: WindowRecord): Promise<string> {
  const read = readSettings(parseCaller(window.caller));
  const results = await Promise.all(window.instances.map(async (instance) => {
    const settings = isRefusal(read)
      ? undefined
      : read.settings.instances.find((one) => one.name === instance.name);
    const why = settings === undefined ? "the option file has changed" : await killLockSession(
      { ...settings.connection, socket: instance.socket },
      instance.connection_id,
    );
    return why === null
      ? `Its session on ${instance.name} has been killed, writers go on`
      : `Its session on ${instance.name} could not be killed (${why}); the server drops it within ${WAIT_TIMEOUT_S} s`;
  }));
  return results.join("; ");
}
