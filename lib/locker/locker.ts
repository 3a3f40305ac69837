/**
 * The locker: carries out what the window's state machine decides, and tells it what happens.
 * Everything is loaded and opened before the lock; while it is held nothing is written to a
 * disk and nothing new is opened.
 */
import { EXIT, isRefusal, type Refusal, refusal } from "../report/refusal.ts";
import type { Caller } from "../hooks/callers.ts";
import type { Settings } from "../options/settings.ts";
import type { Instance, Look, ReleaseEnd } from "../mysql/instance.ts";
import { sameServer } from "../mysql/same_server.ts";
import { LOCK_WAIT_TIMEOUT } from "../mysql/errors.ts";
import { type Blocker, describeBlocker, describeBlockers, isHeldUp } from "../mysql/guard.ts";
import type { Coordinates } from "../mysql/coordinates.ts";
import type { InexactPosition } from "../mysql/image_position.ts";
import { atMost } from "../sys/at_most.ts";
import { elapsedMs, remainingMs, systemClock } from "../sys/clock.ts";
import { DISK_SILENT, silentDisk } from "../sys/disk.ts";
import { removeIfThere } from "../sys/files.ts";
import { instanceSocket } from "../mysql/instance_socket.ts";
import { type Flush, flushEverything, flushFilesystemsOf } from "../sys/flush.ts";
import {
  RECORD_FILE,
  STATE_DIR,
  WAIT_FOR_LOCK,
  WAIT_FOR_SNAPSHOT,
  WINDOW_FILE,
} from "../sys/paths.ts";
import { closeRecord, type ReservedRecord, reserveRecord } from "../sys/record_file.ts";
import { VERSION } from "../version.ts";
import { type InstanceRecord, recordOf, type TimelineEntry } from "../window/record.ts";
import {
  asPromised,
  nextDeadline,
  openWindow,
  transition,
  weakestProof,
  type Window,
  type WindowAction,
  type WindowEvent,
} from "../window/window.ts";
import { openControlServer } from "./control_server.ts";
import { openLockFiles, watchLockFile, windowFileIs, writeWindowFile } from "./run_directory.ts";
import type { StarterLink } from "./starter_link.ts";

/** How often deadlines and the lock file are looked at: the accuracy of `hold_timeout`. */
const TICK_MS = 100;

/** How often the guard looks again for blockers, in milliseconds. */
const GUARD_PAUSE_MS = 200;

/** The same for readers that have just begun: most of them are gone a moment later. */
const NEWBORN_PAUSE_MS = 20;

/** From here on the server says that a statement is a second old. */
const GROWN_MS = 1_100;

/** Pause between two attempts, in `lock_wait_timeout`s: writers have most of the time. */
const ATTEMPT_PAUSE_FACTOR = 2;

/**
 * The part of `freeze_timeout` that writing out *all* filesystems may take. It only makes the
 * flush under the lock short; a network filesystem that hangs must not cost the backup.
 */
const FLUSH_EVERYTHING_SHARE = 0.5;

/** How many warnings a record keeps: whoever starts statements to be killed decides their number. */
const WARNINGS_MOST = 100;

/**
 * The part of `freeze_timeout` that the place for the record may take, and the most of it in
 * milliseconds: a busy disk needs less than a second; one that is frozen for another snapshot, or
 * hangs, is not worth a longer wait.
 */
const RESERVE_SHARE = 0.5;
const RESERVE_LIMIT_MS = 5_000;

/** How long whoever waits for the verdict waits for the disk too: the disk may be frozen. */
const FINAL_RECORD_LIMIT_MS = 1_000;

/** How long a released locker stays for a disk that is still frozen, to write its record. */
const FROZEN_DISK_LIMIT_MS = 60_000;

/** What is awaited under the lock, as `stall_limit` names it. */
const LOG_WRITING = "InnoDB's log writer";
const RECORD_WRITING = `writing ${RECORD_FILE}`;

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** What a locker is started with. */
export interface LockerOptions {
  readonly settings: Settings;
  readonly caller: Caller | null;
  readonly starter: StarterLink;
  readonly warnings: readonly string[];
}

/** Opens, holds and closes one window. Resolves when everything of it is gone. */
export async function runLocker({ settings, caller, starter, ...rest }: LockerOptions) {
  const opened = openLockFiles();
  if (isRefusal(opened)) {
    starter.send({ event: "refused", refusal: opened });
    return;
  }

  const clock = systemClock;
  const openedAt = clock.now();
  const windowId = crypto.randomUUID();
  const warnings = [...rest.warnings];
  const timeline: TimelineEntry[] = [];
  const instances: {
    instance: Instance;
    coordinates: Coordinates | null;
    end: ReleaseEnd | null;
  }[] = [];
  const { freezeTimeoutMs, holdTimeoutMs, stallLimitMs } = settings;
  let window: Window = openWindow({ freezeTimeoutMs, holdTimeoutMs, stallLimitMs }, openedAt);
  let flushing: Flush | null = null;
  let reserved: ReservedRecord | null = null;
  /** Settles when nothing that belongs to the reservation is under way any more. */
  let reserving: Promise<void> | null = null;
  let detail: string | null = null;
  const over = Promise.withResolvers<void>();

  const warn = (warning: string) => {
    if (!warnings.includes(warning) && warnings.length < WARNINGS_MOST) warnings.push(warning);
  };
  const mark = (event: string) => {
    timeline.push({ at_ms: elapsedMs(openedAt, clock.now()), event });
  };
  const record = (as: Window = window) =>
    recordOf(as, {
      windowId,
      version: VERSION,
      caller,
      lockerPid: Deno.pid,
      detail,
      instances: instances.map(instanceRecord),
      timeline,
      warnings,
    });
  const dispatch = (event: WindowEvent) => {
    if (event.type === "SessionLost" || event.type === "ConnectionsNearLimit") {
      detail ??= event.why;
    }
    if (event.type === "SignalReceived") detail ??= `got ${event.signal}`;
    const before = window.phase;
    const next = transition(window, event, clock.now());
    window = next.window;
    if (window.phase !== before) {
      mark("reason" in window ? `${window.phase} (${window.reason})` : window.phase);
    }
    for (const action of next.actions) {
      ACTIONS[action]().catch((error) => dispatchDefect(action, error));
    }
  };
  const dispatchDefect = (action: WindowAction, error: unknown) => {
    const why = defect(error);
    switch (action) {
      case "prepare":
        return dispatch({ type: "PreparationFailed", refusal: why });
      case "lock":
        return dispatch({ type: "LockRefused", refusal: why });
      case "secure":
      case "answer":
        return dispatch({ type: "SecuringFailed", refusal: why });
      case "confirm":
        return dispatch({ type: "StarterLost" });
      case "release":
        return dispatch({ type: "ReleaseFinished", proof: "cut" });
      case "close":
        return over.reject(error);
      default:
        return action satisfies never;
    }
  };

  const ACTIONS: Record<WindowAction, () => Promise<void>> = {
    async prepare() {
      // Those who waited behind the attempt get their turn before the next one.
      await new Promise((resolve) =>
        setTimeout(resolve, ATTEMPT_PAUSE_FACTOR * settings.lockWaitTimeoutMs)
      );
      if (window.phase === "preparing") await report(openInstances);
    },

    async lock() {
      // Whoever finds us dead in the wait knows from it which sessions to end.
      writeWindowFile(record());
      const results = await Promise.all(instances.map(({ instance }) => instance.lock()));
      const refusals = results.filter((result) => result !== null);
      const [refusal] = refusals;
      if (refusal === undefined) return dispatch({ type: "LockAcquired" });
      const mayTryAgain = refusals.every(({ reason }) => reason === LOCK_WAIT_TIMEOUT);
      const deadline = nextDeadline(window);
      const leftMs = deadline === null ? 0 : remainingMs(deadline, clock.now());
      const hasTime = leftMs > (ATTEMPT_PAUSE_FACTOR + 1) * settings.lockWaitTimeoutMs;
      if (!mayTryAgain || !hasTime || window.phase !== "locking") {
        return dispatch({ type: "LockRefused", refusal });
      }
      mark("not granted");
      // They stay in the list until they are released: a thaw at this moment waits for that too.
      await Promise.all(instances.map(({ instance }) => instance.release(null)));
      if (window.phase === "locking") instances.length = 0;
      dispatch({ type: "LockNotGranted", refusal });
    },

    async secure() {
      const waitingFor = new Set(["the coordinates", ...writingOut()]);
      const advance = (done: string) => {
        waitingFor.delete(done);
        if (window.phase === "securing") {
          dispatch({ type: "SecuringAdvanced", waitingFor: [...waitingFor] });
        }
      };
      // Asked first, so that the servers answer while `sync` is being started.
      const reading = Promise.all(
        instances.map(async (one) => {
          const read = await one.instance.readCoordinates();
          if (!isRefusal(read)) one.coordinates = read;
          return read;
        }),
      );
      const writingData = flushLocked(advance);
      const unread = (await reading).find(isRefusal);
      if (unread !== undefined) return dispatch({ type: "SecuringFailed", refusal: unread });
      mark("coordinates read");
      for (const { instance, coordinates } of instances) {
        const inexact = coordinates?.inexact ?? null;
        if (inexact?.exact_instead === null) warn(inexactWarning(instance.facts.name, inexact));
      }
      if (window.phase !== "securing" || reserved === null) return;
      const writing = reserved.commit(record(asPromised(window)));
      reserved = null;
      reserving = writing.then(() => {});
      waitingFor.add(RECORD_WRITING);
      advance("the coordinates");
      const [unwritten, unflushed] = await Promise.all([
        writing.finally(() => advance(RECORD_WRITING)),
        writingData,
      ]);
      mark("on disk");
      const refusal = unwritten ?? unflushed;
      if (refusal !== null) return dispatch({ type: "SecuringFailed", refusal });
      if (window.phase !== "securing") return;
      writeWindowFile(record(asPromised(window)));
      removeIfThere(WAIT_FOR_LOCK);
      dispatch({ type: "Secured" });
    },

    answer() {
      if (!starter.send({ event: "frozen", record: record() })) dispatch({ type: "StarterLost" });
      return Promise.resolve();
    },

    confirm() {
      if (!starter.send({ event: "held" })) dispatch({ type: "StarterLost" });
      return Promise.resolve();
    },

    async release() {
      flushing?.abandon();
      const ends = await Promise.all(instances.map(async (one) => {
        one.end = await one.instance.release(one.coordinates);
        return one.end.proof;
      }));
      dispatch({ type: "ReleaseFinished", proof: weakestProof(ends) });
    },

    async close() {
      if (window.phase !== "closed") return;
      const { wasHeld, refusal } = window;
      clearInterval(ticking);
      lockFile.close();
      const discarding = reserved?.discard();
      // tmpfs first: it is never frozen, and what is left there is what a late thaw finds.
      if (wasHeld) writeWindowFile(record());
      for (const path of [WAIT_FOR_LOCK, WAIT_FOR_SNAPSHOT]) removeIfThere(path);
      const closed = record();
      // What is still on its way to the disk would otherwise replace it.
      const writing = Promise.all([reserving, discarding]).then(() => closeRecord(closed));
      // Who is refused because the disk does not answer need not wait for it again.
      const limitMs = refusal?.reason === DISK_SILENT ? 0 : FINAL_RECORD_LIMIT_MS;
      const unwritten = await atMost(writing, limitMs, stillFrozen());
      if (unwritten !== null) warnings.push(`${unwritten.summary}. ${unwritten.hint}`);
      const taken = await control.answerWaiters(record());
      control.close();
      const isTold = taken > 0 || !wasHeld;
      if (unwritten !== null && wasHeld) writeWindowFile(record());
      else if (isTold) removeIfThere(WINDOW_FILE);
      if (refusal !== null) starter.send({ event: "refused", refusal });
      await atMost(writing, FROZEN_DISK_LIMIT_MS, null);
      // Until now it was the only trace of how the window closed; the next one has its own.
      if (isTold && windowFileIs(windowId)) removeIfThere(WINDOW_FILE);
      over.resolve();
    },
  };

  const dataDirectories = () => instances.flatMap(({ instance }) => instance.facts.dataDirectories);

  /** Puts the servers' files on disk. */
  const flush = async (): Promise<Refusal | null> => {
    flushing = flushFilesystemsOf(dataDirectories());
    return await flushing.done;
  };

  /** The same, with what is still in the servers' memory. */
  const flushLocked = async (advance: (done: string) => void): Promise<Refusal | null> => {
    if (hasLateLog()) {
      const unwritten = await Promise.all(instances.map(({ instance }) => instance.writeLog()));
      const refusal = unwritten.find((one) => one !== null);
      if (refusal !== undefined) return refusal;
    }
    advance(LOG_WRITING);
    const refusal = await flush();
    advance(dataWriting());
    return refusal;
  };

  const hasLateLog = () =>
    instances.some(({ instance }) => instance.facts.logWriteIntervalS !== null);
  const dataWriting = () => `writing out ${[...new Set(dataDirectories())].join(", ")} (sync)`;
  /** What is written out under the lock besides the record. */
  const writingOut = () => [...(hasLateLog() ? [LOG_WRITING] : []), dataWriting()];

  /** What is done once: writing everything out, and a place for the record. */
  const prepareDisk = async (): Promise<Refusal | null> => {
    const everything = flushEverything();
    const reserveLimitMs = Math.min(settings.freezeTimeoutMs * RESERVE_SHARE, RESERVE_LIMIT_MS);
    let isLate = false;
    const reservation = reserveRecord().then(async (place) => {
      if (isRefusal(place)) return place;
      if (isLate || window.phase !== "preparing") await place.discard();
      else reserved = place;
      return null;
    });
    reserving = reservation.then(() => {});
    const unreserved = await atMost(
      reservation,
      reserveLimitMs,
      silentDisk(STATE_DIR, reserveLimitMs),
    );
    isLate = true;
    if (unreserved !== null) return unreserved;
    const limitMs = settings.freezeTimeoutMs * FLUSH_EVERYTHING_SHARE;
    const unflushed = await atMost<Refusal | null, "late">(everything.done, limitMs, "late");
    if (unflushed === "late") {
      everything.abandon();
      warnings.push(`Writing out all filesystems: not done after ${limitMs} ms`);
      return null;
    }
    // A filesystem of others may fail; those of the servers follow on their own.
    if (unflushed?.reason === "flush-failed") {
      warnings.push(unflushed.summary);
      return null;
    }
    return unflushed;
  };

  /** What is done for each attempt: sessions, and waiting for blockers while nothing is locked. */
  const openInstances = async (): Promise<Refusal | null> => {
    // Here and not above: `sync` is at work while the driver is being parsed.
    const { openInstance } = await import("../mysql/instance.ts");
    const opened = await Promise.all(
      settings.instances.map(async ({ name, connection }) =>
        await openInstance({
          ...settings,
          ...connection,
          name,
          socket: await instanceSocket(connection.socket),
          // It may be set longer than freeze_timeout; then that one counts.
          lockWaitTimeoutMs: Math.min(settings.lockWaitTimeoutMs, settings.freezeTimeoutMs),
          onLost: (why) => dispatch({ type: "SessionLost", why: `${name}: ${why}` }),
          onControlLost: (why) => warn(`${name}: the control session was lost: ${why}`),
          onCrowded: (why) => dispatch({ type: "ConnectionsNearLimit", why }),
        })
      ),
    );
    for (const instance of opened) {
      if (isRefusal(instance)) continue;
      instances.push({ instance, coordinates: null, end: null });
      for (const { text } of instance.warnings) warn(text);
    }
    mark("connected");
    const refused = opened.find(isRefusal) ??
      sameServer(instances.map(({ instance }) => instance.facts));
    if (refused !== null) return refused;
    const claims = await Promise.all(instances.map(async ({ instance }) => {
      const claim = await instance.claim();
      if (typeof claim === "string") warn(`${instance.facts.name}: ${claim}`);
      return claim;
    }));
    return claims.find((claim): claim is Refusal => isRefusal(claim)) ?? null;
  };

  /** Everything before the first attempt. */
  const prepareAll = async (): Promise<Refusal | null> => {
    // `sync` works by itself while the driver is being loaded.
    const disk = prepareDisk();
    const refusals = await Promise.all([openInstances(), disk]);
    const refusal = refusals.find((refusal) => refusal !== null);
    if (refusal !== undefined) return refusal;
    const unwritten = await flush();
    if (unwritten !== null) return unwritten;
    mark("written out");
    return null;
  };

  const waitForBlockers = async (): Promise<Refusal | null> => {
    const since = performance.now();
    let first: readonly (readonly Blocker[])[] | null = null;
    while (window.phase === "preparing") {
      const looked = await Promise.all(instances.map(({ instance }) => instance.look(true)));
      const refused = looked.find(isRefusal);
      if (refused !== undefined) return refused;
      const looks = looked.filter((look): look is Look => !isRefusal(look));
      for (const line of looks.flatMap(({ blind }) => blind)) warn(line);
      for (const blocker of looks.flatMap(({ killed }) => killed)) {
        warn(
          `kill_long_queries=${settings.killLongQueries}: killed the statement of ${
            describeBlocker(blocker)
          }`,
        );
      }
      const blockers = looks.flatMap(({ blockers }) => blockers);
      const newborn = looks.map(({ newborn }) => newborn);
      first ??= newborn;
      const isGrown = performance.now() - since >= GROWN_MS ||
        !newborn.some((seen, at) => hasSameStatement(seen, first?.[at] ?? []));
      const crowded = looks.find(({ crowded }) => crowded !== null)?.crowded?.why ?? null;
      if (blockers.length === 0 && crowded === null) {
        if (isGrown) return null;
        await new Promise((resolve) => setTimeout(resolve, NEWBORN_PAUSE_MS));
        continue;
      }
      const deadline = nextDeadline(window);
      const leftMs = deadline === null ? 0 : remainingMs(deadline, clock.now());
      if (leftMs <= settings.lockWaitTimeoutMs + GUARD_PAUSE_MS) {
        return crowded === null
          ? blockedBy(blockers, settings.longQueryGuardMs)
          : crowdedOut(crowded);
      }
      await new Promise((resolve) => setTimeout(resolve, GUARD_PAUSE_MS));
    }
    return null;
  };

  /** Tells how a preparation ended. */
  const report = async (prepare: () => Promise<Refusal | null>) => {
    const refusal = await prepare().catch(defect) ?? await waitForBlockers().catch(defect);
    dispatch(refusal === null ? { type: "Prepared" } : { type: "PreparationFailed", refusal });
  };

  const control = openControlServer({
    onThaw: () => dispatch({ type: "ThawRequested" }),
    onAbort: () => dispatch({ type: "AbortRequested" }),
    record: () => record(),
  });
  const lockFile = watchLockFile(opened, {
    onHook: () => dispatch({ type: "ThawHookSeen" }),
    onRemoved: () => dispatch({ type: "LockFileRemoved" }),
  });
  const ticking = setInterval(() => {
    lockFile.check();
    dispatch({ type: "TimePassed" });
  }, TICK_MS);
  for (const signal of SIGNALS) {
    Deno.addSignalListener(signal, () => dispatch({ type: "SignalReceived", signal }));
  }
  starter.accepted.then((isAccepted) => {
    dispatch({ type: isAccepted ? "StarterAccepted" : "StarterLost" });
    Deno.permissions.revokeSync({ name: "run" }); // no `sync` from here on
  });
  mark(window.phase);
  report(prepareAll);
  await over.promise;
}

function instanceRecord(
  { instance, coordinates, end }: {
    instance: Instance;
    coordinates: Coordinates | null;
    end: ReleaseEnd | null;
  },
): Omit<InstanceRecord, "verdict"> {
  const { facts } = instance;
  return {
    name: facts.name,
    flavor: facts.server.flavor,
    version: facts.server.text,
    label: facts.server.label,
    socket: facts.socket,
    hostname: facts.hostname,
    connection_id: facts.connection_id,
    server_id: facts.server_id,
    server_uuid: facts.server_uuid,
    read_only: facts.read_only,
    method: instance.choice().method.name,
    method_reason: instance.choice().why,
    data_directories: facts.dataDirectories,
    coordinates,
    coordinates_at_release: end?.coordinates ?? null,
    release_proof: end?.proof ?? null,
  };
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
  // To end one of those who wait themselves would be for nothing.
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
    `Nothing was locked, because the clients that wait would fill the server: ${why}`,
    "Raise max_connections, or connection_mark in [locktables]",
  );
}

function stillFrozen(): Refusal {
  return refusal(
    EXIT.badSetup,
    "disk-frozen",
    `The final record was not on disk within ${FINAL_RECORD_LIMIT_MS} ms`,
    "Where the disk is still frozen it follows after the thaw",
  );
}

/** Said before the snapshot is taken, and again at the thaw. */
function inexactWarning(name: string, { fields, why }: InexactPosition): string {
  return `${name}: the recorded ${fields.join(" and ")} may lie behind the image: ${why}`;
}

/** A defect on the way: told like a refusal, because the lock must still be let go. */
export function defect(error: unknown): Refusal {
  return refusal(
    EXIT.defect,
    "defect",
    `A defect in locktables: ${(error as { stack?: unknown })?.stack ?? String(error)}`
      .replaceAll(/\s*\n\s*/g, " "),
    "Report it, with the output of locktables status --json",
  );
}
