/** Why a window was not good, and what to do about it. Pure. */
import type { WindowRecord } from "./record.ts";
import { closedLine, whatHappened, whatToDo } from "./text.ts";

/** In one sentence. */
export function whyOf(record: WindowRecord): string {
  const { outcome, reason, detail, was_held } = record;
  if (outcome === null) {
    return "Never closed on this disk: an image taken inside the window, or the machine went down in it";
  }
  if (outcome === "released") return closedLine(record);
  if (was_held && outcome !== "aborted") return `The lock ${whatHappened(record)}`;
  const how = reason === outcome ? outcome : `${outcome} (${reason})`;
  return detail === null ? how : `${how}: ${detail}`;
}

/** With a command, where there is one. */
export function remedyOf(record: WindowRecord): string {
  if (record.outcome === null) {
    return "Run a rehearsal to see whether all is well: locktables rehearse";
  }
  return record.hint ?? whatToDo(record);
}
