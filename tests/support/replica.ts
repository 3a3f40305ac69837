/** Real asynchronous and semisynchronous replicas of throwaway servers, over loopback TCP. */

import assert from "node:assert/strict";
import {
  connect,
  discard,
  LOOPBACK,
  networkArguments,
  type Server,
  type ServerKind,
  startServer,
} from "./server.ts";

/** How a replica follows its source. */
export interface ReplicaOptions {
  /** Name of the channel (MySQL) or connection (MariaDB); default: the one without a name. */
  readonly channel?: string;
  /** Whether the replica finds its place by GTID (default) or by binlog file and position. */
  readonly gtid?: boolean;
  /** Whether the source waits until the replica has received a transaction. */
  readonly semisync?: boolean;
}

/** The account that replicas log in with. Without a password: with one MySQL wants keys or TLS. */
const REPLICATION_USER = "replica";

/** Bound of a replica's first look at its source, and of each catching up. */
const CATCH_UP_TIMEOUT_S = 20;

/** Every server of a topology needs a number of its own; 1 is every server's that says nothing. */
let lastServerId = 100;

/** Arguments that make a server able to be a source or a replica. */
export function replicationArguments(): string[] {
  lastServerId += 1;
  return [...networkArguments(), `--server-id=${lastServerId}`];
}

/** Starts a server that others can replicate from. */
export async function startSource(
  kind: ServerKind,
  args: readonly string[] = [],
): Promise<Server> {
  return await startServer(kind, { args: [...replicationArguments(), ...args] });
}

/** Starts a replica of a source and returns when it has everything. */
export async function startReplica(
  kind: ServerKind,
  source: Server,
  options: ReplicaOptions = {},
  args: readonly string[] = [],
): Promise<Server> {
  const replica = await startServer(kind, { args: [...replicationArguments(), ...args] });
  try {
    await replicate(replica, source, options);
    return replica;
  } catch (error) {
    await discard(replica);
    throw error;
  }
}

/** Makes a running server a replica of a source, and waits until it has everything. */
export async function replicate(
  replica: Server,
  source: Server,
  options: ReplicaOptions = {},
): Promise<void> {
  const from = await connect(source);
  const at = await connect(replica);
  try {
    const [listens] = await from.query("SELECT @@skip_networking AS no, @@port AS port");
    assert.equal(listens?.["no"], 0, "the source was started with replicationArguments()");
    const port = Number(listens?.["port"]);
    await from.query(`CREATE USER IF NOT EXISTS '${REPLICATION_USER}'@'${LOOPBACK}'`);
    await from.query(`GRANT REPLICATION SLAVE ON *.* TO '${REPLICATION_USER}'@'${LOOPBACK}'`);
    const [first] = await from.query("SHOW BINARY LOGS");
    const start = { port, file: String(first?.["Log_name"]) };
    if (options.semisync) {
      for (const statement of SEMISYNC[source.flavor].source) await from.query(statement);
      for (const statement of SEMISYNC[replica.flavor].replica) await at.query(statement);
    }
    const statements = replica.flavor === "mariadb"
      ? mariadbStatements(start, options)
      : mysqlStatements(start, options);
    for (const statement of statements) await at.query(statement);
  } finally {
    await from.close();
    await at.close();
  }
  await caughtUp(replica, source);
}

interface Start {
  readonly port: number;
  /** The source's oldest binlog. */
  readonly file: string;
}

function mariadbStatements({ port, file }: Start, options: ReplicaOptions): string[] {
  const name = options.channel === undefined ? "" : `'${options.channel}' `;
  const place = options.gtid ?? true
    ? "MASTER_USE_GTID=slave_pos"
    : `MASTER_USE_GTID=no, MASTER_LOG_FILE='${file}', MASTER_LOG_POS=4`;
  return [
    `CHANGE MASTER ${name}TO MASTER_HOST='${LOOPBACK}', MASTER_PORT=${port},
      MASTER_USER='${REPLICATION_USER}', MASTER_CONNECT_RETRY=1, ${place}`,
    `START SLAVE ${name}`,
  ];
}

function mysqlStatements({ port, file }: Start, options: ReplicaOptions): string[] {
  const channel = `FOR CHANNEL '${options.channel ?? ""}'`;
  const place = options.gtid ?? true
    ? "SOURCE_AUTO_POSITION=1"
    : `SOURCE_AUTO_POSITION=0, SOURCE_LOG_FILE='${file}', SOURCE_LOG_POS=4`;
  return [
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${LOOPBACK}', SOURCE_PORT=${port},
      SOURCE_USER='${REPLICATION_USER}', SOURCE_CONNECT_RETRY=1,
      SOURCE_RETRY_COUNT=1000, SOURCE_SSL=0, ${place} ${channel}`,
    `START REPLICA ${channel}`,
  ];
}

/** Built into MariaDB; two plugins on MySQL. */
const SEMISYNC = {
  mariadb: {
    source: ["SET GLOBAL rpl_semi_sync_master_enabled = ON"],
    replica: ["SET GLOBAL rpl_semi_sync_slave_enabled = ON"],
  },
  mysql: {
    source: [
      "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'",
      "SET GLOBAL rpl_semi_sync_source_enabled = ON",
    ],
    replica: [
      "INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'",
      "SET GLOBAL rpl_semi_sync_replica_enabled = ON",
    ],
  },
} as const;

/** Waits until a replica has applied everything that its source has committed by now. */
export async function caughtUp(replica: Server, source: Server): Promise<void> {
  const from = await connect(source);
  const at = await connect(replica);
  try {
    const isMariadb = source.flavor === "mariadb";
    const [end] = await from.query(
      `SELECT @@global.${isMariadb ? "gtid_binlog_pos" : "gtid_executed"} AS gtid`,
    );
    const wait = isMariadb ? "MASTER_GTID_WAIT" : "WAIT_FOR_EXECUTED_GTID_SET";
    const [waited] = await at.query(
      `SELECT ${wait}('${end?.["gtid"]}', ${CATCH_UP_TIMEOUT_S}) AS late`,
    );
    if (Number(waited?.["late"]) !== 0) {
      const shown = await at.query(isMariadb ? "SHOW ALL SLAVES STATUS" : "SHOW REPLICA STATUS");
      assert.fail(`not caught up within ${CATCH_UP_TIMEOUT_S} s: ${JSON.stringify(shown)}`);
    }
  } finally {
    await from.close();
    await at.close();
  }
}
