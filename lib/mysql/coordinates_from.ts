/** Reads binlog coordinates from what a server answers. Pure. */
import { ALONE, type Coordinates, type Topology } from "../window/coordinates.ts";
import type { Row } from "./session.ts";

/**
 * Reads the row of SHOW MASTER STATUS / SHOW BINARY LOG STATUS and that of the GTID
 * variables. No row means that the binlog is off, which is no error
 * (`docs/locking.md#5-coordinates`).
 */
export function coordinatesFrom(
  status: readonly Row[],
  gtid: Row,
  topology: Topology = ALONE,
): Coordinates {
  const row = status[0];
  return {
    ...topology,
    inexact: null,
    log_bin: row !== undefined,
    file: row === undefined ? null : String(row["File"]),
    position: row === undefined ? null : Number(row["Position"]),
    gtid: Object.fromEntries(
      // MySQL breaks long sets into lines; they mean nothing.
      Object.entries(gtid).map(([name, value]) => [name, String(value).replaceAll("\n", "")]),
    ),
  };
}
