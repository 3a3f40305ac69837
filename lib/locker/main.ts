/** locker: the background process of one window. Started by pre-freeze, never by hand. */
import { defectText } from "../base/plain_text.ts";
import { type Caller, CALLER_TABLE } from "../callers/table.ts";
import type { LockerStart } from "./freeze_protocol.ts";
import { openPreFreezeLink } from "./freeze_link.ts";
import { writeWindowFile } from "./run_directory.ts";
import { defect } from "./defect.ts";
import { runLocker } from "./loop.ts";
import { systemPorts } from "./ports.ts";
import { reportRefusal } from "./report.ts";
import type { OptionWarning } from "../options/option_file.ts";
import { readGuestSettings } from "../options/read_settings.ts";
import type { Settings } from "../options/settings.ts";
import { complainOf } from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal, type Refusal, refusal } from "../base/refusal.ts";
import { atMost } from "../base/at_most.ts";
import { silentDisk } from "../base/disk.ts";
import { readIfThere } from "../base/files.ts";
import { OPTION_FILE, WINDOW_FILE } from "../base/paths.ts";
import { parseRecord } from "../window/parse_record.ts";
import { recordOfDeadLocker, type WindowRecord } from "../window/record.ts";

/** Longest wait for the option file's disk: below pre-freeze's patience with a locker that starts. */
const OPTION_FILE_LIMIT_MS = 3_000;

/** Runs one window from its start to its end. */
export async function locker({ caller, isRehearsal, beganMs }: LockerStart): Promise<ExitCode> {
  if (Deno.stdin.isTerminal()) {
    const refused = refusal(
      EXIT.usage,
      "internal-command",
      "locker is the background process of pre-freeze",
      "Open a window with: locktables pre-freeze",
    );
    await complainOf(refused);
    return refused.code;
  }
  // Files of ours are root's alone, whatever umask the caller has.
  Deno.umask(0o077);
  const preFreeze = openPreFreezeLink();
  // On the pool; reading it waits on the main thread.
  const looking = Deno.stat(OPTION_FILE).then(() => true, () => true);
  const read = await atMost(looking, OPTION_FILE_LIMIT_MS, false)
    ? readSettings(caller)
    : silentDisk(OPTION_FILE, OPTION_FILE_LIMIT_MS);
  if (isRefusal(read)) {
    preFreeze.send({ event: "refused", refusal: read });
    await reportRefusal(systemPorts, { caller, isRehearsal, preFreeze }, read);
    return read.code;
  }
  const warnings = read.warnings.map(({ text }) => text);
  preFreeze.send({
    event: "started",
    freeze_timeout_ms: read.settings.freezeTimeoutMs,
    on_failure: read.settings.onFailure,
    warnings,
  });
  // This process's stderr is not read: post-thaw reports what is left in the window's file.
  globalThis.addEventListener("unhandledrejection", ({ reason }) => noteDefect(reason));
  globalThis.addEventListener("error", ({ error }) => noteDefect(error));
  const dead = deadWindow();
  try {
    await runLocker({ settings: read.settings, warnings, caller, isRehearsal, beganMs, preFreeze });
  } catch (error) {
    noteDefect(error);
    preFreeze.send({ event: "refused", refusal: defect(error) });
    throw error;
  }
  if (dead !== null) await systemPorts.report({ kind: "window", record: dead, refusal: null });
  return EXIT.ok;
}

/** The window of a locker that was killed, where no post-thaw has found and reported it since. */
function deadWindow(): WindowRecord | null {
  const left = parseRecord(readIfThere(WINDOW_FILE));
  return left === null || left.outcome !== null
    ? null
    : recordOfDeadLocker(left, systemPorts.clock.now());
}

/** Leaves the cause of our own end for post-thaw; the server releases the lock as the sessions break. */
function noteDefect(error: unknown): void {
  const record = parseRecord(readIfThere(WINDOW_FILE));
  if (record === null) return;
  writeWindowFile({ ...record, detail: defectText(error) });
}

/** The settings of the option file as this caller gets them. */
export function readSettings(
  caller: Caller | null,
): { settings: Settings; warnings: OptionWarning[] } | Refusal {
  return readGuestSettings(caller === null ? undefined : CALLER_TABLE[caller].freezeTimeoutMs);
}
