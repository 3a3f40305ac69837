/** A defect on the way. */
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";

/** Reported like a refusal, because the lock must still be released. */
export function defect(error: unknown): Refusal {
  return refusal(
    EXIT.defect,
    "defect",
    `A defect in locktables: ${(error as { stack?: unknown })?.stack ?? String(error)}`
      .replaceAll(/\s*\n\s*/g, " "),
    "Report it, with the output of locktables status --json",
  );
}
