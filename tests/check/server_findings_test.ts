import assert from "node:assert/strict";

import type { FindingCode } from "../../lib/check/catalogue.ts";
import { bytesText, type ServerFacts, serverFindings } from "../../lib/check/server_findings.ts";
import type { Blocker } from "../../lib/mysql/guard.ts";
import { METHODS } from "../../lib/mysql/methods.ts";
import type { Survey } from "../../lib/check/survey.ts";
import type { ReplicaPosition } from "../../lib/window/coordinates.ts";
import { EXIT, refusal } from "../../lib/base/refusal.ts";
import { server } from "../mysql/servers.ts";

const SURVEY: Survey = {
  refusal: null,
  variables: new Map(),
  nameHolder: null,
  replicaErrors: new Map(),
  lockHolders: [],
  queued: { count: 0, longest_s: 0 },
  outsideFiles: [],
  unloggedTables: [],
  unanswered: [],
};

/** A MySQL on which everything is as it should be. */
const FACTS: ServerFacts = {
  facts: {
    name: "main",
    socket: "/run/mysqld/mysqld.sock",
    server: server("9.7.4"),
    connection_id: 8,
    hostname: "guest",
    server_id: 1,
    server_uuid: "u",
    read_only: false,
    datadir: "/var/lib/mysql/",
    maxConnections: 151,
    logWriteIntervalS: null,
    redoPosition: null,
    appliers: { workers: 0, logsUpdates: true },
    dataDirectories: ["/var/lib/mysql"],
  },
  choice: { method: METHODS.ftwrl, why: "auto", otherwise: null },
  warnings: [],
  topology: { replicas: [], wsrep: null, group: null },
  hasBinlog: true,
  rights: {
    account: "'root'@'localhost'",
    grants: ["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`"],
  },
  look: { blockers: [], youngReaders: [], killed: [], crowded: null, blind: [] },
  survey: SURVEY,
  connectionMark: 0.9,
  holdTimeoutMs: 60_000,
  ownIds: [],
};

const REPLICA: ReplicaPosition = {
  channel: "east",
  source_host: "db",
  source_port: 3306,
  relay_source_log_file: "binlog.000001",
  exec_source_log_pos: 4,
  gtid: {},
  io_running: "Yes",
  sql_running: "Yes",
  seconds_behind: 0,
};

/** The facts with some of the survey's changed. */
function surveyed(survey: Partial<Survey>): Partial<ServerFacts> {
  return { survey: { ...SURVEY, ...survey } };
}

function replica(change: Partial<ReplicaPosition>, survey: Partial<Survey> = {}) {
  const topology = { ...FACTS.topology, replicas: [{ ...REPLICA, ...change }] };
  return { topology, ...surveyed(survey) };
}

function onMariadb(workers: number, method: "ftwrl" | "backup-stage") {
  return {
    ...replica({}),
    facts: {
      ...FACTS.facts,
      server: server("10.11.18-MariaDB"),
      appliers: { workers, logsUpdates: true },
    },
    choice: { method: METHODS[method], why: "auto", otherwise: null },
  };
}

function group(state: string) {
  const member = { member_state: state, member_role: "", view_id: "" };
  return { topology: { ...FACTS.topology, group: member } };
}

const READ_ONLY = { facts: { ...FACTS.facts, read_only: true } };

function blockersOf(count: number): Blocker[] {
  return Array.from({ length: count }, (_, at) => ({
    id: 20 + at,
    user: "app",
    age_s: 40,
    state: "Sending data",
    statement: "SELECT 1",
    kind: "reader",
  }));
}

/** A session of our own account that has the name. */
const OURS = { id: 12, user: "root", host: "localhost", isOurs: true };

interface ServerCase {
  readonly name: string;
  readonly facts: Partial<ServerFacts>;
  /** Besides the method, which is always told. */
  readonly codes: readonly FindingCode[];
  /** Of the last one. */
  readonly title?: RegExp;
  readonly remedy?: RegExp | null;
}

const CASES: readonly ServerCase[] = [
  { name: "nothing is wrong", facts: {}, codes: [] },
  {
    name: "another locktables has a window",
    facts: surveyed({ nameHolder: OURS }),
    codes: ["server-taken"],
    title: /session 12 \(root at localhost\)/,
    remedy: /-e "KILL 12"$/,
  },
  {
    name: "another account has the name of locktables",
    facts: surveyed({ nameHolder: { ...OURS, user: "mallory", isOurs: false } }),
    codes: ["name-held"],
    title: /session 12 \(mallory at localhost\)/,
    remedy: /-e "KILL 12"$/,
  },
  {
    name: "another account has the name, and the lock that not everybody may take",
    facts: surveyed({
      nameHolder: { ...OURS, user: "other", isOurs: false },
      lockHolders: [{ id: 12, user: "other", age_s: 3 }],
    }),
    codes: ["server-taken", "lock-held-elsewhere"],
  },
  {
    name: "the name is that of our own open window",
    facts: { ...surveyed({ nameHolder: OURS }), ownIds: [12] },
    codes: [],
  },
  {
    name: "our own open window holds the lock",
    facts: { ...surveyed({ lockHolders: [{ id: 12, user: "root", age_s: 3 }] }), ownIds: [12] },
    codes: [],
  },
  {
    name: "sessions wait for a lock that comes and goes",
    facts: surveyed({ queued: { count: 7, longest_s: 0 } }),
    codes: [],
  },
  {
    name: "sessions wait for a lock",
    facts: surveyed({ queued: { count: 7, longest_s: 1 } }),
    codes: ["lock-awaited"],
    title: /7 sessions wait .* the longest for 1 s$/,
    remedy: null,
  },
  {
    name: "more blockers than anybody reads",
    facts: { look: { ...FACTS.look!, blockers: blockersOf(12) } },
    codes: Array.from({ length: 10 }, () => "blocker" as const),
    title: /^main: in the way of FLUSH TABLES WITH READ LOCK now \(one of 12\): id 29 /,
    remedy: /-e "KILL QUERY 29"$/,
  },
  {
    name: "the guard was refused an answer",
    facts: { look: { ...FACTS.look!, blind: ["main: the guard did not see x"] } },
    codes: ["guard-blind"],
    title: /^main: the guard did not see x$/,
    remedy: null,
  },
  {
    name: "an idle blocker has no statement to be killed",
    facts: {
      look: { ...FACTS.look!, blockers: [{ ...blockersOf(1)[0]!, kind: "idle" }] },
    },
    codes: ["blocker"],
    remedy: /-e "KILL 20"$/,
  },
  {
    name: "the server is nearly full, and gets room for twice as many below the mark",
    facts: {
      look: { ...FACTS.look!, crowded: { connected: 140, why: "main: 140 of 151 are in use" } },
    },
    codes: ["connections-near-limit"],
    title: /expected fewer, or max_connections=312$/,
    remedy: /SET GLOBAL max_connections=312"$/,
  },
  {
    name: "the process list was not answered",
    facts: { look: null },
    codes: ["unanswered"],
    title: /^main was asked for its process list: no answer in time$/,
  },
  {
    name: "the third session failed for another reason than its number",
    facts: surveyed({
      lockHolders: null,
      refusal: refusal(EXIT.unreachable, "session-failed", "Cannot open it", "Look"),
    }),
    codes: ["unanswered"],
  },
  {
    name: "the performance schema may not be read",
    facts: surveyed({ lockHolders: null }),
    codes: ["performance-schema-unseen"],
    remedy: /GRANT SELECT ON performance_schema\.\* TO 'root'@'localhost'"$/,
  },
  { name: "a replica runs", facts: replica({}), codes: ["replica"] },
  {
    name: "writers give up before the lock does",
    facts: surveyed({ variables: new Map([["lock_wait_timeout", "59"]]) }),
    codes: ["writers-give-up"],
    title: /lock_wait_timeout=59 .* below hold_timeout \(1m\): .* error 1205/,
    remedy: null,
  },
  {
    name: "writers wait as long as the lock is held",
    facts: surveyed({ variables: new Map([["lock_wait_timeout", "60"]]) }),
    codes: [],
  },
  {
    name: "a replica is stopped",
    facts: replica({ sql_running: "No" }),
    codes: ["replica", "replica-stopped"],
    remedy: /START REPLICA FOR CHANNEL 'east'"$/,
  },
  {
    name: "a replica is stopped by an error",
    facts: replica({ sql_running: "No" }, { replicaErrors: new Map([["east", "1062 twice"]]) }),
    codes: ["replica", "replica-failing"],
    title: /expected both Yes: 1062 twice$/,
    remedy: null,
  },
  {
    name: "a replica looks for its source",
    facts: replica({ io_running: "Connecting", seconds_behind: null }),
    codes: ["replica", "replica-failing"],
    title: /receiver Connecting, applier Yes; expected both Yes: not connected$/,
  },
  {
    name: "workers apply in parallel without GTIDs",
    facts: replica({}, {
      variables: new Map([["replica_parallel_workers", "4"], ["gtid_mode", "OFF"]]),
    }),
    codes: ["replica", "replica-position-inexact"],
  },
  {
    name: "workers apply in parallel with GTIDs",
    facts: replica({}, {
      variables: new Map([["replica_parallel_workers", "4"], ["gtid_mode", "ON"]]),
    }),
    codes: ["replica"],
  },
  {
    name: "MariaDB applies in parallel under a method that is not the exact one",
    facts: onMariadb(4, "backup-stage"),
    codes: ["replica", "replica-position-inexact"],
    title: /expected method=auto$/,
  },
  {
    name: "MariaDB applies in parallel under the exact method",
    facts: onMariadb(4, "ftwrl"),
    codes: ["replica"],
  },
  {
    name: "MariaDB applies one after the other",
    facts: onMariadb(0, "backup-stage"),
    codes: ["replica"],
  },
  {
    name: "workers would apply in parallel, but there is nothing to apply",
    facts: surveyed({ variables: new Map([["replica_parallel_workers", "4"]]) }),
    codes: [],
  },
  {
    name: "MariaDB's workers know their position",
    facts: {
      ...replica({}, { variables: new Map([["slave_parallel_workers", "4"]]), lockHolders: null }),
      facts: { ...FACTS.facts, server: server("10.11.19-MariaDB") },
    },
    codes: ["replica"],
  },
  { name: "a member is online", facts: group("ONLINE"), codes: ["group-member"] },
  {
    name: "a member has failed",
    facts: group("ERROR"),
    codes: ["group-member-not-online"],
    remedy: /STOP GROUP_REPLICATION; START GROUP_REPLICATION"$/,
  },
  {
    name: "a member is on its way in",
    facts: group("RECOVERING"),
    codes: ["group-member-not-online"],
    remedy: null,
  },
  {
    name: "a server has a group and has not joined it",
    facts: surveyed({ variables: new Map([["group_replication_group_name", "g"]]) }),
    codes: ["group-member-not-online"],
    title: /a replication group, OFFLINE; expected ONLINE/,
    remedy: /"START GROUP_REPLICATION"$/,
  },
  { name: "read_only without a reason", facts: READ_ONLY, codes: ["read-only-left"] },
  {
    name: "read_only on a replica",
    facts: { ...READ_ONLY, ...replica({}) },
    codes: ["replica"],
  },
  {
    name: "read_only where channels may be unseen",
    facts: {
      ...READ_ONLY,
      warnings: [{ reason: "replicas-unseen", text: "main: x", statement: "GRANT x" }],
    },
    codes: ["replicas-unseen"],
    remedy: /-e "GRANT x"$/,
  },
  {
    name: "read_only in a group",
    facts: { ...READ_ONLY, ...group("ONLINE") },
    codes: ["group-member"],
  },
  {
    name: "more tables than are named, and than were asked for their size",
    facts: surveyed({
      unloggedTables: Array.from({ length: 30 }, (_, at) => ({
        schema: "shop",
        name: `t${at}`,
        engine: "MyISAM",
        bytes: at < 20 ? 1024 : null,
      })),
    }),
    codes: ["non-transactional-tables"],
    title:
      /: 30 tables without transactions, the first 20 of them 20\.0 KiB: shop\.t0 \(MyISAM\), .*shop\.t4 \(MyISAM\), …\./,
    remedy: /^[^;]*(;[^;]*){4}$/,
  },
  {
    name: "tables of unknown size",
    facts: surveyed({
      unloggedTables: [{ schema: "shop", name: "log", engine: "CSV", bytes: null }],
    }),
    codes: ["non-transactional-tables"],
    title: /^main: 1 table without transactions: shop\.log \(CSV\)\. /,
  },
  {
    name: "the account may read every table, though not everything else",
    facts: { rights: { account: "'b'@'%'", grants: ["GRANT SELECT, RELOAD ON *.* TO `b`@`%`"] } },
    codes: [],
  },
  {
    name: "the account may not read the tables",
    facts: { rights: { account: "'b'@'%'", grants: ["GRANT RELOAD ON *.* TO `b`@`%`"] } },
    codes: ["tables-unseen"],
  },
];

for (const { name, facts, codes, title, remedy } of CASES) {
  Deno.test(`server: ${name}`, () => {
    const [method, ...found] = serverFindings({ ...FACTS, ...facts });
    assert.equal(method?.code, "method");
    assert.deepEqual(found.map(({ code }) => code), codes);
    const last = found.at(-1);
    if (title !== undefined) assert.match(last?.title ?? "", title);
    if (remedy === null) assert.equal(last?.remedy, null);
    else if (remedy !== undefined) assert.match(last?.remedy ?? "", remedy);
    for (const one of found) assert.equal(one.instance, "main");
  });
}

const SIZES: readonly (readonly [bytes: number, text: string])[] = [
  [0, "0 bytes"],
  [1023, "1023 bytes"],
  [1024, "1.0 KiB"],
  [5 * 1024 ** 3, "5.0 GiB"],
  [3 * 1024 ** 5, "3072.0 TiB"],
];

for (const [bytes, text] of SIZES) {
  Deno.test(`server: ${bytes} bytes are ${text}`, () => assert.equal(bytesText(bytes), text));
}
