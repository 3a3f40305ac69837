/** What the locker sends to the outlets, when everything of its window is over. */
import { rfc3339 } from "../base/clock.ts";
import type { Refusal } from "../base/refusal.ts";
import type { LockerPorts } from "./ports.ts";
import type { LockerRequest, LockerRun } from "./run.ts";

/** Reports a window that is closed. */
export async function reportWindow(run: LockerRun, refusal: Refusal | null): Promise<void> {
  await run.ports.report({ kind: "window", record: run.record(), refusal });
}

/** Reports a refusal before there was a window; that of a rehearsal is on the screen. */
export async function reportRefusal(
  { report, clock }: Pick<LockerPorts, "report" | "clock">,
  { caller, isRehearsal }: Pick<LockerRequest, "caller" | "isRehearsal">,
  refusal: Refusal,
): Promise<void> {
  if (isRehearsal) return;
  await report({ kind: "refusal", at: rfc3339(clock.now()), caller, refusal });
}
