/** What `rehearse` says: the window as a timeline, and what it cost. Pure. */
import { aligned, type Line, type Row, styled } from "../base/styled.ts";
import type { WindowRecord } from "./record.ts";
import { verdictPart } from "./status_text.ts";

/** What a rehearsal showed. */
export interface Rehearsal {
  readonly record: WindowRecord;
  /** From the lock statement to the release: no writer waited longer for it than this. */
  readonly stall_ms: number;
  /** Most sessions seen waiting for the lock at one moment; null where that could not be seen. */
  readonly most_waiting: number | null;
  /**
   * How many statements were seen to wait for the lock and to end while it was held: they failed,
   * because nothing is granted under it. Null where that could not be seen; at least so many, since
   * one that came and went between two looks is not among them.
   */
  readonly gave_up: number | null;
}

/** The timeline, then the verdict and the cost. */
export function rehearsalText({ record, stall_ms, most_waiting, gave_up }: Rehearsal): Line[] {
  const { verdict, outcome } = record;
  return [
    ...record.timeline.map(({ at_ms, event }): Line => [
      `${at_ms.toFixed(1).padStart(10)} ms  ${event}`,
    ]),
    [],
    ...aligned([
      ["verdict", verdict === null ? "none" : verdictPart(verdict), ` (${outcome})`],
      ["writers", `stopped for ${stall_ms} ms, from the lock to the release`],
      [
        "waiting",
        most_waiting === null
          ? "could not be counted"
          : `${most_waiting} ${most_waiting === 1 ? "session" : "sessions"} at most, at one moment`,
      ],
      ...(gave_up === null || gave_up === 0 ? [] : [
        [
          "failed",
          styled(
            "warning",
            `at least ${gave_up} statements that waited: they were killed, or lock_wait_timeout is shorter than the hold`,
          ),
        ] satisfies Row,
      ]),
    ]),
  ];
}
