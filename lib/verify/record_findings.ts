/** Which window an image is of, and what that window was when the image was taken. Pure. */
import { parseRecord } from "../window/parse_record.ts";
import type { InstanceRecord, WindowRecord } from "../window/record.ts";
import { found, type VerifyFinding } from "./verdict.ts";

/** What was read where the record should be. */
export type RecordRead =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "missing" }
  | { readonly kind: "too-long"; readonly bytes: number }
  | { readonly kind: "unreadable"; readonly why: string };

/** Longest record that is read, in bytes: as long as a locker may send. */
export const RECORD_LIMIT_BYTES = 1024 * 1024;

/** The record, and what is to be said of it. */
export function recordFindings(
  read: RecordRead,
  path: string,
): { readonly record: WindowRecord | null; readonly findings: readonly VerifyFinding[] } {
  const none = (finding: VerifyFinding) => ({ record: null, findings: [finding] });
  switch (read.kind) {
    case "missing":
      return none(
        found(
          "record-missing",
          `There is no ${path}: the image was not taken in a window, or its disk is not in it`,
        ),
      );
    case "too-long":
      return none(
        found(
          "record-unreadable",
          `${path} has ${read.bytes} bytes; expected at most ${RECORD_LIMIT_BYTES}`,
        ),
      );
    case "unreadable":
      return none(found("record-unreadable", `Cannot read ${path}: ${read.why}`));
    case "text":
      break;
    default:
      return read satisfies never;
  }
  const record = parseRecord(read.text);
  if (record === null || !record.instances.every(hasWholeCoordinates)) {
    return none(
      found(
        "record-unreadable",
        `${path} is no record of this version: cut off, edited, or of another program`,
      ),
    );
  }
  return { record: completed(record), findings: windowFindings(record) };
}

/** Fields of coordinates that a record of another version of this schema may not have. */
function completed(record: WindowRecord): WindowRecord {
  const without = { inexact: null, wsrep: null, group: null };
  return {
    ...record,
    instances: record.instances.map((one) => ({
      ...one,
      innodb_lsn: one.innodb_lsn ?? null,
      volumes: one.volumes ?? [],
      record_device: one.record_device ?? null,
      marks: one.marks ?? null,
      transactions: one.transactions ?? null,
      coordinates: one.coordinates === null ? null : { ...without, ...one.coordinates },
    })),
  };
}

/**
 * Whether what the window itself never reads is as it should be: records of images come from anywhere.
 */
function hasWholeCoordinates({ coordinates }: InstanceRecord): boolean {
  if (coordinates === null) return true;
  const { gtid, replicas, wsrep = null } = coordinates as Unread;
  return isTexts(gtid) && replicas.every(isReplica) && (wsrep === null || isCluster(wsrep));
}

/** Coordinates of which the reader of records has looked at the rest only. */
interface Unread {
  readonly gtid: unknown;
  readonly replicas: readonly unknown[];
  readonly wsrep?: unknown;
}

type Fields = Readonly<Record<string, unknown>>;

function isTexts(value: unknown): boolean {
  return typeof value === "object" && value !== null &&
    Object.values(value).every((one) => typeof one === "string");
}

function has(value: unknown, words: readonly string[], numbers: readonly string[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  const fields = value as Fields;
  return words.every((name) => typeof fields[name] === "string") &&
    numbers.every((name) => Number.isFinite(fields[name]));
}

function isReplica(value: unknown): boolean {
  if (!has(value, ["channel", "source_host"], ["source_port", "exec_source_log_pos"])) return false;
  const { gtid, relay_source_log_file: file } = value as Fields;
  return isTexts(gtid) && (file === null || typeof file === "string");
}

function isCluster(value: unknown): boolean {
  return has(value, ["cluster_state_uuid"], ["last_committed"]);
}

/** A window that is as an image should show it is held: nothing of its end is known then. */
function windowFindings(record: WindowRecord): VerifyFinding[] {
  if (record.instances.length === 0) {
    return [found("no-instances", `The record of window ${record.window_id} names no server`)];
  }
  switch (record.phase) {
    // Written under the lock, before pre-freeze answered.
    case "securing":
    case "answering":
    case "held":
      return [];
    case "releasing":
    case "settling":
    case "closed":
      // "not-quiesced" and the like were never promised anything.
      return record.was_held
        ? [
          found(
            "window-closed",
            `The image was taken after its window had ended (${record.outcome ?? record.phase}${
              record.reason === null ? "" : `, ${record.reason}`
            }${
              record.released_at === null ? "" : `, released at ${record.released_at}`
            }): nothing was locked then`,
          ),
        ]
        : [
          found(
            "window-not-held",
            `Window ${record.window_id} never held a lock (${record.outcome ?? record.phase})`,
          ),
        ];
    case "preparing":
    case "locking":
      return [
        found("window-not-held", `Window ${record.window_id} had no lock yet (${record.phase})`),
      ];
    default:
      return record.phase satisfies never;
  }
}
