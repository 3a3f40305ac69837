/** How a refused setting is worded: where it stands, what it is, and what is expected instead. */
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { type OptionLine, place, shown } from "./option_file.ts";

/** The refusal of a setting. `remedy`: a command that can be run as it stands, or none. */
export function refuse(summary: string, hint: string, remedy: string | null): Refusal {
  return refusal(EXIT.badSetup, "bad-setting", summary, hint, remedy);
}

/** Without a remedy: a second server's socket, which is not known here. */
export function badValue(
  option: OptionLine,
  wanted: string,
  hint: string,
  remedy: string | null = null,
): Refusal {
  const current = option.value === null
    ? "has no value"
    : option.value === ""
    ? "is empty"
    : `is ${shown(option.value)}`;
  return refuse(`Bad setting ${placed(option)} ${current}; expected ${wanted}`, hint, remedy);
}

/** `FILE:LINE: key`, the key as written. */
export function placed(option: OptionLine): string {
  return `${place(option)}: ${shown(option.rawKey)}`;
}

/** The values that are accepted, in words. */
export function oneOf(values: readonly string[]): string {
  return values.length === 1 ? values[0]! : `one of ${values.join(", ")}`;
}
