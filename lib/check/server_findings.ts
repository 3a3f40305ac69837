/** Findings about one server: whether it can be frozen, how, and who is in the way now. */
import { adminCommand, identifier } from "../mysql/admin_command.ts";
import { checkCapabilitiesOf } from "../mysql/flavor.ts";
import { lagsUnderStage } from "../mysql/image_position.ts";
import { type Blocker, describeBlocker } from "../mysql/guard.ts";
import type { Look } from "../mysql/guard_watch.ts";
import type { Instance } from "../mysql/instance.ts";
import type { InstanceWarning } from "../mysql/warnings.ts";
import type { InstanceFacts } from "../mysql/server_facts.ts";
import type { MethodChoice } from "../mysql/methods.ts";
import { globalPrivileges, isAnonymous } from "../mysql/privileges.ts";
import { SIZED_TABLES, type Survey, TABLES_MOST, type UnloggedTable } from "./survey.ts";
import type { GroupMember, ReplicaPosition, WsrepPosition } from "../window/coordinates.ts";
import { formatDuration } from "../base/duration.ts";
import { describeHolder } from "../mysql/server_name.ts";
import { EXIT, refusal } from "../base/refusal.ts";
import type { FindingCode } from "./catalogue.ts";
import { type Finding, finding, fromRefusal } from "./finding.ts";

/** What is known of a server that a window could be opened on. */
export interface ServerFacts {
  readonly facts: InstanceFacts;
  readonly choice: MethodChoice;
  readonly warnings: readonly InstanceWarning[];
  readonly topology: Instance["topology"];
  readonly hasBinlog: boolean;
  readonly rights: Instance["rights"];
  /** Who is in the way; null where that was not answered. */
  readonly look: Look | null;
  readonly survey: Survey;
  /** The share of `max_connections` that counts as crowded (`connection_mark`). */
  readonly connectionMark: number | null;
  /** Longest time the lock is held (`hold_timeout`), in milliseconds. */
  readonly holdTimeoutMs: number;
  /** Sessions of the window that is open in this guest. */
  readonly ownIds: readonly number[];
}

/** How many blockers are named; more of them have one cause. */
const NAMED_BLOCKERS = 10;

/** How many tables are named, and altered by the one command. */
const NAMED_TABLES = 5;

/**
 * How long sessions must have waited for another's lock to be worth a line, in seconds: the lock
 * of another backup that comes and goes is no finding, and servers count whole seconds.
 */
const AWAITED_S = 1;

/** Says what a server's answers mean. */
export function serverFindings(server: ServerFacts): Finding[] {
  return DECIDERS.flatMap((decide) => decide(server));
}

type Decider = (server: ServerFacts) => Finding[];

const method: Decider = (server) => {
  const { facts, choice, rights } = server;
  return [of(
    server,
    "method",
    `${facts.name}: ${facts.server.label} at ${facts.socket} as ${rights.account}: ${choice.method.name}; ${choice.why}`,
  )];
};

/** What a window would only warn of. */
const warnings: Decider = (server) =>
  server.warnings.map(({ reason, text, statement }) =>
    finding(reason, text, {
      instance: server.facts.name,
      remedy: statement === null ? null : command(server, statement),
    })
  );

const sessions: Decider = (server) => {
  const { refusal } = server.survey;
  if (refusal === null) return [];
  const { name } = server.facts;
  return refusal.reason === "too-many-connections"
    ? [finding(
      "session-limit",
      `${name}: ${refusal.summary}; a window has two sessions, and needs a third to clean up after a locker that does not answer`,
      { instance: name, remedy: refusal.remedy ?? null },
    )]
    // Whatever else it is came between the second login and the third.
    : [unanswered(server, "anything more", refusal.summary)];
};

const questions: Decider = (server) => [
  ...(server.look === null ? [unanswered(server, "its process list", "no answer in time")] : []),
  ...server.survey.unanswered.map(({ question, why }) => unanswered(server, question, why)),
];

/** Without a remedy: asking again is all that anybody can do, and it may not help. */
function unanswered(server: ServerFacts, question: string, why: string): Finding {
  return of(server, "unanswered", `${server.facts.name} was asked for ${question}: ${why}`);
}

const name: Decider = (server) => {
  const { facts, survey, ownIds } = server;
  const holder = survey.nameHolder;
  if (holder === null || ownIds.includes(holder.id)) return [];
  const isOne = holder.isOurs || (survey.lockHolders ?? []).some(({ id }) => id === holder.id);
  if (!isOne) {
    return [of(
      server,
      "name-held",
      `${facts.name}: ${
        describeHolder(holder)
      } has the name of locktables and is not locktables; two locktables on this server would not see each other`,
      command(server, `KILL ${holder.id}`),
    )];
  }
  return [fromRefusal(
    refusal(
      EXIT.windowOpen,
      "server-taken",
      `Another locktables, of another guest or container, has a window open on the server at ${facts.socket}: ${
        describeHolder(holder)
      }`,
      "Let it end",
      command(server, `KILL ${holder.id}`),
    ),
    facts.name,
  )];
};

const locks: Decider = (server) => {
  const { facts, survey, ownIds } = server;
  const holders = (survey.lockHolders ?? []).filter(({ id }) => !ownIds.includes(id));
  const held = holders.map(({ id, user, age_s }) =>
    of(
      server,
      "lock-held-elsewhere",
      `${facts.name}: id ${id} (${user}, ${age_s} s) holds FLUSH TABLES WITH READ LOCK, writers wait for it; expected no session but that of locktables`,
      command(server, `KILL ${id}`),
    )
  );
  const { queued } = survey;
  if (queued === null || queued.count === 0 || queued.longest_s < AWAITED_S) return held;
  return [
    ...held,
    // Without a remedy: the server does not show who holds it, and the sessions that wait are not the cause.
    of(
      server,
      "lock-awaited",
      `${facts.name}: ${queued.count} sessions wait for the lock of another backup, the longest for ${queued.longest_s} s`,
    ),
  ];
};

const blockers: Decider = (server) => {
  const { facts, choice, look } = server;
  const all = look?.blockers ?? [];
  const howMany = all.length > NAMED_BLOCKERS ? ` (one of ${all.length})` : "";
  return all.slice(0, NAMED_BLOCKERS).map((blocker) =>
    of(
      server,
      "blocker",
      `${facts.name}: in the way of ${choice.method.label} now${howMany}: ${
        describeBlocker(blocker)
      }`,
      command(server, killStatement(blocker)),
    )
  );
};

/** An idle session has no statement to kill: what it holds goes with the session. */
function killStatement({ id, kind }: Blocker): string {
  return kind === "idle" ? `KILL ${id}` : `KILL QUERY ${id}`;
}

const blindness: Decider = (server) =>
  server.look?.blind.map((line) => of(server, "guard-blind", line)) ?? [];

const room: Decider = (server) => {
  const crowded = server.look?.crowded ?? null;
  if (crowded === null) return [];
  // As many again as there are now, and all of them below the mark.
  const wanted = Math.ceil((2 * crowded.connected) / (server.connectionMark ?? 1));
  return [of(
    server,
    "connections-near-limit",
    `${crowded.why}; expected fewer, or max_connections=${wanted}`,
    command(server, `SET GLOBAL max_connections=${wanted}`),
  )];
};

const replicas: Decider = (server) =>
  server.topology.replicas.flatMap((replica) => {
    const error = server.survey.replicaErrors.get(replica.channel) ?? "";
    return [
      of(server, "replica", `${server.facts.name} is a replica of ${describeReplica(replica)}`),
      ...replicaTrouble(server, replica, error),
    ];
  });

function describeReplica(replica: ReplicaPosition): string {
  const { channel, source_host, source_port, io_running, sql_running, seconds_behind } = replica;
  const named = channel === "" ? "" : ` (channel ${channel})`;
  const behind = seconds_behind === null ? "" : `, ${seconds_behind} s behind`;
  return `${source_host}:${source_port}${named}: receiver ${io_running}, applier ${sql_running}${behind}`;
}

function replicaTrouble(server: ServerFacts, replica: ReplicaPosition, error: string): Finding[] {
  const isRunning = replica.io_running === "Yes" && replica.sql_running === "Yes";
  if (isRunning && error === "") return [];
  const about = `${server.facts.name} as a replica of ${describeReplica(replica)}`;
  if (error !== "" || ![replica.io_running, replica.sql_running].includes("No")) {
    // Without a remedy: what keeps it from its source must be known first.
    return [
      of(server, "replica-failing", `${about}; expected both Yes: ${error || "not connected"}`),
    ];
  }
  const { startReplica } = checkCapabilitiesOf(server.facts.server);
  return [of(
    server,
    "replica-stopped",
    `${about}; expected both Yes, the image is as old as its last transaction`,
    command(server, startReplica(replica.channel)),
  )];
}

const replicaPosition: Decider = (server) => {
  const { facts, topology, survey, choice } = server;
  const isReplica = topology.replicas.length > 0;
  if (
    choice.method.name === "backup-stage" && lagsUnderStage(facts.server, facts.appliers, isReplica)
  ) {
    return [of(
      server,
      "replica-position-inexact",
      `${facts.name}: under method=backup-stage the recorded position of a replica with parallel appliers may lie behind the image; expected method=auto`,
    )];
  }
  const { inexactWorkersVariable: variable } = checkCapabilitiesOf(facts.server);
  const workers = Number(survey.variables.get(variable ?? "") ?? 0);
  if (topology.replicas.length === 0 || workers === 0) return [];
  if (survey.variables.get("gtid_mode") === "ON") return [];
  // Without a remedy: GTIDs come to a source and its replicas step by step. A single thread would
  // do, too, but MySQL 9.7 has at least one worker beside the one that knows the position.
  return [of(
    server,
    "replica-position-inexact",
    `${facts.name}: ${variable}=${workers} and gtid_mode is not ON: the recorded position in the source's binlog is only a lower bound; expected GTIDs`,
  )];
};

const galera: Decider = (server) => {
  const { wsrep } = server.topology;
  return wsrep === null ? [] : [of(server, "galera-node", describeNode(server, wsrep))];
};

function describeNode({ facts }: ServerFacts, node: WsrepPosition): string {
  return `${facts.name} is a Galera node, ${node.local_state_comment} in a cluster of ${node.cluster_size}: it leaves flow control while it is locked, and catches up on its own`;
}

const group: Decider = (server) => {
  const { facts, topology, survey } = server;
  const member = topology.group ?? unstarted(survey);
  if (member === null) return [];
  const { member_state: state, member_role: role } = member;
  const about = `${facts.name} is a member of a replication group, ${state} ${role}`.trimEnd();
  if (state === "ONLINE") return [of(server, "group-member", about)];
  return [of(
    server,
    "group-member-not-online",
    `${about}; expected ONLINE, what it has may be old or incomplete`,
    START_GROUP[state] === undefined ? null : command(server, START_GROUP[state]),
  )];
};

/** None for a member that is on its way in, or that the others cannot reach. */
const START_GROUP: Readonly<Record<string, string>> = {
  OFFLINE: "START GROUP_REPLICATION",
  ERROR: "STOP GROUP_REPLICATION; START GROUP_REPLICATION",
};

/** A server that has a group and has not joined it since its start has no row of its own. */
function unstarted({ variables, lockHolders }: Survey): GroupMember | null {
  const isConfigured = (variables.get("group_replication_group_name") ?? "") !== "";
  // An account that may not see the locks may not see the group, either.
  return isConfigured && lockHolders !== null
    ? { member_state: "OFFLINE", member_role: "", view_id: "" }
    : null;
}

const readOnly: Decider = (server) => {
  const { facts, topology, warnings, survey } = server;
  const mayBeMeant = topology.replicas.length > 0 || topology.wsrep !== null ||
    topology.group !== null || warnings.some(({ reason }) => reason === "replicas-unseen") ||
    (survey.variables.get("group_replication_group_name") ?? "") !== "";
  return !facts.read_only || mayBeMeant ? [] : [of(
    server,
    "read-only-left",
    `${facts.name}: read_only is ON, and the server is no replica and in no group; expected OFF. Another backup's script may have left it (Azure's do)`,
    command(server, "SET GLOBAL read_only=OFF"),
  )];
};

const tables: Decider = (server) => {
  const { facts, rights, survey } = server;
  const found = survey.unloggedTables;
  const unseen = mayReadEverything(rights.grants) ? [] : [of(
    server,
    "tables-unseen",
    `${facts.name}: ${rights.account} may not see other accounts' tables, so nothing is said of those without a transaction log`,
  )];
  if (found.length === 0) return unseen;
  const named = found.slice(0, NAMED_TABLES);
  const names = named.map(({ schema, name, engine }) => `${schema}.${name} (${engine})`).join(", ");
  return [
    ...unseen,
    of(
      server,
      "non-transactional-tables",
      `${facts.name}: ${countOf(found)} without transactions${sizeOf(found)}: ${names}${
        found.length > named.length ? ", …" : ""
      }. Only the lock makes their image whole`,
      command(
        server,
        named.map(({ schema, name }) =>
          `ALTER TABLE ${identifier(schema)}.${identifier(name)} ENGINE=InnoDB`
        ).join("; "),
      ),
    ),
  ];
};

function countOf({ length }: readonly UnloggedTable[]): string {
  const more = length >= TABLES_MOST ? " or more" : "";
  return `${length}${more} ${length === 1 ? "table" : "tables"}`;
}

/** How big they are, as far as they were asked. */
function sizeOf(found: readonly UnloggedTable[]): string {
  const known = found.flatMap(({ bytes }) => bytes ?? []);
  if (known.length === 0) return "";
  const total = known.reduce((sum, bytes) => sum + bytes, 0);
  const ofWhich = found.length > SIZED_TABLES ? `, the first ${SIZED_TABLES} of them` : ",";
  return `${ofWhich} ${bytesText(total)}`;
}

/** A size for people. */
export function bytesText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let at = 0;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${at === 0 ? value : value.toFixed(1)} ${units[at]}`;
}

function mayReadEverything(grants: readonly string[]): boolean {
  const privileges = globalPrivileges(grants);
  // A server without accounts shows no grants, and everything else.
  return privileges === null || privileges.has("ALL PRIVILEGES") || privileges.has("SELECT");
}

const performanceSchema: Decider = (server) => {
  const { facts, rights, survey } = server;
  const { globalLockStatement } = checkCapabilitiesOf(facts.server);
  const isUnasked = survey.refusal !== null || survey.unanswered.length > 0;
  if (globalLockStatement === null || survey.lockHolders !== null || isUnasked) return [];
  return [of(
    server,
    "performance-schema-unseen",
    `${facts.name}: ${rights.account} may not read performance_schema: idle sessions with LOCK TABLES or HANDLER, another backup's lock and the state of a group stay unseen`,
    isAnonymous(rights.account)
      ? null
      : command(server, `GRANT SELECT ON performance_schema.* TO ${rights.account}`),
  )];
};

const binlog: Decider = (server) =>
  server.hasBinlog ? [] : [of(
    server,
    "no-binlog",
    `${server.facts.name} writes no binlog (log_bin=OFF): there are no coordinates to record, and none to prove that nothing was committed under the lock`,
  )];

const redoLog: Decider = (server) => {
  const { facts } = server;
  return facts.logWriteIntervalS === null ? [] : [of(
    server,
    "log-in-memory",
    `${facts.name}: innodb_flush_log_at_trx_commit=0 keeps commits in memory for up to ${facts.logWriteIntervalS} s: the lock is held that much longer until they are written; expected 1 or 2`,
    command(server, "SET GLOBAL innodb_flush_log_at_trx_commit=1"),
  )];
};

/**
 * A writer waits behind the lock for the server's own `lock_wait_timeout`, counted in seconds, and
 * then fails with error 1205; `innodb_lock_wait_timeout` is about row locks and makes no difference.
 */
const writers: Decider = (server) => {
  const { facts, survey, holdTimeoutMs } = server;
  const waitS = survey.variables.get("lock_wait_timeout");
  return waitS === undefined || Number(waitS) * 1_000 >= holdTimeoutMs ? [] : [of(
    server,
    "writers-give-up",
    `${facts.name}: lock_wait_timeout=${waitS} on the server is below hold_timeout (${
      formatDuration(holdTimeoutMs)
    }): a writer that waits longer than ${waitS} s behind the lock fails with error 1205; expected a longer one, or a shorter hold_timeout`,
  )];
};

const DECIDERS: readonly Decider[] = [
  method,
  warnings,
  sessions,
  questions,
  name,
  locks,
  blockers,
  blindness,
  room,
  replicas,
  replicaPosition,
  galera,
  group,
  readOnly,
  tables,
  performanceSchema,
  writers,
  binlog,
  redoLog,
];

function of(
  { facts }: ServerFacts,
  code: FindingCode,
  title: string,
  remedy: string | null = null,
): Finding {
  return finding(code, title, { instance: facts.name, remedy });
}

function command({ facts }: ServerFacts, statement: string): string {
  return adminCommand(facts, statement);
}
