/** Whether the image ends at the recorded transaction: binlog, GTIDs, replicas, cluster. Pure. */
import {
  type Coordinates,
  describePosition,
  type ReplicaPosition,
  type WsrepPosition,
} from "../window/coordinates.ts";
import type { InstanceRecord } from "../window/record.ts";
import type { BinlogFile, ImageServer } from "./facts.ts";
import { differenceOfLists, differenceOfSets, type GtidDifference } from "./gtid_set.ts";
import { SEALED_HEADER_BYTES } from "./binlog_walk.ts";
import { found, type VerifyFinding } from "./verdict.ts";

/** What else is known when a server's position is judged. */
export interface OtherEvidence {
  /** Whether the files of the binlog were looked at, and end as recorded. */
  readonly isBinlogProven: boolean;
  /** Whether the source said that the lock held until the thaw. */
  readonly isHoldProven: boolean;
}

/** Where the recorded binlog file ends in the image. */
type End = "exact" | "long" | "short" | "unknown";

/** Where a server on the image stands, against the record. */
export function positionFindings(
  recorded: InstanceRecord,
  server: ImageServer,
  evidence: OtherEvidence,
): VerifyFinding[] {
  const instance = recorded.name;
  const then = recorded.coordinates;
  if (then === null) {
    return [found("coordinates-missing", "The record has no coordinates", { instance })];
  }
  const binlog = binlogFindings(then, server, evidence, instance);
  const gtids = gtidFindings(then, server, binlog.end, instance);
  const replicas = then.replicas.flatMap((one) => replicaFindings(one, then, server, instance));
  const cluster = then.wsrep === null ? [] : clusterFindings(
    then.wsrep,
    server.coordinates.wsrep,
    instance,
  );
  // Without a binlog only what was replicated has a GTID: elsewhere equal sets show nothing.
  const hasGtidForAll = then.log_bin || then.replicas.length > 0;
  const isCompared = binlog.end !== "unknown" || (gtids.isCompared && hasGtidForAll) ||
    isAtItsPlace(then, server.coordinates) || evidence.isBinlogProven ||
    (evidence.isHoldProven && (then.log_bin || isBesideRecord(recorded)));
  return [
    ...binlog.findings,
    ...gtids.findings,
    ...replicas,
    ...cluster,
    ...(isCompared ? [] : [
      found(
        "nothing-to-compare",
        then.log_bin
          ? "Neither binlog nor GTIDs could be compared with the record"
          : evidence.isHoldProven
          ? "The server wrote no binlog, and its files are not known to have been on the record's filesystem: nothing shows that they are of the record's moment"
          : "The server wrote no binlog: nothing in the image shows up to which transaction it goes. --verdict tells whether the lock held",
        { instance },
      ),
    ]),
    ...(then.inexact === null ? [] : [
      found(
        "position-inexact",
        `Recorded as inexact: ${then.inexact.fields.join(", ")} (${then.inexact.why})`,
        { instance },
      ),
    ]),
  ];
}

/** Whether the files are of the moment of the record, which is in the image as it was under the lock. */
function isBesideRecord({ volumes, record_device, data_directories }: InstanceRecord): boolean {
  return record_device !== null && volumes.length === data_directories.length &&
    volumes.every(({ device }) => device === record_device);
}

/** Whether a replica or a node stands where it stood, which its binlog need not show then. */
function isAtItsPlace(then: Coordinates, { replicas, wsrep }: Coordinates): boolean {
  const isNodeThere = then.wsrep !== null && wsrep !== null &&
    placeOf(then.wsrep) === placeOf(wsrep);
  return isNodeThere || then.replicas.some((was) => {
    const is = replicas.find(({ channel }) => channel === was.channel);
    return is !== undefined && is.sql_running !== "Yes" && was.relay_source_log_file !== null &&
      sourcePlaceOf(was) === sourcePlaceOf(is);
  });
}

function sourcePlaceOf(one: ReplicaPosition): string {
  return `${one.relay_source_log_file}:${one.exec_source_log_pos}`;
}

function binlogFindings(
  then: Coordinates,
  server: ImageServer,
  { isBinlogProven }: OtherEvidence,
  instance: string,
): { readonly end: End; readonly findings: readonly VerifyFinding[] } {
  const of = (end: End, code: VerifyFinding["code"], title: string) => ({
    end,
    findings: [found(code, title, { instance })],
  });
  const proven = { end: "exact" as const, findings: [] };
  const { file, position } = then;
  if (file === null || position === null) return { end: "unknown", findings: [] };
  if (!server.logBin) {
    return isBinlogProven ? proven : of(
      "unknown",
      "binlog-off",
      `The server was started without its binlog; recorded ${
        describePosition(then)
      }. Start it with its own log_bin, or look at the files with --datadir`,
    );
  }
  if (server.binlogs === null) {
    return isBinlogProven ? proven : of(
      "unknown",
      "binlog-unasked",
      "The account may not see the binlog files: the end of the recorded one was not compared",
    );
  }
  const there = server.binlogs.find(({ name }) => name === file);
  if (there !== undefined) return endOf(there, position, instance);
  const numbers = server.binlogs.flatMap(({ name }) => numberOf(name, file) ?? []);
  const recordedNumber = numberOf(file, file) ?? 0;
  if (numbers.length === 0) {
    return isBinlogProven ? proven : of(
      "unknown",
      "binlog-off",
      `The server writes another binlog (${
        server.binlogs.at(-1)?.name ?? "none"
      }); recorded ${file}. Start it with its own log_bin`,
    );
  }
  return numbers.every((number) => number > recordedNumber)
    ? of(
      "unknown",
      "binlog-purged",
      `${file} is not there any more: the oldest binlog file is ${server.binlogs[0]?.name}`,
    )
    : of(
      "short",
      "binlog-lost",
      `${file} is not in the image, whose newest older file is ${
        server.binlogs.filter(({ name }) => (numberOf(name, file) ?? Infinity) < recordedNumber)
          .at(-1)?.name ?? "none"
      }: the binlog is older than the lock`,
    );
}

function endOf(
  { name, bytes: length, isEncrypted }: BinlogFile,
  position: number,
  instance: string,
): { readonly end: End; readonly findings: readonly VerifyFinding[] } {
  const bytes = isEncrypted ? length - SEALED_HEADER_BYTES : length;
  if (bytes === position) return { end: "exact", findings: [] };
  const isShort = bytes < position;
  return {
    end: isShort ? "short" : "long",
    findings: [
      isShort
        ? found(
          "binlog-short",
          `${name} ends at ${bytes}; recorded ${position}: ${
            position - bytes
          } bytes that were committed are missing`,
          { instance },
        )
        : found(
          "binlog-long",
          `${name} ends at ${bytes}; recorded ${position}: the image was taken after the lock was released`,
          { instance },
        ),
    ],
  };
}

/** The number of a binlog file that has the same base name. */
function numberOf(name: string, like: string): number | null {
  const base = like.slice(0, like.lastIndexOf(".") + 1);
  const digits = name.startsWith(base) ? name.slice(base.length) : "";
  return /^[0-9]{1,15}$/.test(digits) ? Number(digits) : null;
}

function gtidFindings(
  then: Coordinates,
  server: ImageServer,
  end: End,
  instance: string,
): { readonly isCompared: boolean; readonly findings: readonly VerifyFinding[] } {
  const now = server.coordinates.gtid;
  const findings: VerifyFinding[] = [];
  let isCompared = false;
  const compare = (
    name: string,
    difference: GtidDifference | null,
    moves: "since-start" | "after-lock" | "inexact",
  ) => {
    if (difference === null) return;
    isCompared = true;
    const { missing, more, other } = difference;
    if (missing !== "") {
      findings.push(found(
        "transactions-missing",
        `${name}: recorded and not in the image: ${missing}`,
        { instance },
      ));
    }
    if (other !== "") {
      findings.push(found(
        "history-differs",
        `${name}: another history than the recorded one: ${other}`,
        { instance },
      ));
    }
    if (more !== "" && moves !== "inexact") {
      findings.push(
        moves === "since-start"
          ? found(
            "written-since-start",
            `${name}: written by the server since it was started on the image: ${more}`,
            { instance },
          )
          : found(
            "transactions-more",
            `${name}: in the image and not recorded: ${more}`,
            { instance },
          ),
      );
    }
  };
  // A start ends the file that a lock ended: what came later is in later files.
  const later = end === "exact" ? "since-start" : "after-lock";
  if ("gtid_executed" in then.gtid) {
    if (then.gtid["gtid_mode"] === "ON" && now["gtid_mode"] === "ON") {
      const [was = "", is = ""] = [then.gtid["gtid_executed"], now["gtid_executed"]];
      compare("gtid_executed", differenceOfSets(was, is), later);
    }
    return { isCompared, findings };
  }
  if (then.log_bin && server.logBin) {
    const [was = "", is = ""] = [then.gtid["gtid_binlog_pos"], now["gtid_binlog_pos"]];
    compare("gtid_binlog_pos", differenceOfLists(was, is), later);
  }
  const applied = then.gtid["gtid_slave_pos"] ?? "";
  if (applied !== "") {
    const isApplying = server.coordinates.replicas.some(({ sql_running }) => sql_running === "Yes");
    compare(
      "gtid_slave_pos",
      differenceOfLists(applied, now["gtid_slave_pos"] ?? ""),
      then.inexact?.fields.includes("gtid_slave_pos")
        ? "inexact"
        : isApplying
        ? "since-start"
        : later,
    );
  }
  return { isCompared, findings };
}

function replicaFindings(
  was: ReplicaPosition,
  then: Coordinates,
  server: ImageServer,
  instance: string,
): VerifyFinding[] {
  const name = was.channel === "" ? "The replica" : `The channel ${was.channel}`;
  const is = server.coordinates.replicas.find(({ channel }) => channel === was.channel);
  if (is === undefined) {
    return [
      found(
        "replica-unseen",
        server.seesReplicas
          ? `${name} of the record is not configured on the server`
          : `${name} of the record was not compared: the account may not see replicas`,
        { instance },
      ),
    ];
  }
  // With GTIDs MariaDB goes on from gtid_slave_pos, and its position in the file may be an old one.
  const followsGtid = !["No", undefined].includes(was.gtid["using_gtid"]);
  if (followsGtid || is.sql_running === "Yes" || was.relay_source_log_file === null) return [];
  if (sourcePlaceOf(was) === sourcePlaceOf(is)) return [];
  const order = was.relay_source_log_file === is.relay_source_log_file
    ? is.exec_source_log_pos - was.exec_source_log_pos
    : (numberOf(is.relay_source_log_file ?? "", was.relay_source_log_file) ?? 0) -
      (numberOf(was.relay_source_log_file, was.relay_source_log_file) ?? 0);
  const line = `${name} goes on from ${sourcePlaceOf(is)} of its source; recorded ${
    sourcePlaceOf(was)
  }`;
  if (then.inexact?.fields.includes("exec_source_log_pos")) return [];
  return [found(order < 0 ? "replica-behind" : "replica-ahead", line, { instance })];
}

function clusterFindings(
  was: WsrepPosition,
  is: WsrepPosition | null,
  instance: string,
): VerifyFinding[] {
  if (is === null) {
    return [
      found(
        "cluster-unseen",
        `The server was started outside its cluster; recorded ${
          placeOf(was)
        }. Its own position: mariadbd --wsrep-recover, or grastate.dat`,
        { instance },
      ),
    ];
  }
  if (is.cluster_state_uuid !== was.cluster_state_uuid) {
    return [
      found(
        "cluster-differs",
        `The node is in another cluster: ${placeOf(is)}; recorded ${placeOf(was)}`,
        { instance },
      ),
    ];
  }
  if (is.last_committed === was.last_committed) return [];
  return [
    is.last_committed < was.last_committed
      ? found("cluster-behind", `The node is at ${placeOf(is)}; recorded ${placeOf(was)}`, {
        instance,
      })
      : found(
        "cluster-ahead",
        `The node has joined its cluster and gone on: ${placeOf(is)}; recorded ${placeOf(was)}`,
        { instance },
      ),
  ];
}

function placeOf({ cluster_state_uuid, last_committed }: WsrepPosition): string {
  return `${cluster_state_uuid}:${last_committed}`;
}
