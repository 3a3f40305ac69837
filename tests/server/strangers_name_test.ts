/** The name that keeps two locktables off one server, and strangers that take it. */
import assert from "node:assert/strict";
import { assertOneLine, type Guest, testOnEachServer } from "../support/guest.ts";
import { openSandbox } from "../support/sandbox.ts";
import { connect } from "../support/server.ts";

/** Longest time until a killed session's writers go on; the server's own limit is 10 s. */
const FREED_LIMIT_MS = 5_000;

const MALLORY =
  /session \d+ \(mallory at localhost\) has the name of locktables and is not locktables.*KILL \d+/;

/** An account that may do nothing has the name. */
async function withMallory({ server }: Guest, use: () => Promise<void>): Promise<void> {
  const admin = await connect(server);
  await admin.query("CREATE USER mallory@localhost");
  const mallory = await connect(server, { user: "mallory" });
  try {
    await mallory.query("SELECT GET_LOCK('locktables', 0)");
    await use();
  } finally {
    await mallory.close();
    await admin.query("DROP USER mallory@localhost");
    await admin.close();
  }
}

testOnEachServer("an account without rights keeps no window from opening", async (guest) => {
  await withMallory(guest, async () => {
    const opened = await guest.locktables("pre-freeze");
    assert.equal(opened.code, 0, opened.stderr);
    assertOneLine(opened, MALLORY);
    const { window } = await guest.status();
    assert.match(window?.warnings.join() ?? "", MALLORY);
    const closed = await guest.locktables("post-thaw");
    assert.equal(closed.code, 0, closed.stderr);
    assert.match(closed.stdout, /application-consistent/);
  });
  await guest.assertNothingLeft();
});

testOnEachServer(
  "a stopped locker's session is ended where a stranger has the name",
  async (guest) => {
    await withMallory(guest, async () => {
      assert.equal((await guest.locktables("pre-freeze")).code, 0);
      Deno.kill(await guest.lockerPid(), "SIGSTOP");
      const write = await guest.write();
      const closed = await guest.locktables("post-thaw");
      assert.equal(closed.code, 12, closed.stdout);
      assertOneLine(closed, /Its session on main has been killed, writers go on/);
      await write.finished(FREED_LIMIT_MS);
      Deno.kill(await guest.lockerPid(), "SIGKILL");
    });
  },
);

testOnEachServer(
  "two locktables exclude each other, and the second names the first",
  async (guest) => {
    const other = await openSandbox();
    try {
      await other.bindServer(guest.server);
      assert.equal((await guest.locktables("pre-freeze")).code, 0);
      const id = (await guest.status()).window?.instances[0]?.connection_id;
      const refused = await other.run([other.binary, "pre-freeze"]);
      assert.equal(refused.code, 11, refused.stdout);
      assertOneLine(
        refused,
        new RegExp(
          `Another locktables has a window open .*: session ${id} \\(root at localhost\\)`,
        ),
      );
      assert.equal((await guest.locktables("post-thaw")).code, 0);
      assert.equal((await other.run([other.binary, "pre-freeze"])).code, 0);
      assert.equal((await other.run([other.binary, "post-thaw"])).code, 0);
    } finally {
      await other.close();
    }
  },
);
