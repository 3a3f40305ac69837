/** Commands that read what is root's alone. */
import { effectiveUser } from "../base/look.ts";
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";

/** The refusal of another user; undefined for root. */
export function rootAlone(command: string): Refusal | undefined {
  const user = effectiveUser();
  return user === 0 ? undefined : refusal(
    EXIT.badSetup,
    "not-root",
    `${command} runs as the user ${user}; expected root, to whom the records belong`,
    `Run: sudo locktables ${command}`,
  );
}
