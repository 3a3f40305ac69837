/** history: the windows so far. Only looks. */
import { rfc3339, systemClock } from "../base/clock.ts";
import { plainJson } from "../base/plain_text.ts";
import { privacyNow, STATE_DIRECTORY } from "../base/private_directory.ts";
import { complain, complainOf, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal } from "../base/refusal.ts";
import { textOf } from "../base/styled.ts";
import { historyBackwards } from "../outlets/history.ts";
import { chosenWindows, historyText, oneWindowText, windowNamed } from "../outlets/history_text.ts";
import { SCHEMA_VERSION } from "../window/record.ts";
import { rootAlone } from "./root_alone.ts";
import { localTime, terminalPaint } from "./terminal.ts";

/** Which windows to show, and how. */
export interface HistoryOptions {
  /** How long ago the first of them was opened at most; null: all. */
  readonly sinceMs: number | null;
  readonly caller: string | null;
  readonly asJson: boolean;
  /** One window alone: the beginning of its id, or `last`. */
  readonly window: string | null;
}

/** Prints the closed windows, the oldest first. */
export async function history(
  { sinceMs, caller, asJson, window }: HistoryOptions,
): Promise<ExitCode> {
  Deno.permissions.revokeSync({ name: "run" }); // starts no program
  const privacy = rootAlone("history") ?? privacyNow(STATE_DIRECTORY);
  if (isRefusal(privacy)) return await complainOf(privacy);
  const now = systemClock.now();
  const chosen = chosenWindows([...historyBackwards()].reverse(), {
    sinceMs: sinceMs === null ? null : now.wallMs - sinceMs,
    caller,
  });
  const one = window === null ? null : windowNamed(chosen, window);
  if (typeof one === "string") {
    await complain(`${one} See: locktables history`);
    return EXIT.usage;
  }
  const windows = one === null ? chosen : [one];
  const text = () => one === null ? historyText(windows, localTime) : oneWindowText(one, localTime);
  await sayAll(
    asJson
      ? plainJson({ schema_version: SCHEMA_VERSION, now: rfc3339(now), windows }, 2)
      : textOf(text(), terminalPaint()),
  );
  return EXIT.ok;
}
