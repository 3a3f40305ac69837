/** A statement that nobody may lock behind: what makes pre-freeze wait, and then refuse. */
import { growOld } from "./aged.ts";
import type { Guest } from "./guest.ts";
import { connect } from "./server.ts";

/** A statement that runs until it is ended. */
export interface Blocker {
  /** Id of its session, which the refusal names. */
  readonly id: number;
  end(): Promise<void>;
}

/** Has FTWRL lock, which waits for it on both servers, and returns once the guard minds it. */
export async function openBlocker(guest: Guest, options = ""): Promise<Blocker> {
  await guest.sandbox.writeFile("/root/.my.cnf", `[locktables]\nmethod=ftwrl\n${options}\n`);
  const session = await connect(guest.server);
  await session.query("INSERT INTO shop.orders VALUES ()");
  const statement = session.query("SELECT id, SLEEP(60) FROM shop.orders LIMIT 1 FOR UPDATE");
  statement.catch(() => {}); // it is killed below
  await growOld(session);
  return {
    id: session.id,
    async end() {
      const admin = await connect(guest.server);
      await admin.query(`KILL ${session.id}`);
      await admin.close();
      await session.close();
      await guest.sandbox.sh("rm -f /root/.my.cnf");
    },
  };
}
