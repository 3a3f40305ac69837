/** How near the clients of a server are to `max_connections`, now and at the next look. */
import { QUERY_LIMIT_MS } from "./limits.ts";
import type { Session } from "./session.ts";

/** For how many looks ahead the growth since the last one is reckoned on. */
const GROWTH_LOOKS = 1.5;

/** Clients near `connection_mark`. */
export interface Crowd {
  readonly connected: number;
  readonly why: string;
}

/** What is near, and what is too near. */
export interface CrowdLimits {
  /** The instance, for the line. */
  readonly name: string;
  /** `max_connections`; 0 where the server does not say. */
  readonly maxConnections: number;
  /** Share of it that counts as near; null for never. */
  readonly connectionMark: number | null;
}

/** A look at the number of clients; each takes the one before into account. */
export interface CrowdWatch {
  /**
   * Whether they are near.
   * @param isGrowing whether clients wait for a lock of ours, so that those who come stay
   */
  look(session: Session, isGrowing: boolean): Promise<Crowd | null>;
}

/** A watch that has not looked yet. */
export function crowdWatch(limits: CrowdLimits): CrowdWatch {
  let before = Infinity;
  return {
    async look(session, isGrowing) {
      if (limits.connectionMark === null) return null;
      const [row] = await session.query(
        "SHOW /* locktables */ GLOBAL STATUS LIKE 'Threads_connected'",
        QUERY_LIMIT_MS,
      );
      const connected = Number(row?.["Value"]);
      const crowd = crowdOf(connected, isGrowing ? Math.max(connected - before, 0) : 0, limits);
      before = connected;
      return crowd;
    },
  };
}

/**
 * Whether so many clients are near the limit. Pure.
 * @param grown by how many they have become more since the last look: where they come quickly, the
 * next look would be too late
 */
export function crowdOf(
  connected: number,
  grown: number,
  { name, maxConnections, connectionMark }: CrowdLimits,
): Crowd | null {
  if (connectionMark === null || maxConnections === 0) return null;
  const mark = Math.floor(maxConnections * connectionMark);
  if (connected < mark && connected + GROWTH_LOOKS * grown < maxConnections) return null;
  return {
    connected,
    why:
      `${name}: ${connected} of max_connections ${maxConnections} are in use, connection_mark is ${mark}`,
  };
}
