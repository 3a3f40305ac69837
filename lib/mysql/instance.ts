/**
 * One server in a window: a lock session that holds the lock and does nothing else,
 * and a control session that looks, and kills the lock session where it must.
 * Both are opened before anything is locked, because a server full of waiting writers
 * gives out no third one (`docs/locking.md#22-connections`).
 */
import { isRefusal, type Refusal } from "../base/refusal.ts";
import type { Coordinates, Topology } from "../window/coordinates.ts";
import { orBlind } from "./blind_look.ts";
import { type Crowd, crowdWatch } from "./crowd_watch.ts";
import { driverError, type ErrorSubject, refusalFor } from "./errors.ts";
import { type Capabilities, capabilitiesOf, checkCapabilitiesOf } from "./flavor.ts";
import {
  type Blocker,
  byCause,
  findBlockers,
  findIdleBlockers,
  findVictims,
  findYoungReaders,
} from "./guard.ts";
import { inexactPosition, lagsUnderStage } from "./image_position.ts";
import { KEEPALIVE, keepAlive, KEEPALIVE_LIMIT_MS, WAIT_TIMEOUT_S } from "./keepalive.ts";
import { kill, NO_SUCH_THREAD } from "./kill.ts";
import { QUERY_LIMIT_MS } from "./limits.ts";
import { lockRefusal, namesOf } from "./lock_refusal.ts";
import {
  chooseMethod,
  fallback,
  type Method,
  type MethodChoice,
  type MethodName,
  METHODS,
} from "./methods.ts";
import { accountOf, checkPrivileges } from "./privileges.ts";
import {
  hasSignsOfReplica,
  readCoordinates,
  readTopology,
  topologyOf,
} from "./read_coordinates.ts";
import { waitForLog } from "./redo_log.ts";
import { type ReleaseEnd, releaseInOrder } from "./release.ts";
import { factsFrom, type InstanceFacts, readRights, readVariables } from "./server_facts.ts";
import { type Claimed, claimName } from "./server_name.ts";
import { openSession, type Row, type Session } from "./session.ts";
import { galeraRefusal, rejectingRefusal } from "./topology.ts";
import { type InstanceWarning, lossWarning, threadPoolWarning } from "./warnings.ts";

/** Longest wait for socket and login. A server that is starting up answers late. */
const CONNECT_LIMIT_MS = 5_000;

/** How often the control session looks at the number of clients while the lock is there. */
const WATCH_MS = 250;

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
  /** Called when the lock session ends unasked or does not answer. */
  readonly onLost: (why: string) => void;
  /** The same for the control session: no danger to the lock, but worth a line. */
  readonly onControlLost: (why: string) => void;
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
  /** Keeps other locktables off this server. After all instances are known to be different servers. */
  claim(): Promise<Claimed>;
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
  /** Readers less than a second old: the server reports whole seconds. */
  readonly youngReaders: readonly Blocker[];
  /** Blockers whose statement was killed. */
  readonly killed: readonly Blocker[];
  /** Why the server cannot take a queue of waiting clients now, or null. */
  readonly crowded: Crowd | null;
  /** What the server answered with an error, a line each: the guard does not see it. */
  readonly blind: readonly string[];
}

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
    // In parallel on both sessions: the hypervisor is waiting.
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
    // Asked once before the lock: what the grants do not show must not be found
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
  const crowd = crowdWatch({
    name: facts.name,
    maxConnections: facts.maxConnections,
    connectionMark: options.connectionMark,
  });
  let seen: readonly Blocker[] = [];
  let isLockSent = false;
  let isLockPending = false;
  let held: Coordinates | null = null;
  let released: Promise<ReleaseEnd> | null = null;
  let end: ReleaseEnd | null = null;

  const stopKeepalive = keepAlive(lockSession, () => isLockPending, (why) => {
    if (!life.isEnding) options.onLost(why);
  });
  // Asked often enough to keep the control session alive, too.
  const watching = setInterval(async () => {
    if (control.isClosed() || control.isBusy()) return;
    try {
      const near = isLockSent ? await crowd.look(control, true) : null;
      if (near !== null) options.onCrowded(near.why);
      else if (options.connectionMark === null || !isLockSent) {
        await control.query(KEEPALIVE, KEEPALIVE_LIMIT_MS);
      }
    } catch (error) {
      if (!life.isEnding) options.onControlLost(driverError(error).message);
    }
  }, WATCH_MS);

  const release = async (): Promise<ReleaseEnd> => {
    life.isEnding = true;
    stopKeepalive();
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
        const [rows, crowded] = await Promise.all([
          orBlind("the process list", processList, [], noted),
          orBlind("the number of clients", () => crowd.look(lockSession, isLockSent), null, noted),
        ]);
        const blockers = await findAll(choice.method, rows, noted);
        const youngReaders = findYoungReaders(rows, { ...policy, method: choice.method });
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
        return { blockers, youngReaders, killed, crowded, blind };
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
            // A session that delays any method delays this one, and all of them are worth naming.
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

function statementOf({ method, otherwise }: MethodChoice, at: number): string {
  const alone = at === 0 && otherwise === null ? method.acquireFirstWhenAlone : null;
  return alone ?? method.acquire[at] ?? "";
}
