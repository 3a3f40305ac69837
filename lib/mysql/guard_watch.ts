/** The guard's questions to a server: who would make the lock wait now, and whom it may kill for it. */
import { orBlind } from "./blind_look.ts";
import type { Crowd, CrowdWatch } from "./crowd_watch.ts";
import { driverError } from "./errors.ts";
import type { Capabilities } from "./flavor.ts";
import {
  type Blocker,
  byCause,
  findBlockers,
  findIdleBlockers,
  findVictims,
  findYoungReaders,
} from "./guard.ts";
import { NO_SUCH_THREAD } from "./kill.ts";
import { QUERY_LIMIT_MS } from "./limits.ts";
import type { Method } from "./methods.ts";
import type { Row, Session } from "./session.ts";

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

/** Whom to watch, and by which rules. */
export interface GuardWatchOptions {
  /** The instance, for the lines. */
  readonly name: string;
  readonly lockSession: Session;
  readonly control: Session;
  readonly can: Capabilities;
  /** Age from which a statement counts as a blocker, in milliseconds. */
  readonly longQueryGuardMs: number;
  readonly killLongQueries: "off" | "select" | "all";
  readonly crowd: CrowdWatch;
}

/** Looks; each takes the one before into account, because only who was seen twice may be killed. */
export interface GuardWatch {
  /** Who is in the way of a method. Rejects where a session does not answer. */
  find(method: Method): Promise<Blocker[]>;
  /**
   * Who is in the way, and who is too young to be; with `mayKill` it ends those that may be ended.
   * Rejects where a session does not answer.
   * @param isLockSent whether clients may be waiting for a lock of ours
   */
  look(method: Method, mayKill: boolean, isLockSent: boolean): Promise<Look>;
}

/** A watch that has not looked yet. */
export function guardWatch(options: GuardWatchOptions): GuardWatch {
  const { name, lockSession, control, can, crowd } = options;
  const policy = {
    can,
    ownIds: [lockSession.id, control.id],
    thresholdMs: options.longQueryGuardMs,
  };
  let seen: readonly Blocker[] = [];

  const processList = () => control.query(PROCESS_LIST, QUERY_LIMIT_MS);
  const findIn = async (
    rows: readonly Row[],
    method: Method,
    noted: (line: string) => void,
  ): Promise<Blocker[]> => {
    const running = findBlockers(rows, { ...policy, method });
    const statement = can.idleLocksStatement;
    if (statement === null) return byCause(running);
    const ask = () => control.query(statement, QUERY_LIMIT_MS);
    const locks = await orBlind("the locks of idle sessions", ask, [], noted);
    return byCause([...running, ...findIdleBlockers(locks, { ...policy, method })]);
  };

  return {
    find: async (method) => findIn(await processList(), method, () => {}),

    async look(method, mayKill, isLockSent) {
      const blind: string[] = [];
      const noted = (line: string) => {
        blind.push(`${name}: ${line}`);
      };
      const [rows, crowded] = await Promise.all([
        orBlind("the process list", processList, [], noted),
        orBlind("the number of clients", () => crowd.look(lockSession, isLockSent), null, noted),
      ]);
      const blockers = await findIn(rows, method, noted);
      const youngReaders = findYoungReaders(rows, { ...policy, method });
      const victims = mayKill ? findVictims(seen, blockers, options.killLongQueries) : [];
      seen = blockers;
      const killed: Blocker[] = [];
      for (const victim of victims) {
        if (await killStatement(control, victim, noted)) killed.push(victim);
      }
      return { blockers, youngReaders, killed, crowded, blind };
    },
  };
}

/** Whether it was killed, or had ended already; a server that refuses is noted. */
async function killStatement(
  control: Session,
  { id }: Blocker,
  noted: (line: string) => void,
): Promise<boolean> {
  try {
    await control.query(`KILL /* locktables */ QUERY ${id}`, QUERY_LIMIT_MS);
    return true;
  } catch (error) {
    const { errno, message } = driverError(error);
    if (errno === undefined) throw error;
    if (errno === NO_SUCH_THREAD) return true;
    noted(`the statement of id ${id} could not be killed: error ${errno}: ${message}`);
    return false;
  }
}
