/** A real replication group of one MySQL server: enough to be recognised as a member. */

import { connect, discard, freePort, LOOPBACK, type Server, startServer } from "./server.ts";
import { replicationArguments } from "./replica.ts";

/** Bound of forming a group of one; about 3 s on a quiet machine. */
const ONLINE_TIMEOUT_MS = 30_000;

/** How often the member is asked for its state. */
const POLL_MS = 100;

/** Starts a server that has bootstrapped a group and is its ONLINE primary. */
export async function startGroupMember(): Promise<Server> {
  const address = `${LOOPBACK}:${freePort()}`;
  const server = await startServer("mysql", {
    args: [
      ...replicationArguments(),
      "--gtid-mode=ON",
      "--enforce-gtid-consistency=ON",
      "--plugin-load-add=group_replication.so",
      `--loose-group-replication-group-name=${crypto.randomUUID()}`,
      "--loose-group-replication-start-on-boot=OFF",
      `--loose-group-replication-local-address=${address}`,
      `--loose-group-replication-group-seeds=${address}`,
      `--loose-group-replication-ip-allowlist=${LOOPBACK}`,
      "--loose-group-replication-ssl-mode=DISABLED",
    ],
  });
  try {
    await bootstrap(server);
    return server;
  } catch (error) {
    await discard(server);
    throw error;
  }
}

async function bootstrap(server: Server): Promise<void> {
  const session = await connect(server);
  try {
    await session.query("SET GLOBAL group_replication_bootstrap_group=ON");
    await session.query("START GROUP_REPLICATION");
    await session.query("SET GLOBAL group_replication_bootstrap_group=OFF");
    const deadline = performance.now() + ONLINE_TIMEOUT_MS;
    while (true) {
      const [row] = await session.query(
        "SELECT MEMBER_STATE AS state FROM performance_schema.replication_group_members",
      );
      if (row?.["state"] === "ONLINE") return;
      if (performance.now() > deadline) throw new Error(`The member is ${row?.["state"]}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } finally {
    await session.close();
  }
}
