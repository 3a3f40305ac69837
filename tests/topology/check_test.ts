/** `check` on servers among others: replicas, a node of a cluster, a member of a group. */
import assert from "node:assert/strict";
import { assertProvoked, type CheckCase, checkIn, findingsOf } from "../support/check_guest.ts";
import { startCluster } from "../support/galera.ts";
import { startGroupMember } from "../support/group_replication.ts";
import { openNodeGuest } from "../support/node_guest.ts";
import { startReplica, startSource } from "../support/replica.ts";
import { connect, discard, type Flavor, type Server, startServer } from "../support/server.ts";
import { GALERA_CASES, GROUP_CASES, replicaCases } from "./check_cases.ts";

/** Tries the cases on a server, beside one that stands alone. */
async function tryAll(
  step: Deno.TestContext,
  server: Server,
  cases: readonly CheckCase[],
): Promise<void> {
  const alone = await startServer(server.flavor);
  const ordinary = await openNodeGuest(alone);
  const guest = await openNodeGuest(server);
  const admin = await connect(server);
  const { flavor } = server;
  try {
    const scene = {
      flavor,
      server,
      admin,
      sandbox: guest.sandbox,
      before: await checkIn(guest.sandbox),
    };
    for (const one of cases.filter(({ flavors = [flavor] }) => flavors.includes(flavor))) {
      await step.step(
        `${one.code}: ${one.name}`,
        () => assertProvoked(scene, one, ordinary.sandbox),
      );
    }
  } finally {
    await admin.close();
    await guest.close();
    await ordinary.close();
    await discard(alone);
  }
}

async function withReplica(
  flavor: Flavor,
  use: (source: Server, replica: Server) => Promise<void>,
): Promise<void> {
  const source = await startSource(flavor);
  try {
    // By position, on a named channel on MariaDB: what there is to be named is named.
    const channel = flavor === "mariadb" ? { channel: "east" } : {};
    const replica = await startReplica(flavor, source, { gtid: false, ...channel });
    try {
      await use(source, replica);
    } finally {
      await discard(replica);
    }
  } finally {
    await discard(source);
  }
}

for (const flavor of ["mariadb", "mysql"] as const) {
  Deno.test(`check finds what is wrong with a replica (${flavor})`, (step) =>
    withReplica(flavor, (source, replica) => tryAll(step, replica, replicaCases(source))));

  Deno.test(`a replica that is read-only is as it should be (${flavor})`, () =>
    withReplica(flavor, async (_source, replica) => {
      const guest = await openNodeGuest(replica);
      const admin = await connect(replica);
      try {
        await admin.query("SET GLOBAL read_only=ON");
        const report = await checkIn(guest.sandbox);
        assert.deepEqual(findingsOf(report, "read-only-left"), []);
        assert.equal(findingsOf(report, "replica").length, 1);
      } finally {
        await admin.close();
        await guest.close();
      }
    }));
}

Deno.test("check finds what is wrong with a node of a cluster", async (step) => {
  const cluster = await startCluster();
  try {
    await tryAll(step, cluster.nodes[0], GALERA_CASES);
    await step.step("a window on it is no trouble of the node", async () => {
      const guest = await openNodeGuest(cluster.nodes[0]);
      try {
        await guest.freeze();
        const report = await checkIn(guest.sandbox);
        assert.deepEqual(findingsOf(report, "galera-not-synced"), []);
        assert.equal(findingsOf(report, "window-open").length, 1);
        await guest.thaw();
      } finally {
        await guest.close();
      }
    });
  } finally {
    await cluster.stop();
  }
});

Deno.test("check finds what is wrong with a member of a group", async (step) => {
  const member = await startGroupMember();
  try {
    await tryAll(step, member, GROUP_CASES);
  } finally {
    await discard(member);
  }
});
