/** What the files of an image say before a server runs on them. Pure. */
import type { InstanceRecord } from "../window/record.ts";
import { type BinlogFacts, SEALED_HEADER_BYTES } from "./binlog_walk.ts";
import { found, type VerifyFinding } from "./verdict.ts";

/** What was found in a data directory. */
export interface DatadirFacts {
  readonly datadir: string;
  /** The recorded binlog file; null where none was recorded. */
  readonly binlog:
    | null
    | { readonly kind: "missing"; readonly others: readonly string[] }
    | { readonly kind: "unreadable"; readonly why: string }
    | { readonly kind: "read"; readonly facts: BinlogFacts; readonly tookMs: number };
  /** Of `auto.cnf`; null where there is none. */
  readonly serverUuid: string | null;
  /** MyISAM tables that are not closed, by the path of their index; and how many were looked at. */
  readonly myisam: {
    readonly looked: number;
    readonly open: readonly string[];
    readonly crashed: readonly string[];
  };
  /** Whether InnoDB's redo log is there. */
  readonly hasRedoLog: boolean;
}

/** What is to be said of them, and whether the binlog ends as recorded. */
export function fileFindings(
  recorded: InstanceRecord,
  facts: DatadirFacts,
): { readonly isBinlogProven: boolean; readonly findings: readonly VerifyFinding[] } {
  const instance = recorded.name;
  if (
    recorded.server_uuid !== null && facts.serverUuid !== null &&
    recorded.server_uuid !== facts.serverUuid
  ) {
    return {
      isBinlogProven: false,
      findings: [
        found(
          "record-of-other-server",
          `${facts.datadir}/auto.cnf is of the server ${facts.serverUuid}; the record is of ${recorded.server_uuid}`,
          { instance },
        ),
      ],
    };
  }
  const binlog = binlogFindings(recorded, facts, instance);
  const isAlone = recorded.data_directories.length <= 1;
  return {
    isBinlogProven: binlog.isProven,
    findings: [
      ...binlog.findings,
      ...myisamFindings(facts, instance),
      ...(isAlone && !facts.hasRedoLog
        ? [
          found(
            "redo-missing",
            `There is no redo log of InnoDB in ${facts.datadir}: without it recovery brings nothing back`,
            { instance },
          ),
        ]
        : []),
    ],
  };
}

/** How many files are named. */
const NAMED_MOST = 20;

function myisamFindings({ myisam }: DatadirFacts, instance: string): VerifyFinding[] {
  const listed = (paths: readonly string[]) =>
    `${paths.slice(0, NAMED_MOST).join(", ")}${
      paths.length > NAMED_MOST ? ` and ${paths.length - NAMED_MOST} more` : ""
    }`;
  return [
    ...(myisam.crashed.length === 0 ? [] : [found(
      "table-damaged",
      `${myisam.crashed.length} of ${myisam.looked} MyISAM tables are marked as crashed: ${
        listed(myisam.crashed)
      }`,
      { instance },
    )]),
    ...(myisam.open.length === 0 ? [] : [found(
      "table-not-closed",
      `${myisam.open.length} of ${myisam.looked} MyISAM tables were open when the image was taken: ${
        listed(myisam.open)
      }. Under a lock they are closed`,
      { instance },
    )]),
  ];
}

/** What encryption hides is where events begin and end; not how long the file is. */
function sealedFinding(
  path: string,
  { from, bytes }: Extract<BinlogFacts, { kind: "encrypted" }>,
  position: number,
): readonly [code: VerifyFinding["code"], title: string] {
  const endsAt = from === 0 ? bytes - SEALED_HEADER_BYTES : bytes;
  const line = `${path} is encrypted, and ends at ${endsAt}; recorded ${position}`;
  if (endsAt < position) return ["binlog-short", line];
  if (endsAt > position) {
    return ["binlog-long", `${line}: the image was taken after the lock was released`];
  }
  return [
    "binlog-sealed",
    `${path} is encrypted, and as long as recorded: whether its events are whole is known to the server alone`,
  ];
}

function binlogFindings(
  recorded: InstanceRecord,
  { datadir, binlog }: DatadirFacts,
  instance: string,
): { readonly isProven: boolean; readonly findings: readonly VerifyFinding[] } {
  const say = (code: VerifyFinding["code"], title: string) => ({
    isProven: false,
    findings: [found(code, title, { instance })],
  });
  const { file = null, position = null } = recorded.coordinates ?? {};
  if (binlog === null || file === null || position === null) {
    return { isProven: false, findings: [] };
  }
  const path = `${datadir}/${file}`;
  switch (binlog.kind) {
    case "unreadable":
      return say("binlog-unread", `Cannot read ${path}: ${binlog.why}`);
    case "missing":
      return binlog.others.length > 0
        ? say(
          binlog.others.every((name) => name.length < file.length || name < file)
            ? "binlog-lost"
            : "binlog-purged",
          `${path} is not in the image; there are ${binlog.others.at(0)} to ${
            binlog.others.at(-1)
          }`,
        )
        : say(
          "binlog-unread",
          `There is no ${path}: the binlog is elsewhere (${
            recorded.data_directories.slice(1).join(", ") || "not recorded where"
          }), and a server on the image shows its end`,
        );
    case "read":
      break;
    default:
      return binlog satisfies never;
  }
  const { facts } = binlog;
  switch (facts.kind) {
    case "no-binlog":
      return say("binlog-broken", `${path} does not begin as a binlog file`);
    case "encrypted":
      return say(...sealedFinding(path, facts, position));
    case "walked":
      break;
    default:
      return facts satisfies never;
  }
  const { bytes, endsAt, broken, hasBoundary } = facts;
  // A server drops what is cut at the end: after the recorded position that is no damage.
  if (broken !== null && broken.at < position) {
    return bytes < position
      ? say(
        "binlog-short",
        `${path} ends at ${bytes}; recorded ${position}: ${broken.why}, at ${broken.at}`,
      )
      : say("binlog-broken", `${path} is damaged at ${broken.at}: ${broken.why}`);
  }
  if (endsAt < position) {
    return say("binlog-short", `${path} ends at ${endsAt}; recorded ${position}`);
  }
  if (!hasBoundary) {
    return say(
      "history-differs",
      `In ${path} no event ends at the recorded position ${position}: it is the file of another history`,
    );
  }
  if (bytes > position) {
    return say(
      "binlog-long",
      `${path} ends at ${bytes}; recorded ${position}: the image was taken after the lock was released`,
    );
  }
  return {
    isProven: true,
    findings: [
      found(
        "binlog-proven",
        `${path} ends at the recorded position ${position}, after ${facts.events} whole events (${facts.checksummed} with a checksum)${
          facts.isCompressed ? "; some are compressed, and their content was not looked at" : ""
        }`,
        { instance },
      ),
    ],
  };
}
