/** A defect on the way. */
import { defectText } from "../base/plain_text.ts";
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";

/** Reported like a refusal, because the lock must still be released. */
export function defect(error: unknown): Refusal {
  return refusal(
    EXIT.defect,
    "defect",
    defectText(error),
    "Report it, with the output of locktables status --json",
  );
}
