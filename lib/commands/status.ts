/** status: the window now, and the last one. Only looks. */
import { askLocker } from "../locker/control_client.ts";
import { sayAll } from "../report/print.ts";
import { EXIT, type ExitCode } from "../report/refusal.ts";
import { statusText } from "../report/window_text.ts";
import { rfc3339, systemClock } from "../sys/clock.ts";
import { readIfThere } from "../sys/files.ts";
import { HISTORY_FILE, RECORD_FILE, WINDOW_FILE } from "../sys/paths.ts";
import { parseRecord, recordOfDeadLocker, SCHEMA_VERSION } from "../window/record.ts";

/** Longest wait for the locker, in milliseconds. */
const STATUS_LIMIT_MS = 2_000;

/** Prints the window now and the last one. */
export async function status(asJson: boolean): Promise<ExitCode> {
  Deno.permissions.revokeSync({ name: "run" }); // starts no program
  const now = systemClock.now();
  const answer = await askLocker("status", STATUS_LIMIT_MS);
  const left = parseRecord(readIfThere(WINDOW_FILE));
  const recorded = parseRecord(readIfThere(RECORD_FILE));
  // A locker that is there but silent may still hold the lock: what it wrote down is shown as open.
  const window = answer.kind === "answered"
    ? answer.record
    : answer.kind === "no-answer"
    ? left
    : null;
  const closed = left !== null && left.outcome === null ? recordOfDeadLocker(left, now) : left;
  // While a window is open the record on disk is its own: the one before is in the history.
  const before = window !== null && recorded?.window_id === window.window_id
    ? parseRecord(lastLine(readIfThere(HISTORY_FILE)))
    : recorded;
  const last = window === null ? closed ?? before : before;
  if (asJson) {
    const locker = answer.kind === "answered" ? "running" : answer.kind;
    const object = { schema_version: SCHEMA_VERSION, now: rfc3339(now), locker, window, last };
    await sayAll(JSON.stringify(object, null, 2));
  } else {
    await sayAll(statusText(window, last));
    if (answer.kind === "no-answer") await sayAll("The locker does not answer.");
  }
  return EXIT.ok;
}

function lastLine(text: string | null): string | null {
  return text?.trimEnd().split("\n").at(-1) ?? null;
}
