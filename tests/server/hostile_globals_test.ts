/** Whatever a server's global settings are, ours are sessions of their own. */
import { growOld } from "../support/aged.ts";
import assert from "node:assert/strict";
import type { Report } from "../support/check_guest.ts";
import { type Guest, testOnEachServer } from "../support/guest.ts";
import { setGlobals, worstOfAll } from "../support/hostile_globals.ts";
import { connect, type Connection, type Flavor } from "../support/server.ts";

interface HostileCase {
  readonly name: string;
  readonly globals: Readonly<Record<string, string>>;
}

/** What people have set, in as few windows as show it. */
const CASES: Readonly<Record<Flavor, readonly HostileCase[]>> = {
  mariadb: [
    {
      name: "one row, the language of Oracle, half a second for each statement",
      globals: { sql_select_limit: "1", sql_mode: "'ORACLE'", max_statement_time: "0.5" },
    },
    {
      name: "ten rows, ANSI without backslashes, no large joins, safe updates",
      globals: {
        sql_select_limit: "10",
        sql_mode: "'ANSI,NO_BACKSLASH_ESCAPES,EMPTY_STRING_IS_NULL'",
        max_join_size: "100",
        sql_safe_updates: "1",
      },
    },
  ],
  mysql: [
    {
      name: "one row, 1 ms for each SELECT, no large joins",
      globals: { sql_select_limit: "1", max_execution_time: "1", max_join_size: "100" },
    },
    {
      name: "ten rows, ANSI without backslashes, safe updates",
      globals: {
        sql_select_limit: "10",
        sql_mode: "'ANSI,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'",
        sql_safe_updates: "1",
      },
    },
  ],
};

/** Longer than MariaDB's half a second for each statement. */
const HOLD = "700ms";

/** Fewer would mean that the question for the names has failed. */
const VARIABLES_LEAST = 90;

const PLAIN = "[locktables]\n";
const GUARDED =
  "[locktables]\nmethod=ftwrl\nlong_query_guard=1s\nlock_wait_timeout=1s\nfreeze_timeout=3s\n";

/** A short lock_wait_timeout of the server is about its writers, and is what check is there to say. */
const EXPECTED_AT_WORST = "writers-give-up";

async function check(guest: Guest): Promise<Report> {
  const { stdout, stderr } = await guest.locktables("check", "--json");
  assert.ok(stdout.startsWith("{"), stderr);
  return JSON.parse(stdout);
}

async function assertSameOutcome(
  guest: Guest,
  before: Report,
  blocker: Connection,
  admin: Connection,
): Promise<void> {
  await guest.sandbox.writeFile("/root/.my.cnf", GUARDED);
  const statement = blocker.query("SELECT id, SLEEP(8) FROM shop.orders LIMIT 1 FOR UPDATE");
  statement.catch(() => {}); // it is killed below
  await growOld(blocker, admin);
  const refused = await guest.locktables("pre-freeze");
  await admin.query(`KILL QUERY ${blocker.id}`);
  await statement.catch(() => {});
  assert.equal(refused.code, 10, refused.stderr);
  assert.match(refused.stderr, new RegExp(`long_query_guard.*\\bid ${blocker.id}\\b`));

  await guest.sandbox.writeFile("/root/.my.cnf", PLAIN);
  for (const command of [["rehearse", "--hold", HOLD], ["pre-freeze"], ["post-thaw"]]) {
    const { code, stderr } = await guest.locktables(...command);
    assert.equal(code, 0, `${command.join(" ")}: ${stderr}`);
  }
  const { last } = await guest.status();
  assert.equal(last?.verdict, "application-consistent");
  assert.deepEqual(last?.warnings, []);

  const report = await check(guest);
  assert.equal(report.exit_code, before.exit_code, JSON.stringify(report.findings));
  const [known, found] = [before, report].map(({ findings }) => findings.map(({ code }) => code));
  assert.deepEqual(
    found?.filter((code) => !known?.includes(code) && code !== EXPECTED_AT_WORST),
    [],
    JSON.stringify(report.findings),
  );
}

testOnEachServer("no global setting changes what locktables does", async (guest, step) => {
  // Opened before: sessions keep what they began with.
  const admin = await connect(guest.server);
  const blocker = await connect(guest.server);
  await admin.query("SET SESSION sql_mode=''");
  await blocker.query("INSERT INTO shop.orders VALUES ()");
  await guest.sandbox.writeFile("/root/.my.cnf", PLAIN);
  const before = await check(guest);
  const cases: readonly HostileCase[] = [
    ...CASES[guest.flavor],
    { name: "everything at its worst", globals: await worstOfAll(admin) },
  ];
  for (const { name, globals } of cases) {
    await step.step(name, async () => {
      const { names, restore } = await setGlobals(admin, globals);
      if (Object.keys(globals).length >= VARIABLES_LEAST) {
        assert.ok(names.length >= VARIABLES_LEAST, `${names.length} were set`);
      } else assert.deepEqual(names, Object.keys(globals));
      try {
        await assertSameOutcome(guest, before, blocker, admin);
      } finally {
        await restore();
      }
    });
  }
  await blocker.close();
  await admin.close();
  await guest.assertNothingLeft();
});
