/** Waiting, while nothing is locked, for statements that would make the lock wait. */
import { sleep } from "../base/sleep.ts";
import { type Blocker, describeBlocker, describeBlockers, isHeldUp } from "../mysql/guard.ts";
import type { Look } from "../mysql/guard_watch.ts";
import { EXIT, isRefusal, type Refusal, refusal } from "../base/refusal.ts";
import { elapsedMs } from "../base/clock.ts";
import { untilLockMoment, waitForLockMoment } from "./last_moment.ts";
import { leftMs, type LockerRun } from "./run.ts";

/** How many warnings a record keeps: clients decide how many statements are killed. */
const WARNINGS_MOST = 100;

/** Waits until nothing is in the way; why not, when there is no time left for an attempt. */
export async function waitForBlockers(run: LockerRun): Promise<Refusal | null> {
  try {
    return await untilUnblocked(run);
  } finally {
    run.waitsFor = null;
  }
}

async function untilUnblocked(run: LockerRun): Promise<Refusal | null> {
  const { settings, limits } = run;
  let since = run.now();
  let first: readonly (readonly Blocker[])[] | null = null;
  let isSeenAgain = false;
  while (run.window.phase === "preparing") {
    // Before the look, which is a part of what locking takes.
    const isDue = untilLockMoment(run) <= 0;
    const looked = await Promise.all(run.instances.map((instance) => instance.look(true)));
    const refused = looked.find(isRefusal);
    if (refused !== undefined) return refused;
    const looks = looked.filter((look): look is Look => !isRefusal(look));
    for (const line of looks.flatMap(({ blind }) => blind)) run.warn(line, WARNINGS_MOST);
    for (const blocker of looks.flatMap(({ killed }) => killed)) {
      run.warn(
        `kill_long_queries=${settings.killLongQueries}: killed the statement of ${
          describeBlocker(blocker)
        }`,
        WARNINGS_MOST,
      );
    }
    const blockers = looks.flatMap(({ blockers }) => blockers);
    const youngReaders = looks.map(({ youngReaders }) => youngReaders);
    first ??= youngReaders;
    const isGrown = elapsedMs(since, run.now()) >= limits.grownMs ||
      !youngReaders.some((seen, at) => hasSameStatement(seen, first?.[at] ?? []));
    const crowded = looks.find(({ crowded }) => crowded !== null)?.crowded?.why ?? null;
    run.waitsFor = crowded ?? (blockers.length === 0 ? null : describeBlockers(blockers));
    if (blockers.length === 0 && crowded === null) {
      if (isGrown && isDue) return null;
      if (!isGrown) {
        await sleep(limits.youngReaderPauseMs);
        continue;
      }
      // Readers that began meanwhile are waited for as well. Once: on a busy server there are always some.
      if (!isSeenAgain && untilLockMoment(run) <= limits.guardPauseMs) {
        [isSeenAgain, first, since] = [true, youngReaders, run.now()];
      }
      await waitForLockMoment(run);
      continue;
    }
    if (leftMs(run) <= settings.lockWaitTimeoutMs + limits.guardPauseMs) {
      return crowded === null
        ? blockedBy(blockers, settings.longQueryGuardMs)
        : crowdedOut(crowded);
    }
    await sleep(limits.guardPauseMs);
  }
  return null;
}

/** Whether any of them is one of the others, still in the same statement. */
function hasSameStatement(seen: readonly Blocker[], others: readonly Blocker[]): boolean {
  const before = new Map(others.map(({ id, statement }) => [id, statement]));
  return seen.some(({ id, statement }) => before.get(id) === statement);
}

function blockedBy(blockers: readonly Blocker[], guardMs: number): Refusal {
  return refusal(
    EXIT.lockNotObtained,
    "blocked",
    `Nothing was locked, because statements older than long_query_guard (${guardMs} ms) would hold up every writer behind the lock: ${
      describeBlockers(blockers)
    }`,
    howToEnd(blockers),
  );
}

function howToEnd(blockers: readonly Blocker[]): string {
  // Killing a session that itself waits would not help.
  if (blockers.every(isHeldUp)) {
    return "They wait themselves, for a session that the server does not show, such as an idle one with LOCK TABLES: SHOW OPEN TABLES WHERE In_use > 0";
  }
  const [first] = blockers;
  return `Let them end, or end them: KILL ${first?.kind === "idle" ? "" : "QUERY "}${first?.id}`;
}

function crowdedOut(why: string): Refusal {
  return refusal(
    EXIT.lockNotObtained,
    "connections-near-limit",
    `Nothing was locked, because waiting clients would reach max_connections: ${why}`,
    "Raise max_connections, or connection_mark in [locktables]",
  );
}
