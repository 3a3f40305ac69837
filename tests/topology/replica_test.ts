/** Windows on replicas, with real sources: what is recorded, and whom the lock does not touch. */
import assert from "node:assert/strict";
import { replicaPositions } from "../../lib/mysql/topology.ts";
import type { ReplicaPosition } from "../../lib/window/coordinates.ts";
import { sleep, until } from "../support/guest.ts";
import {
  ask,
  askOne,
  countRows,
  globalVariables,
  inserters,
  makeTable,
  openNodeGuest,
} from "../support/node_guest.ts";
import {
  caughtUp,
  type ReplicaOptions,
  replicate,
  replicationArguments,
  startReplica,
  startSource,
} from "../support/replica.ts";
import { discard, type Server, type ServerKind, startServer } from "../support/server.ts";
import { startStatementLoad } from "../support/statement_load.ts";

/** How long a window stays open here: the source commits some dozens of transactions meanwhile. */
const HOLD_MS = 600;

/**
 * Longest stall of a source that nobody locks. A tenth of it is usual; two cores that run two
 * servers, a load and a snapshot's worth of processes are no place to measure speed.
 */
const UNDISTURBED_MS = 1_000;

const FOLLOWERS: readonly (readonly [sentence: string, kind: ServerKind, ReplicaOptions])[] = [
  ["MariaDB 10.11 by GTID", "mariadb", {}],
  ["MariaDB 10.11 by position, on a named connection", "mariadb", { gtid: false, channel: "east" }],
  ["MariaDB 11.8 by GTID, on a named connection", "mariadb-11.8", { channel: "east" }],
  ["MySQL by GTID, on a channel", "mysql", { channel: "east" }],
  ["MySQL by position", "mysql", { gtid: false }],
];

for (const [sentence, kind, options] of FOLLOWERS) {
  Deno.test(`a replica is frozen under load, its source is not, and it catches up (${sentence})`, async () => {
    await withReplica(kind, options, async (source, replica) => {
      const guest = await openNodeGuest(replica);
      const before = await globalVariables(replica);
      const load = await startStatementLoad(source, inserters(2));
      try {
        await until("the replica has rows", 5_000, async () => await countRows(replica) > 20);
        const since = performance.now();
        const record = await guest.freeze();
        const rows = await countRows(replica);
        const sourceRows = await countRows(source);
        const [shown] = await replicaStatus(replica);
        await sleep(HOLD_MS);

        assert.equal(await countRows(replica), rows, "nothing is applied under the lock");
        const [recorded] = record.coordinates.replicas;
        assert.ok(recorded !== undefined && shown !== undefined);
        assert.deepEqual(applied(recorded), applied(shown), "recorded is what the server says");
        assert.ok(recorded.exec_source_log_pos <= shown.exec_source_log_pos);
        assert.equal(record.coordinates.replicas.length, 1);
        assert.equal(recorded.channel, options.channel ?? "");
        assert.equal(recorded.source_port, Number(await askOne(source, "SELECT @@port")));
        assert.match(recorded.relay_source_log_file ?? "", /^binlog\.\d+$/);
        assert.deepEqual([recorded.io_running, recorded.sql_running], ["Yes", "Yes"]);
        assert.equal(byGtid(recorded), options.gtid ?? true);
        assert.ok(await countRows(source) > sourceRows, "the source goes on");
        await guest.thaw();
        assert.ok(load.longestMs(["client 0", "client 1"], since) < UNDISTURBED_MS);
      } finally {
        await load.stop();
        await guest.close();
      }
      assert.deepEqual(load.errors(), []);
      await caughtUp(replica, source);
      assert.equal(await countRows(replica), await countRows(source));
      const [after] = await replicaStatus(replica);
      assert.deepEqual([after?.io_running, after?.sql_running], ["Yes", "Yes"]);
      assert.deepEqual(await globalVariables(replica), before);
    });
  });
}

for (const kind of ["mariadb", "mysql"] as const) {
  Deno.test(`every channel of a replica with two sources is recorded (${kind})`, async () => {
    await using servers = new AsyncDisposableStack();
    const start = async (args: readonly string[]) => {
      const source = await startSource(kind, args);
      servers.defer(() => discard(source));
      return source;
    };
    const isMariadb = kind === "mariadb";
    const sources = await Promise.all([
      start(isMariadb ? ["--gtid-domain-id=1"] : []),
      start(isMariadb ? ["--gtid-domain-id=2"] : []),
    ]);
    const replica = await startServer(kind, { args: replicationArguments() });
    servers.defer(() => discard(replica));
    // MariaDB has one connection without a name beside named ones; MySQL names all of several.
    const channels = [isMariadb ? "" : "east", "west"];
    for (const [index, source] of sources.entries()) {
      await ask(source, `CREATE DATABASE shop_${index}`);
      await replicate(replica, source, channels[index] ? { channel: channels[index] } : {});
    }
    const guest = await openNodeGuest(replica);
    servers.defer(() => guest.close());

    const { coordinates } = await guest.freeze();
    await guest.thaw();
    const ports = await Promise.all(
      sources.map(async (source) => Number(await askOne(source, "SELECT @@port"))),
    );
    assert.deepEqual(
      coordinates.replicas.map(({ channel, source_port }) => [channel, source_port]).sort(),
      channels.map((channel, index) => [channel, ports[index]]).sort(),
    );
  });
}

for (const kind of ["mariadb", "mysql"] as const) {
  Deno.test(`a source waits for a semisynchronous replica's receipt, not for its lock (${kind})`, async () => {
    await withReplica(kind, { semisync: true }, async (source, replica) => {
      const guest = await openNodeGuest(replica);
      const load = await startStatementLoad(source, inserters(2));
      try {
        await until("semisync works", 5_000, async () => (await semisync(source)).yes > 20);
        const before = await semisync(source);
        const since = performance.now();
        await guest.freeze();
        const held = await semisync(source);
        await sleep(HOLD_MS);
        const late = await semisync(source);
        await guest.thaw();
        // The timeout of semisync is 10 s: one commit without a receipt would take that long.
        assert.ok(load.longestMs(["client 0", "client 1"], since) < UNDISTURBED_MS);
        assert.ok(late.yes > held.yes, "commits get their receipts while the replica is locked");
        assert.deepEqual([late.status, late.no], ["ON", before.no]);
      } finally {
        await load.stop();
        await guest.close();
      }
      await caughtUp(replica, source);
      assert.equal(await countRows(replica), await countRows(source));
    });
  });

  Deno.test(`a read-only server is frozen, and stays read-only (${kind})`, async () => {
    const server = await startServer(kind);
    try {
      await makeTable(server);
      const variable = kind === "mysql" ? "super_read_only" : "read_only";
      await ask(server, `SET GLOBAL ${variable} = ON`);
      const before = await globalVariables(server);
      const guest = await openNodeGuest(server);
      try {
        const record = await guest.freeze();
        assert.equal(record.read_only, true);
        assert.deepEqual(record.coordinates.replicas, []);
        assert.deepEqual(await globalVariables(server), before, "under the lock");
        await guest.thaw();
      } finally {
        await guest.close();
      }
      assert.equal(before[variable], "ON");
      assert.deepEqual(await globalVariables(server), before, "after it");
    } finally {
      await discard(server);
    }
  });
}

async function withReplica(
  kind: ServerKind,
  options: ReplicaOptions,
  test: (source: Server, replica: Server) => Promise<void>,
): Promise<void> {
  const source = await startSource(kind);
  try {
    await makeTable(source);
    const replica = await startReplica(kind, source, options, ["--read-only=ON"]);
    try {
      await test(source, replica);
    } finally {
      await discard(replica);
    }
  } finally {
    await discard(source);
  }
}

async function replicaStatus(replica: Server): Promise<ReplicaPosition[]> {
  const statement = replica.flavor === "mariadb" ? "SHOW ALL SLAVES STATUS" : "SHOW REPLICA STATUS";
  return replicaPositions(await ask(replica, statement));
}

/**
 * What must not move under a lock: what has been applied. Receiving goes on, and so does MySQL's
 * checkpoint, which is all that its Exec_Source_Log_Pos says with parallel workers.
 */
function applied({ relay_source_log_file, exec_source_log_pos, gtid }: ReplicaPosition) {
  const { gtid_slave_pos, executed_gtid_set } = gtid;
  return executed_gtid_set === undefined
    ? { relay_source_log_file, exec_source_log_pos, gtid_slave_pos }
    : { relay_source_log_file, executed_gtid_set };
}

function byGtid({ gtid }: ReplicaPosition): boolean {
  return gtid["using_gtid"] === "Slave_Pos" || gtid["auto_position"] === "1";
}

async function semisync(source: Server) {
  const rows = await ask(source, "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_%'");
  const value = (what: string) =>
    String(rows.find((row) => String(row["Variable_name"]).endsWith(what))?.["Value"]);
  const of = source.flavor === "mariadb" ? "_master" : "_source";
  return {
    status: value(`${of}_status`),
    yes: Number(value(`${of}_yes_tx`)),
    no: Number(value(`${of}_no_tx`)),
  };
}
