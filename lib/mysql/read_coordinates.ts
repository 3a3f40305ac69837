/** Asks a server where it stands: binlog, GTIDs, and its place among others. */
import type { Coordinates, Topology } from "../window/coordinates.ts";
import { coordinatesFrom } from "./coordinates_from.ts";
import { allowedRows } from "./allowed_rows.ts";
import type { Capabilities } from "./flavor.ts";
import { PROOF_LIMIT_MS, QUERY_LIMIT_MS } from "./limits.ts";
import type { Session } from "./session.ts";
import { groupMember, replicaPositions, wsrepPosition } from "./topology.ts";

/** Which questions about the topology are asked. */
export type TopologyQuestions = Readonly<Record<keyof Topology, boolean>>;

/** What to ask a server about its topology; a replica shows itself only when it is asked. */
export function topologyOf(variables: ReadonlyMap<string, string>): TopologyQuestions {
  return {
    replicas: true,
    wsrep: variables.get("wsrep_on") === "ON",
    // There with the plugin alone.
    group: variables.has("group_replication_group_name"),
  };
}

/** The binlog's end and the GTIDs, on two sessions at once. */
export async function readCoordinates(
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

/** Replicas, cluster and group, as far as they are asked for. */
export async function readTopology(
  control: Session,
  can: Capabilities,
  ask: TopologyQuestions,
): Promise<Topology> {
  const replicas = ask.replicas ? await allowedRows(control, can.replicaStatusStatement) ?? [] : [];
  const wsrep = ask.wsrep
    ? await control.query("SHOW /* locktables */ GLOBAL STATUS LIKE 'wsrep%'", QUERY_LIMIT_MS)
    : [];
  return {
    replicas: replicaPositions(replicas),
    wsrep: wsrepPosition(wsrep),
    group: groupMember(
      ask.group && can.groupStatement !== null
        ? await allowedRows(control, can.groupStatement) ?? []
        : [],
    ),
  };
}

/** The binlog's end alone, quickly; null where it could not be read. */
export async function readPosition(
  session: Session,
  can: Capabilities,
): Promise<Coordinates | null> {
  try {
    return coordinatesFrom(await session.query(can.binlogStatusStatement, PROOF_LIMIT_MS), {});
  } catch {
    // Reported through the proof: "unread" where the session goes on, "cut" where it does not.
    return null;
  }
}

/**
 * Whether something says that this is a replica: its threads, which the process list shows to
 * PROCESS, or that a source was configured since it started.
 */
export async function hasSignsOfReplica(session: Session): Promise<boolean> {
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
