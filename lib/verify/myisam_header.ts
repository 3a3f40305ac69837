/**
 * What the header of a MyISAM index file says of its table, without a server: unlike CHECK TABLE, a look
 * at it changes nothing. Pure. Layout: `mi_state_info_write` and `mi_open` of the servers; seen alike on
 * MariaDB 10.5 and 10.11, MySQL 5.6 and 9.7.
 */

/** How much of a file is needed. */
export const HEADER_BYTES = 27;

/** What the table is like. */
export type MyisamState = "closed" | "open" | "crashed";

/** `myisam_file_magic` without its version. */
const MAGIC = [0xfe, 0xfe, 0x07];

/** Where the number of servers that have it open for writing is, in two bytes; the flags follow. */
const OPEN_COUNT_AT = 24;
const FLAGS_AT = 26;

/** STATE_CRASHED and STATE_CRASHED_ON_REPAIR. */
const CRASHED = 2 | 4;

/** Reads it; null for what is no MyISAM index. */
export function myisamState(header: Uint8Array): MyisamState | null {
  if (header.length < HEADER_BYTES || !MAGIC.every((byte, at) => header[at] === byte)) return null;
  if (((header[FLAGS_AT] ?? 0) & CRASHED) !== 0) return "crashed";
  const isOpen = (header[OPEN_COUNT_AT] ?? 0) !== 0 || (header[OPEN_COUNT_AT + 1] ?? 0) !== 0;
  return isOpen ? "open" : "closed";
}
