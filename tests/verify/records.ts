/** Records and servers on images, for tests that decide. */
import { ALONE, type Coordinates } from "../../lib/window/coordinates.ts";
import type { InstanceRecord, WindowRecord } from "../../lib/window/record.ts";
import { SCHEMA_VERSION } from "../../lib/window/record.ts";
import type { ImageServer } from "../../lib/verify/facts.ts";
import { INSTANCE } from "../window/record_fixtures.ts";

/** When the windows of these tests were locked. */
export const LOCKED_AT = "2026-11-28T01:00:00.000Z";

/** What a record in an image is: written under the lock. */
export function recordInImage(instance: Partial<InstanceRecord> = {}): WindowRecord {
  return {
    schema_version: SCHEMA_VERSION,
    window_id: "00000000-0000-4000-8000-000000000000",
    locktables_version: "0.1.0",
    caller: "vmware",
    is_rehearsal: false,
    locker_pid: 4711,
    phase: "held",
    opened_at: LOCKED_AT,
    locked_at: LOCKED_AT,
    deadline: "2026-11-28T01:01:00.000Z",
    released_at: null,
    released_by: null,
    filesystems_frozen_at: null,
    filesystems_thawed_at: null,
    closed_at: null,
    held_ms: null,
    was_held: true,
    outcome: null,
    reason: null,
    verdict: null,
    detail: null,
    hint: null,
    hold_timeout_ms: 60_000,
    freeze_timeout_ms: 60_000,
    attempts: 1,
    instances: [{ ...INSTANCE, coordinates_at_release: null, release_proof: null, ...instance }],
    timeline: [],
    warnings: [],
  };
}

/** The recorded server. */
export function recordedServer(change: Partial<InstanceRecord> = {}): InstanceRecord {
  return { ...INSTANCE, coordinates_at_release: null, release_proof: null, ...change };
}

/** Coordinates of a MariaDB that writes a binlog. */
export function coordinates(change: Partial<Coordinates> = {}): Coordinates {
  return {
    inexact: null,
    ...ALONE,
    log_bin: true,
    file: "binlog.000002",
    position: 1234,
    gtid: { gtid_binlog_pos: "0-1-7", gtid_slave_pos: "" },
    ...change,
  };
}

/** The server as it starts on the image of {@linkcode recordInImage}. */
export function imageServer(change: Partial<ImageServer> = {}): ImageServer {
  return {
    flavor: "mariadb",
    version: INSTANCE.version,
    label: INSTANCE.label,
    hostname: INSTANCE.hostname,
    serverId: 1,
    serverUuid: null,
    datadir: "/var/lib/mysql/",
    startedMs: Date.parse(LOCKED_AT) + 3_600_000,
    logBin: true,
    binlogs: [
      { name: "binlog.000001", bytes: 5_000, isEncrypted: false },
      { name: "binlog.000002", bytes: 1_234, isEncrypted: false },
      { name: "binlog.000003", bytes: 339, isEncrypted: false },
    ],
    coordinates: coordinates({ file: "binlog.000003", position: 339 }),
    seesReplicas: true,
    recovering: 0,
    redoPosition: null,
    transactions: null,
    marks: { closed_binlogs: null, databases: null, system_tables_made_at: null },
    innodbErrors: [],
    recoveryMs: null,
    repairs: [],
    seesTables: true,
    ...change,
  };
}
