/** Whether data, redo log and binlog of an image are of one moment. Pure. */
import type { InstanceRecord } from "../window/record.ts";
import type { ImageServer } from "./facts.ts";
import { differenceOfSets } from "./gtid_set.ts";
import { found, type VerifyFinding } from "./verdict.ts";

/**
 * What a log may lack of what was on disk, in bytes: recovery ends with the last whole change, and one
 * change of InnoDB is hardly ever longer. Volumes of two moments differ by more.
 */
const LAST_CHANGE_BYTES = 1024 * 1024;

/** What the volumes say of each other. */
export function momentFindings(recorded: InstanceRecord, server: ImageServer): VerifyFinding[] {
  return [...olderData(recorded, server), ...newerData(recorded, server)];
}

/** A redo log that ends before the lock: what recovery brought back is of an earlier moment. */
function olderData({ name, innodb_lsn }: InstanceRecord, server: ImageServer): VerifyFinding[] {
  const { redoPosition } = server;
  if (innodb_lsn === null || redoPosition === null) return [];
  if (redoPosition >= innodb_lsn - LAST_CHANGE_BYTES) return [];
  return [
    found(
      "volume-older",
      `InnoDB's redo log ends at ${redoPosition}; before the lock it was at ${innodb_lsn} already: data or redo log are of an earlier moment than the lock`,
      { instance: name },
    ),
  ];
}

/**
 * Transactions that are in the data, were not before the lock, and are in no binlog: MySQL counts them
 * as purged when it starts. MariaDB keeps no such list in its data.
 */
function newerData({ name, coordinates }: InstanceRecord, server: ImageServer): VerifyFinding[] {
  const then = coordinates?.gtid ?? {};
  const now = server.coordinates.gtid;
  if (then["gtid_mode"] !== "ON" || now["gtid_mode"] !== "ON") return [];
  const difference = differenceOfSets(then["gtid_executed"] ?? "", now["gtid_purged"] ?? "");
  if (difference === null || difference.more === "") return [];
  const isShown = server.binlogs?.some(({ name }) => name === coordinates?.file) ?? false;
  // Where the recorded file was purged, later ones may have been, too.
  if (!isShown) return [];
  return [
    found(
      "volume-newer",
      `In the data, and in no binlog file: ${difference.more}: the data are of a later moment than the binlog`,
      { instance: name },
    ),
  ];
}
