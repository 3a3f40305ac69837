/** What `status` says: the window now, and the last one. Pure. */
import { aligned, type Line, type Row, styled } from "../base/styled.ts";
import { instanceText } from "./text.ts";
import type { WindowRecord } from "./record.ts";
import type { Verdict } from "./verdict.ts";

/** A moment of a record, for people. */
export type TimeText = (moment: string) => string;

/** The window that is open, or that none is; and the last one. */
export function statusText(
  window: WindowRecord | null,
  last: WindowRecord | null,
  time: TimeText,
): Line[] {
  return [
    ...(window === null ? [["No window is open."]] : openText(window, time)),
    [],
    ...(last === null ? [["No window before."]] : windowText("Last window", last, time)),
  ];
}

function openText(window: WindowRecord, time: TimeText): Line[] {
  return [
    [styled("heading", `A window is open: ${window.phase}`)],
    ...aligned([
      openedRow(window, time),
      ...(window.locked_at === null ? [] : [["locked", time(window.locked_at)] satisfies Row]),
      ...(window.detail === null ? [] : [["waits for", window.detail] satisfies Row]),
      ...releaseRows(window, time),
      ...window.instances.map(({ name, label, method_reason }): Row => [
        name,
        `${label}, ${method_reason}`,
      ]),
      ...warningRows(window),
    ]),
  ];
}

/** When the lock will be released, or was: what is awaited then is the thaw hook. */
function releaseRows({ released_at, released_by, deadline }: WindowRecord, time: TimeText): Row[] {
  if (released_at !== null) {
    return [["released", `${time(released_at)} (${released_by}), waits for the thaw hook`]];
  }
  return deadline === null ? [] : [["release", `automatically at ${time(deadline)}`]];
}

/** One window that is not open, below a heading. */
export function windowText(heading: string, last: WindowRecord, time: TimeText): Line[] {
  return [
    [styled("heading", heading)],
    ...aligned([
      ["verdict", ...verdictParts(last)],
      openedRow(last, time),
      ...(last.held_ms === null ? [] : [["held", `${last.held_ms} ms`] satisfies Row]),
      ...(last.detail === null ? [] : [["why", last.detail] satisfies Row]),
      ...last.instances.map((one): Row => [one.name, instanceText(one)]),
      ...warningRows(last),
    ]),
  ];
}

function verdictParts({ outcome, reason, verdict }: WindowRecord): Line {
  if (outcome === null || verdict === null) {
    return [
      styled("warning", "none"),
      ": never closed on this disk; it is an image taken inside that window, or the machine went down in it",
    ];
  }
  return [verdictPart(verdict), ` (${outcome}, ${reason})`];
}

/** A verdict, as good or as bad as it is. */
export function verdictPart(verdict: Verdict) {
  return styled(verdict === "application-consistent" ? "good" : "error", verdict);
}

function openedRow(record: WindowRecord, time: TimeText): Row {
  return ["opened", `${time(record.opened_at)}${byWhom(record)}`];
}

/** Who opened a window, after a comma; empty where it is not known. */
export function byWhom({ caller, is_rehearsal }: WindowRecord): string {
  return is_rehearsal ? ", by rehearse" : caller === null ? "" : `, by ${caller}`;
}

function warningRows({ warnings }: WindowRecord): Row[] {
  return warnings.map((text) => ["warning", styled("warning", text)]);
}
