/** What the operator's own program gets of a report: one JSON object. Pure. */
import { type Instant, rfc3339 } from "../base/clock.ts";
import type { WindowRecord } from "../window/record.ts";
import { isOfImage, type Report } from "../window/report.ts";
import { journalEntry } from "./journal_entry.ts";

/** Version of this shape. */
const NOTICE_VERSION = 1;

/** The object. */
export interface Notice {
  readonly schema_version: typeof NOTICE_VERSION;
  readonly at: string;
  /** `window`: one ended; `refusal`: pre-freeze was refused before there was one; `test`: none of both. */
  readonly event: "window" | "refusal" | "test";
  /** The sentence that the journal has. */
  readonly message: string;
  readonly caller: string | null;
  readonly verdict: string;
  readonly reason: string | null;
  /** Of pre-freeze, where it was refused. */
  readonly exit_code: number | null;
  readonly record: WindowRecord | null;
}

/** The notice of a report; null where the operator has nothing to do. */
export function noticeOf(report: Report, now: Instant): Notice | null {
  const { message } = journalEntry(report);
  const at = rfc3339(now);
  if (report.kind === "refusal") {
    const { caller, refusal } = report;
    return {
      schema_version: NOTICE_VERSION,
      at,
      event: "refusal",
      message,
      caller,
      verdict: "not-quiesced",
      reason: refusal.reason,
      exit_code: refusal.code,
      record: null,
    };
  }
  const { record, refusal } = report;
  if (!isOfImage(report) || record.verdict === "application-consistent") return null;
  return {
    schema_version: NOTICE_VERSION,
    at,
    event: "window",
    message,
    caller: record.caller,
    verdict: record.verdict ?? "none",
    reason: refusal?.reason ?? record.reason,
    exit_code: refusal?.code ?? null,
    record,
  };
}

/** A notice of nothing, to try the program out. */
export function testNotice(now: Instant): Notice {
  return {
    schema_version: NOTICE_VERSION,
    at: rfc3339(now),
    event: "test",
    message: "A test of locktables check --notify: no window ended",
    caller: null,
    verdict: "none",
    reason: null,
    exit_code: null,
    record: null,
  };
}
