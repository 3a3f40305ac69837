/** What a window's record means, in sentences for people. Pure. */
import { describePosition } from "./coordinates.ts";
import type { WindowRecord } from "./record.ts";

/** What a rehearsal showed. */
export interface Rehearsal {
  readonly record: WindowRecord;
  /** From the lock statement to the release: no writer waited longer for it than this. */
  readonly stall_ms: number;
  /** Most sessions seen waiting for the lock at one moment; null where that could not be seen. */
  readonly most_waiting: number | null;
  /**
   * How many statements were seen to wait for the lock and to end while it was held: they failed,
   * because nothing is granted under it. Null where that could not be seen; at least so many, since
   * one that came and went between two looks is not among them.
   */
  readonly gave_up: number | null;
}

/** What post-thaw says after {@linkcode isUnseenEnd}. */
export function unseenLine(record: WindowRecord): string {
  return `The snapshot is not quiesced: pre-freeze was killed at ${record.closed_at} before its answer; VMware Tools treat that as success. See dmesg | tail, and take the snapshot again`;
}

/** What pre-freeze says when the server is frozen. */
export function frozenLine(record: WindowRecord): string {
  return `Frozen: ${
    instancesOf(record)
  }; on disk; releases the lock automatically at ${record.deadline}`;
}

/** What post-thaw says of a closed window. */
export function closedLine(record: WindowRecord): string {
  if (record.outcome === "released") {
    return `Thawed: held ${record.held_ms} ms without a gap, ${record.verdict}: ${
      instancesOf(record)
    }`;
  }
  if (!record.was_held) {
    return `Nothing to thaw: pre-freeze had not promised the lock and is cancelled (${record.reason})`;
  }
  if (record.outcome === "aborted") {
    return `Thawed after a failed snapshot: held ${record.held_ms} ms; any image of it is ${record.verdict}`;
  }
  return `The snapshot is only ${record.verdict}: the lock ${whatHappened(record)}. ${
    whatToDo(record)
  }`;
}

/** The window or the last window, for `status`. */
export function statusText(window: WindowRecord | null, last: WindowRecord | null): string {
  const now = window === null ? "No window is open." : [
    `A window is open (${window.phase}) since ${window.opened_at}${
      window.caller === null ? "" : `, opened by ${window.caller}`
    }.`,
    ...(window.locked_at === null ? [] : [
      `Locked since ${window.locked_at}; releases the lock automatically at ${window.deadline}.`,
    ]),
    ...window.instances.map((one) => `  ${one.name}: ${one.label}, ${one.method_reason}`),
  ].join("\n");
  return `${now}\n${last === null ? "No window before." : lastText(last)}`;
}

function lastText(last: WindowRecord): string {
  if (last.outcome === null) {
    return `Last window: opened ${last.opened_at}, never closed on this disk: it is an image taken inside that window, or the machine went down in it. Coordinates: ${
      instancesOf(last)
    }.`;
  }
  const held = last.held_ms === null ? "" : `, held ${last.held_ms} ms`;
  const detail = last.detail === null ? "" : `: ${last.detail}`;
  return `Last window: opened ${last.opened_at}${held}, ${last.outcome} (${last.reason}), ${last.verdict}${detail}.`;
}

/** What a rehearsal showed, as a timeline. */
export function rehearsalText(rehearsal: Rehearsal): string {
  const { record, stall_ms, most_waiting, gave_up } = rehearsal;
  const lines = record.timeline.map(({ at_ms, event }) =>
    `${at_ms.toFixed(1).padStart(10)} ms  ${event}`
  );
  const waiting = most_waiting === null
    ? "Waiting writers could not be counted."
    : `At most ${most_waiting} sessions were seen waiting at one moment.`;
  const failed = gave_up === null || gave_up === 0
    ? ""
    : ` At least ${gave_up} statements failed while they waited: they were killed, or lock_wait_timeout is shorter than the hold.`;
  return [
    ...lines,
    `Writers were stopped for ${stall_ms} ms, lock to release. ${waiting}${failed}`,
    `Verdict: ${record.verdict} (${record.outcome}).`,
  ].join("\n");
}

function instancesOf(record: WindowRecord): string {
  return record.instances.map((one) => {
    const at = one.coordinates === null ? "no coordinates" : describePosition(one.coordinates);
    const inexact = one.coordinates?.inexact ?? null;
    const bound = inexact === null ? "" : `; ${inexact.fields.join(", ")} inexact`;
    return `${one.name} (${one.label}, ${one.method}, ${at}${bound})`;
  }).join(", ");
}

function whatHappened(record: WindowRecord): string {
  const at = record.released_at ?? record.closed_at;
  const detail = record.detail === null ? "" : ` (${record.detail})`;
  switch (record.reason) {
    case "hold-timeout":
      return `expired at ${at}, hold_timeout (${record.hold_timeout_ms} ms) after it was taken`;
    case "connections-near-limit":
      return `was released at ${at}, before the server would have refused clients${detail}`;
    case "thaw-hook":
      return `was released at ${at} by the thaw hook, and its post-thaw did not follow`;
    case "lock-file-removed":
      return `was released at ${at}, because /run/veeam/waitforsnapshot was removed by hand or by a hook of another version`;
    case "coordinates-moved":
      return `did not hold: the binlog moved from ${moved(record)}`;
    case "coordinates-unread":
      return "is not proven: the binlog coordinates could not be read again";
    default:
      return `was lost by ${at}: ${record.reason}${detail}`;
  }
}

function whatToDo(record: WindowRecord): string {
  switch (record.reason) {
    case "hold-timeout":
      return "Have the caller thaw sooner, or raise hold_timeout in [locktables] of /root/.my.cnf";
    case "connections-near-limit":
      return "Have the caller thaw sooner, raise max_connections, or raise connection_mark in [locktables]";
    case "lock-file-removed":
      return "Renew the hooks with locktables install, and leave that file to them: rm is the emergency exit";
    default:
      return "Take the snapshot again; see the server's error log and locktables status";
  }
}

function moved(record: WindowRecord): string {
  const hasSeveral = record.instances.length > 1;
  return record.instances
    .filter(({ release_proof }) => !hasSeveral || release_proof === "moved")
    .map(({ name, coordinates, coordinates_at_release }) => {
      const from = coordinates === null ? "?" : describePosition(coordinates);
      const to = coordinates_at_release === null ? "?" : describePosition(coordinates_at_release);
      return `${from} to ${to}${hasSeveral ? ` on ${name}` : ""}`;
    })
    .join(", ");
}
