/**
 * What a server on an image is asked. Only questions: nothing is locked, set beyond the session or
 * written.
 */
import { isRefusal, type Refusal } from "../base/refusal.ts";
import { sleep } from "../base/sleep.ts";
import { coordinatesFrom } from "../mysql/coordinates_from.ts";
import { driverError, refusalFor } from "../mysql/errors.ts";
import { capabilitiesOf, isAtLeast, type ServerVersion } from "../mysql/flavor.ts";
import { BINLOGS_STATEMENT, NO_BINLOG, readImageMarks } from "../mysql/image_marks.ts";
import { QUERY_LIMIT_MS } from "../mysql/limits.ts";
import { globalPrivileges } from "../mysql/privileges.ts";
import { readTopology, topologyOf } from "../mysql/read_coordinates.ts";
import { readRedoPosition } from "../mysql/redo_position.ts";
import { factsFrom, readRights, readVariables } from "../mysql/server_facts.ts";
import { openSession, type Row, type Session } from "../mysql/session.ts";
import { readTransactionsNow } from "../mysql/transaction_mark.ts";
import type { BinlogFile, ImageServer } from "./facts.ts";
import type { StatementLog } from "./statement_log.ts";

/** Longest wait for socket and login: a server that has just recovered answers late. */
const CONNECT_LIMIT_MS = 5_000;

/** How long a server may take to look through its error log, in milliseconds. */
const LOG_LIMIT_MS = 5_000;

/** How long a rollback is waited for; a longer one is said, and `--quick` keeps its ten seconds. */
const ROLLBACK_LIMIT_MS = 2_000;

/** How often it is looked for. */
const ROLLBACK_POLL_MS = 200;

/** How many errors of InnoDB are fetched; three are shown. */
const ERRORS_MOST = 100;

/** How long a server may count its tables: a restored one has time, and has opened none yet. */
const COUNT_LIMIT_MS = 5_000;

/** Variables by which a server mends tables when it opens them. */
const REPAIR_VARIABLES = ["myisam_recover_options", "aria_recover_options"];

/** How to log in. */
export interface Login {
  readonly socket: string;
  readonly user: string;
  readonly password: string | null;
}

/** A server that is logged in to. */
export interface AskedServer {
  readonly server: ImageServer;
  /** For the questions that follow; to be closed. */
  readonly session: Session;
  readonly statements: StatementLog;
}

/** Opens a session with a log of its statements. */
export async function openLogged(login: Login, log: StatementLog): Promise<Session> {
  const session = await openSession({
    ...login,
    limitMs: CONNECT_LIMIT_MS,
    onLost: () => {}, // the question that is under way says so
  });
  return log.watch(session);
}

/**
 * Logs in and asks everything but the tables. Nothing is left open on a refusal.
 * @param lockedMs when the image's lock was taken
 */
export async function askServer(
  login: Login,
  log: StatementLog,
  lockedMs: number,
): Promise<AskedServer | Refusal> {
  let session: Session;
  try {
    session = await openLogged(login, log);
  } catch (error) {
    return refusalFor(error, `Cannot log in as ${login.user}`, { ...login, server: null });
  }
  try {
    const server = await ask(session, login, lockedMs);
    if (isRefusal(server)) session.close();
    return isRefusal(server) ? server : { server, session, statements: log };
  } catch (error) {
    session.close();
    return refusalFor(error, "Cannot ask the server", { ...login, server: null });
  }
}

async function ask(
  session: Session,
  login: Login,
  lockedMs: number,
): Promise<ImageServer | Refusal> {
  const [variables, rights] = [await readVariables(session), await readRights(session)];
  const facts = factsFrom({ ...login, name: "" }, variables, session.id);
  if (isRefusal(facts)) return facts;
  const { server } = facts;
  const can = capabilitiesOf(server);
  const list = can.gtidVariables.map((name) => `@@global.${name} AS ${name}`).join(", ");
  const [gtid] = await session.query(`SELECT /* locktables */ ${list}`, QUERY_LIMIT_MS);
  const status = await perhaps(session, can.binlogStatusStatement);
  const topology = await readTopology(session, can, topologyOf(variables));
  const replicas = await perhaps(session, can.replicaStatusStatement);
  const [uptime] = await session.query(
    "SHOW /* locktables */ GLOBAL STATUS LIKE 'Uptime'",
    QUERY_LIMIT_MS,
  );
  const repairs = await session.query(
    `SHOW /* locktables */ GLOBAL VARIABLES WHERE Variable_name IN ('${
      REPAIR_VARIABLES.join("','")
    }')`,
    QUERY_LIMIT_MS,
  );
  const privileges = globalPrivileges(rights.grants);
  return {
    flavor: server.flavor,
    version: server.text,
    label: server.label,
    hostname: facts.hostname,
    serverId: facts.server_id,
    serverUuid: facts.server_uuid,
    datadir: facts.datadir,
    startedMs: Date.now() - Number(uptime?.["Value"] ?? 0) * 1_000,
    logBin: ["ON", "1"].includes(variables.get("log_bin") ?? ""),
    binlogs: await binlogsOf(session),
    coordinates: coordinatesFrom(status ?? [], gtid ?? {}, topology),
    seesReplicas: replicas !== null,
    recovering: await recoveringOf(session),
    redoPosition: await readRedoPosition(session, server, "reached"),
    transactions: await readTransactionsNow(session, server, lockedMs),
    marks: await readImageMarks(session, server, COUNT_LIMIT_MS),
    ...await logOf(session, server),
    repairs: repairs
      .map((row) => [String(row["Variable_name"]), String(row["Value"])] as const)
      .filter(([, value]) => !["OFF", "0", "", "null"].includes(value))
      .map(([name, value]) => `${name}=${value}`),
    // Without a row that says it, a server without accounts: it shows everything.
    seesTables: privileges === null || privileges.has("ALL PRIVILEGES") || privileges.has("SELECT"),
  };
}

/** The rows of a statement, or null where the account may not ask, or the server does not know. */
async function perhaps(
  session: Session,
  sql: string,
  limitMs = QUERY_LIMIT_MS,
): Promise<readonly Row[] | null> {
  try {
    return await session.query(sql, limitMs);
  } catch (error) {
    // Without a number it is no answer at all, and nothing more can be asked.
    if (driverError(error).errno === undefined) throw error;
    return null;
  }
}

async function binlogsOf(session: Session): Promise<BinlogFile[] | null> {
  try {
    const rows = await session.query(BINLOGS_STATEMENT, QUERY_LIMIT_MS);
    return rows.map((row) => ({
      name: String(row["Log_name"]),
      bytes: Number(row["File_size"]),
      isEncrypted: row["Encrypted"] === "Yes",
    }));
  } catch (error) {
    const { errno } = driverError(error);
    if (errno === undefined) throw error;
    return errno === NO_BINLOG ? [] : null;
  }
}

/**
 * What recovery has brought back has no session: it is rolled back in the background, or prepared. Some
 * work of the server's own looks alike, and is over in a moment.
 */
async function recoveringOf(session: Session): Promise<number | null> {
  for (const began = performance.now();;) {
    const rows = await perhaps(
      session,
      "SELECT /* locktables */ COUNT(*) AS n FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = 0",
    );
    if (rows === null) return null;
    const count = Number(rows[0]?.["n"] ?? 0);
    if (count === 0 || performance.now() - began > ROLLBACK_LIMIT_MS) return count;
    await sleep(ROLLBACK_POLL_MS);
  }
}

/** MySQL shows its error log from 8.0.22 on; MY-010116 begins a start, MY-010931 ends it. */
async function logOf(
  session: Session,
  server: ServerVersion,
): Promise<Pick<ImageServer, "innodbErrors" | "recoveryMs">> {
  const none = { innodbErrors: null, recoveryMs: null };
  if (server.flavor === "mariadb" || !isAtLeast(server, 8, 0, 22)) return none;
  const started = `SELECT MAX(logged) FROM performance_schema.error_log
 WHERE error_code = 'MY-010116'`;
  const errors = await perhaps(
    session,
    `SELECT /* locktables */ data FROM performance_schema.error_log
 WHERE prio = 'Error' AND subsystem = 'InnoDB' AND logged >= (${started}) LIMIT ${ERRORS_MOST}`,
    LOG_LIMIT_MS,
  );
  const times = await perhaps(
    session,
    `SELECT /* locktables */ TIMESTAMPDIFF(MICROSECOND, (${started}), MIN(logged)) AS us
 FROM performance_schema.error_log
 WHERE error_code = 'MY-010931' AND logged >= (${started})`,
    LOG_LIMIT_MS,
  );
  const us = times?.[0]?.["us"] ?? null;
  return {
    innodbErrors: errors?.map((row) => String(row["data"])) ?? null,
    recoveryMs: us === null ? null : Math.round(Number(us) / 1_000),
  };
}
