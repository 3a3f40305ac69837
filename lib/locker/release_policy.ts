/** What the freezes and thaws of the filesystems mean for a caller. Pure. */
import { type Caller, CALLER_TABLE } from "../callers/table.ts";
import type { Settings } from "../options/settings.ts";

/**
 * How long after a thaw of the filesystems the hook of a caller that says nothing of it may come,
 * where `release=filesystem-thaw` is set: what VMware Tools need, the slowest that is known.
 */
const UNKNOWN_HOOK_AFTER_THAW_MS = 10_000;

/** Whether a freeze may be the caller's own: where that is not known, it may. */
export function mayCallerFreeze(release: Settings["release"], caller: Caller | null): boolean {
  return caller === null || release === "filesystem-thaw" ||
    CALLER_TABLE[caller].freezesFilesystems;
}

/**
 * Within how many milliseconds of the filesystems' thaw, which releases the lock, the thaw hook must
 * follow; null: a thaw of the filesystems releases nothing.
 */
export function hookAfterThawMs(
  release: Settings["release"],
  caller: Caller | null,
): number | null {
  const ofCaller = caller === null ? null : CALLER_TABLE[caller].hookAfterThawMs;
  switch (release) {
    case "auto":
      return ofCaller;
    case "thaw-hook":
      return null;
    case "filesystem-thaw":
      return ofCaller ?? UNKNOWN_HOOK_AFTER_THAW_MS;
    default:
      return release satisfies never;
  }
}
