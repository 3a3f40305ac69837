import assert from "node:assert/strict";

import {
  galeraRefusal,
  groupMember,
  rejectingRefusal,
  replicaPositions,
  wsrepPosition,
} from "../../lib/mysql/topology.ts";
import type { Row } from "../../lib/mysql/session.ts";
import { server } from "./servers.ts";

Deno.test("replicas: MySQL's rows, with their long GTID sets in one line", () => {
  const row = {
    Source_Host: "127.0.0.1",
    Source_Port: 40341,
    Source_Log_File: "binlog.000003",
    Read_Source_Log_Pos: 1314,
    Relay_Source_Log_File: "binlog.000001",
    Exec_Source_Log_Pos: "9178648000",
    Replica_IO_Running: "Connecting",
    Replica_SQL_Running: "Yes",
    Seconds_Behind_Source: null,
    Retrieved_Gtid_Set: "",
    Executed_Gtid_Set: "a:1-5,\nb:1-2",
    Auto_Position: 1,
    Channel_Name: "east",
  };
  assert.deepEqual(replicaPositions([row]), [{
    channel: "east",
    source_host: "127.0.0.1",
    source_port: 40341,
    relay_source_log_file: "binlog.000001",
    exec_source_log_pos: 9_178_648_000,
    gtid: { auto_position: "1", retrieved_gtid_set: "", executed_gtid_set: "a:1-5,b:1-2" },
    io_running: "Connecting",
    sql_running: "Yes",
    seconds_behind: null,
  }]);
});

Deno.test("replicas: every row of MariaDB's SHOW ALL SLAVES STATUS, named or not", () => {
  const row = {
    Connection_name: "",
    Master_Host: "db1",
    Master_Port: 3306,
    Relay_Master_Log_File: "binlog.000001",
    Exec_Master_Log_Pos: 1155,
    Slave_IO_Running: "Yes",
    Slave_SQL_Running: "No",
    Seconds_Behind_Master: 0,
    Using_Gtid: "Slave_Pos",
    Gtid_IO_Pos: "0-101-5",
    Gtid_Slave_Pos: "0-101-5",
  };
  const positions = replicaPositions([row, { ...row, Connection_name: "west" }]);
  assert.deepEqual(positions.map(({ channel }) => channel), ["", "west"]);
  assert.deepEqual(positions[0], {
    channel: "",
    source_host: "db1",
    source_port: 3306,
    relay_source_log_file: "binlog.000001",
    exec_source_log_pos: 1155,
    gtid: { using_gtid: "Slave_Pos", gtid_io_pos: "0-101-5", gtid_slave_pos: "0-101-5" },
    io_running: "Yes",
    sql_running: "No",
    seconds_behind: 0,
  });
});

Deno.test("replicas: MySQL before 8.0.22 says Master and Slave, and has channels", () => {
  const [position] = replicaPositions([{
    Master_Host: "db1",
    Master_Port: 3306,
    Relay_Master_Log_File: "",
    Exec_Master_Log_Pos: 0,
    Slave_IO_Running: "No",
    Slave_SQL_Running: "No",
    Seconds_Behind_Master: null,
    Executed_Gtid_Set: "",
    Channel_Name: "",
  }]);
  assert.equal(position?.relay_source_log_file, null, "nothing received yet");
  assert.equal(position?.source_host, "db1");
  assert.deepEqual(position?.gtid, { executed_gtid_set: "" });
});

Deno.test("replicas: a server that replicates from nobody has none", () => {
  assert.deepEqual(replicaPositions([]), []);
});

/** SHOW GLOBAL STATUS LIKE 'wsrep%', as MariaDB 10.11 answers on a node. */
const NODE: Readonly<Record<string, string>> = {
  wsrep_local_state_uuid: "46aaf596-c30c-467f-80cf-e1fd09b4b6f2",
  wsrep_cluster_state_uuid: "46aaf596-c30c-467f-80cf-e1fd09b4b6f2",
  wsrep_last_committed: "1034",
  wsrep_local_state_comment: "Synced",
  wsrep_cluster_size: "3",
  wsrep_cluster_status: "Primary",
  wsrep_ready: "ON",
};

function statusRows(status: Readonly<Record<string, string>>): Row[] {
  return Object.entries(status).map(([Variable_name, Value]) => ({ Variable_name, Value }));
}

Deno.test("wsrep: a node's position is its cluster's UUID and what it has committed", () => {
  assert.deepEqual(wsrepPosition(statusRows(NODE)), {
    cluster_state_uuid: "46aaf596-c30c-467f-80cf-e1fd09b4b6f2",
    last_committed: 1034,
    cluster_size: 3,
    cluster_status: "Primary",
    local_state_comment: "Synced",
    ready: true,
  });
});

Deno.test("wsrep: a server that is no node has none", () => {
  assert.equal(wsrepPosition([]), null, "MySQL");
  // MariaDB without a provider.
  const idle = {
    wsrep_cluster_size: "0",
    wsrep_cluster_status: "Disconnected",
    wsrep_ready: "OFF",
  };
  assert.equal(wsrepPosition(statusRows(idle)), null);
  assert.equal(galeraRefusal(null, server("10.11.19-MariaDB"), "/run/mysqld/mysqld.sock"), null);
});

const STATES: readonly (readonly [
  sentence: string,
  status: Readonly<Record<string, string>>,
  refusal: RegExp | null,
])[] = [
  ["Synced is locked", {}, null],
  [
    "desynced is refused, with the way back",
    { wsrep_local_state_comment: "Donor/Desynced" },
    /is Donor\/Desynced, Primary, ready; .* wsrep_desync=OFF/,
  ],
  ["still joining is refused", { wsrep_local_state_comment: "Joined" }, /is Joined/],
  [
    "cut off from the others is refused, and not told to set anything",
    {
      wsrep_local_state_comment: "Initialized",
      wsrep_cluster_status: "non-Primary",
      wsrep_ready: "OFF",
    },
    /is Initialized, non-Primary, not ready; (?!.*wsrep_desync)/,
  ],
  ["Synced without being ready is refused", { wsrep_ready: "OFF" }, /Synced, Primary, not ready/],
];

for (const [sentence, status, expected] of STATES) {
  Deno.test(`wsrep: a node that is ${sentence}`, () => {
    const refused = galeraRefusal(
      wsrepPosition(statusRows({ ...NODE, ...status })),
      server("10.11.19-MariaDB"),
      "/run/mysqld/mysqld.sock",
    );
    if (expected === null) return assert.equal(refused, null);
    assert.deepEqual([refused?.code, refused?.reason], [10, "galera-not-synced"]);
    assert.match(`${refused?.summary} ${refused?.hint}`, expected);
    assert.match(refused?.summary ?? "", /\/run\/mysqld\/mysqld\.sock/);
  });
}

Deno.test("wsrep: a node that is kept from taking statements is refused, any other is not", () => {
  const ask = (setting?: string) =>
    rejectingRefusal(setting, server("10.11.19-MariaDB"), "/run/mysqld/mysqld.sock");
  assert.deepEqual([ask(), ask("NONE")], [null, null]);
  const refused = ask("ALL_KILL");
  assert.deepEqual([refused?.code, refused?.reason], [20, "galera-not-ready"]);
  assert.match(refused?.summary ?? "", /wsrep_reject_queries=ALL_KILL; it must be NONE/);
});

Deno.test("group: a member is known by its state, role and view", () => {
  const row = {
    CHANNEL_NAME: "group_replication_applier",
    MEMBER_ID: "14189203-e6a9-11f1-b337-02fc00000001",
    MEMBER_STATE: "ONLINE",
    MEMBER_ROLE: "PRIMARY",
    VIEW_ID: "17953749292017468:1",
  };
  assert.deepEqual(groupMember([row]), {
    member_state: "ONLINE",
    member_role: "PRIMARY",
    view_id: "17953749292017468:1",
  });
});

Deno.test("group: a member that has been stopped is one, without a role and a view", () => {
  const row = {
    MEMBER_ID: "19147a07-e6a9-11f1-be70-02fc00000001",
    MEMBER_STATE: "OFFLINE",
    MEMBER_ROLE: "",
    VIEW_ID: null,
  };
  assert.deepEqual(groupMember([row]), { member_state: "OFFLINE", member_role: "", view_id: "" });
});

Deno.test("group: a server without the plugin, or with one that never ran, is in none", () => {
  assert.equal(groupMember([]), null);
  assert.equal(groupMember([{ MEMBER_ID: "", MEMBER_STATE: "OFFLINE" }]), null);
});
