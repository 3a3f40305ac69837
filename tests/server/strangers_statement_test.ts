/** Statements and names of accounts that are meant to harm whoever looks at them. */
import { growOld } from "../support/aged.ts";
import assert from "node:assert/strict";
import { assertOneLine, testOnEachServer } from "../support/guest.ts";
import { connect } from "../support/server.ts";

/** What must never reach a terminal. */
// deno-lint-ignore no-control-regex
const OBEYED = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2028\u2029]/;

const MEGABYTES = 8;

testOnEachServer(
  "a statement of megabytes and an account with control characters are named in one plain line",
  async ({ server, sandbox, locktables, assertNothingLeft }) => {
    const name = "evil\u001b[31m\r\nname";
    const admin = await connect(server);
    await admin.query(`CREATE USER '${name}'@localhost`);
    await admin.query(`GRANT SELECT, UPDATE ON shop.* TO '${name}'@localhost`);
    await admin.query("INSERT INTO shop.orders VALUES ()");
    const evil = await connect(server, { user: name });
    const [own] = await evil.query("SELECT CONNECTION_ID() AS id");
    const padding = `/* ${"\u001b[2J x ".repeat(MEGABYTES * 1024 * 1024 / 8)} */`;
    const running = evil.query(
      `UPDATE shop.orders SET id = id WHERE SLEEP(60) = 0 AND '\u001b]0;title\u0007' <> '' ${padding}`,
    ).catch(() => {}); // it is killed
    try {
      await growOld(evil, admin);
      await sandbox.writeFile(
        "/root/.my.cnf",
        "[locktables]\nmethod=ftwrl\nfreeze_timeout=5s\nhold_timeout=3s\n",
      );
      const refused = await locktables("pre-freeze");
      assert.equal(refused.code, 10, refused.stderr);
      assertOneLine(refused, new RegExp(`id ${own?.["id"]} \\(evil \\[31m name, `));
      for (
        const { stdout, stderr } of [
          refused,
          await locktables("check"),
          await locktables("check", "--json"),
        ]
      ) {
        assert.doesNotMatch(stdout + stderr, OBEYED);
        assert.ok(stdout.length + stderr.length < 20_000, "megabytes are not repeated");
      }
    } finally {
      await admin.query(`KILL ${own?.["id"]}`);
      await running;
      await evil.close();
      await admin.query(`DROP USER '${name}'@localhost`);
      await admin.close();
    }
    await assertNothingLeft();
  },
);

testOnEachServer(
  "a long statement that takes rows for writing with its last words is waited for",
  async ({ server, sandbox, locktables, assertNothingLeft }) => {
    const admin = await connect(server);
    await admin.query("INSERT INTO shop.orders VALUES ()");
    const other = await connect(server);
    const [own] = await other.query("SELECT CONNECTION_ID() AS id");
    const running = other.query(
      `SELECT SLEEP(60) FROM shop.orders /* ${"x ".repeat(8 * 1024)} */ FOR UPDATE`,
    ).catch(() => {}); // it is killed
    try {
      await growOld(other, admin);
      await sandbox.writeFile("/root/.my.cnf", "[locktables]\nmethod=ftwrl\nfreeze_timeout=5s\n");
      const refused = await locktables("pre-freeze");
      assert.equal(refused.code, 10, refused.stderr);
      assertOneLine(refused, new RegExp(`Nothing was locked, .*id ${own?.["id"]} \\(root, `));
    } finally {
      await admin.query(`KILL ${own?.["id"]}`);
      await running;
      await other.close();
      await admin.close();
    }
    await assertNothingLeft();
  },
);
