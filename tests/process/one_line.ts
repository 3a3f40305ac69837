import { ScriptError } from "../../scripts/shell.ts";

/** Whether an error is one clear line that has all the given parts. */
export function isOneLineWith(...parts: readonly string[]): (error: unknown) => boolean {
  return (error) =>
    error instanceof ScriptError && !error.message.includes("\n") &&
    parts.every((part) => error.message.includes(part));
}
