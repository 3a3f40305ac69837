/**
 * The record of a window: what `--json` prints, what lies in /run while it lives and on
 * disk inside the image. Times are RFC 3339 in UTC, durations end in `_ms`.
 */
import type { Coordinates } from "./coordinates.ts";
import { elapsedMs, type Instant, plus, rfc3339 } from "../base/clock.ts";
import type { Place } from "../base/look.ts";
import type { ImageMarks, TransactionMark } from "./image_marks.ts";
import { type Phase, type Window } from "./window.ts";
import {
  instanceVerdict,
  type Outcome,
  outcomeOf,
  type Reason,
  type ReleaseProof,
  type Verdict,
  verdictOf,
} from "./verdict.ts";

/** Version of this shape; a reader that knows another one must not guess. */
export const SCHEMA_VERSION = 1;

/** One server in the record. */
export interface InstanceRecord {
  readonly name: string;
  /** `mysql`, `percona` or `mariadb`. */
  readonly flavor: string;
  readonly version: string;
  /** For people: `MariaDB 10.11.19`. */
  readonly label: string;
  readonly socket: string;
  /** CONNECTION_ID() of the session that holds the lock. */
  readonly connection_id: number;
  readonly hostname: string;
  readonly server_id: number;
  readonly server_uuid: string | null;
  readonly read_only: boolean;
  readonly method: string;
  readonly method_reason: string;
  readonly data_directories: readonly string[];
  /** The end of InnoDB's redo log on disk shortly before the lock; null where the server does not say. */
  readonly innodb_lsn: number | null;
  /** Where the data directories were, shortly before the lock: those of several are of one image. */
  readonly volumes: readonly Place[];
  /** The device of the record's own filesystem: what is on it is of the record's moment. */
  readonly record_device: string | null;
  /** What else an image of it is known by; null where it was not asked. */
  readonly marks: ImageMarks | null;
  /** Where InnoDB was with its transactions under the lock; null where it was not asked. */
  readonly transactions: TransactionMark | null;
  /** At the lock: what a restore of the image starts from. */
  readonly coordinates: Coordinates | null;
  /** Just before the release. */
  readonly coordinates_at_release: Pick<Coordinates, "file" | "position"> | null;
  /** What the release of this instance showed. */
  readonly release_proof: ReleaseProof | null;
  /** Of this instance alone; the window's is the worst of them. Null until it is closed. */
  readonly verdict: Verdict | null;
}

/** A point on the window's timeline. */
export interface TimelineEntry {
  /** Milliseconds since the window was opened. */
  readonly at_ms: number;
  readonly event: string;
}

/** The record of one window. */
export interface WindowRecord {
  readonly schema_version: typeof SCHEMA_VERSION;
  readonly window_id: string;
  readonly locktables_version: string;
  /** Who runs the hook, where it said so. */
  readonly caller: string | null;
  /** Opened by `rehearse`: no image was taken. */
  readonly is_rehearsal: boolean;
  readonly locker_pid: number;
  readonly phase: Phase;
  readonly opened_at: string;
  readonly locked_at: string | null;
  /** When the locker releases the lock automatically. */
  readonly deadline: string | null;
  readonly released_at: string | null;
  /** The reason that the release began with; null where nothing was locked. */
  readonly released_by: Reason | null;
  /**
   * When the filesystems of the servers' data were frozen under the lock and thawed, as the freeze
   * sensor saw it; of several freezes the last one. Null where it saw none.
   */
  readonly filesystems_frozen_at: string | null;
  readonly filesystems_thawed_at: string | null;
  readonly closed_at: string | null;
  /** From the lock to the release. */
  readonly held_ms: number | null;
  /** Whether pre-freeze promised the lock to its caller. */
  readonly was_held: boolean;
  readonly outcome: Outcome | null;
  readonly reason: Reason | null;
  readonly verdict: Verdict | null;
  /** What a person needs to know beyond the reason. */
  readonly detail: string | null;
  /** What to do about a refusal; null where pre-freeze was not refused. */
  readonly hint: string | null;
  readonly hold_timeout_ms: number;
  readonly freeze_timeout_ms: number;
  /** How many times the lock statements were sent. */
  readonly attempts: number;
  readonly instances: readonly InstanceRecord[];
  readonly timeline: readonly TimelineEntry[];
  readonly warnings: readonly string[];
}

/** What a record says besides the state of the window. */
export interface WindowDetails {
  readonly windowId: string;
  readonly version: string;
  readonly caller: string | null;
  readonly isRehearsal: boolean;
  readonly lockerPid: number;
  readonly detail: string | null;
  readonly instances: readonly Omit<InstanceRecord, "verdict">[];
  readonly timeline: readonly TimelineEntry[];
  readonly warnings: readonly string[];
}

/** The record of a window as it is now. */
export function recordOf(window: Window, details: WindowDetails): WindowRecord {
  const lockedAt = "lockedAt" in window ? window.lockedAt : null;
  const releasedAt = "releasedAt" in window ? window.releasedAt : null;
  const isClosed = window.phase === "closed";
  const ending = "reason" in window ? window : null;
  return {
    schema_version: SCHEMA_VERSION,
    window_id: details.windowId,
    locktables_version: details.version,
    caller: details.caller,
    is_rehearsal: details.isRehearsal,
    locker_pid: details.lockerPid,
    phase: window.phase,
    opened_at: rfc3339(window.openedAt),
    locked_at: timeOf(lockedAt),
    deadline: lockedAt === null ? null : rfc3339(plus(lockedAt, window.limits.holdTimeoutMs)),
    released_at: timeOf(releasedAt),
    released_by: lockedAt === null ? null : ending?.releasedBy ?? null,
    filesystems_frozen_at: timeOf(window.freeze?.frozenAt ?? null),
    filesystems_thawed_at: timeOf(window.freeze?.thawedAt ?? null),
    closed_at: isClosed ? rfc3339(window.closedAt) : null,
    held_ms: lockedAt === null || releasedAt === null ? null : elapsedMs(lockedAt, releasedAt),
    was_held: window.phase === "held" || (ending?.wasHeld ?? false),
    outcome: isClosed ? window.outcome : null,
    reason: ending?.reason ?? null,
    verdict: isClosed ? window.verdict : null,
    detail: ending?.refusal?.summary ?? details.detail,
    hint: ending?.refusal?.hint ?? null,
    hold_timeout_ms: window.limits.holdTimeoutMs,
    freeze_timeout_ms: window.limits.freezeTimeoutMs,
    attempts: window.attempts,
    instances: details.instances.map((one) => ({
      ...one,
      verdict: isClosed ? instanceVerdict(window, one.release_proof) : null,
    })),
    timeline: details.timeline,
    warnings: details.warnings,
  };
}

/**
 * The record of a window whose locker died without closing it: killed, or the machine went
 * down. The server released the lock when the sessions broke, at an unknown moment.
 */
export function recordOfDeadLocker(last: WindowRecord, now: Instant): WindowRecord {
  const outcome = outcomeOf("locker-died", last.was_held);
  const verdict = verdictOf(outcome);
  return {
    ...last,
    instances: last.instances.map((one) => ({ ...one, verdict })),
    phase: "closed",
    closed_at: rfc3339(now),
    outcome,
    reason: "locker-died",
    verdict,
    detail: last.detail ?? `The locker (pid ${last.locker_pid}) ended without closing the window`,
  };
}

function timeOf(instant: Instant | null): string | null {
  return instant === null ? null : rfc3339(instant);
}
