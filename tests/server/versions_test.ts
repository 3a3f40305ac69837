/**
 * What docs/limits.md promises of versions, on a server of each that is not one of the two on which
 * everything is shown: one way through every part that asks a server something.
 */
import { growOld } from "../support/aged.ts";
import assert from "node:assert/strict";
import { repositoryRoot, runOrFail } from "../../scripts/shell.ts";
import { checkIn, codesOf, findingsOf } from "../support/check_guest.ts";
import { assertOneLine, type Guest, openGuest, sleep, until } from "../support/guest.ts";
import {
  connect,
  discard,
  LOOPBACK,
  networkArguments,
  type Row,
  type Server,
  type ServerKind,
  startServer,
} from "../support/server.ts";
import { startSilentProxy } from "../support/silent_proxy.ts";
import { underLoad } from "../support/load.ts";

/** A server, and what is particular about its version. */
interface Version {
  readonly kind: ServerKind;
  readonly label: RegExp;
  readonly method: "backup-stage" | "ftwrl";
  /** The first cell of the row in docs/privileges.md, and what it lists. */
  readonly privileges: readonly [row: string, list: string];
  /** What the line calls the first of them, where the account has none. */
  readonly monitor: "BINLOG MONITOR" | "REPLICATION CLIENT";
  /** What `kill_long_queries` needs. */
  readonly kill: string;
  /** Whether a long SELECT keeps FLUSH TABLES WITH READ LOCK waiting. */
  readonly waitsForReaders: boolean;
  /** Whether the server says what an idle session has locked. */
  readonly showsIdleLocks: boolean;
}

const MARIADB: Omit<Version, "kind" | "label"> = {
  method: "backup-stage",
  privileges: ["MariaDB from 10.5.9", "RELOAD, BINLOG MONITOR, SLAVE MONITOR, PROCESS"],
  monitor: "BINLOG MONITOR",
  kill: "CONNECTION ADMIN",
  waitsForReaders: false,
  showsIdleLocks: false,
};

const VERSIONS: readonly Version[] = [
  {
    kind: "mysql-5.6",
    label: /^MySQL 5\.6\.24$/,
    method: "ftwrl",
    privileges: ["older", "RELOAD, REPLICATION CLIENT, PROCESS"],
    monitor: "REPLICATION CLIENT",
    kill: "SUPER",
    waitsForReaders: true,
    showsIdleLocks: false,
  },
  { ...MARIADB, kind: "mariadb-10.5", label: /^MariaDB 10\.5\.23$/ },
  { ...MARIADB, kind: "mariadb-11.8", label: /^MariaDB 11\.8\.\d+$/ },
  { ...MARIADB, kind: "mariadb-sid", label: /^MariaDB 1[1-9]\.\d+\.\d+$/ },
];

/** The servers beside each other: they wait most of the time. */
const BESIDE = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false } as const;

Deno.test("every part does its work on every version", async (test) => {
  await Promise.all(VERSIONS.map((version) =>
    test.step({
      ...BESIDE,
      name: `on ${version.kind}`,
      fn: (server) => everyPart(version, server),
    })
  ));
});

async function everyPart(version: Version, test: Deno.TestContext): Promise<void> {
  const guest = await openGuest(version.kind);
  const sql = (statement: string) => asRoot(guest.server, statement);
  try {
    await makeShop(sql);
    for (const [name, part] of PARTS) {
      const isGood = await test.step({
        ...BESIDE,
        name: `${name} (${version.kind})`,
        fn: async () => {
          await part({ version, guest, sql });
          await guest.sandbox.sh("rm -f /root/.my.cnf");
        },
      });
      // What it has left would only make the others fail.
      if (!isGood) break;
    }
  } finally {
    await guest.close();
  }
}

/** Runs a statement as the server's root, on a session that nothing is left of. */
type Sql = (statement: string) => Promise<readonly Row[]>;

/** A server of a version, and its root. */
interface Bed {
  readonly version: Version;
  readonly guest: Guest;
  readonly sql: Sql;
}

const PARTS: readonly (readonly [name: string, part: (bed: Bed) => Promise<void>])[] = [
  ["a window stops writes, and a copy made in it boots with what is recorded", windowIsCopied],
  ["a rehearsal is good", rehearsalIsGood],
  ["check finds no error, and tables without transactions", checkFindsTables],
  ["check names a statement that is in the way", checkFindsBlocker],
  [
    "a question that takes too long is ended on the server, and keeps no window away",
    longQuestionIsEnded,
  ],
  [
    "the privileges that docs/privileges.md lists are enough, and each is missed",
    privilegesAreEnough,
  ],
  ["a login that fails is refused, and good after what the line proposes", loginsAreRefused],
  ["a method that the server does not have is refused", otherMethodIsRefused],
  ["a full server is refused", fullServerIsRefused],
  ["a long statement is waited for, named, and ended where that is wanted", blockerIsNamed],
  ["an idle session's lock is given up on in time", idleLockIsGivenUp],
  ["of two windows the second is refused", secondIsRefused],
  ["a hold that is lost is never called consistent", lossIsTold],
  ["a binlog that starts anew under the lock is seen at the thaw", newBinlogIsSeen],
  ["a server that restarts under the lock is seen, and one that is down refused", restartIsSeen],
  ["a replica's position is recorded, and one that has stopped is started again", replicaIsSeen],
];

/** Two engines that must agree: one statement writes to both. */
async function makeShop(sql: Sql): Promise<void> {
  await sql("CREATE TABLE shop.orders_log (id INT PRIMARY KEY) ENGINE=MyISAM");
  await sql(
    "CREATE TRIGGER shop.log_order AFTER INSERT ON shop.orders FOR EACH ROW " +
      "INSERT INTO shop.orders_log VALUES (NEW.id)",
  );
}

async function windowIsCopied({ version, guest }: Bed): Promise<void> {
  const load = writeLoad(guest.server);
  await until("rows are written", 5_000, () => load.acknowledged() > 20);
  const frozen = await guest.locktables("pre-freeze");
  assert.equal(frozen.code, 0, frozen.stderr);
  // Answers that the server gave before, and that this process has not looked at yet.
  await sleep(50);
  const atFreeze = load.acknowledged();
  const { window } = await guest.status();
  const instance = window?.instances[0];
  assert.match(instance?.label ?? "", version.label);
  assert.equal(instance?.method, version.method);
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: `lt-${Deno.pid}-` });
  try {
    await runOrFail("Copying", ["cp", "-a", guest.server.datadir, `${dir}/data`]);
    assert.equal(load.acknowledged(), atFreeze, "nothing is committed under the lock");
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    assert.match(thawed.stdout, /without a gap, application-consistent/);
    await until("writers go on", 5_000, () => load.acknowledged() > atFreeze);
    await assertCopy(version.kind, dir, instance?.coordinates ?? null, atFreeze);
  } finally {
    await guest.locktables("post-thaw");
    await load.stop();
    await Deno.remove(dir, { recursive: true });
  }
  await guest.assertNothingLeft();
}

/** The copy, after the crash recovery of a second server: as recorded, and every row in both. */
async function assertCopy(
  kind: ServerKind,
  dir: string,
  recorded: { readonly file: string | null; readonly position: number } | null,
  atLeast: number,
): Promise<void> {
  // A copy of one server is not another one.
  await Deno.remove(`${dir}/data/auto.cnf`).catch(() => {});
  const copy = await startServer(kind, {
    dir,
    datadir: `${dir}/data`,
    args: ["--myisam-recover-options=OFF"],
  });
  try {
    const session = await connect(copy);
    const logs = await session.query("SHOW BINARY LOGS");
    const found = logs.find((row) => row["Log_name"] === recorded?.file);
    assert.equal(found?.["File_size"], recorded?.position, "the binlog ends where it is recorded");
    const [rows] = await session.query(
      `SELECT COUNT(*) AS orders, COUNT(l.id) AS logged, (SELECT COUNT(*) FROM shop.orders_log) AS log
 FROM shop.orders AS o LEFT JOIN shop.orders_log AS l USING (id)`,
    );
    const { orders, logged, log } = rows ?? {};
    assert.deepEqual([logged, log], [orders, orders], "the engines agree");
    assert.ok(Number(orders) >= atLeast, `${orders} of at least ${atLeast} rows`);
    for (const table of ["shop.orders", "shop.orders_log"]) {
      const [checked] = await session.query(`CHECK TABLE ${table}`);
      assert.equal(checked?.["Msg_text"], "OK", table);
    }
    await session.close();
  } finally {
    await discard(copy);
  }
}

async function rehearsalIsGood({ guest }: Bed): Promise<void> {
  const told = await guest.locktables("rehearse", "--hold", "200ms", "--json");
  assert.equal(told.code, 0, told.stderr);
  assert.equal(JSON.parse(told.stdout).record.verdict, "application-consistent");
  await guest.assertNothingLeft();
}

async function checkFindsTables({ guest, sql }: Bed): Promise<void> {
  await sql("CREATE TABLE shop.visits (id INT NOT NULL) ENGINE=CSV");
  const report = await checkIn(guest.sandbox);
  const errors = report.findings.filter(({ severity }) => severity === "error");
  assert.deepEqual(errors, []);
  assert.deepEqual(findingsOf(report, "unanswered"), [], codesOf(report));
  assert.deepEqual(findingsOf(report, "performance-schema-unseen"), [], codesOf(report));
  const [tables] = findingsOf(report, "non-transactional-tables");
  const title = tables?.title ?? "";
  assert.match(title, /2 tables without transactions/);
  // The largest first, and what a server says of a CSV table's size differs with the filesystem.
  for (const name of [/shop\.orders_log \(MyISAM\)/, /shop\.visits \(CSV\)/]) {
    assert.match(title, name);
  }
  const cured = await guest.sandbox.sh(tables?.remedy ?? "false");
  assert.equal(cured.code, 0, cured.stderr);
  assert.deepEqual(findingsOf(await checkIn(guest.sandbox), "non-transactional-tables"), []);
  await sql("DROP TABLE shop.visits");
  await sql("ALTER TABLE shop.orders_log ENGINE=MyISAM");
}

async function checkFindsBlocker({ version, guest, sql }: Bed): Promise<void> {
  await options(guest, "[locktables]\nmethod=ftwrl\n");
  const busy = await running(guest.server, UPDATE);
  const report = await checkIn(guest.sandbox);
  const [found] = findingsOf(report, "blocker");
  assert.match(found?.title ?? "", new RegExp(`id ${busy.id} \\(root, `), codesOf(report));
  const cured = await guest.sandbox.sh(found?.remedy ?? "false");
  assert.equal(cured.code, 0, cured.stderr);
  await until("it is ended", 2_000, async () => !await isRunning(sql, busy.id));
  await busy.end();
  if (version.showsIdleLocks) return;
  // What the server does not show is no finding, and no error either.
  const idle = await connect(guest.server);
  await idle.query("LOCK TABLES shop.orders READ");
  const blind = await checkIn(guest.sandbox);
  assert.deepEqual(findingsOf(blind, "blocker"), []);
  assert.deepEqual(findingsOf(blind, "unanswered"), [], codesOf(blind));
  await idle.close();
}

/** The server really runs it, as it would a search through too many tables on a slow disk. */
async function longQuestionIsEnded({ guest, sql }: Bed): Promise<void> {
  const proxy = await startSilentProxy(
    guest.server,
    "information_schema.tables",
    "SELECT SLEEP(59)",
  );
  await guest.sandbox.bindServer(proxy);
  try {
    const report = await checkIn(guest.sandbox);
    assert.ok(report.took_ms < underLoad(10_000), `${report.took_ms} ms`);
    const isLong = (row: Row) => String(row["Info"] ?? "").startsWith("SELECT SLEEP(59)");
    assert.equal((await sql("SHOW PROCESSLIST")).some(isLong), false, "it goes on");
    // A window asks about tables, too, and does without the answer.
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 0, frozen.stderr);
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    await until("nobody asks any more", 10_000, async () => {
      const asking = (await sql("SHOW PROCESSLIST")).filter(isLong);
      for (const row of asking) await sql(`KILL QUERY ${row["Id"]}`).catch(() => []);
      return asking.length === 0;
    });
  } finally {
    await guest.sandbox.sh("umount /run/mysqld");
    await proxy.close();
  }
}

/** An account whose name is no plain word. */
const ACCOUNT = "'o''hara'@'localhost'";
const LOGIN = `[client]\nuser="o'hara"\npassword=s3cret\n`;

async function privilegesAreEnough({ version, guest, sql }: Bed): Promise<void> {
  const [row, list] = version.privileges;
  const page = await Deno.readTextFile(`${repositoryRoot()}/docs/privileges.md`);
  assert.match(page, new RegExp(`^\\| ${row} +\\| \`${list}\` +\\|$`, "m"));

  await sql(`CREATE USER ${ACCOUNT} IDENTIFIED BY 's3cret'`);
  await options(guest, LOGIN);
  const nothing = await guest.locktables("pre-freeze");
  assert.equal(nothing.code, 21, nothing.stderr);
  assertOneLine(nothing, new RegExp(`lacks RELOAD \\(to lock\\) and ${version.monitor} \\(`));
  await sql(`GRANT RELOAD, ${version.monitor} ON *.* TO ${ACCOUNT}`);
  await assertGood(guest, [`GRANT PROCESS ON *.* TO ${ACCOUNT}`]);
  await sql(`GRANT PROCESS ON *.* TO ${ACCOUNT}`);
  await options(guest, `${LOGIN}[locktables]\nkill_long_queries=select\n`);
  await assertGood(guest, [`GRANT ${version.kill} ON *.* TO ${ACCOUNT}`]);
  await sql(`DROP USER ${ACCOUNT}`);

  await sql(`CREATE USER ${ACCOUNT} IDENTIFIED BY 's3cret'`);
  await options(guest, LOGIN);
  await sql(`GRANT ${list} ON *.* TO ${ACCOUNT}`);
  await assertGood(guest, []);
  const report = await checkIn(guest.sandbox);
  assert.deepEqual(report.findings.filter(({ severity }) => severity === "error"), []);
  assert.deepEqual(findingsOf(report, "unanswered"), [], codesOf(report));
  assert.equal(findingsOf(report, "tables-unseen").length, 1, codesOf(report));
  await sql(`DROP USER ${ACCOUNT}`);
}

/** A window that is application-consistent, with exactly these GRANTs in its warnings. */
async function assertGood(guest: Guest, grants: readonly string[]): Promise<void> {
  const frozen = await guest.locktables("pre-freeze");
  assert.equal(frozen.code, 0, frozen.stderr);
  const thawed = await guest.locktables("post-thaw");
  assert.equal(thawed.code, 0, thawed.stderr);
  const { last } = await guest.status();
  const found = (last?.warnings ?? []).flatMap((text) => /GRANT .*$/.exec(text)?.[0] ?? []);
  assert.deepEqual(found, grants);
}

/** What keeps an account from logging in, and the end of the line that says what to run. */
interface LoginCase {
  /** Statements that make it so; `$` stands for the account. */
  readonly given: readonly string[];
  readonly code: number;
  readonly line: RegExp;
  /** What a person fills in. */
  readonly password?: string;
}

const LOGIN_CASES: readonly LoginCase[] = [
  {
    given: ["GRANT USAGE ON *.* TO $ WITH MAX_USER_CONNECTIONS 1"],
    code: 20,
    line: /error 1226: .*max_user_connections.*server run: (.* MAX_USER_CONNECTIONS 3)\.$/m,
  },
  {
    given: ["ALTER USER $ PASSWORD EXPIRE"],
    code: 21,
    line: /error 18[26][02]: .*server run: (.*), and put it into/,
    password: "another",
  },
];

/** An account of MySQL 5.6 with a login that locktables does not have. */
const OLD_LOGIN: LoginCase = {
  given: [
    "UPDATE mysql.user SET plugin='mysql_old_password', password='' WHERE user='o''hara'",
    "FLUSH PRIVILEGES",
  ],
  code: 21,
  line: /login plugin mysql_old_password.*server run: (.*), and put the password into/,
  password: "newer",
};

async function loginsAreRefused({ version, guest, sql }: Bed): Promise<void> {
  await sql(`CREATE USER ${ACCOUNT} IDENTIFIED BY 's3cret'`);
  await sql(`GRANT ${version.privileges[1]} ON *.* TO ${ACCOUNT}`);
  await options(guest, LOGIN.replace("s3cret", "wrong"));
  await assertRefused(guest, 21, /Cannot log in as o'hara at .*error 1045: /);
  await options(guest, LOGIN);
  const cases = version.kind === "mysql-5.6" ? [...LOGIN_CASES, OLD_LOGIN] : LOGIN_CASES;
  for (const { given, code, line, password } of cases) {
    for (const statement of given) await sql(statement.replace("$", ACCOUNT));
    const refused = await assertRefused(guest, code, line);
    const cure = line.exec(refused)?.[1]?.replace("…", password ?? "") ?? "";
    for (const statement of cure.split("; ")) await sql(statement);
    if (password !== undefined) await options(guest, LOGIN.replace("s3cret", password));
    await assertGood(guest, []);
  }
  await sql(`DROP USER ${ACCOUNT}`);
}

async function otherMethodIsRefused({ version, guest }: Bed): Promise<void> {
  if (version.method === "backup-stage") {
    await options(guest, "[locktables]\nmethod=ftwrl\n");
    return await assertGood(guest, []);
  }
  await options(guest, "[locktables]\nmethod=backup-stage\n");
  await assertRefused(guest, 22, /method=backup-stage needs MariaDB 10\.5 or later/);
}

async function fullServerIsRefused({ guest, sql }: Bed): Promise<void> {
  await sql("CREATE USER bob@localhost IDENTIFIED BY 'secret'");
  await sql("SET GLOBAL max_connections=10");
  const crowd = await Promise.all(
    Array.from(
      { length: 12 },
      () => connect(guest.server, { user: "bob", password: "secret" }).catch(() => null),
    ),
  );
  await options(guest, "[client]\nuser=bob\npassword=secret\n");
  const refused = await guest.locktables("pre-freeze");
  for (const session of crowd) await session?.close();
  await sql("SET GLOBAL max_connections=151");
  await sql("DROP USER bob@localhost");
  assert.equal(refused.code, 20, refused.stderr);
  assertOneLine(refused, /error 1040: Too many connections.*max_connections/);
  await guest.assertNothingLeft();
}

const SELECT = "SELECT SLEEP(30) FROM shop.orders LIMIT 1";
const UPDATE = "UPDATE shop.orders SET id = id WHERE SLEEP(30) = 0 LIMIT 1";

async function blockerIsNamed({ version, guest, sql }: Bed): Promise<void> {
  const settings = "[locktables]\nmethod=ftwrl\nfreeze_timeout=2s\nlock_wait_timeout=1s\n";
  await options(guest, settings);
  const reader = await running(guest.server, SELECT);
  if (version.waitsForReaders) {
    const freezing = guest.locktables("pre-freeze");
    const write = await guest.write();
    await write.finished(1_500);
    const refused = await freezing;
    assert.equal(refused.code, 10, refused.stderr);
    assertOneLine(refused, new RegExp(`id ${reader.id} \\(root, .*: SELECT.*KILL QUERY`));
  } else await assertGood(guest, []);
  await reader.end();

  const writer = await running(guest.server, UPDATE);
  const refused = await guest.locktables("pre-freeze");
  assert.equal(refused.code, 10, refused.stderr);
  assertOneLine(refused, new RegExp(`id ${writer.id} \\(root, .*: UPDATE.*KILL QUERY`));
  await options(guest, `${settings}kill_long_queries=all\n`);
  await assertGood(guest, []);
  assert.equal(await isRunning(sql, writer.id), false);
  await writer.end();
  await guest.assertNothingLeft();
}

async function idleLockIsGivenUp({ version, guest, sql }: Bed): Promise<void> {
  await options(guest, "[locktables]\nlock_wait_timeout=1s\nfreeze_timeout=2s\n");
  const idle = await connect(guest.server);
  await idle.query("LOCK TABLES shop.orders WRITE");
  const frozen = await guest.locktables("pre-freeze");
  assert.equal(frozen.code, 10, frozen.stderr);
  assertOneLine(
    frozen,
    version.showsIdleLocks
      ? new RegExp(`id ${idle.id} .*holds shop\\.orders by LOCK TABLES`)
      : /was not granted within lock_wait_timeout \(1000 ms\)/,
  );
  if (version.method === "ftwrl") {
    // Who waits for it is in the way as well, and is not the one to end.
    await options(guest, "[locktables]\nfreeze_timeout=2s\nkill_long_queries=all\n");
    const waiting = await running(guest.server, "UPDATE shop.orders SET id = id");
    const refused = await guest.locktables("pre-freeze");
    assert.equal(refused.code, 10, refused.stderr);
    assertOneLine(refused, new RegExp(`id ${waiting.id} \\(root, .*They wait themselves, for a`));
    assert.equal(await isRunning(sql, waiting.id), true, "it is left alone");
    await waiting.end();
  }
  await idle.close();
  await guest.assertNothingLeft();
}

async function secondIsRefused({ guest, sql }: Bed): Promise<void> {
  assert.equal((await guest.locktables("pre-freeze")).code, 0);
  const [holder] = await sql("SELECT IS_USED_LOCK('locktables') AS id");
  const { window } = await guest.status();
  assert.equal(holder?.["id"], window?.instances[0]?.connection_id, "the name is taken");
  const second = await guest.locktables("pre-freeze");
  assert.equal(second.code, 11, second.stderr);
  const thawed = await guest.locktables("post-thaw");
  assert.equal(thawed.code, 0, thawed.stderr);
  await guest.assertNothingLeft();
}

async function lossIsTold({ guest, sql }: Bed): Promise<void> {
  assert.equal((await guest.locktables("pre-freeze")).code, 0);
  const write = await guest.write();
  await sleep(100);
  assert.equal(write.isDone(), false);
  await sql(`KILL ${(await guest.status()).window?.instances[0]?.connection_id}`);
  await write.finished(1_000);
  const thawed = await guest.locktables("post-thaw");
  assert.equal(thawed.code, 12, thawed.stdout);
  assertOneLine(thawed, /session-lost/);
  const { last } = await guest.status();
  assert.deepEqual([last?.outcome, last?.verdict], ["lost", "crash-consistent"]);
  await guest.assertNothingLeft();
}

async function newBinlogIsSeen({ guest, sql }: Bed): Promise<void> {
  assert.equal((await guest.locktables("pre-freeze")).code, 0);
  await sql("RESET MASTER");
  const thawed = await guest.locktables("post-thaw");
  assert.equal(thawed.code, 12, thawed.stdout);
  assertOneLine(thawed, /the binlog moved from binlog\.\d+:\d+ to binlog\.000001:\d+/);
  const { last } = await guest.status();
  assert.deepEqual([last?.reason, last?.verdict], ["coordinates-moved", "crash-consistent"]);
  await guest.assertNothingLeft();
}

async function restartIsSeen({ guest }: Bed): Promise<void> {
  assert.equal((await guest.locktables("pre-freeze")).code, 0);
  await guest.server.kill9();
  const thawed = await guest.locktables("post-thaw");
  assert.equal(thawed.code, 12, thawed.stdout);
  const refused = await guest.locktables("pre-freeze");
  assert.equal(refused.code, 20, refused.stderr);
  assertOneLine(refused, /Cannot log in as root at .*ECONNREFUSED/);
  await guest.server.restart();
  await assertGood(guest, []);
  await guest.assertNothingLeft();
}

async function replicaIsSeen({ version, guest, sql }: Bed): Promise<void> {
  const source = await startServer(version.kind, {
    args: [...networkArguments(), "--server-id=2"],
  });
  try {
    await asRoot(source, `CREATE USER east@'${LOOPBACK}' IDENTIFIED BY 's3cret'`);
    await asRoot(source, `GRANT REPLICATION SLAVE ON *.* TO east@'${LOOPBACK}'`);
    const [port] = await asRoot(source, "SELECT @@port AS port");
    const [start] = await asRoot(source, "SHOW MASTER STATUS");
    await sql(
      `CHANGE MASTER TO MASTER_HOST='${LOOPBACK}', MASTER_PORT=${port?.["port"]},
 MASTER_USER='east', MASTER_PASSWORD='s3cret', MASTER_LOG_FILE='${start?.["File"]}',
 MASTER_LOG_POS=${start?.["Position"]}`,
    );
    const stopped = await checkIn(guest.sandbox);
    const [found] = findingsOf(stopped, "replica-stopped");
    assert.ok(found !== undefined, codesOf(stopped));
    const started = await guest.sandbox.sh(found.remedy ?? "false");
    assert.equal(started.code, 0, started.stderr);
    await asRoot(source, "CREATE DATABASE east");
    const [end] = await asRoot(source, "SHOW MASTER STATUS");
    const { File: file, Position: position } = end ?? {};
    const [waited] = await sql(`SELECT MASTER_POS_WAIT('${file}', ${position}, 20) AS late`);
    assert.ok(Number(waited?.["late"] ?? -1) >= 0, "it follows");
    assert.deepEqual(findingsOf(await checkIn(guest.sandbox), "replica-stopped"), []);

    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    const { window } = await guest.status();
    await asRoot(source, "CREATE DATABASE west");
    await sleep(300);
    const [row] = await sql("SHOW SLAVE STATUS");
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    const [replica] = window?.instances[0]?.coordinates?.replicas ?? [];
    const recorded = [replica?.relay_source_log_file, replica?.exec_source_log_pos];
    assert.deepEqual(recorded, [file, position], "where the source was");
    assert.deepEqual(recorded, [row?.["Relay_Master_Log_File"], row?.["Exec_Master_Log_Pos"]]);
    await sql("STOP SLAVE");
    await sql("RESET SLAVE ALL");
  } finally {
    await discard(source);
  }
}

/** Returns the line. */
async function assertRefused(guest: Guest, code: number, line: RegExp): Promise<string> {
  const refused = await guest.locktables("pre-freeze");
  assert.equal(refused.code, code, refused.stderr);
  assertOneLine(refused, line);
  assert.equal((await guest.status()).window, null);
  await guest.assertNothingLeft();
  return refused.stderr.trimEnd();
}

function options(guest: Guest, text: string): Promise<void> {
  return guest.sandbox.writeFile("/root/.my.cnf", text);
}

async function asRoot(server: Server, statement: string): Promise<readonly Row[]> {
  const session = await connect(server);
  try {
    return await session.query(statement);
  } finally {
    await session.close();
  }
}

/** A statement on a session of its own, old enough to be seen. */
async function running(server: Server, statement: string) {
  const session = await connect(server);
  let hasEnded = false;
  session.query(statement).catch(() => {}).finally(() => hasEnded = true);
  await growOld(session);
  return {
    id: session.id,
    async end() {
      // Not KILL: MySQL 5.6 keeps some of the connections that are killed, for ever. Nor once: it may
      // miss that.
      await until("its statement has ended", 10_000, async () => {
        if (!hasEnded) await asRoot(server, `KILL QUERY ${session.id}`).catch(() => {});
        return hasEnded;
      });
      await session.close();
    },
  };
}

async function isRunning(sql: Sql, id: number): Promise<boolean> {
  return (await sql("SHOW PROCESSLIST")).some((row) =>
    row["Id"] === id && row["Command"] === "Query"
  );
}

/** Three sessions that write as fast as the server takes it. */
function writeLoad(server: Server) {
  let isOver = false;
  let acknowledged = 0;
  const write = async () => {
    const session = await connect(server);
    while (!isOver) {
      await session.query("INSERT INTO shop.orders VALUES ()");
      acknowledged += 1;
    }
    await session.close();
  };
  const writing = Promise.all([write(), write(), write()]);
  return {
    acknowledged: () => acknowledged,
    async stop() {
      isOver = true;
      await writing;
    },
  };
}
