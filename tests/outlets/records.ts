/** Closed windows as they are reported, for tests. */
import { SCHEMA_VERSION, type WindowRecord } from "../../lib/window/record.ts";
import { GOOD_TIMELINE, INSTANCE } from "../window/record_fixtures.ts";

/** A good one: opened at 03:00:00, locked at :01, answered at :01.2, released at :03. */
export const GOOD: WindowRecord = {
  schema_version: SCHEMA_VERSION,
  window_id: "00000000-0000-4000-8000-000000000000",
  locktables_version: "0.1.0",
  caller: "qemu",
  is_rehearsal: false,
  locker_pid: 4711,
  phase: "closed",
  opened_at: "2026-01-02T03:00:00.000Z",
  locked_at: "2026-01-02T03:00:01.000Z",
  deadline: "2026-01-02T03:01:01.000Z",
  released_at: "2026-01-02T03:00:03.000Z",
  released_by: "thaw",
  filesystems_frozen_at: null,
  filesystems_thawed_at: null,
  closed_at: "2026-01-02T03:00:03.100Z",
  held_ms: 2_000.4,
  was_held: true,
  outcome: "released",
  reason: "thaw",
  verdict: "application-consistent",
  detail: null,
  hint: null,
  hold_timeout_ms: 60_000,
  freeze_timeout_ms: 60_000,
  attempts: 1,
  instances: [{ ...INSTANCE, verdict: "application-consistent" }],
  timeline: GOOD_TIMELINE,
  warnings: [],
};

/** The same, with the disks frozen from 1.4 s to 2.6 s. */
export const FROZEN: WindowRecord = {
  ...GOOD,
  filesystems_frozen_at: "2026-01-02T03:00:01.400Z",
  filesystems_thawed_at: "2026-01-02T03:00:02.600Z",
};

/** Nobody called post-thaw. */
export const EXPIRED: WindowRecord = {
  ...GOOD,
  window_id: "00000000-0000-4000-8000-000000000001",
  held_ms: 60_000,
  released_at: "2026-01-02T03:01:01.000Z",
  closed_at: "2026-01-02T03:01:01.100Z",
  outcome: "expired",
  reason: "hold-timeout",
  verdict: "crash-consistent",
  instances: [{ ...INSTANCE, verdict: "crash-consistent" }],
};

/** A long statement was in the way. */
export const REFUSED: WindowRecord = {
  ...GOOD,
  window_id: "00000000-0000-4000-8000-000000000002",
  locked_at: null,
  deadline: null,
  released_at: null,
  held_ms: null,
  was_held: false,
  outcome: "refused",
  reason: "refused",
  verdict: "not-quiesced",
  detail: "Blocked by id 12 | app@web",
  hint: "End that statement, or wait: KILL 12",
  instances: [],
  timeline: [{ at_ms: 0, event: "preparing" }],
};

/** It is open. */
export const OPEN: WindowRecord = {
  ...GOOD,
  window_id: "00000000-0000-4000-8000-000000000003",
  phase: "held",
  released_at: null,
  closed_at: null,
  held_ms: null,
  outcome: null,
  reason: null,
  verdict: null,
};

/** Another day. */
export function daysBefore(days: number, record: WindowRecord): WindowRecord {
  const moved = (time: string | null) =>
    time === null ? null : new Date(Date.parse(time) - days * 24 * 60 * 60_000).toISOString();
  return {
    ...record,
    window_id: crypto.randomUUID(),
    opened_at: moved(record.opened_at) ?? "",
    locked_at: moved(record.locked_at),
    deadline: moved(record.deadline),
    released_at: moved(record.released_at),
    filesystems_frozen_at: moved(record.filesystems_frozen_at),
    filesystems_thawed_at: moved(record.filesystems_thawed_at),
    closed_at: moved(record.closed_at),
  };
}
