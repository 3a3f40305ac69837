/**
 * One server in a window: a lock session that holds the lock and does nothing else,
 * and a control session that looks, and kills the lock session where it must.
 * Both are opened before anything is locked, because a server full of waiting writers
 * gives out no third one (`locking.md` 2.2).
 */
import { EXIT, isRefusal, type Refusal, refusal } from "../report/refusal.ts";
import type { ReleaseProof } from "../window/window.ts";
import { type Coordinates, coordinatesFrom, isSamePosition } from "./coordinates.ts";
import { driverError, type ErrorSubject, refusalFor } from "./errors.ts";
import { type Capabilities, capabilitiesOf, parseVersion, type ServerVersion } from "./flavor.ts";
import { type Blocker, describeBlocker, findBlockers } from "./guard.ts";
import {
  chooseMethod,
  type Method,
  type MethodChoice,
  type MethodName,
  METHODS,
} from "./methods.ts";
import { openSession, type Session } from "./session.ts";

/**
 * The dead man's switch, in seconds: the server drops the lock session, and with it the
 * lock, when it has heard nothing for so long (`wait_timeout`). This is what frees the
 * writers when the locker is stopped or starved. Four missed keepalives: long enough for
 * a guest whose disks have just been frozen or whose CPU was taken away for a moment.
 */
export const WAIT_TIMEOUT_S = 10;

/** How often the sessions say that they are alive, in milliseconds: a quarter of the switch. */
const KEEPALIVE_MS = WAIT_TIMEOUT_S * 1000 / 4;

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

/** Longest wait for a KILL, and then for the killed session to be gone. */
const KILL_LIMIT_MS = 1_000;

/** ER_NO_SUCH_THREAD: the session that was to be killed has ended already. */
const NO_SUCH_THREAD = 1094;

/** FTWRL waits in up to three phases, each bounded by lock_wait_timeout (`locking.md` 1.2). */
const LOCK_PHASES = 3;

/** Where an instance is and who we are there. */
export interface InstanceOptions {
  readonly name: string;
  readonly socket: string;
  readonly user: string;
  readonly password: string | null;
  readonly method: "auto" | MethodName;
  /** Bound of one attempt to lock, in milliseconds. */
  readonly lockWaitTimeoutMs: number;
  /** Age from which a statement counts as a blocker, in milliseconds. */
  readonly longQueryGuardMs: number;
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
  readonly choice: MethodChoice;
  /** CONNECTION_ID() of the lock session. */
  readonly connection_id: number;
  /** Identity and directories, as the server says them. */
  readonly hostname: string;
  readonly server_id: number;
  readonly server_uuid: string | null;
  readonly read_only: boolean;
  /** Directories whose filesystems hold data, redo, undo and binlog. */
  readonly dataDirectories: readonly string[];
}

/** A server with both its sessions open. */
export interface Instance {
  readonly facts: InstanceFacts;
  /** Sessions that would make the lock wait now. Empty without the PROCESS privilege. */
  findBlockers(): Promise<readonly Blocker[]>;
  /** Takes the lock. On a refusal something may still be held: call {@linkcode release}. */
  lock(): Promise<Refusal | null>;
  /** Reads the coordinates, to be compared with those at the release. */
  readCoordinates(): Promise<Coordinates | Refusal>;
  /**
   * Lets go of whatever is held or waited for and closes both sessions. Never rejects,
   * ends within 5 s, and ends with the lock gone even where the server does not answer:
   * at the latest its `wait_timeout` and `lock_wait_timeout` see to it.
   * @param held the coordinates at the lock, null where it was not promised
   */
  release(held: Coordinates | null): Promise<ReleaseEnd>;
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
  "datadir",
  "log_bin_basename",
  "relay_log_basename",
  "innodb_data_home_dir",
  "innodb_log_group_home_dir",
  "innodb_undo_directory",
  "innodb_doublewrite_dir",
  "innodb_directories",
  "aria_log_dir_path",
];

/** Opens both sessions and finds out what the server is. Nothing is left open on a refusal. */
export async function openInstance(options: InstanceOptions): Promise<Instance | Refusal> {
  let subject: ErrorSubject = { socket: options.socket, user: options.user, server: null };
  const opened: Session[] = [];
  const fail = (thrown: unknown, doing: string) => {
    for (const session of opened) session.close();
    return refusalFor(thrown, doing, subject);
  };

  const login = {
    socket: options.socket,
    user: options.user,
    password: options.password,
    limitMs: CONNECT_LIMIT_MS,
  };
  const logins = await Promise.allSettled([
    openSession({ ...login, onLost: options.onLost }),
    openSession({ ...login, onLost: options.onControlLost }),
  ]);
  for (const result of logins) if (result.status === "fulfilled") opened.push(result.value);
  const failed = logins.find((result) => result.status === "rejected");
  if (failed !== undefined) return fail(failed.reason, `Cannot log in as ${options.user}`);
  const [lockSession, control] = opened as [Session, Session];

  try {
    const rows = await control.query(
      `SHOW /* locktables */ GLOBAL VARIABLES WHERE Variable_name IN ('${VARIABLES.join("','")}')`,
      QUERY_LIMIT_MS,
    );
    const variables = new Map(
      rows.map((row) => [String(row["Variable_name"]), String(row["Value"])]),
    );
    const facts = factsFrom(options, variables, lockSession.id);
    if (isRefusal(facts)) {
      lockSession.close();
      control.close();
      return facts;
    }
    subject = { ...subject, server: facts.server };
    const can = capabilitiesOf(facts.server);
    await Promise.all([
      lockSession.query(sessionSettings(options.lockWaitTimeoutMs, can), QUERY_LIMIT_MS),
      control.query(sessionSettings(options.lockWaitTimeoutMs, can), QUERY_LIMIT_MS),
    ]);
    // Asked once while it costs nobody anything: a missing privilege must not be found
    // out under the lock.
    await readCoordinates(lockSession, can);
    return instanceOf(options, facts, can, subject, lockSession, control);
  } catch (error) {
    return fail(error, "Cannot prepare a session");
  }
}

function instanceOf(
  options: InstanceOptions,
  facts: InstanceFacts,
  can: Capabilities,
  subject: ErrorSubject,
  lockSession: Session,
  control: Session,
): Instance {
  const { method } = facts.choice;
  const policy = {
    can,
    ownIds: [lockSession.id, control.id],
    thresholdMs: options.longQueryGuardMs,
  };
  const lookForBlockers = async (method: Method) =>
    findBlockers(
      await control.query("SHOW /* locktables */ PROCESSLIST", QUERY_LIMIT_MS),
      { ...policy, method },
    );
  // Once a lock was not granted, everybody who could have been in the way is worth naming:
  // whoever delays any method delays this one.
  const suspects = () => lookForBlockers(METHODS.ftwrl);
  let isLockSent = false;
  let isLockPending = false;

  const keepAlive = async () => {
    // Behind a waiting lock statement it would only queue up; that statement has its own limit.
    if (!isLockPending && !lockSession.isClosed()) {
      try {
        await lockSession.query("DO /* locktables */ 1", KEEPALIVE_LIMIT_MS);
      } catch (error) {
        options.onLost(driverError(error).message);
      }
    }
  };
  const keepControlAlive = async () => {
    if (control.isClosed()) return;
    try {
      await control.query("DO /* locktables */ 1", KEEPALIVE_LIMIT_MS);
    } catch (error) {
      options.onControlLost(driverError(error).message);
    }
  };
  const keepingAlive = setInterval(() => {
    keepAlive();
    keepControlAlive();
  }, KEEPALIVE_MS);

  return {
    facts,
    findBlockers: () => lookForBlockers(method),

    async lock() {
      isLockSent = true;
      isLockPending = true;
      const limitMs = LOCK_PHASES * options.lockWaitTimeoutMs + 1_000;
      try {
        for (const statement of method.acquire) await lockSession.query(statement, limitMs);
        isLockPending = false;
        return null;
      } catch (error) {
        // Without an answer the statement may still be waiting on the server.
        isLockPending = driverError(error).code === "NO_ANSWER";
        return lockRefusal(error, facts, options, subject, await namesOf(suspects));
      }
    },

    async readCoordinates() {
      try {
        return await readCoordinates(lockSession, can);
      } catch (error) {
        return refusalFor(error, "Cannot read the binlog coordinates", subject);
      }
    },

    async release(held) {
      clearInterval(keepingAlive);
      if (!isLockSent) {
        lockSession.close();
        control.close();
        return { proof: "equal", coordinates: null };
      }
      const end = isLockPending || lockSession.isClosed()
        ? null
        : await releaseInOrder(lockSession, method.release, can, held);
      if (end === null) await kill(control, lockSession);
      lockSession.close();
      control.close();
      return end ?? { proof: "cut", coordinates: null };
    },
  };
}

/**
 * The orderly way: look once more where the binlog ends, then let go. Null where the
 * session does not answer.
 */
async function releaseInOrder(
  session: Session,
  statement: string,
  can: Capabilities,
  held: Coordinates | null,
): Promise<ReleaseEnd | null> {
  try {
    const now = held === null ? null : await readPosition(session, can);
    if (held !== null && now === null && session.isBusy()) return null;
    await session.query(statement, RELEASE_STATEMENT_LIMIT_MS);
    if (held === null) return { proof: "equal", coordinates: null };
    if (now === null) return { proof: "unread", coordinates: null };
    return { proof: isSamePosition(held, now) ? "equal" : "moved", coordinates: now };
  } catch {
    // Whatever it was, the answer is the same: the session is killed.
    return null;
  }
}

/**
 * Ends the lock session from outside and waits until the server has forgotten it: dropping
 * the socket does not cancel a waiting FTWRL on MySQL (`locking.md` 0.2). An account may
 * kill its own sessions without any privilege.
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
    "autocommit=1",
    `wait_timeout=${WAIT_TIMEOUT_S}`,
    `lock_wait_timeout=${seconds}`,
    // One second more, so that lock_wait_timeout speaks first and says what it was.
    ...(can.maxStatementTime ? [`max_statement_time=${seconds + 1}`] : []),
  ];
  return `SET /* locktables */ SESSION ${settings.join(", ")}`;
}

async function readCoordinates(session: Session, can: Capabilities): Promise<Coordinates> {
  const status = await session.query(can.binlogStatusStatement, QUERY_LIMIT_MS);
  const list = can.gtidVariables.map((name) => `@@global.${name} AS ${name}`).join(", ");
  const [gtid] = await session.query(`SELECT /* locktables */ ${list}`, QUERY_LIMIT_MS);
  return coordinatesFrom(status, gtid ?? {});
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
  const choice = chooseMethod(options.method, server);
  if (isRefusal(choice)) return choice;
  return {
    name: options.name,
    socket: options.socket,
    server,
    choice,
    connection_id: connectionId,
    hostname: variables.get("hostname") ?? "",
    server_id: Number(variables.get("server_id") ?? 0),
    server_uuid: variables.get("server_uuid") ?? null,
    read_only: (variables.get("read_only") ?? "OFF") !== "OFF",
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
    return blockers.length === 0 ? "" : `; blocked by ${blockers.map(describeBlocker).join("; ")}`;
  } catch (error) {
    return `; the blockers could not be listed: ${driverError(error).message}`;
  }
}

/** Errors that mean "somebody is in the way": lock wait timeout, statement time, interrupted. */
const LOCK_WAIT_ERRNOS = [1205, 1317, 1969, 3024];

function lockRefusal(
  thrown: unknown,
  facts: InstanceFacts,
  options: InstanceOptions,
  subject: ErrorSubject,
  blockedBy: string,
): Refusal {
  const error = driverError(thrown);
  const isWait = (error.errno !== undefined && LOCK_WAIT_ERRNOS.includes(error.errno)) ||
    error.code === "NO_ANSWER";
  if (!isWait) return refusalFor(thrown, `${facts.choice.method.label} failed`, subject);
  return refusal(
    EXIT.lockNotObtained,
    "lock-wait-timeout",
    `${facts.choice.method.label} was not granted within lock_wait_timeout (${options.lockWaitTimeoutMs} ms) at ${facts.socket}${blockedBy}`,
    "Let the long statement end or KILL it, then try again; raise lock_wait_timeout only if writers may queue longer",
  );
}
