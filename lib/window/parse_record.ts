/**
 * Reads a record back. Written by hand, because the hooks read records and import no package: a
 * file that was cut off, that another program or a newer version wrote, or that was edited
 * must become "no record" here, and not an error in the middle of a thaw.
 */
import type { Place } from "../base/look.ts";
import type { InexactPosition } from "./coordinates.ts";
import type { ClosedBinlog, DatabaseTables, ImageMarks, TransactionMark } from "./image_marks.ts";
import { SCHEMA_VERSION, type WindowRecord } from "./record.ts";
import type { Phase } from "./window.ts";
import { OUTCOMES, type Reason, type ReleaseProof, VERDICTS } from "./verdict.ts";

type Check = (value: unknown) => boolean;
type Shape<T> = { readonly [Key in keyof Required<T>]?: Check };

const isText: Check = (value) => typeof value === "string";
const isNumber: Check = (value) => typeof value === "number" && Number.isFinite(value);
const isFlag: Check = (value) => typeof value === "boolean";
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isTime: Check = (value) => typeof value === "string" && !Number.isNaN(Date.parse(value));

const orNull = (check: Check): Check => (value) => value === null || check(value);
const listOf = (check: Check): Check => (value) => Array.isArray(value) && value.every(check);
const oneOf = <Word extends string>(words: Readonly<Record<Word, true>>): Check => (value) =>
  typeof value === "string" && Object.hasOwn(words, value);
const shaped = <T>(shape: Shape<T>): Check => (value) =>
  isObject(value) &&
  Object.entries<Check | undefined>(shape).every(([key, check]) => check?.(value[key]) ?? true);

/* Tables and not lists: the compiler asks for each word of the type. */
const PHASES: Readonly<Record<Phase, true>> = {
  preparing: true,
  locking: true,
  securing: true,
  answering: true,
  held: true,
  releasing: true,
  settling: true,
  closed: true,
};
const REASONS: Readonly<Record<Reason, true>> = {
  "thaw": true,
  "freeze-failed": true,
  "thaw-hook": true,
  "filesystem-thaw": true,
  "thaw-hook-late": true,
  "freeze-too-early": true,
  "freeze-after-release": true,
  "lock-file-removed": true,
  "hold-timeout": true,
  "freeze-timeout": true,
  "stall-limit": true,
  "signal": true,
  "connections-near-limit": true,
  "session-lost": true,
  "starter-lost": true,
  "refused": true,
  "not-secured": true,
  "coordinates-moved": true,
  "coordinates-unread": true,
  "release-unconfirmed": true,
  "locker-died": true,
};
const PROOFS: Readonly<Record<ReleaseProof, true>> = {
  "equal": true,
  "same-session": true,
  "moved": true,
  "unread": true,
  "cut": true,
};

const isPosition = shaped<{ file: unknown; position: unknown }>({
  file: orNull(isText),
  position: orNull(isNumber),
});

const isInexact = shaped<InexactPosition>({
  fields: listOf(isText),
  why: isText,
  exact_instead: orNull(isText),
});

/** What is read of coordinates; further fields of them are for the restore. */
const isCoordinates: Check = (value) =>
  isPosition(value) && isObject(value) && isFlag(value["log_bin"]) && isObject(value["gtid"]) &&
  Array.isArray(value["replicas"]) &&
  // A record of 0.1.0 does not have it.
  orNull(isInexact)(value["inexact"] ?? null);

const isPlace = shaped<Place>({ path: isText, mount_point: isText, device: isText });

const isMarks = shaped<ImageMarks>({
  closed_binlogs: orNull(listOf(shaped<ClosedBinlog>({ name: isText, bytes: isNumber }))),
  databases: orNull(listOf(
    shaped<DatabaseTables>({ name: isText, tables: isNumber, without_transactions: isNumber }),
  )),
  system_tables_made_at: orNull(isTime),
});

const isTransactionMark = shaped<TransactionMark>({
  next_id: isNumber,
  open: isNumber,
  clients_most: isNumber,
});

const isInstance = shaped<WindowRecord["instances"][number]>({
  name: isText,
  flavor: isText,
  version: isText,
  label: isText,
  socket: isText,
  connection_id: isNumber,
  hostname: isText,
  server_id: isNumber,
  server_uuid: orNull(isText),
  read_only: isFlag,
  method: isText,
  method_reason: isText,
  data_directories: listOf(isText),
  // A record of an earlier build does not have these five.
  innodb_lsn: (value) => orNull(isNumber)(value ?? null),
  volumes: (value) => value === undefined || listOf(isPlace)(value),
  record_device: (value) => orNull(isText)(value ?? null),
  marks: (value) => orNull(isMarks)(value ?? null),
  transactions: (value) => orNull(isTransactionMark)(value ?? null),
  coordinates: orNull(isCoordinates),
  coordinates_at_release: orNull(isPosition),
  release_proof: orNull(oneOf(PROOFS)),
  verdict: orNull(oneOf(VERDICTS)),
});

const isRecord = shaped<WindowRecord>({
  schema_version: (value) => value === SCHEMA_VERSION,
  window_id: isText,
  locktables_version: isText,
  caller: orNull(isText),
  // Earlier records do not have it.
  is_rehearsal: (value) => value === undefined || isFlag(value),
  locker_pid: isNumber,
  phase: oneOf(PHASES),
  opened_at: isTime,
  locked_at: orNull(isTime),
  deadline: orNull(isTime),
  released_at: orNull(isTime),
  // Earlier records do not have these three.
  released_by: (value) => value === undefined || orNull(oneOf(REASONS))(value),
  filesystems_frozen_at: (value) => value === undefined || orNull(isTime)(value),
  filesystems_thawed_at: (value) => value === undefined || orNull(isTime)(value),
  closed_at: orNull(isTime),
  held_ms: orNull(isNumber),
  was_held: isFlag,
  outcome: orNull(oneOf(OUTCOMES)),
  reason: orNull(oneOf(REASONS)),
  verdict: orNull(oneOf(VERDICTS)),
  detail: orNull(isText),
  // Earlier records do not have it.
  hint: (value) => value === undefined || orNull(isText)(value),
  hold_timeout_ms: isNumber,
  freeze_timeout_ms: isNumber,
  attempts: isNumber,
  instances: listOf(isInstance),
  timeline: listOf(shaped<{ at_ms: unknown; event: unknown }>({ at_ms: isNumber, event: isText })),
  warnings: listOf(isText),
});

/** Reads a record back; null for text that is not one of this version. */
export function parseRecord(text: string | null): WindowRecord | null {
  if (text === null) return null;
  try {
    return recordFrom(JSON.parse(text));
  } catch {
    return null; // cut off or foreign: as good as none, and the caller says so
  }
}

/** The record that a parsed text is, or null. */
export function recordFrom(value: unknown): WindowRecord | null {
  return isRecord(value) ? value as WindowRecord : null;
}
