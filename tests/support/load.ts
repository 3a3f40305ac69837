/** Limits of time on a machine that has other things to do as well. */

/** No limit is stretched further: a machine that is slower than this shows nothing any more. */
const STRETCH_MAX = 10;

/**
 * How much longer than on an idle machine something may take just now. By the processes that want
 * a processor: over the last minute, and at this moment, because the minute's average comes late.
 */
export function stretch(
  loadavg: string = Deno.readTextFileSync("/proc/loadavg"),
  processors: number = navigator.hardwareConcurrency,
): number {
  const [, lastMinute = "0", now = "0"] = /^([\d.]+) \S+ \S+ (\d+)\//.exec(loadavg) ?? [];
  return Math.min(STRETCH_MAX, 1 + Math.max(Number(lastMinute), Number(now)) / processors);
}

/** From here on a program is not run often enough to keep a limit of its own; one that says so is right. */
const STARVED_STRETCH = 7;

/** Whether the machine has so much else to do that a program's own limits come first. */
export function isStarved(): boolean {
  return stretch() > STARVED_STRETCH;
}

/**
 * A limit with its slack stretched. To be asked when the time is over, not before: the load is known
 * then. What a product promises in seconds (`hold_timeout`) stays outside; this is for the overhead.
 */
export function underLoad(ms: number): number {
  return ms * stretch();
}
