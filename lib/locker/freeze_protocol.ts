/**
 * What pre-freeze and the locker say to each other over the locker's stdin and
 * stdout: JSON lines one way, single words the other. The end of the locker's stdin means that
 * pre-freeze is gone; the end of its stdout that nothing is left of the window, or of the locker.
 */
import { type Caller, parseCaller } from "../callers/table.ts";
import type { Refusal } from "../base/refusal.ts";
import type { WindowRecord } from "../window/record.ts";

/** What the locker says. */
export type LockerMessage =
  /** The settings are good; from now on the locker keeps the time. */
  | {
    readonly event: "started";
    readonly freeze_timeout_ms: number;
    readonly on_failure: "abort" | "proceed";
    readonly warnings: readonly string[];
  }
  /** Every instance is locked and everything is on disk. Wants `accepted`. */
  | { readonly event: "frozen"; readonly record: WindowRecord }
  /** The acceptance came in time: the lock is promised from now on. pre-freeze exits 0. */
  | { readonly event: "held" }
  /** Nothing is locked; nothing of the locker is left but its exit. */
  | { readonly event: "refused"; readonly refusal: Refusal };

/** pre-freeze is there and will exit 0 once it receives `held`. */
export const ACCEPTED = "accepted";
/** pre-freeze received a signal to stop. */
export const CANCELLED = "cancelled";

/** What pre-freeze starts a locker with. */
export interface LockerStart {
  readonly caller: Caller | null;
  /** Whether `rehearse` opens the window, for no image. */
  readonly isRehearsal: boolean;
  /** When pre-freeze began, in milliseconds since 1970; null where it does not say so. */
  readonly beganMs: number | null;
}

/** The command line of a locker. */
export function lockerArguments({ caller, isRehearsal, beganMs }: LockerStart): string[] {
  return [
    "locker",
    ...beganMs === null ? [] : ["--began", String(Math.round(beganMs))],
    ...isRehearsal ? ["--rehearsal"] : [],
    ...caller === null ? [] : ["--caller", caller],
  ];
}

/** What a command line of {@linkcode lockerArguments} says; a caller may be a newer version's. */
export function parseLockerArguments(args: readonly string[]): LockerStart {
  const valueOf = (option: string) => {
    const at = args.indexOf(option);
    return at === -1 ? undefined : args[at + 1];
  };
  const beganMs = Number(valueOf("--began") ?? NaN);
  return {
    caller: parseCaller(valueOf("--caller")),
    isRehearsal: args.includes("--rehearsal"),
    beganMs: Number.isFinite(beganMs) ? beganMs : null,
  };
}
