import assert from "node:assert/strict";
import { sessionSettingsFor, setStatement } from "../../lib/mysql/session_settings.ts";

const GREETINGS: readonly (readonly [greeted: string | undefined, has: string, hasNot: string])[] =
  [
    ["5.6.24-log", "tx_isolation", "max_execution_time transaction_isolation max_statement_time"],
    ["5.7.44-log", "transaction_isolation max_execution_time", "group_replication_consistency"],
    ["8.0.36", "group_replication_consistency terminology_use_previous", "tx_isolation old_mode"],
    ["9.7.4-2", "max_execution_time session_track_gtids", "wsrep_sync_wait max_statement_time"],
    [
      "10.5.23-MariaDB-log",
      "wsrep_sync_wait tx_isolation",
      "max_execution_time session_track_gtids",
    ],
    [
      "11.8.9-MariaDB-4 from Debian",
      "transaction_isolation max_tmp_session_space_usage",
      "tx_isolation",
    ],
    ["what is this", "sql_select_limit sql_mode", "max_statement_time wsrep_sync_wait"],
    [undefined, "sql_select_limit sql_mode", "max_statement_time wsrep_sync_wait"],
  ];

Deno.test("a session sets what its server has", () => {
  for (const [greeted, has, hasNot] of GREETINGS) {
    const { known } = sessionSettingsFor(greeted);
    const names = known.map(({ name }) => name);
    for (const name of has.split(" ")) assert.ok(names.includes(name), `${greeted}: ${name}`);
    for (const name of hasNot.split(" ")) assert.ok(!names.includes(name), `${greeted}: ${name}`);
    assert.equal(new Set(names).size, names.length, `${greeted}: each once`);
  }
});

Deno.test("only MariaDB is known to have the cluster's variable, others may have it", () => {
  assert.deepEqual(sessionSettingsFor("10.11.19-MariaDB").perhaps, []);
  assert.deepEqual(
    sessionSettingsFor("8.0.36-28.1").perhaps.map(({ name }) => name),
    ["wsrep_sync_wait"],
  );
});

/** The least that `net_buffer_length` and `max_allowed_packet` may be set to. */
const SMALLEST_PACKET_BYTES = 1_024;

Deno.test("the statement reads alike in every sql_mode and fits into the smallest packet", () => {
  for (const [greeted] of GREETINGS) {
    const sql = setStatement(sessionSettingsFor(greeted).known);
    assert.match(sql, /^SET \/\* locktables \*\/ SESSION [a-z_]+=/);
    assert.doesNotMatch(sql, /["\\|`]/);
    assert.ok(sql.length < SMALLEST_PACKET_BYTES, `${greeted}: ${sql.length} bytes`);
  }
});
