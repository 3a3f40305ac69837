/** The orderly end of a lock, with the proof of its hold. */
import { type Coordinates, isSamePosition } from "../window/coordinates.ts";
import {
  comparesWriteSets,
  proofOf,
  type ReadAgain,
  type ReleaseProof,
} from "../window/verdict.ts";
import type { Capabilities } from "./flavor.ts";
import { PROOF_LIMIT_MS } from "./limits.ts";
import { readCoordinates, readPosition, readTopology } from "./read_coordinates.ts";
import type { Session } from "./session.ts";

/** Longest wait for UNLOCK TABLES / BACKUP STAGE END before the session is killed instead. */
const RELEASE_STATEMENT_LIMIT_MS = 1_000;

/** How a release went. */
export interface ReleaseEnd {
  readonly proof: ReleaseProof;
  readonly coordinates: Pick<Coordinates, "file" | "position"> | null;
}

/**
 * The orderly way: reads once more where the binlog ends, then releases the lock. Null where the
 * session does not answer.
 * @param held the coordinates at the lock; null where they were not read, so that nothing is claimed
 */
export async function releaseInOrder(
  session: Session,
  control: Session,
  statement: string,
  can: Capabilities,
  held: Coordinates | null,
): Promise<ReleaseEnd | null> {
  try {
    const now = held === null ? null : await readAgain(session, control, can, held);
    if (held !== null && now === null && session.isBusy()) return null;
    await session.query(statement, RELEASE_STATEMENT_LIMIT_MS);
    return { proof: proofOf(held, now), coordinates: now?.position ?? null };
  } catch {
    // Whatever it was, the answer is the same: the session is killed.
    return null;
  }
}

/** What the proof compares, and no more: clients wait. Null where the position cannot be read. */
async function readAgain(
  session: Session,
  control: Session,
  can: Capabilities,
  held: Coordinates,
): Promise<ReadAgain | null> {
  const position = await readPosition(session, can);
  if (position === null) return null;
  if (!isSamePosition(held, position)) {
    const history = await readCoordinates(session, can, control, PROOF_LIMIT_MS);
    return { position, history, wsrep: null };
  }
  if (!comparesWriteSets(held)) return { position, history: null, wsrep: null };
  const { wsrep } = await readTopology(control, can, {
    replicas: false,
    wsrep: true,
    group: false,
  });
  return { position, history: null, wsrep };
}
