/**
 * The named lock that keeps two locktables off one server. Locks of two tools do not exclude each
 * other (FTWRL is shared, `docs/locking.md#11-what-it-waits-for`); a named lock of the session
 * does, and goes with it. Any account may take any name, so a name alone says nothing of who has
 * it.
 */
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { driverError } from "./errors.ts";
import type { Session } from "./session.ts";

/** How long a session of ours that has just ended may keep the name, in seconds. */
const NAME_WAIT_S = 1;

/** Longest wait for the server's answer beyond {@linkcode NAME_WAIT_S}, while nothing is locked. */
const CLAIM_LIMIT_MS = 5_000;

/** Who has the name. */
export interface NameHolder {
  readonly id: number;
  /** As the process list names them; null where the account may not see it, so it is another's. */
  readonly user: string | null;
  readonly host: string | null;
  /** Whether its session is one that only locktables' own account can have. */
  readonly isOurs: boolean;
}

/**
 * Who has the name, and whether that session is our own account's: the same user, through a socket
 * of this machine, as every locktables comes. Over the network a name of a user says less: an
 * anonymous account lets anybody in under any. Without PROCESS the list shows the own user alone.
 */
const HOLDER = `SELECT /* locktables */ h.id AS id, p.user AS user, p.host AS host,
 SUBSTRING_INDEX(USER(), '@', 1) AS self
 FROM (SELECT IS_USED_LOCK('locktables') AS id) AS h
 LEFT JOIN information_schema.processlist AS p ON p.id = h.id`;

/** Who has the name, or null. */
export async function nameHolder(session: Session, limitMs: number): Promise<NameHolder | null> {
  const [row] = await session.query(HOLDER, limitMs);
  if (row?.["id"] === null || row?.["id"] === undefined) return null;
  const text = (column: string) => typeof row[column] === "string" ? row[column] : null;
  const user = text("user");
  const host = text("host");
  return {
    id: Number(row["id"]),
    user,
    host,
    isOurs: user !== null && user === text("self") && host === "localhost",
  };
}

/** Whether a session is a locktables session: numbers are given out anew when a server restarts. */
export async function isLockSession(
  session: Session,
  id: number,
  limitMs: number,
): Promise<boolean> {
  const [row] = await session.query(
    `SELECT /* locktables */ IS_USED_LOCK('locktables') AS name, IS_USED_LOCK('${
      ownName(id)
    }') AS own`,
    limitMs,
  );
  return [row?.["name"], row?.["own"]].some((holder) => holder !== null && Number(holder) === id);
}

/** What a claim needs to know. */
export interface NameClaim {
  readonly socket: string;
  /** CONNECTION_ID() of the session that claims. */
  readonly id: number;
  /** Shows who holds the server's read lock, where a statement does. */
  readonly globalLockStatement: string | null;
}

/** What came of a claim. */
export type Claimed =
  /** The name is ours. */
  | { readonly kind: "ours" }
  /** Another locktables has it. */
  | { readonly kind: "refused"; readonly refusal: Refusal }
  /**
   * The server gives out no names, or the holder is not locktables: any account could else keep every
   * window from opening.
   */
  | { readonly kind: "unprotected"; readonly warning: string };

/** Takes the name. */
export async function claimName(session: Session, claim: NameClaim): Promise<Claimed> {
  try {
    if (await take(session, "locktables", NAME_WAIT_S)) return { kind: "ours" };
    const holder = await nameHolder(session, CLAIM_LIMIT_MS);
    // Gone in this very moment.
    if (holder === null && await take(session, "locktables", 0)) return { kind: "ours" };
    if (holder === null || holder.isOurs || await holdsTheLock(session, claim, holder.id)) {
      const refused = refusal(
        EXIT.windowOpen,
        "server-taken",
        `Another locktables has a window open on the server at ${claim.socket}${
          holder === null ? "" : `: ${describeHolder(holder)}`
        }`,
        "Let it end, or look for it: SELECT IS_USED_LOCK('locktables')",
      );
      return { kind: "refused", refusal: refused };
    }
    // Its own name, so that it can still be identified and killed; MySQL 5.6 gives a session
    // one name at a time, and here it has no other.
    await take(session, ownName(claim.id), 0);
    const warning = `${
      describeHolder(holder)
    } has the name of locktables and is not locktables, so two windows on this server would not see each other. End it: KILL ${holder.id}`;
    return { kind: "unprotected", warning };
  } catch (error) {
    const warning = `two locktables on this server would not see each other: ${
      driverError(error).message
    }`;
    return { kind: "unprotected", warning };
  }
}

/** `session 12 (backup at localhost)`. */
export function describeHolder({ id, user, host }: NameHolder): string {
  return user === null
    ? `session ${id} (of another account)`
    : `session ${id} (${user} at ${host})`;
}

async function take(session: Session, name: string, waitS: number): Promise<boolean> {
  const [row] = await session.query(
    `SELECT /* locktables */ GET_LOCK('${name}', ${waitS}) AS got`,
    CLAIM_LIMIT_MS,
  );
  return Number(row?.["got"]) === 1;
}

/** Who holds the lock itself has the privilege for it, and is believed. */
async function holdsTheLock(
  session: Session,
  { globalLockStatement }: NameClaim,
  id: number,
): Promise<boolean> {
  if (globalLockStatement === null) return false;
  try {
    const holders = await session.query(globalLockStatement, CLAIM_LIMIT_MS);
    return holders.some((row) => Number(row["id"]) === id);
  } catch (error) {
    // The account may not see it.
    if (driverError(error).errno === undefined) throw error;
    return false;
  }
}

function ownName(id: number): string {
  return `locktables ${id}`;
}
