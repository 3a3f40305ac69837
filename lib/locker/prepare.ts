/** Everything before the lock: sessions, the record's place, and data on disk. */
import { sameServer } from "./same_server.ts";
import { isRefusal, type Refusal } from "../base/refusal.ts";
import { atMost } from "../base/at_most.ts";
import { STATE_DIR } from "../base/paths.ts";
import { learnFromHistory } from "./last_moment.ts";
import { dataDirectories, type LockerRun } from "./run.ts";

/** What is done before the first attempt. */
export async function prepareAll(run: LockerRun): Promise<Refusal | null> {
  // `sync` works by itself while the driver is being loaded.
  const disk = prepareDisk(run);
  disk.catch(() => {}); // a defect in it is seen where it is awaited
  // A server that refuses is reported at once, whatever a filesystem of others does.
  const refusal = await openInstances(run) ?? await disk;
  if (refusal !== null) return refusal;
  const [unwritten, places, volumes] = await Promise.all([
    flushInstances(run),
    atMost(run.ports.freezes.places(dataDirectories(run)), run.limits.freezePlacesMs, []),
    atMost(
      run.ports.disk.volumesOf([...dataDirectories(run), STATE_DIR]),
      run.limits.freezePlacesMs,
      [],
    ),
    learnFromHistory(run),
    ...run.instances.map((instance) => instance.askMarks()),
  ]);
  run.freezePlaces = places;
  run.volumes = volumes;
  if (unwritten !== null) return unwritten;
  run.mark("written out");
  return null;
}

/** What is done before each further attempt: its sessions are new, and what they were asked is gone. */
export async function prepareAgain(run: LockerRun): Promise<Refusal | null> {
  const refusal = await openInstances(run);
  if (refusal !== null) return refusal;
  await Promise.all(run.instances.map((instance) => instance.askMarks()));
  return null;
}

/** What is done once: writing everything out, and a place for the record. */
async function prepareDisk(run: LockerRun): Promise<Refusal | null> {
  const { ports, limits, settings: { freezeTimeoutMs } } = run;
  const everything = ports.disk.flushEverything();
  run.flushing = everything;
  const reserveMs = Math.min(freezeTimeoutMs * limits.reserveShare, limits.reserveMs);
  const unreserved = await run.place.reserve(reserveMs, () => run.window.phase === "preparing");
  if (unreserved !== null) return unreserved;
  const limitMs = freezeTimeoutMs * limits.flushEverythingShare;
  const unflushed = await atMost<Refusal | null, "late">(everything.done, limitMs, "late");
  if (unflushed === "late") {
    everything.abandon();
    run.warn(`Writing out all filesystems: not done after ${limitMs} ms`);
    return null;
  }
  // A filesystem of others may fail; those of the servers follow on their own.
  if (unflushed?.reason === "flush-failed") {
    run.warn(unflushed.summary);
    return null;
  }
  return unflushed;
}

/** What is done for each attempt: sessions, and the servers' names. */
export async function openInstances(run: LockerRun): Promise<Refusal | null> {
  const { settings, instances } = run;
  const opened = await Promise.all(
    settings.instances.map(({ name, connection }) =>
      run.ports.openInstance({
        ...settings,
        ...connection,
        name,
        // It may be set longer than freeze_timeout; then that one counts.
        lockWaitTimeoutMs: Math.min(settings.lockWaitTimeoutMs, settings.freezeTimeoutMs),
        onLost: (why) => run.dispatch({ type: "SessionLost", why: `${name}: ${why}` }),
        onControlLost: (why) => run.warn(`${name}: the control session was lost: ${why}`),
        onCrowded: (why) => run.dispatch({ type: "ConnectionsNearLimit", why }),
      })
    ),
  );
  for (const instance of opened) {
    if (isRefusal(instance)) continue;
    instances.push(instance);
    for (const { text } of instance.warnings) run.warn(text);
  }
  run.mark("connected");
  const refused = opened.find(isRefusal) ?? sameServer(instances.map(({ facts }) => facts));
  if (refused !== null) return refused;
  const claims = await Promise.all(instances.map(async (instance) => {
    const claim = await instance.claim();
    if (claim.kind === "unprotected") run.warn(`${instance.facts.name}: ${claim.warning}`);
    return claim.kind === "refused" ? claim.refusal : null;
  }));
  return claims.find((refused) => refused !== null) ?? null;
}

/** Puts the servers' files on disk. */
export async function flushInstances(run: LockerRun): Promise<Refusal | null> {
  run.flushing = run.ports.disk.flushFilesystemsOf(dataDirectories(run));
  return await run.flushing.done;
}
