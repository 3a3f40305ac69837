/** Statements that are old enough for the guard, by the server's own clock. */
import { until } from "./guest.ts";
import { connect, type Connection } from "./server.ts";

/** The servers count ages in whole seconds, and the guard minds a statement of one. */
const OLD_S = 1;

/** On a busy machine a statement begins late, so this does not count from when it was sent. */
const LIMIT_MS = 5_000;

/**
 * Waits until the server says that a session has been for a second in what it does.
 * @param admin asks; without it a session of root's own
 */
export async function growOld(session: Connection, admin?: Connection): Promise<void> {
  const asking = admin ?? await connect(session);
  await until(`session ${session.id} is ${OLD_S} s in its statement`, LIMIT_MS, async () => {
    const list = await asking.query("SHOW PROCESSLIST");
    return list.some((row) => Number(row["Id"]) === session.id && Number(row["Time"]) >= OLD_S);
  });
  if (admin === undefined) await asking.close();
}
