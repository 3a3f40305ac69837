/** Statements that are old enough for the guard, by the server's own clock. */
import { until } from "./guest.ts";
import { connect, type Connection } from "./server.ts";

/** The servers count ages in whole seconds, and the guard minds a statement of one. */
const OLD_S = 1;

/** On a busy machine a statement begins late, so this does not count from when it was sent. */
const LIMIT_MS = 5_000;

/**
 * Waits until the server says that a session has been for a second in its statement, or idle.
 * @param admin asks; without it a session of root's own
 */
export async function growOld(
  session: Connection,
  admin?: Connection,
  state: "in a statement" | "idle" = "in a statement",
): Promise<void> {
  const asking = admin ?? await connect(session);
  await until(`session ${session.id} is ${state} for ${OLD_S} s`, LIMIT_MS, async () => {
    const list = await asking.query("SHOW PROCESSLIST");
    const row = list.find((row) => Number(row["Id"]) === session.id);
    // How long a session was idle says nothing of the statement that it has been sent.
    const isInState = (row?.["Command"] === "Sleep") === (state === "idle");
    return isInState && Number(row?.["Time"] ?? 0) >= OLD_S;
  });
  if (admin === undefined) await asking.close();
}
