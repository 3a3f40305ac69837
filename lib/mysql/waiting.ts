/** Who waits for the lock that a rehearsal holds, and who has given up. Pure. */
import type { Row } from "./session.ts";

/**
 * The states of a session that waits for our lock (`docs/locking.md#11-what-it-waits-for`,
 * `docs/locking.md#14-while-it-is-held`).
 */
const WAITING = /^Waiting for (backup|global read|commit) lock$/;

/** Sessions that wait, by id, with the age of their statement in whole seconds. */
export type Waiting = ReadonlyMap<number, number>;

/** Those of a SHOW PROCESSLIST. */
export function waitingIn(processList: readonly Row[]): Waiting {
  return new Map(
    processList
      .filter((row) => WAITING.test(String(row["State"] ?? "")))
      .map((row) => [Number(row["Id"]), Number(row["Time"] ?? 0)]),
  );
}

/**
 * How many of those who waited do not any more, or wait with a younger statement. While the lock is
 * held nothing that waits for it is granted: each of them has failed.
 */
export function gaveUp(before: Waiting, now: Waiting): number {
  return [...before].filter(([id, age]) => {
    const later = now.get(id);
    return later === undefined || later < age;
  }).length;
}
