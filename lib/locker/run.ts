/** One window at work: what the parts of its locker share. */
import type { Caller } from "../callers/table.ts";
import type { Instance } from "../mysql/instance.ts";
import type { Settings } from "../options/settings.ts";
import { elapsedMs, type Instant, remainingMs } from "../base/clock.ts";
import { type CallerLooks, looksOf } from "./lock_moment.ts";
import type { FreezeSensor } from "./freeze_sensor.ts";
import type { Flush } from "./flush.ts";
import type { Place } from "../base/look.ts";
import { STATE_DIR } from "../base/paths.ts";
import { VERSION } from "../base/version.ts";
import {
  type InstanceRecord,
  recordOf,
  type TimelineEntry,
  type WindowRecord,
} from "../window/record.ts";
import { nextDeadline, openWindow, type Window, type WindowEvent } from "../window/window.ts";
import type { LockerLimits } from "./limits.ts";
import type { LockerPorts } from "./ports.ts";
import { hookAfterThawMs, mayCallerFreeze } from "./release_policy.ts";
import { type RecordPlace, recordPlace } from "./record_place.ts";
import type { PreFreezeLink } from "./freeze_link.ts";

/** What a locker is started with. */
export interface LockerRequest {
  readonly settings: Settings;
  readonly caller: Caller | null;
  readonly isRehearsal: boolean;
  /** When pre-freeze began, in milliseconds since 1970; null: it is not known. */
  readonly beganMs: number | null;
  readonly preFreeze: PreFreezeLink;
  readonly warnings: readonly string[];
}

/** What the parts share. `window` and `detail` are changed by the loop alone. */
export interface LockerRun {
  readonly settings: Settings;
  readonly caller: Caller | null;
  /** The caller's looks and what locking took, for a caller that looks; null: lock at once. */
  readonly looks: CallerLooks | null;
  readonly preFreeze: PreFreezeLink;
  readonly ports: LockerPorts;
  readonly limits: LockerLimits;
  readonly windowId: string;
  /** All that are open, locked or not. */
  readonly instances: Instance[];
  readonly place: RecordPlace;
  window: Window;
  /** What a person needs to know beyond the reason. */
  detail: string | null;
  /** The blockers that are waited for now, while nothing is locked. */
  waitsFor: string | null;
  /** The `sync` that is under way, to be abandoned at the release. */
  flushing: Flush | null;
  /** Where the freeze sensor looks. */
  freezePlaces: readonly string[];
  /** Where the servers' directories and the record are. */
  volumes: readonly Place[];
  /** The freeze sensor, from the lock on. */
  sensor: FreezeSensor | null;
  /** Tells the window what happened, and has done what it decides. */
  readonly dispatch: (event: WindowEvent) => void;
  now(): Instant;
  /** Adds a line for people, once, where there are fewer than `most` so far. */
  warn(warning: string, most?: number): void;
  /** Adds a point to the timeline. */
  mark(event: string): void;
  /** The record, as if the window were `as`; default: as it is. */
  record(as?: Window): WindowRecord;
}

/** Opens a window; nothing is begun yet. */
export function beginRun(
  { settings, caller, isRehearsal, beganMs, preFreeze, ...request }: LockerRequest,
  ports: LockerPorts,
  limits: LockerLimits,
  dispatch: (event: WindowEvent) => void,
): LockerRun {
  const now = () => ports.clock.now();
  const openedAt = now();
  const warnings = [...request.warnings];
  const timeline: TimelineEntry[] = [];
  // These alone: the settings have passwords in them.
  const { freezeTimeoutMs, holdTimeoutMs, stallLimitMs } = settings;
  const run: LockerRun = {
    settings,
    caller,
    looks: looksOf(caller, beganMs, openedAt),
    preFreeze,
    ports,
    limits,
    windowId: crypto.randomUUID(),
    instances: [],
    place: recordPlace(ports.disk),
    window: openWindow(
      {
        freezeTimeoutMs,
        holdTimeoutMs,
        stallLimitMs,
        hookAfterThawMs: hookAfterThawMs(settings.release, caller),
        mayCallerFreeze: mayCallerFreeze(settings.release, caller),
      },
      openedAt,
    ),
    detail: null,
    waitsFor: null,
    flushing: null,
    freezePlaces: [],
    volumes: [],
    sensor: null,
    dispatch,
    now,
    warn(warning, most = Infinity) {
      if (!warnings.includes(warning) && warnings.length < most) warnings.push(warning);
    },
    mark(event) {
      timeline.push({ at_ms: elapsedMs(openedAt, now()), event });
    },
    record: (as = run.window) =>
      recordOf(as, {
        windowId: run.windowId,
        version: VERSION,
        caller,
        isRehearsal,
        lockerPid: Deno.pid,
        detail: run.detail ?? run.waitsFor,
        instances: run.instances.map((one) => instanceRecord(one, run.volumes)),
        timeline,
        warnings,
      }),
  };
  return run;
}

function instanceRecord(
  instance: Instance,
  volumes: readonly Place[],
): Omit<InstanceRecord, "verdict"> {
  const { facts } = instance;
  const { method, why } = instance.choice();
  const end = instance.end();
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
    method: method.name,
    method_reason: why,
    data_directories: facts.dataDirectories,
    innodb_lsn: facts.redoPosition,
    volumes: volumes.filter(({ path }) => facts.dataDirectories.includes(path)),
    record_device: volumes.find(({ path }) => path === STATE_DIR)?.device ?? null,
    marks: instance.marks(),
    transactions: instance.transactions(),
    coordinates: instance.coordinates(),
    coordinates_at_release: end?.coordinates ?? null,
    release_proof: end?.proof ?? null,
  };
}

/** Milliseconds until the window's next deadline. */
export function leftMs(run: LockerRun): number {
  const deadline = nextDeadline(run.window);
  return deadline === null ? 0 : remainingMs(deadline, run.now());
}

/** The data directories of all instances, each time one occurs. */
export function dataDirectories({ instances }: LockerRun): string[] {
  return instances.flatMap(({ facts }) => facts.dataDirectories);
}
