/** A report as one entry of the journal, or one line of syslog. Pure. */
import { plainLine } from "../base/plain_text.ts";
import { describePosition } from "../window/coordinates.ts";
import type { WindowRecord } from "../window/record.ts";
import type { Report } from "../window/report.ts";
import { closedLine, unseenLine } from "../window/text.ts";
import { isUnseenEnd } from "../window/verdict.ts";

/** How bad it is, by syslog's names and numbers. */
export const PRIORITY = { err: 3, warning: 4, info: 6 } as const;
export type PriorityName = keyof typeof PRIORITY;

/** What kind of entry it is, for `journalctl MESSAGE_ID=…`; never changed, listed in docs/monitoring.md. */
const MESSAGE_IDS = {
  good: "b67506d230da44ae96ec831a7bd40327",
  bad: "4ab7e55618cd4dcba03f5a62871a2f1e",
  refused: "a746aad01db849b49baf1e17eccc2a39",
} as const;

/** One entry. */
export interface JournalEntry {
  readonly priority: PriorityName;
  readonly message: string;
  /** Fields of the journal beside the message; their names as they are written. */
  readonly fields: Readonly<Record<string, string>>;
}

/** The entry of a report. */
export function journalEntry(report: Report): JournalEntry {
  if (report.kind === "refusal") {
    return {
      priority: "err",
      message: refusedLine(report.refusal) + byWhom(report.caller),
      fields: {
        MESSAGE_ID: MESSAGE_IDS.refused,
        ...given({ CALLER: report.caller }),
        LOCKTABLES_EXIT_CODE: String(report.refusal.code),
        LOCKTABLES_REASON: report.refusal.reason,
      },
    };
  }
  const { record, refusal } = report;
  const isGood = record.verdict === "application-consistent";
  return {
    priority: priorityOf(record),
    message: (record.is_rehearsal ? "Rehearsal: " : "") +
      (refusal === null ? endLine(record) : refusedLine(refusal)) + byWhom(record.caller),
    fields: {
      MESSAGE_ID: refusal !== null
        ? MESSAGE_IDS.refused
        : isGood
        ? MESSAGE_IDS.good
        : MESSAGE_IDS.bad,
      ...given({
        WINDOW_ID: record.window_id,
        VERDICT: record.verdict,
        OUTCOME: record.outcome,
        REASON: refusal?.reason ?? record.reason,
        CALLER: record.caller,
        HELD_MS: record.held_ms,
        COORDINATES: coordinatesText(record),
        EXIT_CODE: refusal?.code ?? null,
        REHEARSAL: record.is_rehearsal ? 1 : null,
      }),
    },
  };
}

/** A caller knows that it gave up its snapshot; it does not know that its script was killed. */
function priorityOf(record: WindowRecord): PriorityName {
  if (record.verdict === "application-consistent") return "info";
  return record.is_rehearsal || record.reason === "freeze-failed" ? "warning" : "err";
}

/** The entry as `logger --journald` reads it: a field a line. */
export function journalText({ priority, message, fields }: JournalEntry): string {
  const all = {
    MESSAGE: message,
    PRIORITY: String(PRIORITY[priority]),
    SYSLOG_IDENTIFIER: TAG,
    ...fields,
  };
  return Object.entries(all).map(([name, value]) => `${name}=${plainLine(value)}\n`).join("");
}

/** The name under which everything is logged. */
export const TAG = "locktables";

function endLine(record: WindowRecord): string {
  if (isUnseenEnd(record)) return unseenLine(record);
  return record.was_held
    ? closedLine(record)
    : `Nothing was locked: pre-freeze ended before it confirmed the lock (${record.reason})`;
}

function refusedLine(
  { code, summary, hint }: {
    readonly code: number;
    readonly summary: string;
    readonly hint: string;
  },
): string {
  return `pre-freeze refused (exit ${code}), the image is not quiesced: ${summary}. ${hint}`;
}

function byWhom(caller: string | null): string {
  return caller === null ? "" : ` [${caller}]`;
}

function coordinatesText({ instances }: WindowRecord): string | null {
  const all = instances.flatMap(({ name, coordinates }) =>
    coordinates === null ? [] : [`${name}=${describePosition(coordinates)}`]
  );
  return all.length === 0 ? null : all.join(" ");
}

/** Fields with our prefix; those without a value are left out. */
function given(fields: Readonly<Record<string, string | number | null>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) =>
      value === null ? [] : [[`LOCKTABLES_${name}`, String(value)]]
    ),
  );
}
