/** What we send to a server, as its general log shows it. */
import assert from "node:assert/strict";
import { testOnEachServer } from "../support/guest.ts";
import { connect } from "../support/server.ts";

testOnEachServer("every statement of ours carries our tag", async (guest) => {
  const admin = await connect(guest.server);
  const [self] = await admin.query("SELECT CONNECTION_ID() AS id");
  await admin.query("SET GLOBAL log_output='TABLE', GLOBAL general_log=1");
  for (
    const command of [["check"], ["pre-freeze"], ["post-thaw"], ["rehearse", "--hold", "100ms"]]
  ) {
    const { code, stderr } = await guest.locktables(...command);
    assert.equal(code, 0, `${command.join(" ")}: ${stderr}`);
  }
  await admin.query("SET GLOBAL general_log=0");
  const rows = await admin.query(
    `SELECT CONVERT(argument USING utf8mb4) AS argument FROM mysql.general_log WHERE command_type IN ('Query', 'Execute') AND thread_id<>${
      self?.["id"]
    }`,
  );
  await admin.close();
  const statements = rows.map((row) => String(row["argument"]));
  assert.ok(statements.length > 40, `${statements.length} statements`);
  assert.deepEqual(statements.filter((text) => !text.includes("/* locktables */")), []);
});

testOnEachServer(
  "without a binlog there is nothing to compare, and the record says so",
  async (guest) => {
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    const record = JSON.parse(await guest.sandbox.read("/var/lib/locktables/record.json"));
    assert.deepEqual(
      [record.verdict, record.instances[0].release_proof, record.instances[0].coordinates.log_bin],
      ["application-consistent", "same-session", false],
    );
  },
  ["--skip-log-bin"],
);
