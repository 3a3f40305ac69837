/**
 * One server in a window: a lock session that holds the lock and does nothing else,
 * and a control session that looks, and kills the lock session where it must.
 * Both are opened before anything is locked, because a server full of waiting writers
 * gives out no third one (`docs/locking.md#22-connections`).
 */
import type { Refusal } from "../base/refusal.ts";
import type { Coordinates, Topology } from "../window/coordinates.ts";
import { crowdWatch } from "./crowd_watch.ts";
import { driverError, type ErrorSubject, refusalFor } from "./errors.ts";
import { type Capabilities, checkCapabilitiesOf } from "./flavor.ts";
import { guardWatch, type Look } from "./guard_watch.ts";
import type { ImageMarks, TransactionMark } from "../window/image_marks.ts";
import { type AskedMarks, askImageMarks } from "./image_marks.ts";
import { inexactPosition } from "./image_position.ts";
import { KEEPALIVE, keepAlive, KEEPALIVE_LIMIT_MS } from "./keepalive.ts";
import { kill } from "./kill.ts";
import { QUERY_LIMIT_MS } from "./limits.ts";
import type { MethodChoice, MethodName } from "./methods.ts";
import { readCoordinates, readTopology } from "./read_coordinates.ts";
import { waitForLog } from "./redo_log.ts";
import { type ReleaseEnd, releaseInOrder } from "./release.ts";
import type { InstanceFacts } from "./server_facts.ts";
import { type Claimed, claimName } from "./server_name.ts";
import type { Session } from "./session.ts";
import { takeLock } from "./take_lock.ts";
import type { InstanceWarning } from "./warnings.ts";

/** How often the control session looks at the number of clients while the lock is there. */
const WATCH_MS = 250;

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
  /** Asks what an image is known by, and remembers it. Never rejects, and ends within 2 s. */
  askMarks(): Promise<void>;
  /** What was answered; null before, and where there was no answer. */
  marks(): ImageMarks | null;
  /** Asks under the lock for the numbers of transactions. Never rejects, and ends within half a second. */
  askTransactions(): Promise<void>;
  /** What was answered; null before, and where there was no answer. */
  transactions(): TransactionMark | null;
  /** Closes the session of both questions, or {@linkcode release} does. */
  closeMarks(): void;
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

/** Whether the end of a session is our own doing. */
export interface Life {
  isEnding: boolean;
}

/** A server that is logged in to and may be locked. */
export interface OpenedInstance {
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

/** The instance, whose sessions are kept alive from now on. */
export function instanceOf(opened: OpenedInstance): Instance {
  const { life, options, facts, can, subject, lockSession, control, topology } = opened;
  let { choice } = opened;
  const crowd = crowdWatch({
    name: facts.name,
    maxConnections: facts.maxConnections,
    connectionMark: options.connectionMark,
  });
  const guard = guardWatch({ ...options, name: facts.name, lockSession, control, can, crowd });
  let isLockSent = false;
  let isLockPending = false;
  let asked: AskedMarks | null = null;
  let transactions: TransactionMark | null = null;
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
    asked?.close();
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

    async askMarks() {
      asked = await askImageMarks(options, facts.server);
      if (life.isEnding) asked?.close();
    },
    marks: () => asked?.marks ?? null,

    async askTransactions() {
      const mark = await asked?.askTransactions() ?? null;
      transactions = mark === null ? null : { ...mark, clients_most: facts.maxConnections };
    },
    transactions: () => transactions,
    closeMarks: () => asked?.close(),

    async look(mayKill) {
      try {
        return await guard.look(choice.method, mayKill, isLockSent);
      } catch (error) {
        return refusalFor(error, "Cannot look for statements in the way of a lock", subject);
      }
    },

    async lock() {
      isLockSent = true;
      const taken = await takeLock({
        session: lockSession,
        choice,
        socket: options.socket,
        lockWaitTimeoutMs: options.lockWaitTimeoutMs,
        subject,
        onPending: (isPending) => {
          isLockPending = isPending;
        },
        find: guard.find,
      });
      choice = taken.choice;
      return taken.refusal;
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
