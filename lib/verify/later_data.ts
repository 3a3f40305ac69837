/**
 * Whether the data of an image are of a later moment than its binlog, where no GTIDs in the data show it:
 * on MariaDB, and on MySQL without GTIDs. InnoDB numbers its transactions, and its data know how far it got.
 * What later data is not told from is what a good image may have: numbers that were given under the lock,
 * that recovery took, and that others took since the start. Pure.
 */
import { shellWord } from "../base/shell.ts";
import type { TransactionsNow } from "../mysql/transaction_mark.ts";
import type { TransactionMark } from "../window/image_marks.ts";
import type { InstanceRecord } from "../window/record.ts";
import { SEALED_HEADER_BYTES } from "./binlog_walk.ts";
import type { ImageServer } from "./facts.ts";
import { differenceOfLists } from "./gtid_set.ts";
import { found, type VerifyFinding } from "./verdict.ts";

/**
 * What a transaction takes: a number when it begins to change rows, and one when it commits or is undone.
 * On MySQL one that only inserts takes no second.
 */
const OF_ONE = 2;

/**
 * What MariaDB adds to the numbers of an image by itself: 2 to 4 when it starts, and some for what is not
 * known.
 */
const MARIADB_OWN = 12;

/** What writing the statistics of a table takes: 2 on MariaDB 10.11, 4 on 10.5 and on MySQL 5.6. */
const OF_STATISTICS = 4;

/** MySQL has on disk only every 256th number that it gave, and goes on 512 after it. */
const MYSQL_STEP = 256;
const MYSQL_SKIP = 512;

/** What MySQL takes by itself while the lock is held, for what is not known. */
const MYSQL_OWN = 12;

/**
 * What MySQL takes when it starts, at most; 9.7 takes 12, and 5.6 takes 5. More of it is for tables that
 * are counted as opened by the start, and were not.
 */
const MYSQL_START = 176;

/** A binlog file in which nothing was written yet is no longer, but for the GTIDs of before it. */
const EMPTY_BINLOG_BYTES = 512;

/** What the numbers say. */
type Told =
  /** The data have `reach`; recorded and not committed is no more than `most`. */
  | { readonly kind: "later"; readonly reach: number; readonly most: number }
  /** Nothing; so many later transactions would not be seen. */
  | { readonly kind: "not-seen"; readonly unseenMost: number }
  | { readonly kind: "unknown"; readonly why: string };

/** What is to be said of it. */
export function laterDataFindings(recorded: InstanceRecord, server: ImageServer): VerifyFinding[] {
  const { name: instance, coordinates: then } = recorded;
  if (then === null || then.file === null || then.gtid["gtid_mode"] === "ON") return [];
  // A binlog that is later itself, or shorter, or not there, is another finding.
  const file = server.binlogs?.find(({ name }) => name === then.file);
  if (file !== undefined && bytesOf(file) !== then.position) return [];
  const told = tell(recorded, server);
  const line = server.flavor === "mariadb" ? LAST_COMMIT : null;
  const exactly = line === null
    ? ""
    : `. InnoDB itself says it exactly in the error log of the first start on the image, in the line '${line}': its position must not be after ${then.file}:${then.position}`;
  const temporary = server.flavor === "mysql"
    ? ", or clients wrote temporary tables under the lock"
    : "";
  const about = {
    instance,
    remedy: line === null ? null : `journalctl -u mariadb --grep=${shellWord(line)}`,
  };
  const unseen = (title: string) =>
    isOfSeveralVolumes(recorded) ? [found("volume-newer-unseen", title, about)] : [];
  switch (told.kind) {
    case "later":
      // MySQL's lock lets clients write temporary tables, whose numbers are on disk as well, uncounted.
      if (server.flavor === "mysql" && !isOfSeveralVolumes(recorded)) {
        return [
          found(
            "volume-newer-unseen",
            `InnoDB's data have transaction numbers up to ${told.reach}; up to ${told.most} could be explained without clients that wrote temporary tables under the lock: data of a later moment than the binlog would not be told from those`,
            about,
          ),
        ];
      }
      return [
        found(
          "volume-seems-newer",
          `InnoDB's data have transaction numbers up to ${told.reach}; under the lock it was at ${recorded.transactions?.next_id}, and up to ${told.most} could be explained: the data seem to be of a later moment than the binlog${temporary}${exactly}`,
          about,
        ),
      ];
    case "not-seen":
      return unseen(
        `Data of a later moment than the binlog were not seen; up to ${told.unseenMost} transactions of a later moment would not be${exactly}`,
      );
    case "unknown":
      return unseen(
        `Data of a later moment than the binlog would not be seen: ${told.why}${exactly}`,
      );
    default:
      return told satisfies never;
  }
}

/** How MariaDB begins to tell which transaction its data end with, when it has recovered them. */
const LAST_COMMIT = "Last binlog file";

/** What is of one filesystem is of one moment. */
function isOfSeveralVolumes({ volumes }: InstanceRecord): boolean {
  return new Set(volumes.map(({ device }) => device)).size > 1;
}

function tell(recorded: InstanceRecord, server: ImageServer): Told {
  const { transactions: then } = recorded;
  const { transactions: now } = server;
  const unknown = (why: string): Told => ({ kind: "unknown", why });
  if (then === null) return unknown("the record does not have InnoDB's transaction numbers");
  if (now === null) return unknown("the account may not see InnoDB's transaction numbers");
  if (server.version !== recorded.version) {
    return unknown("another version may have taken transaction numbers when it began");
  }
  if (now.statisticsWritten === null) return unknown("the account may not see InnoDB's statistics");
  if (server.recovering !== 0) return unknown("recovery is not over");
  const written = sinceStart(recorded, server);
  if (written !== null) return unknown(written);
  return server.flavor === "mariadb"
    ? ofMariadb(
      then,
      recorded.method === "backup-stage",
      now,
      OF_STATISTICS * now.statisticsWritten,
    )
    : ofMysql(then, now, OF_STATISTICS * now.statisticsWritten);
}

/** Every number that is on disk counts there, and a start goes on with the next one. */
function ofMariadb(
  { next_id, open, clients_most }: TransactionMark,
  goesOn: boolean,
  { nextId, takenMost }: TransactionsNow,
  statistics: number,
): Told {
  // BACKUP STAGE lets clients change rows, and not commit; recovery takes a number to undo each.
  const underLock = open + statistics + (goesOn ? OF_ONE * clients_most : 0);
  const most = next_id + MARIADB_OWN + underLock;
  const reach = nextId - takenMost;
  return reach > most ? { kind: "later", reach, most } : {
    kind: "not-seen",
    unseenMost: Math.floor((MARIADB_OWN + underLock + takenMost) / OF_ONE),
  };
}

/** The least number that can have been on disk, against the most. */
function ofMysql(
  { next_id, open }: TransactionMark,
  { nextId, takenMost }: TransactionsNow,
  statistics: number,
): Told {
  const taken = MYSQL_START + OF_ONE * open + statistics + takenMost;
  const reach = MYSQL_STEP * Math.ceil((nextId - MYSQL_SKIP - taken) / MYSQL_STEP);
  const most = MYSQL_STEP * Math.floor((next_id + MYSQL_OWN + statistics) / MYSQL_STEP);
  return reach > most ? { kind: "later", reach, most } : {
    kind: "not-seen",
    unseenMost: most + MYSQL_STEP + Math.max(0, taken - MYSQL_STEP) - next_id - 1,
  };
}

/** What has taken numbers since the start on the image that cannot be told from later data; or null. */
function sinceStart(recorded: InstanceRecord, server: ImageServer): string | null {
  const { file, gtid: was = {} } = recorded.coordinates ?? {};
  const { binlogs, coordinates: { gtid: is, replicas } } = server;
  if (binlogs === null) return "the account may not see the binlog files";
  const at = binlogs.findIndex(({ name }) => name === file);
  if (!server.logBin || at < 0) return "the server does not show the recorded binlog file";
  const [first, ...further] = binlogs.slice(at + 1);
  if (first === undefined || further.length > 0) {
    return "the server was started more than once on the image, or has begun another binlog file";
  }
  if (replicas.some(({ sql_running }) => sql_running === "Yes")) {
    return "the server goes on as a replica";
  }
  const isEmpty = server.flavor === "mariadb"
    ? differenceOfLists(was["gtid_binlog_pos"] ?? "", is["gtid_binlog_pos"] ?? "")?.more === ""
    : bytesOf(first) <= EMPTY_BINLOG_BYTES + (is["gtid_executed"] ?? "").length;
  return isEmpty ? null : "the server has written since it was started on the image";
}

function bytesOf(
  { bytes, isEncrypted }: { readonly bytes: number; readonly isEncrypted: boolean },
) {
  return isEncrypted ? bytes - SEALED_HEADER_BYTES : bytes;
}
