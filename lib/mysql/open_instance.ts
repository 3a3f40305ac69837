/** Logs in to a server, with both sessions, and finds out what it is before anything is locked. */
import { isRefusal, type Refusal } from "../base/refusal.ts";
import { type ErrorSubject, refusalFor } from "./errors.ts";
import { type Capabilities, capabilitiesOf } from "./flavor.ts";
import { lagsUnderStage } from "./image_position.ts";
import { type Instance, instanceOf, type InstanceOptions, type Life } from "./instance.ts";
import { WAIT_TIMEOUT_S } from "./keepalive.ts";
import { QUERY_LIMIT_MS } from "./limits.ts";
import { chooseMethod } from "./methods.ts";
import { accountOf, checkPrivileges } from "./privileges.ts";
import {
  hasSignsOfReplica,
  readCoordinates,
  readTopology,
  topologyOf,
} from "./read_coordinates.ts";
import { readRedoPosition } from "./redo_position.ts";
import { factsFrom, readRights, readVariables } from "./server_facts.ts";
import { openSession, type Session } from "./session.ts";
import { galeraRefusal, rejectingRefusal } from "./topology.ts";
import { lossWarning, threadPoolWarning } from "./warnings.ts";

/** Longest wait for socket and login. A server that is starting up answers late. */
const CONNECT_LIMIT_MS = 5_000;

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
    const [{ gtid, log_bin }, topology, redoPosition] = await Promise.all([
      readCoordinates(lockSession, can, control),
      readTopology(control, can, has),
      readRedoPosition(lockSession, facts.server, "on-disk"),
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
      facts: { ...facts, redoPosition },
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
