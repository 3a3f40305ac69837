/** What a record says besides the state of the window, for tests. */
import { ALONE } from "../../lib/window/coordinates.ts";
import type { InstanceRecord, TimelineEntry, WindowDetails } from "../../lib/window/record.ts";

/** One MariaDB in a record. */
export const INSTANCE: InstanceRecord = {
  name: "main",
  flavor: "mariadb",
  version: "10.11.19-MariaDB-0+deb12u1",
  label: "MariaDB 10.11.19",
  socket: "/run/mysqld/mysqld.sock",
  connection_id: 41,
  hostname: "guest",
  server_id: 1,
  server_uuid: null,
  read_only: false,
  method: "backup-stage",
  method_reason: "auto: MariaDB 10.11.19 has BACKUP STAGE",
  data_directories: ["/var/lib/mysql"],
  innodb_lsn: null,
  volumes: [],
  record_device: null,
  marks: null,
  transactions: null,
  coordinates: {
    inexact: null,
    ...ALONE,
    log_bin: true,
    file: "binlog.000002",
    position: 1234,
    gtid: { gtid_binlog_pos: "0-1-7" },
  },
  coordinates_at_release: { file: "binlog.000002", position: 1234 },
  release_proof: "equal",
  verdict: null,
};

/** The details of a test window. */
export const DETAILS: WindowDetails = {
  windowId: "00000000-0000-4000-8000-000000000000",
  version: "0.1.0",
  caller: "qemu",
  isRehearsal: false,
  lockerPid: 4711,
  detail: null,
  instances: [INSTANCE],
  timeline: [{ at_ms: 0, event: "preparing" }],
  warnings: [],
};

/** A good window's: locked after 1 s, answered after 1.2 s, released after 3 s. */
export const GOOD_TIMELINE: readonly TimelineEntry[] = [
  { at_ms: 0, event: "preparing" },
  { at_ms: 400, event: "connected" },
  { at_ms: 990, event: "locking" },
  { at_ms: 1_000, event: "securing" },
  { at_ms: 1_150, event: "answering" },
  { at_ms: 1_200, event: "held" },
  { at_ms: 2_999, event: "releasing (thaw)" },
  { at_ms: 3_000.4, event: "closed (thaw)" },
];
