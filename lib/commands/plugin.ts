/** A command that a monitor calls as its plugin: whatever happens, one line on stdout says so. */
import { sayAll } from "../base/print.ts";
import { PLUGIN_STATE, type PluginState } from "../base/plugin_state.ts";
import { unknownLine } from "../outlets/nagios.ts";

/** Whether a command line is a plugin's. */
export function isPluginCall([name, ...rest]: readonly string[]): boolean {
  return name === "status" && rest.includes("--nagios");
}

/** Says that nothing could be judged; a monitor reads neither our exit codes nor stderr. */
export async function sayUnknown(why: string): Promise<PluginState> {
  await sayAll(unknownLine(why));
  return PLUGIN_STATE.unknown;
}
