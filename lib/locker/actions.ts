/** What the window decides, done. */
import { sleep } from "../base/sleep.ts";
import { LOCK_WAIT_TIMEOUT } from "../mysql/errors.ts";
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { CALLER_TABLE } from "../callers/table.ts";
import { atMost } from "../base/at_most.ts";
import { DISK_SILENT } from "../base/disk.ts";
import { WAIT_FOR_LOCK, WAIT_FOR_SNAPSHOT, WINDOW_FILE } from "../base/paths.ts";
import { type WindowAction } from "../window/window.ts";
import { weakestProof } from "../window/verdict.ts";
import { waitForBlockers } from "./blockers.ts";
import type { ControlServer } from "./control_server.ts";
import { defect } from "./defect.ts";
import { noFreezeSeen } from "./freeze_sensor.ts";
import { prepareAgain } from "./prepare.ts";
import { leftMs, type LockerRun } from "./run.ts";
import { reportAfterHook, reportWindow } from "./report.ts";
import { secure } from "./secure.ts";

/** Reason of the refusal that the final record is not on disk yet. */
const DISK_FROZEN = "disk-frozen";

/** What closing a window ends. */
export interface LockerEnds {
  readonly control: ControlServer;
  /** Stops the clock and the watch of the lock file. */
  stopWatching(): void;
  /** Everything of the window is gone. */
  over(): void;
}

/** Each action. What it throws is a defect. */
export const ACTIONS: Readonly<
  Record<WindowAction, (run: LockerRun, ends: LockerEnds) => Promise<void>>
> = {
  async prepare(run) {
    // Clients that waited behind the attempt run before the next one.
    await sleep(run.limits.attemptPauseFactor * run.settings.lockWaitTimeoutMs);
    if (run.window.phase === "preparing") await report(run, prepareAgain);
  },
  lock,
  secure,
  answer(run) {
    if (!run.preFreeze.send({ event: "frozen", record: run.record() })) {
      run.dispatch({ type: "PreFreezeLost" });
    }
    return Promise.resolve();
  },
  confirm(run) {
    if (!run.preFreeze.send({ event: "held" })) run.dispatch({ type: "PreFreezeLost" });
    // While pre-freeze ends, and its caller notices; before the answer or the release clients wait.
    for (const instance of run.instances) instance.closeMarks();
    return Promise.resolve();
  },
  async release(run) {
    run.flushing?.abandon();
    const ends = await Promise.all(run.instances.map((instance) => instance.release()));
    run.dispatch({ type: "ReleaseFinished", proof: weakestProof(ends.map(({ proof }) => proof)) });
  },
  close,
};

/** Prepares an attempt, and reports to the window how that ended. */
export async function report(
  run: LockerRun,
  prepare: (run: LockerRun) => Promise<Refusal | null>,
): Promise<void> {
  const refusal = await prepare(run).catch(defect) ?? await waitForBlockers(run).catch(defect);
  run.dispatch(refusal === null ? { type: "Prepared" } : { type: "PreparationFailed", refusal });
}

async function lock(run: LockerRun): Promise<void> {
  const { instances, settings, limits } = run;
  // If the locker dies while it waits, post-thaw reads from this file which sessions to kill.
  run.ports.runDirectory.writeWindowFile(run.record());
  const results = await Promise.all(instances.map((instance) => instance.lock()));
  const refusals = results.filter((result) => result !== null);
  const [refusal] = refusals;
  if (refusal === undefined) return run.dispatch({ type: "LockAcquired" });
  const mayTryAgain = refusals.every(({ reason }) => reason === LOCK_WAIT_TIMEOUT);
  const hasTime = leftMs(run) > (limits.attemptPauseFactor + 1) * settings.lockWaitTimeoutMs;
  if (!mayTryAgain || !hasTime || run.window.phase !== "locking") {
    return run.dispatch({ type: "LockRefused", refusal });
  }
  run.mark("not granted");
  // They stay in the list until they are released: a thaw at this moment waits for that too.
  await Promise.all(instances.map((instance) => instance.release()));
  if (run.window.phase === "locking") instances.length = 0;
  run.dispatch({ type: "LockNotGranted", refusal });
}

async function close(run: LockerRun, { control, stopWatching, over }: LockerEnds): Promise<void> {
  if (run.window.phase !== "closed") return;
  const { wasHeld, refusal } = run.window;
  const { runDirectory } = run.ports;
  stopWatching();
  run.sensor?.stop();
  warnOfNoFreeze(run);
  // In memory first: that is never frozen, and what is left there is what a late thaw finds.
  if (wasHeld) runDirectory.writeWindowFile(run.record());
  for (const path of [WAIT_FOR_LOCK, WAIT_FOR_SNAPSHOT]) runDirectory.remove(path);
  const writing = run.place.close(run.record());
  // Where no hook waits for this end it is reported at this moment, before any wait for the disk.
  const isUnattended = wasHeld && !control.hasWaiters();
  if (isUnattended) await reportWindow(run, refusal);
  // After a refusal because the disk does not answer it is not waited for again.
  const limitMs = refusal?.reason === DISK_SILENT ? 0 : run.limits.finalRecordMs;
  const unwritten = await atMost(writing, limitMs, stillFrozen(limitMs));
  if (unwritten !== null) run.warn(`${unwritten.summary}. ${unwritten.hint}`);
  const taken = await control.answerWaiters(run.record());
  control.close();
  const isTold = taken > 0 || !wasHeld;
  if (unwritten !== null && wasHeld) runDirectory.writeWindowFile(run.record());
  else if (isTold) runDirectory.remove(WINDOW_FILE);
  if (refusal !== null) run.preFreeze.send({ event: "refused", refusal });
  const isLate = unwritten?.reason === DISK_FROZEN;
  if (isLate && !isUnattended) await reportWindow(run, refusal);
  await atMost(writing, run.limits.frozenDiskMs, null);
  // Until now it was the only trace of how the window closed; the next one has its own.
  if (isTold && runDirectory.windowFileIs(run.windowId)) runDirectory.remove(WINDOW_FILE);
  if (!isLate && !isUnattended) {
    control.hangUp();
    await reportAfterHook(run, () => reportWindow(run, refusal));
  }
  over();
}

/** Null drivers and mounts that are left out look the same as a freeze that was forgotten. */
function warnOfNoFreeze(run: LockerRun): void {
  const { window, caller, freezePlaces } = run;
  if (window.phase !== "closed" || window.outcome !== "released" || window.freeze !== null) return;
  if (caller === null || !CALLER_TABLE[caller].freezesFilesystems) return;
  if (freezePlaces.length > 0) run.warn(noFreezeSeen(caller, freezePlaces));
}

function stillFrozen(limitMs: number): Refusal {
  return refusal(
    EXIT.badSetup,
    DISK_FROZEN,
    `The final record was not on disk within ${limitMs} ms`,
    "Where the disk is still frozen it follows after the thaw",
  );
}
