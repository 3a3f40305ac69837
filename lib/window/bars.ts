/** A window drawn as bars, one below the other, as `systemd-analyze plot` does for a boot. Pure. */
import { type Line, styled } from "../base/styled.ts";
import type { TimelineEntry } from "./record.ts";

/** A part of a window, in milliseconds since it was opened. */
export interface Bar {
  readonly label: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** Whether writers wait in it. */
  readonly stops: boolean;
}

/** How wide the longest bar is: with its label and its times a line fits a plain terminal. */
const WIDTH = 40;

/** The parts by the phases that they begin with; a phase that is not here goes on with the one before. */
const PARTS: Readonly<Record<string, Pick<Bar, "label" | "stops">>> = {
  "preparing": { label: "preparing", stops: false },
  "locking": { label: "waiting for the lock", stops: true },
  "not granted": { label: "pause", stops: false },
  "securing": { label: "locked, writing out", stops: true },
  "held": { label: "locked for the snapshot", stops: true },
  "releasing": { label: "releasing", stops: true },
  "settling": { label: "waiting for post-thaw", stops: false },
  "closed": { label: "closed", stops: false },
};

/** The parts of a window, from its timeline. */
export function barsOf(timeline: readonly TimelineEntry[]): Bar[] {
  const points = timeline.flatMap(({ at_ms, event }) => {
    const part = PARTS[event.replace(/ \(.*$/, "")];
    return part === undefined ? [] : [{ ...part, at_ms }];
  });
  const end = timeline.at(-1)?.at_ms ?? 0;
  return points.flatMap(({ label, stops, at_ms }, at) => {
    const toMs = points[at + 1]?.at_ms ?? end;
    // What took no time at all is no part of the picture.
    return label === "closed" || toMs <= at_ms ? [] : [{ label, stops, fromMs: at_ms, toMs }];
  });
}

/** The picture: `#` where writers wait, `=` where they do not. */
export function barsText(timeline: readonly TimelineEntry[]): Line[] {
  const bars = barsOf(timeline);
  const end = Math.max(...bars.map(({ toMs }) => toMs), 0);
  if (end === 0) return [];
  const column = (ms: number) => Math.min(WIDTH - 1, Math.floor((ms / end) * WIDTH));
  const labelWidth = Math.max(...bars.map(({ label }) => label.length));
  return bars.map(({ label, fromMs, toMs, stops }): Line => {
    const from = column(fromMs);
    // The shortest is seen, too.
    const length = Math.max(1, Math.round((toMs / end) * WIDTH) - from);
    const drawn = (stops ? "#" : "=").repeat(length);
    return [
      `  ${label.padEnd(labelWidth)}  ${" ".repeat(from)}`,
      styled(stops ? "warning" : "good", drawn),
      `${" ".repeat(WIDTH - from - length)}  ${((toMs - fromMs) / 1_000).toFixed(3).padStart(8)} s`,
    ];
  });
}
