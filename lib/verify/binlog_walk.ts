/**
 * Goes through a binlog file event by event, as it is read: nothing of it is kept, whatever lengths it
 * claims. Pure. Layout: MySQL Source Code Documentation, "Binary Log"; MariaDB KB, "Replication
 * Protocol".
 */
import { crc32 } from "node:zlib";

/** What a file was found to be. */
export type BinlogFacts =
  /** It does not begin as one. */
  | { readonly kind: "no-binlog"; readonly bytes: number }
  /** From this offset on the file is encrypted, and cannot be read without the key. */
  | { readonly kind: "encrypted"; readonly from: number; readonly bytes: number }
  | {
    readonly kind: "walked";
    /** All of the file. */
    readonly bytes: number;
    /** Where its last whole event ends. */
    readonly endsAt: number;
    readonly events: number;
    /** How many of them have a checksum, which was right. */
    readonly checksummed: number;
    /** Whether an event begins, or the file ends, at the position that was asked for. */
    readonly hasBoundary: boolean;
    /** Whether it has compressed events, whose content was not looked at. */
    readonly isCompressed: boolean;
    /** The first thing that is wrong, and where its event begins; null where nothing is. */
    readonly broken: { readonly at: number; readonly why: string } | null;
  };

/** Takes the file in parts. */
export interface BinlogWalk {
  push(bytes: Uint8Array): void;
  /** At the end of the file. */
  facts(): BinlogFacts;
}

const MAGIC = [0xfe, 0x62, 0x69, 0x6e];

/**
 * What MySQL puts before an encrypted file, and counts in its length but in no position. Its only version
 * (MySQL Source Code Documentation, "Binary Log Encryption": 512 bytes).
 */
export const SEALED_HEADER_BYTES = 512;

/** MySQL's encrypted files. */
const SEALED_MAGIC = [0xfd, 0x62, 0x69, 0x6e];

const MAGIC_BYTES = 4;

/** Timestamp, type, server, length, end position, flags. */
const HEADER_BYTES = 19;

const CHECKSUM_BYTES = 4;

/** The kind of checksum, and the checksum, at the end of a format description. */
const FORMAT_TAIL_BYTES = 1 + CHECKSUM_BYTES;

/** FORMAT_DESCRIPTION_EVENT, and the flag that its checksum leaves out: the file is in use. */
const FORMAT_DESCRIPTION = 15;
const IN_USE = 1;

/** START_ENCRYPTION_EVENT of MariaDB. */
const START_ENCRYPTION = 164;

/** TRANSACTION_PAYLOAD_EVENT of MySQL, and MariaDB's compressed queries and rows. */
const COMPRESSED = [40, 165, 166, 167, 168, 169, 170, 171];

/** The only kind of checksum there is; the others stand for none, and for "not known". */
const CRC32 = 1;
const CHECKSUM_KINDS = [0, CRC32, 255];

/** End positions have 32 bits, and files of more than 4 GiB go round. */
const ROUND = 2 ** 32;

/** Begins at the first byte of a file. `position` is where an event is expected to begin or to end. */
export function binlogWalk(position: number): BinlogWalk {
  const head = new Uint8Array(HEADER_BYTES);
  const view = new DataView(head.buffer);
  const tail = new Uint8Array(FORMAT_TAIL_BYTES);
  let bytes = 0;
  let headFilled = 0;
  /** Where the event that is being read begins, and what is left of it behind its header. */
  let at = MAGIC_BYTES;
  let left = 0;
  let length = 0;
  let type = 0;
  let sum = 0;
  let events = 0;
  let checksummed = 0;
  let hasChecksums = false;
  let hasBoundary = position === 0 || position === MAGIC_BYTES;
  let isCompressed = false;
  let isMagicRead = false;
  let ended: "no-binlog" | "mysql" | null = null;
  let encryptedFrom: number | null = null;
  let broken: { at: number; why: string } | null = null;

  const isOver = () => ended !== null || encryptedFrom !== null || broken !== null;
  const breakAt = (why: string) => {
    broken ??= { at, why };
  };

  const beginEvent = () => {
    type = head[4] ?? 0;
    length = view.getUint32(9, true);
    const end = view.getUint32(13, true);
    if (length < HEADER_BYTES) return breakAt(`an event claims a length of ${length} bytes`);
    if (events === 0 && type !== FORMAT_DESCRIPTION) {
      return breakAt(`its first event is of type ${type}`);
    }
    if (end !== (at + length) % ROUND) {
      return breakAt(`an event of ${length} bytes claims to end at ${end}`);
    }
    if (events === 0 && length < HEADER_BYTES + FORMAT_TAIL_BYTES) {
      return breakAt(`its format description has ${length} bytes`);
    }
    left = length - HEADER_BYTES;
    if (type === FORMAT_DESCRIPTION) head[17] = (head[17] ?? 0) & ~IN_USE;
    sum = crc32(head.subarray(0, HEADER_BYTES));
    tail.fill(0);
    if (left === 0) endEvent();
  };

  const endEvent = () => {
    const isFormat = type === FORMAT_DESCRIPTION;
    const kind = tail[0] ?? 0;
    if (isFormat && !CHECKSUM_KINDS.includes(kind)) {
      return breakAt(`its format description names the checksum ${kind}`);
    }
    if (isFormat) hasChecksums = kind === CRC32;
    // A format description has one even where the other events have none (binlog_checksum=NONE).
    if ((isFormat || hasChecksums) && length >= HEADER_BYTES + CHECKSUM_BYTES) {
      const said = new DataView(tail.buffer).getUint32(1, true);
      if (said !== sum >>> 0) return breakAt("the checksum of an event is wrong");
      checksummed += 1;
    }
    if (COMPRESSED.includes(type)) isCompressed = true;
    events += 1;
    at += length;
    headFilled = 0;
    if (at === position) hasBoundary = true;
    if (type === START_ENCRYPTION) encryptedFrom = at;
  };

  /** The body up to its checksum, which is not part of the sum. */
  const addBody = (part: Uint8Array) => {
    const summed = Math.max(0, Math.min(part.length, left - CHECKSUM_BYTES));
    if (summed > 0) sum = crc32(part.subarray(0, summed), sum);
    if (part.length >= FORMAT_TAIL_BYTES) tail.set(part.subarray(part.length - FORMAT_TAIL_BYTES));
    else {
      tail.copyWithin(0, part.length);
      tail.set(part, FORMAT_TAIL_BYTES - part.length);
    }
    left -= part.length;
    if (left === 0) endEvent();
  };

  const readMagic = (part: Uint8Array): Uint8Array => {
    const taken = part.subarray(0, MAGIC_BYTES - headFilled);
    head.set(taken, headFilled);
    headFilled += taken.length;
    if (headFilled === MAGIC_BYTES) {
      const begins = (magic: readonly number[]) =>
        magic.every((byte, index) => head[index] === byte);
      if (begins(SEALED_MAGIC)) ended = "mysql";
      else if (!begins(MAGIC)) ended = "no-binlog";
      isMagicRead = true;
      headFilled = 0;
    }
    return part.subarray(taken.length);
  };

  return {
    push(part) {
      bytes += part.length;
      let rest = part;
      while (rest.length > 0 && !isOver()) {
        if (!isMagicRead) {
          rest = readMagic(rest);
        } else if (left > 0) {
          const body = rest.subarray(0, left);
          rest = rest.subarray(body.length);
          addBody(body);
        } else {
          const taken = rest.subarray(0, HEADER_BYTES - headFilled);
          head.set(taken, headFilled);
          headFilled += taken.length;
          rest = rest.subarray(taken.length);
          if (headFilled === HEADER_BYTES) beginEvent();
        }
      }
    },
    facts() {
      if (!isMagicRead || ended === "no-binlog") return { kind: "no-binlog", bytes };
      if (ended === "mysql") return { kind: "encrypted", from: 0, bytes };
      if (encryptedFrom !== null) return { kind: "encrypted", from: encryptedFrom, bytes };
      if (broken === null && bytes > at) {
        breakAt(
          left > 0
            ? `an event of ${length} bytes is cut after ${bytes - at}`
            : `the header of an event is cut after ${bytes - at} bytes`,
        );
      }
      return {
        kind: "walked",
        bytes,
        endsAt: at,
        events,
        checksummed,
        hasBoundary,
        isCompressed,
        broken,
      };
    },
  };
}
