/** metrics: what the textfile has, with the window of now. Only looks. */
import { systemClock } from "../base/clock.ts";
import { privacyNow, RUN_DIRECTORY, STATE_DIRECTORY } from "../base/private_directory.ts";
import { complainOf, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal } from "../base/refusal.ts";
import { VERSION } from "../base/version.ts";
import { readWindowState } from "../locker/read_status.ts";
import { metricsText } from "../outlets/prometheus.ts";
import { readTotals } from "../outlets/totals_file.ts";
import { rootAlone } from "./root_alone.ts";

/** Longest wait for the locker, in milliseconds. */
const STATUS_LIMIT_MS = 2_000;

/** Prints the metrics. */
export async function metrics(): Promise<ExitCode> {
  Deno.permissions.revokeSync({ name: "run" }); // starts no program
  const refused = rootAlone("metrics") ??
    [RUN_DIRECTORY, STATE_DIRECTORY].map(privacyNow).find(isRefusal);
  if (refused !== undefined) return await complainOf(refused);
  const { window } = await readWindowState(systemClock.now(), STATUS_LIMIT_MS);
  await sayAll(metricsText(readTotals(), { version: VERSION, isOpen: window !== null }));
  return EXIT.ok;
}
