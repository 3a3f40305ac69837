/** Does pre-freeze go on when its caller has given up? Pure. */
import { formatDuration } from "../base/duration.ts";
import { type Caller, CALLER_TABLE } from "../callers/table.ts";
import { type Finding, finding } from "./finding.ts";

/**
 * Says it of each caller with hooks.
 * @param freezeTimeoutMs what the option file says; null where each caller has its own default
 */
export function callerLimitFindings(
  callers: readonly Caller[],
  freezeTimeoutMs: number | null,
): Finding[] {
  return callers.flatMap((caller) => {
    const { limitMs, limits } = CALLER_TABLE[caller];
    if (limitMs === null || freezeTimeoutMs === null || freezeTimeoutMs < limitMs) return [];
    return [finding(
      "freeze-timeout-long",
      `freeze_timeout is ${
        formatDuration(freezeTimeoutMs)
      }, and ${caller} does not wait so long, unless its own limit was raised, too: ${limits}. Without the option it is ${
        formatDuration(CALLER_TABLE[caller].freezeTimeoutMs)
      }`,
    )];
  });
}
