/** When the filesystems of the servers were frozen, on a window's own time. Pure. */
import type { WindowRecord } from "./record.ts";

/** What is asked of a record; one of an earlier version does not have the two. */
export type FrozenFacts = Pick<WindowRecord, "opened_at" | "timeline"> & {
  readonly filesystems_frozen_at?: string | null;
  readonly filesystems_thawed_at?: string | null;
};

/** In milliseconds since the window was opened. */
export interface FrozenSpan {
  readonly fromMs: number;
  readonly toMs: number;
  /** Whether a thaw was seen; without one the span ends where the window does. */
  readonly isOver: boolean;
}

/** The freeze that the sensor saw; null where it saw none. */
export function frozenSpan(record: FrozenFacts): FrozenSpan | null {
  const { opened_at, timeline, filesystems_frozen_at, filesystems_thawed_at } = record;
  if (filesystems_frozen_at === undefined || filesystems_frozen_at === null) return null;
  const at = (moment: string) => Date.parse(moment) - Date.parse(opened_at);
  const fromMs = at(filesystems_frozen_at);
  const toMs = typeof filesystems_thawed_at === "string"
    ? at(filesystems_thawed_at)
    : timeline.at(-1)?.at_ms ?? fromMs;
  // The wall clock may have been set back between the two.
  if (fromMs < 0 || toMs < fromMs) return null;
  return { fromMs, toMs, isOver: typeof filesystems_thawed_at === "string" };
}

/** For how long they were frozen; null where no whole freeze was seen. */
export function frozenMs(record: FrozenFacts): number | null {
  const span = frozenSpan(record);
  return span === null || !span.isOver ? null : span.toMs - span.fromMs;
}
