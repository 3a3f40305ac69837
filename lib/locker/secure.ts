/** What is done between the lock and the answer: coordinates, record, and data on disk. */
import type { InexactPosition } from "../window/coordinates.ts";
import { atMost } from "../base/at_most.ts";
import { isRefusal, type Refusal } from "../base/refusal.ts";
import { RECORD_FILE, WAIT_FOR_LOCK } from "../base/paths.ts";
import { asPromised } from "../window/window.ts";
import { flushInstances } from "./prepare.ts";
import { startFreezeSensor } from "./freeze_sensor.ts";
import { dataDirectories, type LockerRun } from "./run.ts";

/** What is awaited under the lock, as `stall_limit` names it. */
const COORDINATES = "the coordinates";
const LOG_WRITING = "InnoDB's log writer";
const FIRST_LOOK = "a first look for a freeze";
const RECORD_WRITING = `writing ${RECORD_FILE}`;

/** Secures the image; each step that is done is reported to the window, and at the end that all are. */
export async function secure(run: LockerRun): Promise<void> {
  const { instances, dispatch } = run;
  const waitingFor = new Set([COORDINATES, FIRST_LOOK, ...writingOut(run)]);
  const advance = (done: string) => {
    waitingFor.delete(done);
    if (run.window.phase === "securing") {
      dispatch({ type: "SecuringAdvanced", waitingFor: [...waitingFor] });
    }
  };
  // Asked first, so that the servers answer while `sync` is being started.
  const reading = Promise.all(instances.map((instance) => instance.readCoordinates()));
  const marking = Promise.all(instances.map((instance) => instance.askTransactions()));
  const writingData = flushLocked(run, advance);
  const looking = beginToSense(run).finally(() => advance(FIRST_LOOK));
  const unread = (await reading).find(isRefusal);
  if (unread !== undefined) return dispatch({ type: "SecuringFailed", refusal: unread });
  run.mark("coordinates read");
  for (const instance of instances) {
    const inexact = instance.coordinates()?.inexact ?? null;
    if (inexact?.exact_instead === null) run.warn(inexactWarning(instance.facts.name, inexact));
  }
  await marking;
  if (run.window.phase !== "securing") return;
  const writing = run.place.commit(run.record(asPromised(run.window)));
  if (writing === null) return;
  waitingFor.add(RECORD_WRITING);
  advance(COORDINATES);
  const [unwritten, unflushed] = await Promise.all([
    writing.finally(() => advance(RECORD_WRITING)),
    writingData,
    looking,
  ]);
  run.mark("on disk");
  const refusal = unwritten ?? unflushed;
  if (refusal !== null) return dispatch({ type: "SecuringFailed", refusal });
  if (run.window.phase !== "securing") return;
  run.ports.runDirectory.writeWindowFile(run.record(asPromised(run.window)));
  run.ports.runDirectory.remove(WAIT_FOR_LOCK);
  dispatch({ type: "Secured" });
}

/**
 * Not before the lock: what is frozen and thawed until then has nothing to do with this window.
 * Resolves at the first look, or when it is too late for that.
 */
async function beginToSense(run: LockerRun): Promise<void> {
  const { ports, limits, dispatch } = run;
  run.sensor ??= startFreezeSensor(ports.freezes, ports.clock, run.freezePlaces, {
    onFrozen(since, isFromTheStart) {
      run.mark("filesystems frozen");
      dispatch({ type: "FilesystemsFrozen", since, isFromTheStart });
    },
    onThawed() {
      run.mark("filesystems thawed");
      dispatch({ type: "FilesystemsThawed" });
    },
  });
  await atMost(run.sensor.looked, limits.firstLookMs, null);
}

/** Puts on disk what the servers have written, and what is still in their memory. */
async function flushLocked(
  run: LockerRun,
  advance: (done: string) => void,
): Promise<Refusal | null> {
  if (hasLateLog(run)) {
    const unwritten = await Promise.all(run.instances.map((instance) => instance.writeLog()));
    const refusal = unwritten.find((one) => one !== null);
    if (refusal !== undefined) return refusal;
  }
  advance(LOG_WRITING);
  const refusal = await flushInstances(run);
  advance(dataWriting(run));
  return refusal;
}

function hasLateLog({ instances }: LockerRun): boolean {
  return instances.some(({ facts }) => facts.logWriteIntervalS !== null);
}

function dataWriting(run: LockerRun): string {
  return `writing out ${[...new Set(dataDirectories(run))].join(", ")} (sync)`;
}

/** What is written out under the lock besides the record. */
function writingOut(run: LockerRun): string[] {
  return [...(hasLateLog(run) ? [LOG_WRITING] : []), dataWriting(run)];
}

/** Said before the snapshot is taken, and again at the thaw. */
function inexactWarning(name: string, { fields, why }: InexactPosition): string {
  return `${name}: the recorded ${fields.join(" and ")} may lie behind the image: ${why}`;
}
