/** What a window's record means, in sentences for people. Pure. */
import { describePosition } from "./coordinates.ts";
import type { InstanceRecord, WindowRecord } from "./record.ts";

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
    return `Thawed: held ${record.held_ms} ms without a gap${
      frozenPhrase(record)
    }, ${record.verdict}: ${instancesOf(record)}`;
  }
  if (!record.was_held) {
    return `Nothing to thaw: pre-freeze was cancelled before it confirmed the lock (${record.reason})`;
  }
  if (record.outcome === "aborted") {
    return `Thawed after a failed snapshot: held ${record.held_ms} ms; any image of it is ${record.verdict}`;
  }
  return `The snapshot is only ${record.verdict}: the lock ${whatHappened(record)}. ${
    whatToDo(record)
  }`;
}

function instancesOf(record: WindowRecord): string {
  return record.instances.map((one) => `${one.name} (${instanceText(one)})`).join(", ");
}

/** A server, how it was locked, and where an image of it ends. */
export function instanceText({ label, method, coordinates }: InstanceRecord): string {
  const at = coordinates === null ? "no coordinates" : describePosition(coordinates);
  const inexact = coordinates?.inexact ?? null;
  const bound = inexact === null ? "" : `; ${inexact.fields.join(", ")} inexact`;
  return `${label}, ${method}, ${at}${bound}`;
}

/** What is known of the freeze inside the lock; nothing where none was seen. */
function frozenPhrase(record: WindowRecord): string {
  const frozenAt = record.filesystems_frozen_at ?? null;
  const thawedAt = record.filesystems_thawed_at ?? null;
  if (frozenAt === null) return "";
  if (thawedAt === null) return `, disks frozen since ${frozenAt}`;
  return `, disks frozen for ${Date.parse(thawedAt) - Date.parse(frozenAt)} ms of it`;
}

/** What became of a lock that pre-freeze had promised. */
export function whatHappened(record: WindowRecord): string {
  const at = record.released_at ?? record.closed_at;
  const detail = record.detail === null ? "" : ` (${record.detail})`;
  switch (record.reason) {
    case "hold-timeout":
      return `expired at ${at}, hold_timeout (${record.hold_timeout_ms} ms) after it was taken`;
    case "connections-near-limit":
      return `was released at ${at}, before the server would have refused clients${detail}`;
    case "thaw-hook":
      return `was released at ${at} by the thaw hook, and its post-thaw did not follow`;
    case "thaw-hook-late":
      return `was released at ${at}, when the filesystems were thawed, and the thaw hook did not follow in time`;
    case "freeze-after-release":
      return `was released at ${at}, when the filesystems were thawed, and they were frozen again before the thaw hook came`;
    case "freeze-too-early":
      return `did not hold over the whole freeze: the filesystems were frozen at ${
        record.filesystems_frozen_at ?? "an earlier moment"
      }, before pre-freeze had answered`;
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

/** What to do about it. */
export function whatToDo(record: WindowRecord): string {
  switch (record.reason) {
    case "hold-timeout":
      return "Have the caller thaw sooner, or raise hold_timeout in [locktables] of /root/.my.cnf";
    case "connections-near-limit":
      return "Have the caller thaw sooner, raise max_connections, or raise connection_mark in [locktables]";
    case "thaw-hook-late":
    case "freeze-after-release":
      return "Take the snapshot again; where it happens again, set release=thaw-hook in [locktables] of /root/.my.cnf";
    case "freeze-too-early":
      return "Take the snapshot again, with nothing else that freezes at the same time; the caller must wait for pre-freeze";
    case "lock-file-removed":
      return "Renew the hooks with locktables install, and leave that file to them: rm is the emergency exit";
    case "freeze-failed":
      return "See the log of the caller: it gave up its snapshot";
    case "starter-lost":
      return "See why pre-freeze was ended: dmesg | tail, and the limit of the caller";
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
