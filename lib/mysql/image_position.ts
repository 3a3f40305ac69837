/**
 * Which of the recorded positions a server that is booted on the image repeats. A lock stops
 * commits at different points: what an applier has written into its own binlog, and not yet
 * committed in the engine, is committed by the recovery of the image. Pure.
 */
import type { Coordinates, InexactPosition } from "../window/coordinates.ts";
import type { ServerVersion } from "./flavor.ts";
import type { MethodName } from "./methods.ts";

/** How a server applies what it replicates. */
export interface Appliers {
  /** Threads that apply in parallel; 0 where one thread does all. */
  readonly workers: number;
  /** Whether the server writes what it applies into a binlog of its own. */
  readonly logsUpdates: boolean;
}

/** The variables that {@linkcode appliersOf} reads; each server has some of them. */
export const APPLIER_VARIABLES = [
  "log_bin",
  "log_slave_updates",
  "log_replica_updates",
  "slave_parallel_threads",
  "slave_parallel_workers",
  "replica_parallel_workers",
] as const;

/** Reads the global variables; one that the server does not have counts as off. */
export function appliersOf(variables: ReadonlyMap<string, string>): Appliers {
  const isOn = (name: string) => ["ON", "1"].includes(variables.get(name) ?? "");
  const workers = variables.get("slave_parallel_threads") ??
    variables.get("replica_parallel_workers") ?? variables.get("slave_parallel_workers");
  return {
    workers: Number(workers ?? 0),
    logsUpdates: isOn("log_bin") && (isOn("log_slave_updates") || isOn("log_replica_updates")),
  };
}

/**
 * Whether BACKUP STAGE BLOCK_COMMIT can stop this replica between its binlog and its engine: with
 * parallel appliers on MariaDB, the image was up to 15 transactions ahead of `gtid_slave_pos` in 36
 * of 47 windows (10.11.18, optimistic, log_slave_updates=ON); under FLUSH TABLES WITH READ LOCK,
 * which pauses the appliers first, in none of 30.
 */
export function lagsUnderStage(
  server: ServerVersion,
  { workers, logsUpdates }: Appliers,
  isReplica: boolean,
): boolean {
  return server.flavor === "mariadb" && isReplica && workers > 0 && logsUpdates;
}

/** What decides whether the recorded positions of a replica are those of its image. */
export interface PositionFacts {
  readonly server: ServerVersion;
  /** `server_id`: the middle part of the GTIDs that this server makes itself on MariaDB. */
  readonly serverId: number;
  readonly appliers: Appliers;
  readonly method: MethodName;
  readonly coordinates: Pick<Coordinates, "gtid" | "replicas">;
}

/** The recorded positions that are only a lower bound of the image's; null where all are exact. */
export function inexactPosition(facts: PositionFacts): InexactPosition | null {
  return facts.server.flavor === "mariadb" ? inexactOnMariadb(facts) : inexactOnMysql(facts);
}

/**
 * The self-check: in a domain whose last transaction in the binlog is the last one applied, none is
 * on its way from the one to the other. A domain that this server writes itself shows its own
 * transactions there: nothing is on its way in one that it alone writes, and in one that it
 * shares with a source is not known.
 */
function inexactOnMariadb(
  { serverId, appliers, method, coordinates }: PositionFacts,
): InexactPosition | null {
  const applied = byDomain(coordinates.gtid["gtid_slave_pos"]);
  const isReplica = applied.size > 0 || coordinates.replicas.length > 0;
  if (method !== "backup-stage" || !appliers.logsUpdates || !isReplica) return null;
  const logged = byDomain(coordinates.gtid["gtid_binlog_pos"]);
  const behind = [...logged].filter(([domain, gtid]) => {
    if (applied.get(domain) === gtid) return false;
    const isOwn = gtid.split("-")[1] === String(serverId);
    return isOwn
      ? applied.has(domain) && appliers.workers > 0
      : applied.has(domain) || appliers.workers > 0;
  });
  if (behind.length === 0) return null;
  return {
    fields: ["gtid_slave_pos", "exec_source_log_pos"],
    why: "under BACKUP STAGE the image may be ahead, up to gtid_binlog_pos; method=ftwrl is exact",
    exact_instead: null,
  };
}

function inexactOnMysql({ appliers, coordinates }: PositionFacts): InexactPosition | null {
  if (coordinates.replicas.length === 0 || appliers.workers === 0) return null;
  const hasGtids = coordinates.gtid["gtid_mode"] === "ON";
  return {
    fields: ["exec_source_log_pos"],
    why: hasGtids
      ? "parallel workers show their last checkpoint; the GTIDs are exact"
      : "parallel workers show their last checkpoint, and gtid_mode is not ON",
    exact_instead: hasGtids ? "gtid_executed" : null,
  };
}

/** The last GTID of each domain in a list such as `0-1-100,7-2-45`. */
function byDomain(list: string | undefined): ReadonlyMap<string, string> {
  const gtids = (list ?? "").split(",").map((gtid) => gtid.trim()).filter((gtid) => gtid !== "");
  return new Map(gtids.map((gtid) => [gtid.slice(0, gtid.indexOf("-")), gtid]));
}
