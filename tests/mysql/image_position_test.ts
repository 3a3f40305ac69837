import assert from "node:assert/strict";

import {
  type Appliers,
  appliersOf,
  inexactPosition,
  lagsUnderStage,
  type PositionFacts,
} from "../../lib/mysql/image_position.ts";
import type { MethodName } from "../../lib/mysql/methods.ts";
import { replicaPositions } from "../../lib/mysql/topology.ts";
import { server } from "./servers.ts";

const PARALLEL: Appliers = { workers: 4, logsUpdates: true };
const SINGLE: Appliers = { workers: 0, logsUpdates: true };
const UNLOGGED: Appliers = { workers: 4, logsUpdates: false };

/** A replica with `server_id` 2 and one channel. */
function facts(
  version: string,
  appliers: Appliers,
  method: MethodName,
  gtid: Readonly<Record<string, string>>,
  channels = 1,
): PositionFacts {
  const replicas = replicaPositions(Array.from({ length: channels }, () => ({})));
  return {
    server: server(version),
    serverId: 2,
    appliers,
    method,
    coordinates: { gtid, replicas },
  };
}

const on10 = (
  appliers: Appliers,
  method: MethodName,
  slave: string,
  binlog: string,
  channels?: number,
) =>
  facts(
    "10.11.18-MariaDB",
    appliers,
    method,
    { gtid_slave_pos: slave, gtid_binlog_pos: binlog },
    channels,
  );

const CASES: readonly (readonly [sentence: string, PositionFacts, fields: string[] | null])[] = [
  [
    "parallel appliers under BACKUP STAGE with transactions on their way",
    on10(PARALLEL, "backup-stage", "0-1-100", "0-1-115"),
    ["gtid_slave_pos", "exec_source_log_pos"],
  ],
  [
    "parallel appliers under BACKUP STAGE that have arrived",
    on10(PARALLEL, "backup-stage", "0-1-115", "0-1-115"),
    null,
  ],
  [
    "one of two domains on its way",
    on10(PARALLEL, "backup-stage", "0-1-115,7-1-20", "0-1-115,7-1-21"),
    ["gtid_slave_pos", "exec_source_log_pos"],
  ],
  [
    "the first transaction of a domain on its way",
    on10(PARALLEL, "backup-stage", "0-1-115", "0-1-115,7-1-1"),
    ["gtid_slave_pos", "exec_source_log_pos"],
  ],
  [
    "a domain that only this server writes",
    on10(PARALLEL, "backup-stage", "0-1-115", "0-1-115,9-2-40"),
    null,
  ],
  [
    "a domain that this server shares with its source, its own transaction the last",
    on10(PARALLEL, "backup-stage", "0-1-115", "0-2-116"),
    ["gtid_slave_pos", "exec_source_log_pos"],
  ],
  [
    "the same with a single applier, which is never on its way under the lock",
    on10(SINGLE, "backup-stage", "0-1-115", "0-2-116"),
    null,
  ],
  ["FTWRL, which pauses the appliers", on10(PARALLEL, "ftwrl", "0-1-100", "0-1-115"), null],
  [
    "appliers that log nothing",
    on10(UNLOGGED, "backup-stage", "0-1-100", "0-2-3"),
    null,
  ],
  ["a source", on10(PARALLEL, "backup-stage", "", "0-2-50", 0), null],
  [
    "MySQL with workers and GTIDs",
    facts("9.7.4", PARALLEL, "ftwrl", { gtid_mode: "ON" }),
    ["exec_source_log_pos"],
  ],
  [
    "MySQL with workers and without GTIDs",
    facts("9.7.4", PARALLEL, "ftwrl", { gtid_mode: "OFF" }),
    ["exec_source_log_pos"],
  ],
  ["MySQL with a single thread", facts("5.7.44", SINGLE, "ftwrl", { gtid_mode: "OFF" }), null],
  ["MySQL that is no replica", facts("9.7.4", PARALLEL, "ftwrl", { gtid_mode: "ON" }, 0), null],
];

for (const [sentence, given, fields] of CASES) {
  Deno.test(`recorded positions: ${sentence} ${fields === null ? "are exact" : "are not all exact"}`, () => {
    assert.deepEqual(inexactPosition(given)?.fields ?? null, fields);
  });
}

Deno.test("only MySQL with GTIDs has something exact in the place of its position", () => {
  const instead = CASES.map(([, given]) => inexactPosition(given)?.exact_instead)
    .filter((field) => field !== undefined && field !== null);
  assert.deepEqual(instead, ["gtid_executed"]);
});

const VARIABLES: readonly (readonly [sentence: string, Record<string, string>, Appliers])[] = [
  [
    "MariaDB",
    { log_bin: "ON", log_slave_updates: "ON", slave_parallel_threads: "4" },
    PARALLEL,
  ],
  [
    "MySQL 9",
    { log_bin: "ON", log_replica_updates: "ON", replica_parallel_workers: "4" },
    PARALLEL,
  ],
  ["MySQL 5.7", { log_bin: "1", log_slave_updates: "1", slave_parallel_workers: "0" }, SINGLE],
  ["no binlog", { log_bin: "OFF", log_slave_updates: "ON", slave_parallel_threads: "4" }, UNLOGGED],
  ["a server that says nothing", {}, { workers: 0, logsUpdates: false }],
];

for (const [sentence, variables, expected] of VARIABLES) {
  Deno.test(`appliers are read from the variables of ${sentence}`, () => {
    assert.deepEqual(appliersOf(new Map(Object.entries(variables))), expected);
  });
}

Deno.test("only MariaDB's parallel appliers that log what they apply lag under BACKUP STAGE", () => {
  const mariadb = server("10.11.18-MariaDB");
  assert.equal(lagsUnderStage(mariadb, PARALLEL, true), true);
  assert.equal(lagsUnderStage(mariadb, PARALLEL, false), false);
  assert.equal(lagsUnderStage(mariadb, SINGLE, true), false);
  assert.equal(lagsUnderStage(mariadb, UNLOGGED, true), false);
  assert.equal(lagsUnderStage(server("9.7.4"), PARALLEL, true), false);
});
