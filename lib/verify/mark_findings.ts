/** Whether an image has what the server had before the lock besides its transactions. Pure. */
import { DATABASES_MOST } from "../mysql/image_marks.ts";
import type { InstanceRecord } from "../window/record.ts";
import type { ClosedBinlog, DatabaseTables } from "../window/image_marks.ts";
import type { ImageServer } from "./facts.ts";
import { found, type VerifyFinding } from "./verdict.ts";

/** How many names are listed. */
const NAMED_MOST = 20;

/** Volumes, older binlog files, databases. */
export function markFindings(recorded: InstanceRecord, server: ImageServer): VerifyFinding[] {
  const { marks, name: instance } = recorded;
  return [
    ...closedBinlogFindings(marks?.closed_binlogs ?? [], server, instance),
    // An account that sees less than the hook's would miss what is there.
    ...(server.seesTables
      ? databaseFindings(marks?.databases ?? [], server.marks.databases, instance)
      : []),
  ];
}

/** Said of the record alone: what has to be of one snapshot. */
export function volumeFindings(
  { volumes, name: instance }: InstanceRecord,
): VerifyFinding[] {
  const byDevice = Map.groupBy(volumes, ({ device }) => device);
  if (byDevice.size <= 1) return [];
  const list = [...byDevice.values()].map((some) => {
    const [first] = some;
    return `${some.map(({ path }) => path).join(", ")} on ${first?.mount_point} (${first?.device})`;
  });
  return [
    found(
      "several-volumes",
      `The server's files were on ${byDevice.size} filesystems, which must be of one snapshot: ${
        list.join("; ")
      }`,
      { instance },
    ),
  ];
}

/** Files that were closed before the lock are in the image as they were, unless they were purged. */
function closedBinlogFindings(
  closed: readonly ClosedBinlog[],
  { binlogs }: ImageServer,
  instance: string,
): VerifyFinding[] {
  const now = new Map(binlogs?.map(({ name, bytes }) => [name, bytes]));
  const pairs = closed.map(({ name, bytes }) => ({ name, bytes, is: now.get(name) ?? null }));
  const there = pairs.filter(({ is }) => is !== null);
  const other = there.filter(({ bytes, is }) => is !== bytes);
  const line = other.slice(0, NAMED_MOST).map(({ name, bytes, is }) =>
    `${name} has ${is} bytes; recorded ${bytes}`
  ).join(", ");
  // Servers purge the oldest; one that is gone between others is not gone by itself.
  const firstThere = pairs.findIndex(({ is }) => is !== null);
  const lost = firstThere < 0 ? [] : pairs.slice(firstThere).filter(({ is }) => is === null);
  return [
    ...(other.length === 0 ? [] : [
      other.length === there.length
        ? found(
          "history-differs",
          `The binlog files of before the lock are others than the recorded ones: ${line}`,
          { instance },
        )
        : found("binlog-broken", `Binlog files of before the lock are not whole: ${line}`, {
          instance,
        }),
    ]),
    ...(lost.length === 0 ? [] : [
      found(
        "binlog-lost",
        `Binlog files of before the lock are not in the image: ${
          lost.map(({ name }) => name).join(", ")
        }`,
        { instance },
      ),
    ]),
  ];
}

/** A database on a volume of its own that is not in the snapshot leaves no trace on MariaDB. */
function databaseFindings(
  recorded: readonly DatabaseTables[],
  now: readonly DatabaseTables[] | null,
  instance: string,
): VerifyFinding[] {
  if (now === null) return [];
  const tables = new Map(now.map((one) => [one.name, one]));
  // A list that is full leaves out the smallest: one that had few may just not be in it.
  const least = now.length < DATABASES_MOST ? 0 : Math.min(...now.map((one) => one.tables));
  const compared = recorded.filter(({ name, tables: count }) => tables.has(name) || count > least);
  const gone = compared.filter(({ name }) => !tables.has(name));
  const fewer = compared.filter(({ name, tables: count }) =>
    (tables.get(name)?.tables ?? count) < count
  );
  const listed = (some: readonly DatabaseTables[], text: (one: DatabaseTables) => string) =>
    `${some.slice(0, NAMED_MOST).map(text).join(", ")}${
      some.length > NAMED_MOST ? ` and ${some.length - NAMED_MOST} more` : ""
    }`;
  return [
    ...(gone.length === 0 ? [] : [
      found(
        "database-missing",
        `Databases that the server had before the lock have no table in the image: ${
          listed(gone, (one) => `${one.name} (${one.tables} tables)`)
        }: their files are not in it, or they were dropped just before the lock`,
        { instance },
      ),
    ]),
    ...(fewer.length === 0 ? [] : [
      found(
        "tables-fewer",
        `Fewer tables than before the lock: ${
          listed(fewer, ({ name, tables: count }) =>
            `${name} has ${tables.get(name)?.tables}; recorded ${count}`)
        }. Tables that are dropped and made again look alike`,
        { instance },
      ),
    ]),
  ];
}
