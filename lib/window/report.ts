/** What is reported of a call of pre-freeze, once it is over: to the journal, to monitors. Pure. */
import type { Refusal } from "../base/refusal.ts";
import type { WindowRecord } from "./record.ts";

/** One report; it travels as JSON. */
export type Report =
  /** A window is closed. */
  | {
    readonly kind: "window";
    readonly record: WindowRecord;
    /** Why pre-freeze was refused; null where it was not. */
    readonly refusal: Refusal | null;
  }
  /** pre-freeze was refused before there was a window. */
  | {
    readonly kind: "refusal";
    readonly at: string;
    readonly caller: string | null;
    readonly refusal: Refusal;
  };

/** Whether an image was to be taken: what monitors count. */
export function isOfImage(report: Report): boolean {
  return report.kind === "refusal" || !report.record.is_rehearsal;
}
