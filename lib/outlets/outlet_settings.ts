/** The settings of the outlets, read for each report. */
import { atMost } from "../base/at_most.ts";
import { OPTION_FILE } from "../base/paths.ts";
import { isRefusal } from "../base/refusal.ts";
import { DEFAULT_OUTLETS, type OutletSettings } from "../options/own_settings.ts";
import { readGuestSettings } from "../options/read_settings.ts";

/** How long the option file's disk is waited for: a report is not to be late for want of it. */
const OPTION_FILE_LIMIT_MS = 1_000;

/** Those of the option file; the usual ones where it cannot be used, which pre-freeze has refused. */
export async function outletSettings(): Promise<OutletSettings> {
  // On the pool; reading it waits on the main thread.
  const looking = Deno.stat(OPTION_FILE).then(() => true, () => true);
  if (!await atMost(looking, OPTION_FILE_LIMIT_MS, false)) return DEFAULT_OUTLETS;
  const read = readGuestSettings();
  return isRefusal(read) ? DEFAULT_OUTLETS : read.settings.outlets;
}
