/** What `verify` has found, for people and for machines. Pure. */
import { elapsedMs, type Instant, rfc3339 } from "../base/clock.ts";
import { shellWord } from "../base/shell.ts";
import { type Line, type Style, styled } from "../base/styled.ts";
import { describePosition } from "../window/coordinates.ts";
import type { TransactionsNow } from "../mysql/transaction_mark.ts";
import { type InstanceRecord, SCHEMA_VERSION, type WindowRecord } from "../window/record.ts";
import type { ImageServer, Level, TableChecks } from "./facts.ts";
import { freezeOf } from "./source_findings.ts";
import { type WayOn, waysOn } from "./go_on.ts";
import {
  type ImageVerdict,
  imageVerdict,
  VERDICT_EXIT,
  type VerifyFinding,
  type Weight,
} from "./verdict.ts";

/** What came of one recorded server. */
export interface VerifiedInstance {
  readonly recorded: InstanceRecord;
  /** Null where it was not asked. */
  readonly socket: string | null;
  readonly server: ImageServer | null;
  readonly tables: TableChecks | null;
  readonly statements: readonly string[];
  readonly findings: readonly VerifyFinding[];
}

/** All of it. */
export interface VerifyReport {
  readonly began: Instant;
  readonly ended: Instant;
  readonly level: Level;
  /** Null: the server alone was asked. */
  readonly datadir: string | null;
  readonly recordPath: string;
  readonly record: WindowRecord | null;
  /** The same window as its source reports it. */
  readonly source: WindowRecord | null;
  /** Of the image as a whole. */
  readonly findings: readonly VerifyFinding[];
  readonly instances: readonly VerifiedInstance[];
}

/** Everything that was found. */
export function allFindings({ findings, instances }: VerifyReport): VerifyFinding[] {
  return [...findings, ...instances.flatMap((one) => one.findings)];
}

/** The worst of it. */
export function verdictOfReport(report: VerifyReport): ImageVerdict {
  return imageVerdict(allFindings(report));
}

/** What `--json` prints. */
export function verifyJson(report: VerifyReport) {
  const { record, source } = report;
  const verdict = verdictOfReport(report);
  return {
    schema_version: SCHEMA_VERSION,
    now: rfc3339(report.began),
    took_ms: elapsedMs(report.began, report.ended),
    exit_code: VERDICT_EXIT[verdict],
    verdict,
    level: report.level,
    datadir: report.datadir,
    record_path: report.recordPath,
    window: record === null ? null : {
      window_id: record.window_id,
      locktables_version: record.locktables_version,
      caller: record.caller,
      phase: record.phase,
      opened_at: record.opened_at,
      locked_at: record.locked_at,
      deadline: record.deadline,
      source_verdict: source?.verdict ?? null,
      filesystems_frozen_at: source?.filesystems_frozen_at ?? null,
      filesystems_thawed_at: source?.filesystems_thawed_at ?? null,
      freeze: freezeOf(source),
    },
    findings: allFindings(report),
    instances: report.instances.map((one) => ({
      name: one.recorded.name,
      socket: one.socket,
      verdict: imageVerdict([...report.findings, ...one.findings]),
      server: one.server === null ? null : {
        label: one.server.label,
        flavor: one.server.flavor,
        version: one.server.version,
        hostname: one.server.hostname,
        server_id: one.server.serverId,
        server_uuid: one.server.serverUuid,
        datadir: one.server.datadir,
        started_at: new Date(one.server.startedMs).toISOString(),
        recovery_ms: one.server.recoveryMs,
      },
      coordinates: { recorded: one.recorded.coordinates, now: one.server?.coordinates ?? null },
      volumes: one.recorded.volumes,
      marks: { recorded: one.recorded.marks, now: one.server?.marks ?? null },
      transactions: {
        recorded: one.recorded.transactions,
        now: transactionsNow(one.server?.transactions ?? null),
      },
      tables: one.tables === null ? null : {
        checked: one.tables.checked,
        total: one.tables.total,
        took_ms: one.tables.tookMs,
        ended_by: one.tables.endedBy,
      },
      statements: one.statements,
      commands: waysOn(one.recorded),
    })),
  };
}

function transactionsNow(now: TransactionsNow | null) {
  return now === null ? null : {
    next_id: now.nextId,
    taken_most: now.takenMost,
    statistics_written: now.statisticsWritten,
  };
}

const HEADINGS: Readonly<Record<Weight, { readonly text: string; readonly as: Style }>> = {
  damage: { text: "Damage:", as: "error" },
  doubt: { text: "Not known:", as: "warning" },
  difference: { text: "Not as promised:", as: "warning" },
  note: { text: "Notes:", as: "heading" },
};

const VERDICT_STYLE: Readonly<Record<ImageVerdict, Style>> = {
  "as-promised": "good",
  "recoverable": "warning",
  "unknown": "warning",
  "damaged": "error",
};

const VERDICT_TEXT: Readonly<Record<ImageVerdict, string>> = {
  "as-promised": "as-promised: the image is what the record promises.",
  "recoverable": "recoverable: sound, but not what the record promises; as after a power cut.",
  "unknown": "unknown: it cannot be told whether the image is what the record promises.",
  "damaged": "damaged: something of the image is missing or broken.",
};

/** What people read; `localTime` writes a moment of the record. */
export function verifyText(report: VerifyReport, localTime: (moment: string) => string): Line[] {
  const findings = allFindings(report);
  const verdict = verdictOfReport(report);
  const groups = (Object.keys(HEADINGS) as Weight[]).flatMap((weight) => {
    const members = findings.filter((one) => one.weight === weight);
    return members.length === 0 ? [] : [[HEADINGS[weight]], ...members.flatMap(findingLines), []];
  });
  return [
    ...windowLines(report, localTime),
    ...report.instances.flatMap((one) => instanceLines(one, localTime)),
    [],
    ...groups,
    ...report.instances.flatMap(statementLines),
    [styled(VERDICT_STYLE[verdict], VERDICT_TEXT[verdict])],
    ...(report.record === null || report.instances.every((one) => one.recorded.coordinates === null)
      ? []
      : [["How to go on from it: ", styled("command", commandsCommand(report))]] as Line[]),
  ];
}

function commandsCommand({ datadir }: VerifyReport): string {
  const image = datadir === null ? "" : ` --datadir ${shellWord(datadir)}`;
  return `locktables verify --commands${image}`;
}

function windowLines(
  { record, recordPath }: VerifyReport,
  localTime: (moment: string) => string,
): Line[] {
  if (record === null) return [[`No record at ${recordPath}.`]];
  const { window_id, caller, locked_at, opened_at, phase, locktables_version } = record;
  return [[
    `Window ${window_id} of ${localTime(locked_at ?? opened_at)}${
      caller === null ? "" : ` for ${caller}`
    }, ${phase} when the image was taken (locktables ${locktables_version}).`,
  ]];
}

function instanceLines(
  { recorded, server, socket, tables }: VerifiedInstance,
  localTime: (moment: string) => string,
): Line[] {
  const promised = recorded.coordinates === null
    ? "no coordinates"
    : [describePosition(recorded.coordinates), ...gtidOf(recorded)].join(", ");
  return [
    [`${recorded.name}: ${recorded.label} on ${recorded.hostname}, promised up to ${promised}.`],
    ...(server === null ? [] : [[
      `  ${server.label} at ${socket ?? ""}, started ${
        localTime(new Date(server.startedMs).toISOString())
      }${server.recoveryMs === null ? "" : `, ready after ${seconds(server.recoveryMs)}`}; now at ${
        describePosition(server.coordinates)
      }.`,
    ]]),
    ...(tables === null ? [] : [[
      `  ${tables.checked} of ${tables.total} tables checked in ${seconds(tables.tookMs)}.`,
    ]]),
  ];
}

function gtidOf({ coordinates }: InstanceRecord): string[] {
  const gtid = coordinates?.gtid["gtid_binlog_pos"] || coordinates?.gtid["gtid_executed"];
  return gtid === undefined || gtid === "" ? [] : [`GTID ${gtid}`];
}

function findingLines({ code, title, remedy, instance }: VerifyFinding): Line[] {
  const line: Line = [
    `  ${instance === null ? "" : `${instance}: `}${title} `,
    styled("aside", `[${code}]`),
  ];
  return remedy === null ? [line] : [line, ["      ", styled("command", remedy)]];
}

function statementLines({ recorded, statements }: VerifiedInstance): Line[] {
  if (statements.length === 0) return [];
  return [
    [styled("heading", `Asked of ${recorded.name}, and can be asked again:`)],
    ...statements.map((one): Line => ["  ", styled("aside", one)]),
    [],
  ];
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** What `--commands` prints: every way on from each server, as a shell takes it. */
export function commandLines(instances: readonly Pick<VerifiedInstance, "recorded">[]): Line[] {
  const lines: Line[] = instances.flatMap(({ recorded }) => {
    const ways: readonly WayOn[] = waysOn(recorded);
    return ways.flatMap(({ title, lines }): Line[] => [
      [styled("heading", `## ${recorded.name}: ${title}`)],
      ...lines.map((line): Line => [
        styled(line.startsWith("#") ? "aside" : "command", line),
      ]),
      [],
    ]);
  });
  return lines.length > 0 ? lines : [["# The record has no coordinates to go on from."]];
}
