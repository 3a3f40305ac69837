/** The record's place on disk, from its reservation to the last word in it. */
import { isRefusal, type Refusal } from "../base/refusal.ts";
import { atMost } from "../base/at_most.ts";
import { silentDisk } from "../base/disk.ts";
import { STATE_DIR } from "../base/paths.ts";
import type { ReservedRecord } from "./record_file.ts";
import type { WindowRecord } from "../window/record.ts";
import type { DiskPort } from "./ports.ts";

/** The place of one window's record. */
export interface RecordPlace {
  /**
   * Reserves it.
   * @param isWanted asked when the disk has answered; a place that came too late is given back
   * @returns why there is none after `limitMs`
   */
  reserve(limitMs: number, isWanted: () => boolean): Promise<Refusal | null>;
  /** Writes the record into the reserved place; null where there is no such place. */
  commit(record: WindowRecord): Promise<Refusal | null> | null;
  /** Writes the final record, once nothing that was begun before can still replace it. */
  close(record: WindowRecord): Promise<Refusal | null>;
}

/** A place that is not reserved yet. */
export function recordPlace(disk: DiskPort): RecordPlace {
  let reserved: ReservedRecord | null = null;
  /** Settles when nothing that belongs to the reservation is under way any more. */
  let underWay: Promise<unknown> = Promise.resolve();
  return {
    async reserve(limitMs, isWanted) {
      let isLate = false;
      const reserving = disk.reserveRecord().then(async (place) => {
        if (isRefusal(place)) return place;
        if (isLate || !isWanted()) await place.discard();
        else reserved = place;
        return null;
      });
      underWay = reserving;
      const refused = await atMost(reserving, limitMs, silentDisk(STATE_DIR, limitMs));
      isLate = true;
      return refused;
    },
    commit(record) {
      if (reserved === null) return null;
      const writing = reserved.commit(record);
      reserved = null;
      underWay = writing;
      return writing;
    },
    async close(record) {
      const discarding = reserved?.discard();
      reserved = null;
      await Promise.all([underWay, discarding]);
      return await disk.closeRecord(record);
    },
  };
}
