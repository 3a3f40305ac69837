/** status: the window now, and the last one. Only looks. */
import { plainJson } from "../base/plain_text.ts";
import { readWindowState } from "../locker/read_status.ts";
import { complainOf, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal } from "../base/refusal.ts";
import { statusText } from "../window/status_text.ts";
import { privacyNow, RUN_DIRECTORY, STATE_DIRECTORY } from "../base/private_directory.ts";
import { rfc3339, systemClock } from "../base/clock.ts";
import { SCHEMA_VERSION } from "../window/record.ts";
import { textOf } from "../base/styled.ts";
import { localTime, terminalPaint } from "./terminal.ts";

/** Longest wait for the locker, in milliseconds. */
const STATUS_LIMIT_MS = 2_000;

/** Prints the window now and the last one. */
export async function status(asJson: boolean): Promise<ExitCode> {
  Deno.permissions.revokeSync({ name: "run" }); // starts no program
  const untrusted = [RUN_DIRECTORY, STATE_DIRECTORY].map(privacyNow).find(isRefusal);
  if (untrusted !== undefined) return await complainOf(untrusted);
  const now = systemClock.now();
  const { locker, window, last } = await readWindowState(now, STATUS_LIMIT_MS);
  if (asJson) {
    const object = { schema_version: SCHEMA_VERSION, now: rfc3339(now), locker, window, last };
    await sayAll(plainJson(object, 2));
  } else {
    await sayAll(textOf(statusText(window, last, localTime), terminalPaint()));
    if (locker === "no-answer") await sayAll("The locker does not answer.");
  }
  return EXIT.ok;
}
