/** history: the windows so far. Only looks. */
import { type Instant, rfc3339, systemClock } from "../base/clock.ts";
import { plainJson } from "../base/plain_text.ts";
import { privacyNow, STATE_DIRECTORY } from "../base/private_directory.ts";
import { complain, complainOf, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal } from "../base/refusal.ts";
import { textOf } from "../base/styled.ts";
import { VERSION } from "../base/version.ts";
import { historyBackwards, historyCompleteSince } from "../outlets/history.ts";
import { chosenWindows, historyText, oneWindowText, windowNamed } from "../outlets/history_text.ts";
import { SCHEMA_VERSION, type WindowRecord } from "../window/record.ts";
import { rootAlone } from "./root_alone.ts";
import { localTime, terminalPaint } from "./terminal.ts";

/** `2026-01-02`. */
const ISO_DATE_LENGTH = 10;

/** Which windows to show, and how. */
export interface HistoryOptions {
  /** How long ago the first of them was opened at most; null: all. */
  readonly sinceMs: number | null;
  readonly caller: string | null;
  readonly form: "text" | "json" | "html";
  /** One window alone: the beginning of its id, or `last`. */
  readonly window: string | null;
}

/** Prints the closed windows, the oldest first. */
export async function history(
  { sinceMs, caller, form, window }: HistoryOptions,
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
  await sayAll(await formed[form](windows, one, now));
  return EXIT.ok;
}

const formed: Readonly<
  Record<
    HistoryOptions["form"],
    (
      windows: readonly WindowRecord[],
      one: WindowRecord | null,
      now: Instant,
    ) => string | Promise<string>
  >
> = {
  text: (windows, one) =>
    textOf(
      one === null
        ? historyText(windows, localTime, historyCompleteSince())
        : oneWindowText(one, localTime),
      terminalPaint(),
    ),
  json: (windows, _one, now) =>
    plainJson({
      schema_version: SCHEMA_VERSION,
      now: rfc3339(now),
      complete_since: historyCompleteSince(),
      windows,
    }, 2),
  async html(windows, _one, now) {
    const { historyPage } = await import("../outlets/page/page.ts");
    return historyPage(windows, {
      version: VERSION,
      now: rfc3339(now),
      time: localTime,
      completeSince: historyCompleteSince(),
      day: (moment) => localTime(moment).slice(0, ISO_DATE_LENGTH),
    });
  },
};
