/** One privilege at a time: what an account lacks is told before the lock, with the very GRANT. */
import assert from "node:assert/strict";
import { assertOneLine, type Guest, testOnEachServer } from "../support/guest.ts";
import { connect, type Connection, type Flavor } from "../support/server.ts";

/** The least that a window needs, and the guard's, by flavor. */
const RIGHTS: Readonly<Record<Flavor, Readonly<Record<"lock" | "coordinates" | "guard", string>>>> =
  {
    mariadb: { lock: "RELOAD", coordinates: "BINLOG MONITOR", guard: "PROCESS" },
    mysql: { lock: "FLUSH_TABLES", coordinates: "REPLICATION CLIENT", guard: "PROCESS" },
  };

/** An account whose name and host are no plain words: both stand in the GRANT. */
const ACCOUNT = "'o''hara'@'%'";

interface LackCase {
  readonly name: string;
  /** The privileges it gets, of those above. */
  readonly has: readonly ("lock" | "coordinates" | "guard")[];
  /** Those that the line must name, and grant. */
  readonly lacks: readonly ("lock" | "coordinates" | "guard")[];
}

const REFUSED: readonly LackCase[] = [
  { name: "no privilege to lock", has: ["coordinates", "guard"], lacks: ["lock"] },
  { name: "no privilege to see the binlog", has: ["lock", "guard"], lacks: ["coordinates"] },
  {
    name: "only the guard's privilege",
    has: ["guard"],
    lacks: ["lock", "coordinates"],
  },
  { name: "no privilege at all", has: [], lacks: ["lock", "coordinates", "guard"] },
];

testOnEachServer("pre-freeze names the missing privilege", async (guest, step) => {
  const admin = await connect(guest.server);
  const rights = RIGHTS[guest.flavor];
  const list = (names: LackCase["has"]) => names.map((name) => rights[name]).join(", ");

  for (const { name, has, lacks } of REFUSED) {
    await step.step(`${name}: refused, and well after the GRANT in the line`, async () => {
      await account(guest, admin, has.length === 0 ? [] : [`GRANT ${list(has)} ON *.* TO $`]);
      const frozen = await guest.locktables("pre-freeze");
      assert.equal(frozen.code, 21, frozen.stderr);
      assertOneLine(frozen, /^locktables: Cannot freeze (MariaDB|MySQL) [\d.]+ at \/run\/mysqld\//);
      assert.equal((await guest.status()).last?.instances.length ?? 0, 0, "nothing was locked");
      const grant = grantIn(frozen.stderr);
      assert.equal(grant, `GRANT ${list(lacks)} ON *.* TO ${ACCOUNT}`);
      await admin.query(grant);
      await assertWindow(guest, []);
    });
  }

  await step.step("no PROCESS privilege: a window, and a warning with the GRANT", async () => {
    await account(guest, admin, [`GRANT ${list(["lock", "coordinates"])} ON *.* TO $`]);
    const warning = `the guard is blind to other accounts' statements: ` +
      `GRANT PROCESS ON *.* TO ${ACCOUNT}`;
    await assertWindow(guest, [warning]);
    await admin.query(grantIn(warning));
    await assertWindow(guest, []);
  });

  await step.step("no privilege to kill: a warning where killing is wanted alone", async () => {
    await account(guest, admin, [`GRANT ${list(["lock", "coordinates", "guard"])} ON *.* TO $`]);
    await assertWindow(guest, []);
    await options(guest, "[locktables]\nkill_long_queries=select\n");
    const name = guest.flavor === "mariadb" ? "CONNECTION ADMIN" : "CONNECTION_ADMIN";
    const warning = `kill_long_queries cannot end other accounts' statements: ` +
      `GRANT ${name} ON *.* TO ${ACCOUNT}`;
    await assertWindow(guest, [warning]);
    await admin.query(grantIn(warning));
    await assertWindow(guest, []);
  });

  await step.step("all privileges on a schema are none that count", async () => {
    await account(guest, admin, ["GRANT ALL PRIVILEGES ON shop.* TO $"]);
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 21);
    assert.equal(
      grantIn(frozen.stderr),
      `GRANT ${list(["lock", "coordinates", "guard"])} ON *.* TO ${ACCOUNT}`,
    );
  });

  await step.step("all privileges, and more than enough", async () => {
    await account(guest, admin, ["GRANT ALL PRIVILEGES ON *.* TO $"]);
    await assertWindow(guest, []);
    await account(guest, admin, ["GRANT RELOAD, SUPER, PROCESS ON *.* TO $"]);
    await assertWindow(guest, []);
  });

  await step.step("privileges of a role count while the role is active", async () => {
    await admin.query("CREATE ROLE keeper");
    await admin.query(`GRANT ${list(["lock", "coordinates", "guard"])} ON *.* TO keeper`);
    await account(guest, admin, ["GRANT keeper TO $"]);
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 21);
    assertOneLine(
      frozen,
      /GRANT .* TO 'o''hara'@'%' \(a role counts only .* SET DEFAULT ROLE\)\.$/m,
    );
    await admin.query(
      `SET DEFAULT ROLE keeper ${guest.flavor === "mariadb" ? "FOR" : "TO"} ${ACCOUNT}`,
    );
    await assertWindow(guest, []);
    await admin.query("DROP ROLE keeper");
  });

  await admin.close();
  await guest.assertNothingLeft();
});

testOnEachServer("a server that keeps no accounts misses no privilege", async (guest) => {
  await guest.sandbox.writeFile("/root/.my.cnf", "[client]\nuser=anybody\n");
  await assertWindow(guest, []);
}, ["--skip-grant-tables"]);

/** Makes the account anew; `$` in a statement stands for it. */
async function account(guest: Guest, admin: Connection, sql: readonly string[]): Promise<void> {
  await admin.query(`DROP USER IF EXISTS ${ACCOUNT}`);
  await admin.query(`CREATE USER ${ACCOUNT} IDENTIFIED BY 's3cret'`);
  for (const statement of sql) await admin.query(statement.replace("$", ACCOUNT));
  await options(guest, "");
}

async function options(guest: Guest, more: string): Promise<void> {
  await guest.sandbox.writeFile(
    "/root/.my.cnf",
    `[client]\nuser="o'hara"\npassword=s3cret\n${more}`,
  );
}

/** The statement, as an administrator would copy it out of the line. */
function grantIn(line: string): string {
  const grant = /GRANT .* TO '.*'@'[^']*'/.exec(line)?.[0];
  assert.ok(grant !== undefined, line);
  return grant;
}

/** A window that is application-consistent, with exactly these warnings about privileges. */
async function assertWindow(guest: Guest, warnings: readonly string[]): Promise<void> {
  const frozen = await guest.locktables("pre-freeze");
  assert.equal(frozen.code, 0, frozen.stderr);
  const thawed = await guest.locktables("post-thaw");
  assert.equal(thawed.code, 0, thawed.stderr);
  const { last } = await guest.status();
  assert.equal(last?.verdict, "application-consistent");
  assert.deepEqual(
    last?.warnings.filter((warning) => warning.includes("GRANT")),
    warnings.map((warning) => `main: ${warning}`),
  );
}
