/** Waiting, with everything prepared and nothing locked, for the moment to lock. */
import { atMost } from "../base/at_most.ts";
import { sleep } from "../base/sleep.ts";
import {
  hookBeforeOpeningMs,
  LEARNS_FROM_WINDOWS,
  lockingMs,
  type LockMoment,
  lockMoment,
} from "./lock_moment.ts";
import { dataDirectories, leftMs, type LockerRun } from "./run.ts";

/** Finds out from the last windows when the caller looks, and how long locking takes. */
export async function learnFromHistory(run: LockerRun): Promise<void> {
  const { looks, ports, limits, caller, window: { openedAt } } = run;
  if (looks === null) return;
  const reading = ports.disk.newestRecords(LEARNS_FROM_WINDOWS);
  const records = await atMost(reading, limits.historyMs, []);
  looks.lockingMs = lockingMs(records);
  const own = records.filter((record) => record.caller === caller);
  const beforeMs = hookBeforeOpeningMs(own, looks.everyMs) ?? 0;
  looks.sinceMonoMs = Math.min(looks.sinceMonoMs, openedAt.monoMs - beforeMs);
}

/** Milliseconds until the lock is to be taken; not above 0: now. */
export function untilLockMoment(run: LockerRun): number {
  return momentOf(run).waitMs;
}

/** Waits for it, or until it is time for another look at what may be in the way. */
export async function waitForLockMoment(run: LockerRun): Promise<void> {
  const { looks, limits, caller } = run;
  const { waitMs, lookMs } = momentOf(run);
  if (looks !== null && looks.awaitedMs !== lookMs) {
    looks.awaitedMs = lookMs;
    run.mark(
      `waits with the lock: ${caller} looks ${lookMs} ms after it started the hook, and locking takes up to ${looks.lockingMs} ms`,
    );
  }
  // What was written since the preparation, so that less of it is written under the lock.
  if (waitMs <= limits.guardPauseMs) {
    run.flushing = run.ports.disk.flushFilesystemsOf(dataDirectories(run));
  }
  await sleep(Math.min(waitMs, limits.guardPauseMs));
}

function momentOf(run: LockerRun): LockMoment {
  const { looks, settings, limits } = run;
  if (looks === null) return { waitMs: 0, lookMs: 0 };
  const moment = lockMoment({
    sinceHookMs: run.now().monoMs - looks.sinceMonoMs,
    looksEveryMs: looks.everyMs,
    lockingMs: looks.lockingMs,
  });
  // Time for the attempt itself stays.
  const mostMs = leftMs(run) - settings.lockWaitTimeoutMs - limits.guardPauseMs;
  return { ...moment, waitMs: Math.max(0, Math.min(moment.waitMs, mostMs)) };
}
