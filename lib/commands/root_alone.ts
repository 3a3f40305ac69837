/** Commands that are for root alone. */
import { effectiveUser } from "../base/look.ts";
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";

/** The refusal of another user; undefined for root. `why`: what needs root. */
export function rootAlone(
  command: string,
  why = "to whom the records belong",
): Refusal | undefined {
  const user = effectiveUser();
  return user === 0 ? undefined : refusal(
    EXIT.badSetup,
    "not-root",
    `${command} runs as the user ${user}; expected root, ${why}`,
    `Run: sudo locktables ${command}`,
  );
}
