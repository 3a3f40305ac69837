/** Where the binlog stands: what a restore or a new replica starts from, and the proof of a hold. */
import type { InexactPosition } from "./image_position.ts";
import type { Row } from "./session.ts";
import type { GroupMember, ReplicaPosition, WsrepPosition } from "./topology.ts";

/** Binlog coordinates and GTIDs of one server at one moment. */
export interface Coordinates {
  /** Whether the server writes a binlog; without one there is nothing to compare. */
  readonly log_bin: boolean;
  /** Base name of the binlog being written, null without one. */
  readonly file: string | null;
  /** Byte position of its end, null without one. 64 bit on the server. */
  readonly position: number | null;
  /** The server's GTID variables, line feeds removed. */
  readonly gtid: Readonly<Record<string, string>>;
  /** Each channel or named connection of a replica: what a copy of it goes on from. */
  readonly replicas: readonly ReplicaPosition[];
  /** Which of these the image may be ahead of; null where a server booted on it repeats them all. */
  readonly inexact: InexactPosition | null;
  /** Of a Galera node; null elsewhere. */
  readonly wsrep: WsrepPosition | null;
  /** Of a member of a replication group; null elsewhere. */
  readonly group: GroupMember | null;
}

/** Where a server stands among others. */
export type Topology = Pick<Coordinates, "replicas" | "wsrep" | "group">;

/** A server that stands alone. */
export const ALONE: Topology = { replicas: [], wsrep: null, group: null };

/**
 * Reads the row of SHOW MASTER STATUS / SHOW BINARY LOG STATUS and that of the GTID
 * variables. No row means that the binlog is off, which is no error
 * (`docs/locking.md#5-coordinates`).
 */
export function coordinatesFrom(
  status: readonly Row[],
  gtid: Row,
  topology: Topology = ALONE,
): Coordinates {
  const row = status[0];
  return {
    ...topology,
    inexact: null,
    log_bin: row !== undefined,
    file: row === undefined ? null : String(row["File"]),
    position: row === undefined ? null : Number(row["Position"]),
    gtid: Object.fromEntries(
      // MySQL breaks long sets into lines; they mean nothing.
      Object.entries(gtid).map(([name, value]) => [name, String(value).replaceAll("\n", "")]),
    ),
  };
}

/** Whether nothing was written to the binlog between two readings. */
export function isSamePosition(
  a: Pick<Coordinates, "file" | "position">,
  b: Pick<Coordinates, "file" | "position">,
): boolean {
  return a.file === b.file && a.position === b.position;
}

/**
 * Whether two readings show the same transactions, wherever the binlog ends. Only GTIDs can show
 * it: MariaDB gives one to every transaction in its binlog, MySQL only with gtid_mode=ON.
 */
export function isSameHistory(a: Coordinates, b: Coordinates): boolean {
  const names = "gtid_binlog_pos" in a.gtid
    // A replica without log_slave_updates commits into the second alone.
    ? ["gtid_binlog_pos", "gtid_slave_pos"]
    : a.gtid["gtid_mode"] === "ON" && b.gtid["gtid_mode"] === "ON"
    ? ["gtid_executed"]
    : [];
  return names.length > 0 && names.every((name) => a.gtid[name] === b.gtid[name]);
}

/** `binlog.000002:1234`, or that there is none. */
export function describePosition(at: Pick<Coordinates, "file" | "position">): string {
  return at.file === null ? "no binlog" : `${at.file}:${at.position}`;
}
