/** The settings of this guest. */
import { OPTION_FILE } from "../base/paths.ts";
import { isRefusal, type Refusal } from "../base/refusal.ts";
import { type OptionWarning, readOptionFile } from "./option_file.ts";
import { optionFileReader } from "./reader.ts";
import { type Settings, settingsFrom } from "./settings.ts";

/**
 * Reads the option file, waiting on the main thread.
 * @param defaultFreezeTimeoutMs default of `freeze_timeout`, in milliseconds, where a caller has its own
 */
export function readGuestSettings(
  defaultFreezeTimeoutMs?: number,
): { settings: Settings; warnings: OptionWarning[] } | Refusal {
  const file = readOptionFile(optionFileReader, OPTION_FILE);
  return isRefusal(file) ? file : settingsFrom(file, defaultFreezeTimeoutMs);
}
