/** A window drawn as bars, one below the other, as `systemd-analyze plot` does for a boot. Pure. */
import { type Line, type Style, styled } from "../base/styled.ts";
import { type FrozenFacts, frozenSpan } from "./frozen_span.ts";

/** A part of a window, in milliseconds since it was opened. */
export interface Bar {
  readonly label: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** Whether writers go on in it, or wait; or whether it is the freeze of the disks. */
  readonly kind: "runs" | "stops" | "frozen";
}

/** How wide the longest bar is: with its label and its times a line fits a plain terminal. */
const WIDTH = 40;

/** The parts by the phases that they begin with; a phase that is not here goes on with the one before. */
const PARTS: Readonly<Record<string, Pick<Bar, "label" | "kind">>> = {
  "preparing": { label: "preparing", kind: "runs" },
  "locking": { label: "waiting for the lock", kind: "stops" },
  "not granted": { label: "pause", kind: "runs" },
  "securing": { label: "locked, writing out", kind: "stops" },
  "held": { label: "locked for the snapshot", kind: "stops" },
  "releasing": { label: "releasing", kind: "stops" },
  "settling": { label: "waiting for post-thaw", kind: "runs" },
  "closed": { label: "closed", kind: "runs" },
};

/** The parts of a window, from its timeline; and the freeze of the disks, where one was seen. */
export function barsOf(record: FrozenFacts): Bar[] {
  const { timeline } = record;
  const points = timeline.flatMap(({ at_ms, event }) => {
    const part = PARTS[event.replace(/ \(.*$/, "")];
    return part === undefined ? [] : [{ ...part, at_ms }];
  });
  const end = timeline.at(-1)?.at_ms ?? 0;
  const bars = points.flatMap(({ label, kind, at_ms }, at): Bar[] => {
    const toMs = points[at + 1]?.at_ms ?? end;
    // What took no time at all is no part of the picture.
    return label === "closed" || toMs <= at_ms ? [] : [{ label, kind, fromMs: at_ms, toMs }];
  });
  const span = frozenSpan(record);
  if (span === null || span.toMs <= span.fromMs) return bars;
  const { fromMs, toMs } = span;
  const frozen: Bar = { label: "disks frozen", kind: "frozen", fromMs, toMs };
  const after = bars.filter((bar) => bar.fromMs > fromMs);
  return [...bars.slice(0, bars.length - after.length), frozen, ...after];
}

/** How each kind is drawn. */
const DRAWN: Readonly<Record<Bar["kind"], readonly [character: string, style: Style]>> = {
  runs: ["=", "good"],
  stops: ["#", "warning"],
  frozen: ["*", "command"],
};

/** The picture: `#` where writers wait, `=` where they do not, `*` while the disks are frozen. */
export function barsText(record: FrozenFacts): Line[] {
  const bars = barsOf(record);
  const end = Math.max(...bars.map(({ toMs }) => toMs), 0);
  if (end === 0) return [];
  const column = (ms: number) => Math.min(WIDTH - 1, Math.floor((ms / end) * WIDTH));
  const labelWidth = Math.max(...bars.map(({ label }) => label.length));
  return bars.map(({ label, fromMs, toMs, kind }): Line => {
    const from = column(fromMs);
    // The shortest is seen, too.
    const length = Math.max(1, Math.round((toMs / end) * WIDTH) - from);
    const [character, style] = DRAWN[kind];
    return [
      `  ${label.padEnd(labelWidth)}  ${" ".repeat(from)}`,
      styled(style, character.repeat(length)),
      `${" ".repeat(WIDTH - from - length)}  ${((toMs - fromMs) / 1_000).toFixed(3).padStart(8)} s`,
    ];
  });
}
