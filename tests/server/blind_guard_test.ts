/** A server that answers the guard's question with an error, as one does whose tmpdir is gone or full. */
import assert from "node:assert/strict";
import type { Report } from "../support/check_guest.ts";
import { openGuest } from "../support/guest.ts";
import { connect } from "../support/server.ts";

const WARNING = /main: the guard did not see the process list: error \d+: .*guard-blind/;

Deno.test("a question that the server refuses costs a warning, not the window (mariadb)", async () => {
  // MariaDB writes a process list with long statements to a temporary file.
  const tmpdir = await Deno.makeTempDir({ prefix: "lt-tmpdir-" });
  const guest = await openGuest("mariadb", [`--tmpdir=${tmpdir}`]);
  try {
    await Deno.remove(tmpdir, { recursive: true });
    const admin = await connect(guest.server);
    await assert.rejects(
      admin.query("SELECT id, info FROM information_schema.processlist"),
      "the server cannot answer",
    );
    await admin.close();

    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 0, frozen.stderr);
    assert.match(frozen.stderr, WARNING);
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    const { last } = await guest.status();
    assert.equal(last?.verdict, "application-consistent");
    assert.ok(last?.warnings.some((line) => WARNING.test(line)), `${last?.warnings}`);

    const checked = await guest.locktables("check", "--json");
    const report: Report = JSON.parse(checked.stdout);
    const blind = report.findings.filter(({ code }) => code === "guard-blind");
    assert.match(blind[0]?.title ?? "", WARNING, checked.stdout);
  } finally {
    await guest.close();
    await Deno.remove(tmpdir, { recursive: true }).catch(() => {}); // it is gone already
  }
});
