import assert from "node:assert/strict";

import {
  type Capabilities,
  capabilitiesOf,
  checkCapabilitiesOf,
  type Flavor,
  isAtLeast,
  parseVersion,
  type ServerVersion,
} from "../../lib/mysql/flavor.ts";
import { server } from "./servers.ts";

/** `@@version` and `@@version_comment` as distributions build them. */
const VERSIONS: readonly (readonly [version: string, comment: string, Flavor, label: string])[] = [
  ["5.6.24-log", "MySQL Community Server (GPL)", "mysql", "MySQL 5.6.24"],
  ["5.7.44-log", "MySQL Community Server (GPL)", "mysql", "MySQL 5.7.44"],
  ["8.0.22", "MySQL Community Server - GPL", "mysql", "MySQL 8.0.22"],
  ["8.0.36-0ubuntu0.22.04.1", "(Ubuntu)", "mysql", "MySQL 8.0.36"],
  ["8.4.0", "MySQL Enterprise Server - Commercial", "mysql", "MySQL 8.4.0"],
  ["8.0.34-commercial", "MySQL Enterprise Server - Commercial", "mysql", "MySQL 8.0.34"],
  ["9.7.4", "(Debian)", "mysql", "MySQL 9.7.4"],
  ["8.0.36", "Source distribution", "mysql", "MySQL 8.0.36"],
  [
    "5.7.44-48-log",
    "Percona Server (GPL), Release 48, Revision 497f936a373",
    "percona",
    "Percona Server 5.7.44",
  ],
  [
    "8.0.36-28",
    "Percona Server (GPL), Release 28, Revision 47601f19",
    "percona",
    "Percona Server 8.0.36",
  ],
  [
    "8.0.36-28.1",
    "Percona XtraDB Cluster (GPL), Release rel28, Revision bfb687f",
    "percona",
    "Percona Server 8.0.36",
  ],
  ["10.4.34-MariaDB-log", "MariaDB Server", "mariadb", "MariaDB 10.4.34"],
  ["10.5.23-MariaDB-0+deb11u1", "Debian 11", "mariadb", "MariaDB 10.5.23"],
  ["10.6.15-10-MariaDB-enterprise-log", "MariaDB Enterprise Server", "mariadb", "MariaDB 10.6.15"],
  ["10.11.19-MariaDB-0+deb12u1-log", "Debian 12", "mariadb", "MariaDB 10.11.19"],
  ["11.8.9-MariaDB-1 from Debian", "-- Please help get to 10k stars", "mariadb", "MariaDB 11.8.9"],
  ["12.1.2-MariaDB-ubu2404", "mariadb.org binary distribution", "mariadb", "MariaDB 12.1.2"],
  // Built or started with a version of its own: the comment still tells.
  ["10.6.12-log", "MariaDB Server", "mariadb", "MariaDB 10.6.12"],
];

for (const [version, comment, flavor, label] of VERSIONS) {
  Deno.test(`${version} (${comment}) is ${label}`, () => {
    const parsed = parseVersion(version, comment);
    assert.equal(parsed?.flavor, flavor);
    assert.equal(parsed?.label, label);
    assert.equal(parsed?.text, version);
  });
}

for (const version of ["", "8", "8.0", "MariaDB", "v8.0.36", " 8.0.36", "8.0.x"]) {
  Deno.test(`${JSON.stringify(version)} is no version`, () => {
    assert.equal(parseVersion(version, "MySQL Community Server - GPL"), null);
  });
}

Deno.test("the prefix 5.5.5- of MariaDB's handshake is not looked for: @@version never has it", () => {
  // MDEV-4088 put it into the greeting alone. Where something between shows it all the same,
  // the server counts as the oldest MariaDB: that is locked with FTWRL, which every one has.
  const parsed = parseVersion("5.5.5-10.11.19-MariaDB", "Debian 12");
  assert.ok(parsed !== null);
  assert.equal(parsed.label, "MariaDB 5.5.5");
  assert.deepEqual(capabilitiesOf(parsed), MARIADB_10_4);
});

const AT_LEAST: readonly (readonly [number, number, number, boolean])[] = [
  [8, 0, 23, true],
  [8, 0, 22, true],
  [8, 0, 24, false],
  [8, 1, 0, false],
  [8, 1, 99, false],
  [7, 9, 99, true],
  [9, 0, 0, false],
  [10, 0, 0, false],
];

for (const [major, minor, patch, expected] of AT_LEAST) {
  const wanted = `${major}.${minor}.${patch}`;
  Deno.test(`8.0.23 is ${expected ? "" : "not "}at least ${wanted}`, () => {
    assert.equal(isAtLeast(server("8.0.23"), major, minor, patch), expected);
  });
}

/** One statement for every MySQL; what is in it is tested below. */
const IDLE_LOCKS = capabilitiesOf(server("9.7.4")).idleLocksStatement;
const GROUP = capabilitiesOf(server("9.7.4")).groupStatement;

const MYSQL_5_7: Capabilities = {
  backupStage: false,
  ftwrlWaitsForReaders: true,
  idleLocksStatement: IDLE_LOCKS,
  ddlWaitsForInstanceLock: true,
  maxStatementTime: false,
  flushLogStatement: "FLUSH /* locktables */ NO_WRITE_TO_BINLOG ENGINE LOGS",
  binlogStatusStatement: "SHOW /* locktables */ MASTER STATUS",
  replicaStatusStatement: "SHOW /* locktables */ SLAVE STATUS",
  groupStatement: GROUP,
  gtidVariables: ["gtid_mode", "gtid_executed", "gtid_purged"],
};
const MYSQL_5_6: Capabilities = { ...MYSQL_5_7, idleLocksStatement: null };
const MYSQL_8_0_22: Capabilities = {
  ...MYSQL_5_7,
  replicaStatusStatement: "SHOW /* locktables */ REPLICA STATUS",
};
const MYSQL_8_2: Capabilities = {
  ...MYSQL_8_0_22,
  binlogStatusStatement: "SHOW /* locktables */ BINARY LOG STATUS",
};
const MARIADB_10_4: Capabilities = {
  ...MYSQL_5_7,
  idleLocksStatement: null,
  replicaStatusStatement: "SHOW /* locktables */ ALL SLAVES STATUS",
  groupStatement: null,
  ddlWaitsForInstanceLock: false,
  maxStatementTime: true,
  flushLogStatement: null,
  gtidVariables: ["gtid_binlog_pos", "gtid_slave_pos", "gtid_current_pos", "gtid_binlog_state"],
};
const MARIADB_10_5: Capabilities = {
  ...MARIADB_10_4,
  backupStage: true,
  ftwrlWaitsForReaders: false,
};

const CAPABILITIES: readonly (readonly [ServerVersion, Capabilities])[] = [
  [server("5.6.24-log"), MYSQL_5_6],
  [server("5.7.44"), MYSQL_5_7],
  [server("8.0.21"), MYSQL_5_7],
  [server("8.0.22"), MYSQL_8_0_22],
  [server("8.0.23"), MYSQL_8_0_22],
  [server("8.0.36-28", "Percona Server (GPL)"), MYSQL_8_0_22],
  [server("8.1.0"), MYSQL_8_0_22],
  [server("8.2.0"), MYSQL_8_2],
  [server("8.4.0"), MYSQL_8_2],
  [server("8.4.0-1", "Percona Server (GPL)"), MYSQL_8_2],
  [server("9.7.4"), MYSQL_8_2],
  [server("10.4.34-MariaDB"), MARIADB_10_4],
  [server("10.5.23-MariaDB"), MARIADB_10_5],
  [server("10.11.19-MariaDB"), MARIADB_10_5],
  [server("11.8.9-MariaDB"), MARIADB_10_5],
  [server("12.1.2-MariaDB"), MARIADB_10_5],
];

for (const [version, expected] of CAPABILITIES) {
  Deno.test(`${version.label} can do what its version can`, () => {
    assert.deepEqual(capabilitiesOf(version), expected);
  });
}

/** What `check` sets in its session, and how it has a replica started again. */
const CHECK_CAPABILITIES: readonly (readonly [ServerVersion, settings: string, start: string])[] = [
  [server("5.6.24-log"), "lock_wait_timeout=1", "START SLAVE"],
  [server("5.7.7"), "lock_wait_timeout=1", "START SLAVE FOR CHANNEL 'east'"],
  [
    server("5.7.8"),
    "max_execution_time=3000, lock_wait_timeout=1",
    "START SLAVE FOR CHANNEL 'east'",
  ],
  [
    server("8.0.22"),
    "max_execution_time=3000, lock_wait_timeout=1, information_schema_stats_expiry=0",
    "START REPLICA FOR CHANNEL 'east'",
  ],
  [server("10.4.34-MariaDB"), "max_statement_time=3, lock_wait_timeout=0", "START SLAVE 'east'"],
];

for (const [version, settings, start] of CHECK_CAPABILITIES) {
  Deno.test(`${version.label} is asked for its tables within what it can bound`, () => {
    const check = checkCapabilitiesOf(version);
    assert.equal(check.questionSettings(3_000), settings);
    assert.equal(check.boundsQuestions, settings.startsWith("max_"));
    assert.equal(check.startReplica("east"), start);
  });
}

Deno.test("who holds the global read lock is asked where idle locks are", () => {
  for (const [version, { idleLocksStatement }] of CAPABILITIES) {
    const { globalLockStatement } = checkCapabilitiesOf(version);
    assert.equal(globalLockStatement === null, idleLocksStatement === null, version.label);
  }
});

Deno.test("the statement for idle locks reads, is ours, and is one statement", () => {
  assert.ok(IDLE_LOCKS !== null);
  assert.match(IDLE_LOCKS, /^SELECT \/\* locktables \*\/ /);
  assert.doesNotMatch(IDLE_LOCKS, /;|--|\b(insert|update|delete|set|kill)\b/i);
});

/** What the guard reads out of the rows, and what tells LOCK TABLES and HANDLER from a transaction. */
const IDLE_LOCKS_SAYS: readonly (readonly [sentence: string, RegExp])[] = [
  ["names the session", /t\.processlist_id AS id\b/],
  ["names the account", /t\.processlist_user AS user\b/],
  ["says how long it sleeps", /t\.processlist_time AS age_s\b/],
  [
    "names a table, so that a person knows whose it is",
    /m\.object_schema.*m\.object_name.* AS held\b/s,
  ],
  ["looks at tables alone, not at GET_LOCK, which our own session has", /m\.object_type = 'TABLE'/],
  ["looks at locks that are there, not at those that wait", /m\.lock_status = 'GRANTED'/],
  [
    "looks at sleeping sessions: the others are in the process list",
    /t\.processlist_command = 'Sleep'/,
  ],
  ["finds LOCK TABLES READ", /'SHARED_READ_ONLY'/],
  ["finds LOCK TABLES WRITE", /'SHARED_NO_READ_WRITE'/],
  ["finds HANDLER", /m\.lock_duration = 'EXPLICIT'/],
  [
    "names each session once",
    /GROUP BY t\.processlist_id, t\.processlist_user, t\.processlist_time$/,
  ],
];

for (const [sentence, pattern] of IDLE_LOCKS_SAYS) {
  Deno.test(`the statement for idle locks ${sentence}`, () => {
    assert.match(IDLE_LOCKS ?? "", pattern);
  });
}

Deno.test("the statement for idle locks leaves open transactions alone: they hold nobody up", () => {
  for (const type of ["SHARED_READ'", "SHARED_WRITE'", "'TRANSACTION'"]) {
    assert.ok(!IDLE_LOCKS?.includes(type), type);
  }
});
