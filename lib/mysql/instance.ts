/**
 * One server in a window: a lock session that holds the lock and does nothing else,
 * and a control session that looks, and kills the lock session where it must.
 * Both are opened before anything is locked, because a server full of waiting writers
 * gives out no third one (`docs/locking.md#22-connections`).
 */
import { EXIT, isRefusal, type Refusal, refusal } from "../base/refusal.ts";
import type { ReleaseProof } from "../window/verdict.ts";
import { coordinatesFrom } from "./coordinates_from.ts";
import {
  type Coordinates,
  isSameHistory,
  isSamePosition,
  type Topology,
} from "../window/coordinates.ts";
import { orBlind } from "./blind_look.ts";
import { driverError, type ErrorSubject, LOCK_WAIT_TIMEOUT, refusalFor } from "./errors.ts";
import {
  type Capabilities,
  capabilitiesOf,
  checkCapabilitiesOf,
  parseVersion,
  type ServerVersion,
} from "./flavor.ts";
import {
  type Blocker,
  byCause,
  describeBlockers,
  findBlockers,
  findIdleBlockers,
  findNewborn,
  findVictims,
} from "./guard.ts";
import {
  APPLIER_VARIABLES,
  type Appliers,
  appliersOf,
  inexactPosition,
  lagsUnderStage,
} from "./image_position.ts";
import {
  chooseMethod,
  fallback,
  type Method,
  type MethodChoice,
  type MethodName,
  METHODS,
} from "./methods.ts";
import {
  galeraRefusal,
  groupMember,
  rejectingRefusal,
  replicaPositions,
  wsrepPosition,
} from "./topology.ts";
import { accountOf, checkPrivileges, type PrivilegeLoss, type Purpose } from "./privileges.ts";
import { claimName, isLockSession } from "./server_name.ts";
import { openSession, type Row, type Session } from "./session.ts";

/**
 * The dead man's switch, in seconds: the server drops the lock session, and with it the
 * lock, when it has heard nothing for so long (`wait_timeout`). This is what frees the
 * writers when the locker is stopped or starved. Four missed keepalives: long enough for
 * a guest whose disks have just been frozen or whose CPU was taken away for a moment.
 */
export const WAIT_TIMEOUT_S = 10;

/** How often the sessions say that they are alive, in milliseconds: a quarter of the switch. */
const KEEPALIVE_MS = WAIT_TIMEOUT_S * 1000 / 4;

/** DO is refused on a Galera node that has lost its cluster (1047), SELECT without a table is not. */
const KEEPALIVE = "SELECT /* locktables */ 1";

/** Longest wait for the answer to a keepalive; beyond it the lock is not proven any more. */
const KEEPALIVE_LIMIT_MS = 2_000;

/** Longest wait for a statement that only asks, while nothing is locked. */
const QUERY_LIMIT_MS = 5_000;

/** Longest wait for socket and login. A server that is starting up answers late. */
const CONNECT_LIMIT_MS = 5_000;

/**
 * Longest wait for the coordinates before a release. They wait only where somebody rotates
 * the binlog on a frozen disk; the customers are not kept waiting for a proof.
 */
const PROOF_LIMIT_MS = 500;

/** Longest wait for UNLOCK TABLES / BACKUP STAGE END before the session is killed instead. */
const RELEASE_STATEMENT_LIMIT_MS = 1_000;

/** How often the control session looks at the number of clients while the lock is there. */
const WATCH_MS = 250;

/** For how many looks ahead the growth since the last one is reckoned on. */
const GROWTH_LOOKS = 1.5;

/** What InnoDB's log writer may be late, beyond its interval. */
const LOG_WRITER_SLACK_MS = 1_000;

/** Longest wait for a KILL, and then for the killed session to be gone. */
const KILL_LIMIT_MS = 1_000;

/** ER_NO_SUCH_THREAD: the session that was to be killed has ended already. */
const NO_SUCH_THREAD = 1094;

/**
 * What a lock statement gets beyond `lock_wait_timeout` before the session is killed, in
 * milliseconds. FTWRL waits in up to three phases and the server bounds each
 * (`docs/locking.md#12-how-lock_wait_timeout-bounds-it`): this one bounds what a writer pays for
 * all of them.
 */
const LOCK_ANSWER_MS = 500;

/** Where an instance is and who we are there. */
export interface InstanceOptions {
  readonly name: string;
  /** All that the option file names; a single one needs no group of its own. */
  readonly instances?: readonly unknown[];
  readonly socket: string;
  readonly user: string;
  readonly password: string | null;
  readonly method: "auto" | MethodName;
  /** Bound of one attempt to lock, in milliseconds. */
  readonly lockWaitTimeoutMs: number;
  /** Age from which a statement counts as a blocker, in milliseconds. */
  readonly longQueryGuardMs: number;
  /** Which blockers may be killed. */
  readonly killLongQueries: "off" | "select" | "all";
  /** Share of `max_connections` that counts as crowded, null for never. */
  readonly connectionMark: number | null;
  /** Called when the clients that wait for the lock come near `max_connections`. */
  readonly onCrowded: (why: string) => void;
  /** Called when the lock session ends by itself or does not answer. */
  readonly onLost: (why: string) => void;
  /** The same for the control session: no danger to the lock, but worth a line. */
  readonly onControlLost: (why: string) => void;
}

/** What was found out about a server before it was locked. */
export interface InstanceFacts {
  readonly name: string;
  readonly socket: string;
  readonly server: ServerVersion;
  /** CONNECTION_ID() of the lock session. */
  readonly connection_id: number;
  /** Identity and directories, as the server says them. */
  readonly hostname: string;
  readonly server_id: number;
  readonly server_uuid: string | null;
  readonly read_only: boolean;
  readonly datadir: string;
  readonly maxConnections: number;
  /** How often InnoDB writes its log by itself, in seconds; null where every commit does. */
  readonly logWriteIntervalS: number | null;
  /** How it applies what it replicates. */
  readonly appliers: Appliers;
  /** Directories whose filesystems hold data, redo, undo and binlog. */
  readonly dataDirectories: readonly string[];
}

/** Something about a server or an account that a window has to live with. */
export interface InstanceWarning {
  readonly reason: "guard-blind" | "kill-denied" | "replicas-unseen" | "thread-pool";
  /** A line, the instance's name first. */
  readonly text: string;
  /** What an administrator of the server runs against it; null where no statement does. */
  readonly statement: string | null;
}

/** A server with both its sessions open. */
export interface Instance {
  readonly facts: InstanceFacts;
  /** What was found on the way and is worth a line. */
  readonly warnings: readonly InstanceWarning[];
  /** Where it stands among others. */
  readonly topology: Topology;
  /** Whether it writes a binlog. */
  readonly hasBinlog: boolean;
  /** Who we are there, as SQL writes it, and the rows of our SHOW GRANTS. */
  readonly rights: { readonly account: string; readonly grants: readonly string[] };
  /** How it is locked, or will be. */
  choice(): MethodChoice;
  /**
   * Keeps other locktables off this server. A refusal where one has it, a warning where the server
   * gives out no names. After all instances are known to be different servers.
   */
  claim(): Promise<Refusal | string | null>;
  /**
   * Looks for sessions that would make the lock wait now, and with `mayKill` ends those that may
   * be ended. Without the PROCESS privilege only those of the own account are seen. A refusal where
   * a session does not answer any more.
   */
  look(mayKill: boolean): Promise<Look | Refusal>;
  /** Takes the lock. On a refusal something may still be held: call {@linkcode release}. */
  lock(): Promise<Refusal | null>;
  /**
   * Sees to it that InnoDB's log is in its file, where commits do not: under
   * innodb_flush_log_at_trx_commit=0 up to a second of it is only in the server's memory, where
   * no `sync` reaches it.
   */
  writeLog(): Promise<Refusal | null>;
  /** Reads the coordinates under the lock, and remembers them for the release. */
  readCoordinates(): Promise<Coordinates | Refusal>;
  /** Those that were read; null before. */
  coordinates(): Coordinates | null;
  /**
   * Releases whatever is held or waited for and closes both sessions. Never rejects,
   * ends within 5 s, and ends with the lock gone even where the server does not answer:
   * at the latest its `wait_timeout` and `lock_wait_timeout` see to it.
   */
  release(): Promise<ReleaseEnd>;
  /** How the release went; null before its end. */
  end(): ReleaseEnd | null;
}

/** What the guard saw. */
export interface Look {
  readonly blockers: readonly Blocker[];
  /** Readers too young for the server to say how old they are. */
  readonly newborn: readonly Blocker[];
  /** Blockers whose statement was killed. */
  readonly killed: readonly Blocker[];
  /** Why the server cannot take a queue of waiting clients now, or null. */
  readonly crowded: Crowd | null;
  /** What the server answered with an error, a line each: the guard does not see it. */
  readonly blind: readonly string[];
}

/** Clients near `connection_mark`. */
export interface Crowd {
  readonly connected: number;
  readonly why: string;
}

/** How a release went. */
export interface ReleaseEnd {
  readonly proof: ReleaseProof;
  readonly coordinates: Pick<Coordinates, "file" | "position"> | null;
}

const VARIABLES = [
  "version",
  "version_comment",
  "hostname",
  "server_id",
  "server_uuid",
  "read_only",
  "max_connections",
  "thread_handling",
  "wsrep_on",
  "wsrep_reject_queries",
  "group_replication_group_name",
  "datadir",
  "log_bin_basename",
  "relay_log_basename",
  ...APPLIER_VARIABLES,
  "innodb_flush_log_at_trx_commit",
  "innodb_flush_log_at_timeout",
  "innodb_data_home_dir",
  "innodb_log_group_home_dir",
  "innodb_undo_directory",
  "innodb_doublewrite_dir",
  "innodb_directories",
  "aria_log_dir_path",
];

/**
 * SHOW PROCESSLIST cuts statements at 100 characters, where a FOR UPDATE may still follow; FULL
 * would send those of many megabytes. Of a long one both ends are asked for: who locks rows may say
 * so in its last words (MariaDB shows the first 64 KiB).
 */
const PROCESS_LIST = `SELECT /* locktables */ id AS Id, user AS User, command AS Command,
 time AS Time, state AS State, IF(CHAR_LENGTH(info) > 2048, CONCAT(LEFT(info, 1536), ' ',
 RIGHT(info, 512)), info) AS Info FROM information_schema.processlist`;

/** Opens both sessions and finds out what the server is. Nothing is left open on a refusal. */
export async function openInstance(options: InstanceOptions): Promise<Instance | Refusal> {
  let subject: ErrorSubject = {
    socket: options.socket,
    user: options.user,
    server: null,
    ...((options.instances?.length ?? 1) > 1 ? { instance: options.name } : {}),
  };
  const opened: Session[] = [];
  const life: Life = { isEnding: false };
  const refuse = (refused: Refusal) => {
    for (const session of opened) session.close();
    return refused;
  };
  const fail = (thrown: unknown, doing: string) => refuse(refusalFor(thrown, doing, subject));

  const login = {
    socket: options.socket,
    user: options.user,
    password: options.password,
    limitMs: CONNECT_LIMIT_MS,
  };
  const logins = await Promise.allSettled([
    openSession({ ...login, onLost: (why) => life.isEnding || options.onLost(why) }),
    openSession({ ...login, onLost: (why) => life.isEnding || options.onControlLost(why) }),
  ]);
  for (const result of logins) if (result.status === "fulfilled") opened.push(result.value);
  const failed = logins.find((result) => result.status === "rejected");
  if (failed !== undefined) return fail(failed.reason, `Cannot log in as ${options.user}`);
  const [lockSession, control] = opened as [Session, Session];

  try {
    // As much at once as the two sessions take: all of it is the caller's time.
    const [variables, rights] = await Promise.all([
      readVariables(control),
      readRights(lockSession),
    ]);
    const facts = factsFrom(options, variables, lockSession.id);
    if (isRefusal(facts)) return refuse(facts);
    // Before anything else is asked: a method that the server does not have at all.
    const possible = chooseMethod(options.method, facts.server);
    if (isRefusal(possible)) return refuse(possible);
    subject = { ...subject, server: facts.server, account: accountOf(rights.account) };
    const can = capabilitiesOf(facts.server);
    const question = { ...rights, server: facts.server, socket: options.socket };
    const privileges = checkPrivileges({
      ...question,
      also: [
        ...(options.killLongQueries === "off" ? [] : ["kill" as const]),
        ...(facts.logWriteIntervalS === null || can.flushLogStatement === null
          ? []
          : ["log" as const]),
      ],
    });
    if (privileges.refusal !== null) return refuse(privileges.refusal);
    const has = topologyOf(variables);
    const settings = sessionSettings(options.lockWaitTimeoutMs, can);
    await Promise.all([
      lockSession.query(settings, QUERY_LIMIT_MS),
      control.query(settings, QUERY_LIMIT_MS),
    ]);
    // First of a node's answers: one that is out of its cluster gives no other.
    const { wsrep } = await readTopology(control, can, { ...has, replicas: false, group: false });
    const refused = galeraRefusal(wsrep, facts.server, options.socket) ??
      rejectingRefusal(variables.get("wsrep_reject_queries"), facts.server, options.socket);
    if (refused !== null) return refuse(refused);
    // Asked once while it costs nobody anything: what the grants do not tell must not be found
    // out under the lock either.
    const [{ gtid, log_bin }, topology] = await Promise.all([
      readCoordinates(lockSession, can, control),
      readTopology(control, can, has),
    ]);
    // MariaDB shows the channels only to SLAVE MONITOR. Whether there are any is seen from what was
    // applied, or from the signs of a replica that has not applied anything yet.
    const blind = topology.replicas.length > 0
      ? []
      : checkPrivileges({ ...question, also: ["replicas"] }).losses
        .filter(({ purpose }) => purpose === "replicas");
    const isReplica = topology.replicas.length > 0 || (gtid["gtid_slave_pos"] ?? "") !== "" ||
      (blind.length > 0 && await hasSignsOfReplica(control));
    const losses = [...privileges.losses, ...(isReplica ? blind : [])];
    const choice = chooseMethod(
      options.method,
      facts.server,
      lagsUnderStage(facts.server, facts.appliers, isReplica),
    );
    if (isRefusal(choice)) return refuse(choice);
    const warnings = [
      ...threadPoolWarning(options.name, variables.get("thread_handling")),
      ...losses.map((loss) => lossWarning(options.name, loss)),
    ];
    return instanceOf({
      life,
      options,
      facts,
      choice,
      can,
      subject,
      lockSession,
      control,
      warnings,
      topology,
      hasBinlog: log_bin,
      rights: { account: subject.account ?? "", grants: rights.grants },
    });
  } catch (error) {
    return fail(error, "Cannot prepare a session");
  }
}

/** Who we are and what we may. */
async function readRights(
  session: Session,
): Promise<{ readonly account: string; readonly grants: readonly string[] }> {
  const [self] = await session.query(
    "SELECT /* locktables */ CURRENT_USER() AS account",
    QUERY_LIMIT_MS,
  );
  const account = String(self?.["account"] ?? "");
  try {
    const rows = await session.query("SHOW /* locktables */ GRANTS", QUERY_LIMIT_MS);
    return { account, grants: rows.map((row) => String(Object.values(row)[0])) };
  } catch (error) {
    // A server without accounts (1290, --skip-grant-tables) has no grants to show: what is not
    // known is left to the statements that need it.
    if (driverError(error).errno === undefined) throw error;
    return { account, grants: [] };
  }
}

async function readVariables(session: Session): Promise<ReadonlyMap<string, string>> {
  const rows = await session.query(
    `SHOW /* locktables */ GLOBAL VARIABLES WHERE Variable_name IN ('${VARIABLES.join("','")}')`,
    QUERY_LIMIT_MS,
  );
  return new Map(rows.map((row) => [String(row["Variable_name"]), String(row["Value"])]));
}

/** What to ask a server about its topology; a replica shows itself only when it is asked. */
function topologyOf(variables: ReadonlyMap<string, string>): TopologyQuestions {
  return {
    replicas: true,
    wsrep: variables.get("wsrep_on") === "ON",
    // There with the plugin alone.
    group: variables.has("group_replication_group_name"),
  };
}

/** `docs/locking.md#23-thread-pool`: writers that fill the pool keep the release from being run. */
function threadPoolWarning(name: string, threadHandling: string | undefined): InstanceWarning[] {
  if (threadHandling !== "pool-of-threads") return [];
  return [{
    reason: "thread-pool",
    text:
      `${name}: thread_handling=pool-of-threads; writers that fill the pool delay the release, so hold short and leave thread_pool_max_threads high`,
    // How the server runs its threads is decided when it starts.
    statement: null,
  }];
}

/** Which warning the lack of a privilege is. What nobody can do without is a refusal. */
const LOSS_REASONS: Readonly<Partial<Record<Purpose, InstanceWarning["reason"]>>> = {
  guard: "guard-blind",
  kill: "kill-denied",
  replicas: "replicas-unseen",
};

function lossWarning(name: string, { purpose, text, statement }: PrivilegeLoss): InstanceWarning {
  return {
    reason: LOSS_REASONS[purpose] ?? "guard-blind",
    text: `${name}: ${text}: ${statement}`,
    statement,
  };
}

/** Whether the end of a session is our own doing. */
interface Life {
  isEnding: boolean;
}

interface OpenedInstance {
  readonly life: Life;
  readonly options: InstanceOptions;
  readonly facts: InstanceFacts;
  readonly choice: MethodChoice;
  readonly can: Capabilities;
  readonly subject: ErrorSubject;
  readonly lockSession: Session;
  readonly control: Session;
  readonly warnings: readonly InstanceWarning[];
  readonly topology: Topology;
  readonly hasBinlog: boolean;
  readonly rights: Instance["rights"];
}

function instanceOf(opened: OpenedInstance): Instance {
  const { life, options, facts, can, subject, lockSession, control, topology } = opened;
  let { choice } = opened;
  const policy = {
    can,
    ownIds: [lockSession.id, control.id],
    thresholdMs: options.longQueryGuardMs,
  };
  const processList = () => control.query(PROCESS_LIST, QUERY_LIMIT_MS);
  const findAll = async (
    method: Method,
    rows: readonly Row[] | null = null,
    noted: (line: string) => void = () => {},
  ): Promise<Blocker[]> => {
    const running = findBlockers(rows ?? await processList(), { ...policy, method });
    const statement = can.idleLocksStatement;
    if (statement === null) return byCause(running);
    const ask = () => control.query(statement, QUERY_LIMIT_MS);
    const locks = await orBlind("the locks of idle sessions", ask, [], noted);
    return byCause([...running, ...findIdleBlockers(locks, { ...policy, method })]);
  };
  let connectedBefore = Infinity;
  const crowded = async (session: Session): Promise<Crowd | null> => {
    if (options.connectionMark === null) return null;
    const [row] = await session.query(
      "SHOW /* locktables */ GLOBAL STATUS LIKE 'Threads_connected'",
      QUERY_LIMIT_MS,
    );
    const connected = Number(row?.["Value"]);
    const mark = Math.floor(facts.maxConnections * options.connectionMark);
    // Where they come quickly, the next look would be too late.
    const coming = isLockSent ? GROWTH_LOOKS * Math.max(connected - connectedBefore, 0) : 0;
    connectedBefore = connected;
    const isFar = connected < mark && connected + coming < facts.maxConnections;
    return isFar || facts.maxConnections === 0 ? null : {
      connected,
      why:
        `${facts.name}: ${connected} of max_connections ${facts.maxConnections} are in use, connection_mark is ${mark}`,
    };
  };
  let seen: readonly Blocker[] = [];
  let isLockSent = false;
  let isLockPending = false;
  let held: Coordinates | null = null;
  let released: Promise<ReleaseEnd> | null = null;
  let end: ReleaseEnd | null = null;

  const keepAlive = async () => {
    // Behind a waiting lock statement it would only queue up; that statement has its own limit.
    if (isLockPending || lockSession.isClosed()) return;
    try {
      await lockSession.query(KEEPALIVE, KEEPALIVE_LIMIT_MS);
    } catch (error) {
      if (!life.isEnding) options.onLost(driverError(error).message);
    }
  };
  const keepingAlive = setInterval(keepAlive, KEEPALIVE_MS);
  // Asked often enough to keep the control session alive, too.
  const watching = setInterval(async () => {
    if (control.isClosed() || control.isBusy()) return;
    try {
      const crowd = isLockSent ? await crowded(control) : null;
      if (crowd !== null) options.onCrowded(crowd.why);
      else if (options.connectionMark === null || !isLockSent) {
        await control.query(KEEPALIVE, KEEPALIVE_LIMIT_MS);
      }
    } catch (error) {
      if (!life.isEnding) options.onControlLost(driverError(error).message);
    }
  }, WATCH_MS);

  const release = async (): Promise<ReleaseEnd> => {
    life.isEnding = true;
    clearInterval(keepingAlive);
    clearInterval(watching);
    const inOrder = !isLockSent
      ? { proof: "equal" as const, coordinates: null }
      : isLockPending || lockSession.isClosed()
      ? null
      : await releaseInOrder(lockSession, control, choice.method.release, can, held);
    if (inOrder === null) await kill(control, lockSession);
    lockSession.close();
    control.close();
    end = inOrder ?? { proof: "cut", coordinates: null };
    return end;
  };

  return {
    facts,
    warnings: opened.warnings,
    topology,
    hasBinlog: opened.hasBinlog,
    rights: opened.rights,
    choice: () => choice,
    claim: () =>
      claimName(lockSession, {
        socket: options.socket,
        id: lockSession.id,
        globalLockStatement: checkCapabilitiesOf(facts.server).globalLockStatement,
      }),

    async look(mayKill) {
      const blind: string[] = [];
      const noted = (line: string) => {
        blind.push(`${facts.name}: ${line}`);
      };
      try {
        const [rows, crowd] = await Promise.all([
          orBlind("the process list", processList, [], noted),
          orBlind("the number of clients", () => crowded(lockSession), null, noted),
        ]);
        const blockers = await findAll(choice.method, rows, noted);
        const newborn = findNewborn(rows, { ...policy, method: choice.method });
        const victims = mayKill ? findVictims(seen, blockers, options.killLongQueries) : [];
        seen = blockers;
        const killed: Blocker[] = [];
        for (const victim of victims) {
          try {
            await control.query(`KILL /* locktables */ QUERY ${victim.id}`, QUERY_LIMIT_MS);
          } catch (error) {
            const { errno, message } = driverError(error);
            if (errno === undefined) throw error;
            if (errno !== NO_SUCH_THREAD) {
              noted(
                `the statement of id ${victim.id} could not be killed: error ${errno}: ${message}`,
              );
              continue;
            }
          }
          killed.push(victim);
        }
        return { blockers, newborn, killed, crowded: crowd, blind };
      } catch (error) {
        return refusalFor(error, "Cannot look for statements in the way of a lock", subject);
      }
    },

    async lock() {
      isLockSent = true;
      const deadline = performance.now() + options.lockWaitTimeoutMs + LOCK_ANSWER_MS;
      for (let at = 0; at < choice.method.acquire.length; at += 1) {
        isLockPending = true;
        try {
          await lockSession.query(
            statementOf(choice, at),
            Math.max(deadline - performance.now(), LOCK_ANSWER_MS),
          );
          isLockPending = false;
        } catch (error) {
          const { code, errno } = driverError(error);
          // Without an answer the statement may still be waiting on the server.
          isLockPending = code === "NO_ANSWER";
          const next = at === 0 ? fallback(choice, errno) : null;
          if (next === null) {
            // Whoever delays any method delays this one, and all of them are worth naming.
            const names = await namesOf(() => findAll(METHODS.ftwrl));
            return lockRefusal(error, choice, options, subject, names);
          }
          choice = next;
          at = -1;
          // The guard has looked for what the first method waits for; this one waits for more.
          let inTheWay: Blocker[];
          try {
            inTheWay = await findAll(next.method);
          } catch (error) {
            return refusalFor(error, "Cannot look for statements in the way of a lock", subject);
          }
          if (inTheWay.length > 0) {
            const names = await namesOf(() => Promise.resolve(inTheWay));
            return lockRefusal(error, choice, options, subject, names);
          }
        }
      }
      return null;
    },

    async writeLog() {
      if (facts.logWriteIntervalS === null) return null;
      try {
        if (can.flushLogStatement !== null) {
          await control.query(can.flushLogStatement, QUERY_LIMIT_MS);
          return null;
        }
        return await waitForLog(control, facts.logWriteIntervalS, facts.name);
      } catch (error) {
        return refusalFor(error, "Cannot have InnoDB write its log", subject);
      }
    },

    async readCoordinates() {
      try {
        // Only what the server has is asked for again: a server that stands alone pays nothing.
        const has = {
          replicas: topology.replicas.length > 0,
          wsrep: topology.wsrep !== null,
          group: topology.group !== null,
        };
        const [coordinates, now] = await Promise.all([
          readCoordinates(lockSession, can, control),
          readTopology(control, can, has),
        ]);
        const read = { ...coordinates, ...now };
        const inexact = inexactPosition({
          server: facts.server,
          serverId: facts.server_id,
          appliers: facts.appliers,
          method: choice.method.name,
          coordinates: read,
        });
        held = { ...read, inexact };
        return held;
      } catch (error) {
        return refusalFor(error, "Cannot read the binlog coordinates", subject);
      }
    },

    coordinates: () => held,

    release() {
      released ??= release();
      return released;
    },

    end: () => end,
  };
}

/**
 * The orderly way: look once more where the binlog ends, then let go. Null where the
 * session does not answer.
 */
async function releaseInOrder(
  session: Session,
  control: Session,
  statement: string,
  can: Capabilities,
  held: Coordinates | null,
): Promise<ReleaseEnd | null> {
  try {
    const now = held === null ? null : await readPosition(session, can);
    // Somebody may have rotated the log, which no lock forbids; the GTIDs tell it from a commit.
    const isMoved = held !== null && now !== null &&
      (isSamePosition(held, now)
        ? !await isSameWriteSet(control, can, held)
        : !isSameHistory(held, await readCoordinates(session, can, control, PROOF_LIMIT_MS)));
    if (held !== null && now === null && session.isBusy()) return null;
    await session.query(statement, RELEASE_STATEMENT_LIMIT_MS);
    if (held === null) return { proof: "same-session", coordinates: null };
    if (now === null) return { proof: "unread", coordinates: null };
    if (isMoved) return { proof: "moved", coordinates: now };
    const isCompared = held.log_bin || held.wsrep !== null;
    return { proof: isCompared ? "equal" : "same-session", coordinates: now };
  } catch {
    // Whatever it was, the answer is the same: the session is killed.
    return null;
  }
}

/** On a Galera node without a binlog the last write set is all there is to compare. */
async function isSameWriteSet(
  control: Session,
  can: Capabilities,
  held: Coordinates,
): Promise<boolean> {
  if (held.log_bin || held.wsrep === null) return true;
  const { wsrep } = await readTopology(control, can, {
    replicas: false,
    wsrep: true,
    group: false,
  });
  return wsrep?.last_committed === held.wsrep.last_committed;
}

/**
 * Ends the lock session from outside and waits until the server has forgotten it: dropping
 * the socket does not cancel a waiting FTWRL on MySQL
 * (`docs/locking.md#12-how-lock_wait_timeout-bounds-it`). An account may kill its own sessions
 * without any privilege.
 */
async function kill(control: Session, session: Session): Promise<void> {
  const deadline = performance.now() + KILL_LIMIT_MS;
  try {
    await control.query(`KILL /* locktables */ ${session.id}`, KILL_LIMIT_MS);
    while (performance.now() < deadline) {
      const rows = await control.query("SHOW /* locktables */ PROCESSLIST", KILL_LIMIT_MS);
      if (!rows.some((row) => Number(row["Id"]) === session.id)) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  } catch {
    // 1094 (no such session) is the end that was wanted. Where the control session does not
    // answer either, closing both sockets and the server's own timeouts are what is left.
  }
}

/**
 * Ends a lock session whose locker does not answer, so that the customers need not wait for
 * `wait_timeout`. Null when it is gone, else why it may not be.
 */
export async function killLockSession(
  login: { socket: string; user: string; password: string | null },
  id: number,
): Promise<string | null> {
  try {
    const session = await openSession({ ...login, limitMs: KILL_LIMIT_MS, onLost: () => {} });
    try {
      if (!await isLockSession(session, id, KILL_LIMIT_MS)) return null;
      await session.query(`KILL /* locktables */ ${id}`, KILL_LIMIT_MS);
    } finally {
      session.close();
    }
    return null;
  } catch (error) {
    const { errno, message } = driverError(error);
    return errno === NO_SUCH_THREAD ? null : message;
  }
}

function sessionSettings(lockWaitTimeoutMs: number, can: Capabilities): string {
  const seconds = Math.ceil(lockWaitTimeoutMs / 1000);
  const settings = [
    `wait_timeout=${WAIT_TIMEOUT_S}`,
    `lock_wait_timeout=${seconds}`,
    // One second more, so that lock_wait_timeout speaks first and says what it was.
    ...(can.maxStatementTime ? [`max_statement_time=${seconds + 1}`] : []),
  ];
  return `SET /* locktables */ SESSION ${settings.join(", ")}`;
}

async function readCoordinates(
  session: Session,
  can: Capabilities,
  other: Session,
  limitMs = QUERY_LIMIT_MS,
): Promise<Coordinates> {
  const list = can.gtidVariables.map((name) => `@@global.${name} AS ${name}`).join(", ");
  const [status, gtid] = await Promise.all([
    session.query(can.binlogStatusStatement, limitMs),
    other.query(`SELECT /* locktables */ ${list}`, limitMs),
  ]);
  return coordinatesFrom(status, gtid[0] ?? {});
}

/** Which questions about the topology are asked. */
type TopologyQuestions = Readonly<Record<keyof Topology, boolean>>;

async function readTopology(
  control: Session,
  can: Capabilities,
  ask: TopologyQuestions,
): Promise<Topology> {
  const replicas = ask.replicas ? await allowed(control, can.replicaStatusStatement) : [];
  const wsrep = ask.wsrep
    ? await control.query("SHOW /* locktables */ GLOBAL STATUS LIKE 'wsrep%'", QUERY_LIMIT_MS)
    : [];
  return {
    replicas: replicaPositions(replicas),
    wsrep: wsrepPosition(wsrep),
    group: groupMember(
      ask.group && can.groupStatement !== null ? await allowed(control, can.groupStatement) : [],
    ),
  };
}

/**
 * Whether something says that this is a replica: its threads, which the process list shows to
 * PROCESS, or that it was told of a source since it started.
 */
async function hasSignsOfReplica(session: Session): Promise<boolean> {
  const [threads, told] = await Promise.all([
    session.query(
      "SELECT /* locktables */ COUNT(*) AS threads FROM information_schema.processlist WHERE LEFT(command, 6)='Slave_'",
      QUERY_LIMIT_MS,
    ),
    session.query(
      "SHOW /* locktables */ GLOBAL STATUS WHERE Variable_name IN ('Com_change_master', 'Com_start_slave')",
      QUERY_LIMIT_MS,
    ),
  ]);
  return Number(threads[0]?.["threads"] ?? 0) > 0 ||
    told.some((row) => Number(row["Value"]) > 0);
}

/** The rows of a statement that is told for the record only; none where the account may not ask. */
async function allowed(control: Session, statement: string): Promise<readonly Row[]> {
  try {
    return await control.query(statement, QUERY_LIMIT_MS);
  } catch (error) {
    if (driverError(error).errno === undefined) throw error;
    return [];
  }
}

/**
 * Waits for the server's own log writer to pass what was committed before the lock. MariaDB shows
 * both ends from 10.5.2 on, without a privilege.
 */
async function waitForLog(
  control: Session,
  intervalS: number,
  name: string,
): Promise<Refusal | null> {
  const ends = async () => {
    const rows = await control.query(
      "SHOW /* locktables */ GLOBAL STATUS WHERE Variable_name IN ('Innodb_lsn_current', 'Innodb_lsn_flushed')",
      QUERY_LIMIT_MS,
    );
    const end = (which: string) =>
      Number(rows.find((row) => row["Variable_name"] === `Innodb_lsn_${which}`)?.["Value"]);
    return { current: end("current"), flushed: end("flushed") };
  };
  const limitMs = intervalS * 1_000 + LOG_WRITER_SLACK_MS;
  const deadline = performance.now() + limitMs;
  const { current } = await ends();
  while (performance.now() < deadline) {
    if ((await ends()).flushed >= current) return null;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return refusal(
    EXIT.lockNotObtained,
    "log-not-written",
    `${name}: InnoDB did not write its log within ${limitMs} ms (innodb_flush_log_at_trx_commit=0, innodb_flush_log_at_timeout=${intervalS})`,
    "Set innodb_flush_log_at_trx_commit to 1 or 2",
  );
}

async function readPosition(session: Session, can: Capabilities): Promise<Coordinates | null> {
  try {
    return coordinatesFrom(await session.query(can.binlogStatusStatement, PROOF_LIMIT_MS), {});
  } catch {
    // Told through the proof: "unread" where the session goes on, "cut" where it does not.
    return null;
  }
}

function factsFrom(
  options: InstanceOptions,
  variables: ReadonlyMap<string, string>,
  connectionId: number,
): InstanceFacts | Refusal {
  const text = variables.get("version") ?? "";
  const server = parseVersion(text, variables.get("version_comment") ?? "");
  if (server === null) {
    return refusal(
      EXIT.unreachable,
      "unknown-server",
      `What answers at ${options.socket} is no MySQL or MariaDB server: version '${text}'`,
      "Name the server's socket with socket= in [client] of /root/.my.cnf",
    );
  }
  return {
    name: options.name,
    socket: options.socket,
    server,
    connection_id: connectionId,
    hostname: variables.get("hostname") ?? "",
    server_id: Number(variables.get("server_id") ?? 0),
    server_uuid: variables.get("server_uuid") ?? null,
    read_only: (variables.get("read_only") ?? "OFF") !== "OFF",
    datadir: variables.get("datadir") ?? "",
    logWriteIntervalS: variables.get("innodb_flush_log_at_trx_commit") === "0"
      ? Number(variables.get("innodb_flush_log_at_timeout") ?? 1)
      : null,
    maxConnections: Number(variables.get("max_connections") ?? 0),
    appliers: appliersOf(variables),
    dataDirectories: dataDirectories(variables),
  };
}

/** The directories that hold what a restore needs; each once, absolute. */
export function dataDirectories(variables: ReadonlyMap<string, string>): string[] {
  const datadir = variables.get("datadir") ?? "";
  const parent = (path: string) => path.slice(0, Math.max(path.lastIndexOf("/"), 1));
  const named = [
    datadir,
    variables.get("innodb_data_home_dir"),
    variables.get("innodb_log_group_home_dir"),
    variables.get("innodb_undo_directory"),
    variables.get("innodb_doublewrite_dir"),
    ...(variables.get("innodb_directories") ?? "").split(";"),
    variables.get("aria_log_dir_path"),
    ...[variables.get("log_bin_basename"), variables.get("relay_log_basename")]
      .map((base) => base?.startsWith("/") ? parent(base) : undefined),
  ];
  const absolute = named
    .filter((path): path is string => path !== undefined && path !== "")
    .map((path) => path.startsWith("/") ? path : `${datadir}/${path}`)
    .map((path) => path.replaceAll(/\/(\.?\/)*/g, "/").replace(/\/\.?$/, "") || "/");
  return [...new Set(absolute)];
}

async function namesOf(look: () => Promise<readonly Blocker[]>): Promise<string> {
  try {
    const blockers = await look();
    return blockers.length === 0
      ? "; no statement in the process list explains it: an idle session may hold LOCK TABLES, or another backup its lock (SHOW OPEN TABLES WHERE In_use > 0)"
      : `; blocked by ${describeBlockers(blockers)}`;
  } catch (error) {
    return `; the blockers could not be listed: ${driverError(error).message}`;
  }
}

function statementOf({ method, otherwise }: MethodChoice, at: number): string {
  const alone = at === 0 && otherwise === null ? method.acquireFirstWhenAlone : null;
  return alone ?? method.acquire[at] ?? "";
}

/** Errors that mean "somebody is in the way": lock wait timeout, statement time, interrupted. */
const LOCK_WAIT_ERRNOS = [1205, 1317, 1969, 3024];

function lockRefusal(
  thrown: unknown,
  { method }: MethodChoice,
  options: InstanceOptions,
  subject: ErrorSubject,
  blockedBy: string,
): Refusal {
  const error = driverError(thrown);
  const isWait = (error.errno !== undefined && LOCK_WAIT_ERRNOS.includes(error.errno)) ||
    error.code === "NO_ANSWER";
  if (!isWait) return refusalFor(thrown, `${method.label} failed`, subject);
  return refusal(
    EXIT.lockNotObtained,
    LOCK_WAIT_TIMEOUT,
    `${method.label} was not granted within lock_wait_timeout (${options.lockWaitTimeoutMs} ms) at ${options.socket}${blockedBy}`,
    "Let the long statement end or KILL it, then try again; raise lock_wait_timeout only if writers may queue longer",
  );
}
