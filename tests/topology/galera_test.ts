/** Windows on a node of a real Galera cluster: what the node does, and what the others notice. */
import assert from "node:assert/strict";
import { onlyLocker, sleep, until } from "../support/guest.ts";
import { startCluster, synced, wsrepStatus } from "../support/galera.ts";
import {
  ask,
  countRows,
  globalVariables,
  inserters,
  makeTable,
  type NodeGuest,
  openNodeGuest,
  TABLE,
} from "../support/node_guest.ts";
import { connect, type Server } from "../support/server.ts";
import { startStatementLoad } from "../support/statement_load.ts";

/** How long a window stays open here: the others commit some hundreds of transactions meanwhile. */
const HOLD_MS = 1_000;

/**
 * Longest stall of a node that nobody locks. A hundredth of it is usual; see replica_test.ts for
 * why this is no measurement of speed.
 */
const UNDISTURBED_MS = 1_000;

/** How long a released node may take to apply what it missed in {@linkcode HOLD_MS}. */
const CATCH_UP_MS = 10_000;

/** One transaction that a locked node has not applied yet. */
const INSERT = `INSERT INTO ${TABLE} (who) VALUES (2)`;

type Nodes = readonly [Server, Server, Server];

for (const method of ["backup-stage", "ftwrl"]) {
  testOnCluster(
    `a node is frozen under load, the other two go on, and it comes back (${method})`,
    async (nodes, guest) => {
      const [node, second, third] = nodes;
      await guest.sandbox.writeFile("/root/.my.cnf", `[locktables]\nmethod=${method}\n`);
      await makeTable(node);
      const before = await globalVariables(node);
      const loads = await Promise.all(nodes.map((on) => startStatementLoad(on, inserters(1))));
      let isStopped = false;
      const stop = async () => {
        if (isStopped) return;
        isStopped = true;
        await Promise.all(loads.map((load) => load.stop()));
      };
      try {
        await until("all nodes write", 5_000, async () => await countRows(node) > 50);
        const since = performance.now();
        const record = await guest.freeze();
        const [rows, othersRows] = [await countRows(node), await countRows(second)];
        const status = await wsrepStatus(node);
        await sleep(HOLD_MS);

        assert.equal(record.method, method);
        const { wsrep } = record.coordinates;
        assert.ok(wsrep !== null);
        assert.equal(wsrep.cluster_size, 3);
        assert.equal(wsrep.cluster_status, "Primary");
        assert.equal(wsrep.cluster_state_uuid, status["wsrep_cluster_state_uuid"]);
        assert.equal(String(wsrep.last_committed), status["wsrep_last_committed"]);
        assert.equal(
          wsrep.local_state_comment,
          "Donor/Desynced",
          "the lock itself desyncs the node",
        );
        assert.deepEqual(
          await whereItStands(node),
          [rows, String(wsrep.last_committed)],
          "nothing is applied under the lock",
        );
        const othersProgress = await countRows(second) - othersRows;
        assert.ok(othersProgress > 20, `the others go on: ${othersProgress} rows`);
        assert.equal((await wsrepStatus(third))["wsrep_local_state_comment"], "Synced");
        await guest.thaw();
        for (const load of loads.slice(1)) {
          assert.ok(load.longestMs(["client 0"], since) < UNDISTURBED_MS, "no other node waited");
        }
        assert.ok(
          (loads[0]?.longestMs(["client 0"], since) ?? 0) >= HOLD_MS,
          "the frozen node's own did",
        );

        await stop();
        assert.deepEqual(loads.flatMap((load) => load.errors()), []);
        await assertAllHave(nodes);
        assert.deepEqual(await globalVariables(node), before, "nothing was set globally");
        assert.equal((await wsrepStatus(node))["wsrep_desync_count"], "0");
      } finally {
        await stop();
      }
    },
  );
}

testOnCluster(
  "a node where every statement waits for the cluster is frozen and released all the same",
  async ([node, second], guest) => {
    await makeTable(node);
    await ask(node, "SET GLOBAL wsrep_sync_wait = 15");
    const load = await startStatementLoad(second, inserters(1));
    try {
      const started = performance.now();
      await guest.freeze();
      await sleep(300);
      await guest.thaw();
      // Each statement that waited would have taken the rest of the hold, or the 30 s of
      // repl.causal_read_timeout.
      assert.ok(performance.now() - started < 6_000);
    } finally {
      await load.stop();
    }
    await synced(node);
  },
);

testOnCluster(
  "a node where every statement waits for the cluster is let go of when the locker is stopped",
  async ([node, second], guest) => {
    await makeTable(node);
    await ask(node, "SET GLOBAL wsrep_sync_wait = 15");
    await guest.freeze();
    await ask(second, INSERT);
    Deno.kill(await onlyLocker(guest.sandbox), "SIGSTOP");
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 12);
    assert.match(thawed.stderr, /Its session on main has been killed/);
    await synced(node);
  },
);

testOnCluster(
  "a node that is not Synced is refused and left as it is",
  async ([node, second], guest) => {
    await makeTable(node);
    await ask(node, "SET GLOBAL wsrep_desync = ON");
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 10, frozen.stderr);
    assert.match(frozen.stderr, /Donor\/Desynced.*must be Synced.*wsrep_desync=OFF/);
    const [variable] = await ask(node, "SELECT @@global.wsrep_desync AS value");
    assert.equal(variable?.["value"], 1, "not ours to take back");
    await ask(node, "SET GLOBAL wsrep_desync = OFF");
    await synced(node);
    await guest.freeze();
    await guest.thaw();

    // A second FLUSH TABLES waits for the first without any limit that the server keeps, and so
    // does every SELECT and SHOW of a session that waits for the cluster.
    await ask(node, "SET GLOBAL wsrep_sync_wait = 15");
    const other = await connect(node);
    await other.query("FLUSH TABLES WITH READ LOCK");
    await ask(second, INSERT);
    const started = performance.now();
    const again = await guest.locktables("pre-freeze");
    assert.equal(again.code, 10, again.stderr);
    assert.match(again.stderr, /Donor\/Desynced/);
    assert.ok(performance.now() - started < 5_000, "refused at once, and not waited for");
    await other.close();
  },
);

testOnCluster(
  "a node that has lost its cluster is refused",
  async ([node, second, third], guest) => {
    await Promise.all([second.kill9(), third.kill9()]);
    // evs.suspect_timeout and evs.inactive_timeout: the node believes in the others for 5 to 15 s.
    await until(
      "the node stops",
      20_000,
      async () => (await wsrepStatus(node))["wsrep_ready"] === "OFF",
    );
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 10, frozen.stderr);
    assert.match(frozen.stderr, /non-Primary, not ready; it must be Synced, Primary and ready/);
  },
);

testOnCluster(
  "a node whose locker is killed comes back by itself",
  async ([node, second], guest) => {
    await makeTable(node);
    await guest.freeze();
    await ask(second, INSERT);
    assert.equal(await countRows(node), 0);
    Deno.kill(await onlyLocker(guest.sandbox), "SIGKILL");
    await until("the node has the row", 5_000, async () => await countRows(node) === 1);
    await synced(node);
    assert.equal((await guest.locktables("post-thaw")).code, 12);
  },
);

function testOnCluster(
  name: string,
  test: (nodes: Nodes, guest: NodeGuest) => Promise<void>,
): void {
  Deno.test(name, async () => {
    const cluster = await startCluster();
    try {
      const guest = await openNodeGuest(cluster.nodes[0]);
      try {
        await test(cluster.nodes, guest);
      } finally {
        await guest.close();
      }
    } finally {
      await cluster.stop();
    }
  });
}

async function whereItStands(node: Server): Promise<[rows: number, committed: string | undefined]> {
  return [await countRows(node), (await wsrepStatus(node))["wsrep_last_committed"]];
}

/** Waits until all nodes are Synced and have the same rows. */
async function assertAllHave(nodes: Nodes): Promise<void> {
  await until("all nodes have all rows", CATCH_UP_MS, async () => {
    const rows = await Promise.all(nodes.map(countRows));
    return new Set(rows).size === 1;
  });
  await Promise.all(nodes.map((node) => synced(node)));
}
