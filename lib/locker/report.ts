/** What the locker sends to the outlets, when everything of its window is over. */
import { rfc3339 } from "../base/clock.ts";
import type { Refusal } from "../base/refusal.ts";
import { sleep } from "../base/sleep.ts";
import type { PreFreezeLink } from "./freeze_link.ts";
import type { LockerPorts } from "./ports.ts";
import type { LockerRequest, LockerRun } from "./run.ts";

/**
 * How long the hook's own end is given before a report begins: on a busy guest with one processor
 * the start of another process would be in the way of its exit.
 */
const AFTER_HOOK_MS = 250;

/** Reports a window that is closed. */
export async function reportWindow(run: LockerRun, refusal: Refusal | null): Promise<void> {
  await run.ports.report({ kind: "window", record: run.record(), refusal });
}

/** Reports when the hook that heard the end has gone. Everything but the report is done. */
export async function reportAfterHook(
  { preFreeze }: { readonly preFreeze: PreFreezeLink },
  report: () => Promise<void>,
): Promise<void> {
  preFreeze.hangUp();
  await sleep(AFTER_HOOK_MS);
  await report();
}

/** Reports a refusal before there was a window; that of a rehearsal is on the screen. */
export async function reportRefusal(
  { report, clock }: Pick<LockerPorts, "report" | "clock">,
  request: Pick<LockerRequest, "caller" | "isRehearsal" | "preFreeze">,
  refusal: Refusal,
): Promise<void> {
  const { caller, isRehearsal } = request;
  if (isRehearsal) return;
  const at = rfc3339(clock.now());
  await reportAfterHook(request, () => report({ kind: "refusal", at, caller, refusal }));
}
