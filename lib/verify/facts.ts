/** What is known of a server that runs on an image, as it was asked. */
import type { Coordinates } from "../window/coordinates.ts";
import type { ImageMarks } from "../window/image_marks.ts";
import type { Flavor } from "../mysql/flavor.ts";
import type { TransactionsNow } from "../mysql/transaction_mark.ts";

/** A binlog file, as the server lists it. */
export interface BinlogFile {
  readonly name: string;
  readonly bytes: number;
  /** Whether it is encrypted by MySQL, which adds a header to it that no position counts. */
  readonly isEncrypted: boolean;
}

/** What the server said. */
export interface ImageServer {
  readonly flavor: Flavor;
  readonly version: string;
  readonly label: string;
  readonly hostname: string;
  readonly serverId: number;
  readonly serverUuid: string | null;
  readonly datadir: string;
  /** When it was started, in milliseconds since 1970, by its own clock. */
  readonly startedMs: number;
  /** Whether it writes a binlog. */
  readonly logBin: boolean;
  /** Its binlog files, oldest first; null where the account may not see them. */
  readonly binlogs: readonly BinlogFile[] | null;
  /** Where it stands now. */
  readonly coordinates: Coordinates;
  /** Whether the account may see replicas. */
  readonly seesReplicas: boolean;
  /** Transactions of before the start that are still being rolled back; null where it is not shown. */
  readonly recovering: number | null;
  /** The end of InnoDB's redo log now; null where the server does not say. */
  readonly redoPosition: number | null;
  /** Where InnoDB is with its transactions; null where the server does not say. */
  readonly transactions: TransactionsNow | null;
  /** What its data are known by. */
  readonly marks: ImageMarks;
  /** Errors of InnoDB since the start; null where the server does not show its log. */
  readonly innodbErrors: readonly string[] | null;
  /** From the start to the first connection, in milliseconds; null where the server does not say. */
  readonly recoveryMs: number | null;
  /** Variables by which the server mends tables when it opens them, that are on: `name=value`. */
  readonly repairs: readonly string[];
  /** Whether the account sees every table. */
  readonly seesTables: boolean;
}

/** What CHECK TABLE said of one table. */
export interface CheckedTable {
  readonly schema: string;
  readonly name: string;
  readonly engine: string;
  readonly rows: readonly { readonly type: string; readonly text: string }[];
}

/** How far the look at the tables came. */
export interface TableChecks {
  /** Only those with something to say; the others are good. */
  readonly remarkable: readonly CheckedTable[];
  readonly checked: number;
  /** How many were to be checked. */
  readonly total: number;
  readonly tookMs: number;
  /** Why it ended before the last; null where it did not. */
  readonly endedBy: "limit" | "interrupted" | "server-ended" | "no-answer" | null;
  /** What was being checked then, as SQL names it. */
  readonly endedAt: string | null;
}

/** What is looked at: `quick` what needs no reading of contents, `full` every table. */
export type Level = "quick" | "default" | "full";
