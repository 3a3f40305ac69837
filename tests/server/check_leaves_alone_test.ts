/** What `check` leaves as it was, and how soon it ends, whatever the server does. */
import { growOld } from "../support/aged.ts";
import assert from "node:assert/strict";
import { checkIn, codesOf, findingsOf, type Report, reportOf } from "../support/check_guest.ts";
import { FLAVORS, openGuest, sleep, testOnEachServer, until } from "../support/guest.ts";
import { openSandbox } from "../support/sandbox.ts";
import { connect, type Flavor, type Server, startServer } from "../support/server.ts";
import { startSilentProxy } from "../support/silent_proxy.ts";
import { isStarved, underLoad } from "../support/load.ts";

/** The promise of the command's help. */
const LIMIT_MS = 10_000;

/** Every file of ours, with what is in it, its mode, owner and age; of directories no age. */
const FILE_TREE = `cd / && find run/veeam var/lib/locktables root -type f -printf '%p %m %U %T@ ' \\
  -exec md5sum {} ';' -o -printf '%p %m %U\\n' 2>/dev/null | sort`;

testOnEachServer("check asks and changes nothing", async ({ server, sandbox }) => {
  // Something to be found of every kind that could tempt it: tables, a blocker that may be killed.
  const admin = await connect(server);
  const busy = await connect(server);
  try {
    await admin.query("CREATE TABLE shop.old (id INT) ENGINE=MyISAM");
    await admin.query("INSERT INTO shop.orders VALUES (1), (2)");
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nkill_long_queries=all\nmethod=ftwrl\n");
    await sandbox.sh("locktables rehearse --hold 0s");
    const blocked = busy.query("UPDATE shop.orders SET id = id + 0 * SLEEP(60)").catch(() => {});
    await growOld(busy, admin);
    await admin.query("SET GLOBAL log_output='TABLE'");
    await admin.query("SET GLOBAL general_log=ON");
    const counters = `SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_flush', 'Com_kill',
      'Com_lock_tables', 'Com_backup', 'Innodb_system_rows_inserted',
      'Innodb_system_rows_updated', 'Innodb_system_rows_deleted')`;
    const state = async () => ({
      files: (await sandbox.sh(FILE_TREE)).stdout,
      counters: await admin.query(counters),
      binlog: await admin.query(
        server.flavor === "mariadb" ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS",
      ),
    });
    const before = await state();
    const report = await checkIn(sandbox);
    assert.equal(findingsOf(report, "blocker").length, 1, codesOf(report));
    assert.equal(findingsOf(report, "non-transactional-tables").length, 1);
    assert.deepEqual(await state(), before);
    await admin.query("SET GLOBAL general_log=OFF");
    const list = await admin.query("SHOW PROCESSLIST");
    assert.equal(list.find((row) => row["Id"] === busy.id)?.["Command"], "Query", "not killed");
    await admin.query(`KILL QUERY ${busy.id}`);
    await blocked;

    const log = await admin.query(
      `SELECT argument AS text FROM mysql.general_log WHERE command_type = 'Query'
       AND thread_id NOT IN (${admin.id}, ${busy.id})`,
    );
    const statements = log.map((row) => String(row["text"]));
    assert.ok(statements.some((text) => text.includes("information_schema.tables")), "it asked");
    for (const text of statements) {
      assert.match(text, /^(SELECT|SHOW|SET \/\* locktables \*\/ SESSION) /);
      assert.doesNotMatch(text, /GET_LOCK|INTO (OUTFILE|@)|FOR UPDATE/i);
    }
    await until(
      "no session is left",
      2_000,
      async () =>
        (await admin.query("SHOW PROCESSLIST")).every((row) =>
          [admin.id, busy.id].includes(Number(row["Id"])) || row["User"] === "event_scheduler"
        ),
    );
  } finally {
    await busy.close();
    await admin.close();
  }
});

testOnEachServer("a window that is open stays open, and is worth what it was", async (guest) => {
  assert.equal((await guest.locktables("pre-freeze")).code, 0);
  const pid = await guest.lockerPid();
  const before = (await guest.status()).window;
  for (let times = 0; times < 3; times += 1) {
    const report = await checkIn(guest.sandbox);
    assert.deepEqual(
      report.findings.filter(({ severity }) => severity !== "note").map(({ code }) => code),
      ["window-open"],
      codesOf(report),
    );
  }
  assert.deepEqual((await guest.status()).window, before);
  assert.equal(await guest.lockerPid(), pid);
  const write = await guest.write();
  await sleep(300);
  assert.ok(!write.isDone(), "the lock is held");
  assert.equal((await guest.locktables("post-thaw")).code, 0);
  assert.equal((await guest.status()).last?.verdict, "application-consistent");
  await guest.assertNothingLeft();
});

Deno.test("a window can be opened while check looks, and is none the worse", async () => {
  const guest = await openGuest("mariadb");
  try {
    for (let times = 0; times < 5; times += 1) {
      const [report, frozen] = await Promise.all([
        checkIn(guest.sandbox),
        guest.locktables("pre-freeze"),
      ]);
      assert.equal(frozen.code, 0, frozen.stderr);
      assert.equal(report.exit_code, 0, codesOf(report));
      assert.equal((await guest.locktables("post-thaw")).code, 0);
    }
    await guest.assertNothingLeft();
  } finally {
    await guest.close();
  }
});

/** Statements that a server may be stuck in, and null for one that does not even greet. */
const STUCK_IN: readonly (string | null)[] = [
  null,
  "CONNECTION_ID()",
  "GLOBAL VARIABLES",
  "GRANTS",
  // What every session is set to, and what check sets for its questions.
  ",autocommit=1",
  ", lock_wait_timeout=0",
  "STATUS",
  "LEFT(info, 1536)",
  "IS_USED_LOCK",
  "COUNT(*) AS n",
  "information_schema.INNODB",
  "information_schema.tables",
];

/** Each takes seconds, and the waiting is the same on both. */
const STUCK: Readonly<Record<Flavor, readonly (string | null)[]>> = {
  mariadb: STUCK_IN,
  mysql: [null, "information_schema.tables"],
};

for (const flavor of FLAVORS) {
  Deno.test(`check ends in time, whatever the server does not answer (${flavor})`, async (step) => {
    const server = await startServer(flavor);
    const sandbox = await openSandbox();
    try {
      // Beside each other: all of it is waiting. A few at once, for the checks' own work.
      const left = [...STUCK[flavor]];
      const lane = async () => {
        for (let text = left.shift(); text !== undefined; text = left.shift()) {
          const keeps = text;
          await step.step({
            ...BESIDE,
            name: keeps ?? "nothing at all",
            fn: () => assertEndsInTime(server, keeps),
          });
        }
      };
      await Promise.all(Array.from({ length: LANES }, lane));
      await step.step("a stopped process", async () => {
        await sandbox.bindServer(server);
        Deno.kill(server.pid, "SIGSTOP");
        const ended = await sandbox.run([sandbox.binary, "check", "--json"]);
        Deno.kill(server.pid, "SIGCONT");
        assert.ok(ended.ms < underLoad(LIMIT_MS), `${ended.ms} ms`);
        assert.equal(reportOf(ended).exit_code, 20);
        await assertNoSessions(server);
      });
    } finally {
      await sandbox.close();
      await server.stop();
    }
  });
}

/** Steps that run beside each other: none of them can be told to leave nothing of the others. */
const BESIDE = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false } as const;

/** How many checks wait at once. */
const LANES = 4;

/** A check of a server that never answers a packet with this text, from a guest of its own. */
async function assertEndsInTime(server: Server, text: string | null): Promise<void> {
  const proxy = await startSilentProxy(server, text);
  const sandbox = await openSandbox();
  try {
    await sandbox.bindServer(proxy);
    const ended = await sandbox.run([sandbox.binary, "check", "--json"]);
    assert.ok(ended.ms < underLoad(LIMIT_MS), `${ended.ms} ms`);
    const report = reportOf(ended);
    const said = [
      ...findingsOf(report, "session-failed"),
      ...findingsOf(report, "unanswered"),
      ...(isStarved() ? findingsOf(report, "too-slow") : []),
    ];
    assert.equal(said.length, 1, codesOf(report));
  } finally {
    await sandbox.close();
    await proxy.close();
  }
}

async function assertNoSessions(server: Server): Promise<void> {
  const admin = await connect(server);
  await until(
    "no session is left",
    5_000,
    async () =>
      (await admin.query("SHOW PROCESSLIST")).every((row) =>
        Number(row["Id"]) === admin.id || row["User"] === "event_scheduler"
      ),
  );
  await admin.close();
}

Deno.test("of several servers each is told by its name, also beside one that is silent", async () => {
  const servers = await Promise.all([startServer("mariadb"), startServer("mysql")]);
  const [main, reporting] = servers;
  const sandbox = await openSandbox();
  const about = ({ findings }: Report, name: string) =>
    findings.filter(({ instance }) => instance === name).map(({ code }) => code);
  try {
    await sandbox.bindServer(main);
    await sandbox.bindServer(reporting, "/run/mariadb");
    await sandbox.writeFile(
      "/root/.my.cnf",
      "[client_reporting]\nsocket=/run/mariadb/mysqld.sock\n[locktables]\ninstances=main,reporting\n",
    );
    const both = await checkIn(sandbox);
    assert.deepEqual([about(both, "main"), about(both, "reporting")], [["method"], ["method"]]);
    assert.deepEqual(both.instances.map(({ name, server }) => [name, server?.method]), [
      ["main", "backup-stage"],
      ["reporting", "ftwrl"],
    ]);
    assert.match(both.instances[0]?.server?.label ?? "", /^MariaDB \d/);
    assert.equal(both.instances[0]?.server?.data_directories[0]?.path, main.datadir);

    Deno.kill(reporting.pid, "SIGSTOP");
    const ended = await sandbox.run([sandbox.binary, "check", "--json"]);
    Deno.kill(reporting.pid, "SIGCONT");
    assert.ok(ended.ms < underLoad(LIMIT_MS), `${ended.ms} ms`);
    const one = reportOf(ended);
    assert.deepEqual([about(one, "main"), about(one, "reporting")], [["method"], [
      "session-failed",
    ]]);
    assert.equal(one.instances[1]?.server, null);
  } finally {
    await sandbox.close();
    for (const server of servers) await server.stop();
  }
});

Deno.test("people get the same in sentences, and scripts an object with times", async () => {
  const guest = await openGuest("mariadb");
  try {
    assert.equal((await guest.locktables("install", "vmware")).code, 0);
    const good = await guest.locktables("check");
    assert.equal(good.code, 0, good.stdout);
    assert.match(good.stdout, /^Notes:\n {2}main: MariaDB .* \[method\]\n\nReady: .*\.\n$/);
    await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timout=5s\n", 0o644);
    const bad = await guest.locktables("check");
    assert.equal(bad.code, 22);
    assert.equal(bad.stderr, "");
    assert.match(
      bad.stdout,
      /^Errors:\n {2}Unknown setting .*\n {6}sed -i .*\n\nWarnings:\n.*\n {6}chmod 0600 \/root\/\.my\.cnf\n\n1 error, 1 warning: tonight's freeze would fail\.\n$/,
    );
    const report = await checkIn(guest.sandbox);
    assert.equal(report.schema_version, 1);
    assert.match(report.now, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(report.took_ms > 0);
    assert.deepEqual(Object.keys(report.findings[0] ?? {}).sort(), [
      "code",
      "instance",
      "remedy",
      "severity",
      "title",
    ]);
  } finally {
    await guest.close();
  }
});

interface OutputCase {
  readonly name: string;
  readonly command: string;
  readonly code: number;
}

/** Where status and check print alike. */
const OUTPUTS: readonly OutputCase[] = [
  { name: "a full device", command: '"$0" "$1" >/dev/full', code: 1 },
  { name: "a closed stdout", command: '"$0" "$1" >&-', code: 0 },
  { name: "a reader that has gone", command: '"$0" "$1" | true', code: 0 },
];

Deno.test("check ends like status, whatever becomes of its output", async (step) => {
  const guest = await openGuest("mariadb");
  try {
    for (const { name, command, code } of OUTPUTS) {
      await step.step(name, async () => {
        const run = async (what: string) => {
          const argv = ["/bin/sh", "-c", command, guest.sandbox.binary, what];
          const ended = await guest.sandbox.run(argv, { env: { PATH: "/usr/bin:/bin" } });
          return { code: ended.code, stderr: ended.stderr.replaceAll(/ at .*$/gm, "") };
        };
        const ended = await run("check");
        assert.equal(ended.code, code, ended.stderr);
        assert.deepEqual(ended, await run("status"));
      });
    }
    // Without any environment and without an option file is how every test runs it.
    assert.equal(await guest.sandbox.exists("/root/.my.cnf"), false);
  } finally {
    await guest.close();
  }
});
