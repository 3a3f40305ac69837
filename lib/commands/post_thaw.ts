/**
 * post-thaw: has the locker release, and says what the window was worth. Also finds out what
 * became of a window whose locker is gone. Imports nothing that it does not need.
 */
import { sleep } from "../base/sleep.ts";
import { type Caller, CALLER_TABLE } from "../callers/table.ts";
import { askLocker, type ControlWord, LOCKER_END_LIMIT_MS } from "../locker/control_client.ts";
import { clearRunDirectory, takeOpeningRight } from "../locker/run_directory.ts";
import { beBrief, complain, complainOf, complainOfWarnings, sayBriefly } from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal, type Refusal, refusal } from "../base/refusal.ts";
import { closedLine, unseenLine } from "../window/text.ts";
import { isGoodEnd, isUnseenEnd } from "../window/verdict.ts";
import { atMost } from "../base/at_most.ts";
import { systemClock } from "../base/clock.ts";
import { silentDisk } from "../base/disk.ts";
import { KILL_SESSIONS_LIMIT_MS, runErrand, sendErrand } from "../base/errand.ts";
import { SYNC_PROGRAMS } from "../locker/flush.ts";
import { exists, readIfThere, removeIfThere } from "../base/files.ts";
import { privacyNow, RUN_DIRECTORY } from "../base/private_directory.ts";
import { RUN_DIR, STATE_DIR, WAIT_FOR_SNAPSHOT, WINDOW_FILE } from "../base/paths.ts";
import { parseRecord } from "../window/parse_record.ts";
import { recordOfDeadLocker, type WindowRecord } from "../window/record.ts";
import type { Report } from "../window/report.ts";

/**
 * Longest wait for the verdict, in milliseconds: the worst release (the server does not answer,
 * the session is killed) takes about 5 s, and SSM kills at 10 s.
 */
const VERDICT_LIMIT_MS = 8_000;

/** How long a pre-freeze that has just begun may take to have a locker that can be asked. */
const STARTING_LIMIT_MS = 6_000;
const STARTING_PAUSE_MS = 20;

/** Longest wait for the record of a window whose locker is gone. */
const RECORD_LIMIT_MS = 2_000;

/** How closing a window ended. */
export type Closing =
  | { readonly kind: "closed"; readonly record: WindowRecord }
  | { readonly kind: "nothing" }
  /** The run directory is not root's alone: the lock file is removed, and nothing there is believed. */
  | { readonly kind: "untrusted"; readonly refusal: Refusal }
  /** Something is left of a window, and this version cannot read it. */
  | { readonly kind: "unreadable" }
  | { readonly kind: "no-answer"; readonly detail: string };

/** Closes the window for a caller. `isAborted`: the caller gave up its snapshot. */
export async function postThaw(isAborted: boolean, caller: Caller | null): Promise<ExitCode> {
  // Starts nothing but an errand of our own.
  for (const command of SYNC_PROGRAMS) Deno.permissions.revokeSync({ name: "run", command });
  beBrief();
  const other = windowOfAnother(caller);
  if (other !== null) {
    const by = other.caller === null ? "" : ` by ${other.caller}`;
    await sayBriefly(
      `Nothing to thaw for ${caller}: the window that is open was opened${by}, and is left open`,
    );
    return EXIT.ok;
  }
  const closing = await closeFreezeWindow(isAborted);
  const last = await lastOf(closing);
  if (last === "silent") {
    await complainOf(cannotTell());
    return isAborted ? EXIT.ok : EXIT.notHeld;
  }
  if (!isAborted && last !== null && isUnseenEnd(last)) {
    await complain(unseenLine(last));
    return EXIT.notHeld;
  }
  switch (closing.kind) {
    case "nothing":
      await sayBriefly("Nothing to thaw: no window is open");
      return EXIT.ok;
    case "untrusted":
      return await complainOf(closing.refusal);
    case "unreadable":
      await complain(
        `The snapshot is only crash-consistent: the locker is gone, and ${WINDOW_FILE}, which says how its window ended, cannot be read: it was damaged, or written by another version. It has been removed.`,
      );
      return EXIT.notHeld;
    case "no-answer":
      await complain(
        `The snapshot is only crash-consistent: the locker does not answer. ${closing.detail}.`,
      );
      return EXIT.notHeld;
    case "closed": {
      const isGood = isGoodEnd(closing.record);
      await (isGood ? sayBriefly : complain)(closedLine(closing.record));
      if (isGood) await complainOfWarnings(closing.record.warnings);
      return isGood ? EXIT.ok : EXIT.notHeld;
    }
    default:
      return closing satisfies never;
  }
}

/**
 * The window that a caller must not close: some come here though their own pre-freeze was refused,
 * which it is while another's window is open. Read from memory: a locker that is silent must not be
 * waited for twice.
 */
function windowOfAnother(caller: Caller | null): WindowRecord | null {
  if (caller === null || isRefusal(privacyNow(RUN_DIRECTORY))) return null;
  const window = parseRecord(readIfThere(WINDOW_FILE));
  if (window === null || window.outcome !== null || window.caller === caller) return null;
  // One that was opened by hand may be thawed by a hook that has the right to.
  return window.caller === null && !CALLER_TABLE[caller].thawsRegardless ? null : window;
}

/** The window that a thaw is for, as far as it can be known. */
async function lastOf(closing: Closing): Promise<WindowRecord | "silent" | null> {
  switch (closing.kind) {
    case "closed":
      return closing.record;
    case "nothing": {
      const read = await runErrand<string | null>("read-record", null, RECORD_LIMIT_MS);
      return read === null ? "silent" : parseRecord(read.value);
    }
    case "untrusted":
    case "unreadable":
    case "no-answer":
      return null;
    default:
      return closing satisfies never;
  }
}

/** Without the record a pre-freeze that was cut off and none at all look the same. */
function cannotTell(): Refusal {
  const { reason, summary, hint } = silentDisk(STATE_DIR, RECORD_LIMIT_MS);
  const what = "No window is open; whether the last pre-freeze was cut off is not known";
  return refusal(EXIT.notHeld, reason, `${what}: ${summary}`, hint);
}

/** Closes the window and waits until nothing of it is left. */
export async function closeFreezeWindow(isAborted: boolean): Promise<Closing> {
  const privacy = privacyNow(RUN_DIRECTORY);
  if (isRefusal(privacy)) return { kind: "untrusted", refusal: releaseBlindly(privacy) };
  // Empty: whatever is there a moment later is not a locker's.
  if (privacy === "spoilt") return { kind: "nothing" };
  const word = isAborted ? "abort" : "thaw";
  const deadline = performance.now() + STARTING_LIMIT_MS;
  while (true) {
    const closing = await closeByLocker(word);
    if (closing !== null && closing !== "killed") return closing;
    if (!exists(RUN_DIR)) return { kind: "nothing" };
    const right = await takeOpeningRight();
    if (isRefusal(right)) return { kind: "no-answer", detail: `${right.summary}. ${right.hint}` };
    if (right !== null) {
      try {
        if (closing === "killed") return await closeWithoutLocker("sessions may be open");
        // Asked again: a pre-freeze may just have finished. With the right none can begin.
        const closed = await closeByLocker(word);
        return closed === null || closed === "killed" ? await closeWithoutLocker() : closed;
      } finally {
        right.release();
      }
    }
    if (performance.now() > deadline) {
      return {
        kind: "no-answer",
        detail: "A pre-freeze is at work and its locker cannot be reached",
      };
    }
    await sleep(STARTING_PAUSE_MS);
  }
}

/**
 * A locker that is there releases when its lock file goes; more cannot be known here. Removing it
 * follows no link.
 */
function releaseBlindly(untrusted: Refusal): Refusal {
  try {
    removeIfThere(WAIT_FOR_SNAPSHOT);
  } catch {
    // Not a file, so not a locker's.
  }
  return {
    ...untrusted,
    summary: `${untrusted.summary}. A lock, if there was one, is released unseen`,
  };
}

/** Has the locker close the window; null where there is no locker. */
async function closeByLocker(word: ControlWord): Promise<Closing | "killed" | null> {
  const answer = await askLocker(word, VERDICT_LIMIT_MS);
  switch (answer.kind) {
    case "answered":
      await atMost(answer.gone, LOCKER_END_LIMIT_MS, null);
      return { kind: "closed", record: answer.record };
    case "no-answer":
      // When it can work again it finds this and releases at once.
      removeIfThere(WAIT_FOR_SNAPSHOT);
      return { kind: "no-answer", detail: await cutSilentLocker() };
    case "killed":
      return "killed";
    case "no-locker":
      return null;
    default:
      return answer satisfies never;
  }
}

/** The locker is gone: what it wrote down in /run says how the window ended, or that it died. */
async function closeWithoutLocker(sessions?: "sessions may be open"): Promise<Closing> {
  const text = readIfThere(WINDOW_FILE);
  const last = parseRecord(text);
  if (last === null) {
    clearRunDirectory();
    return text === null ? { kind: "nothing" } : { kind: "unreadable" };
  }
  const record = last.outcome === null ? recordOfDeadLocker(last, systemClock.now()) : last;
  if (last.outcome === null) {
    // Its socket is closed, which ends a lock that is held; on MySQL not one that still waits.
    if (!last.was_held || sessions !== undefined) await killSessions(last);
    // Only on this path: a locker that could, has written its record itself.
    const written = await runErrand<Refusal | null>(
      "close-record",
      record,
      RECORD_LIMIT_MS,
      "goes-on",
    );
    const unwritten = written === null ? silentDisk(STATE_DIR, RECORD_LIMIT_MS) : written.value;
    if (unwritten !== null) await complainOf(unwritten);
    await sendErrand("report", { kind: "window", record, refusal: null } satisfies Report);
  }
  clearRunDirectory();
  return { kind: "closed", record };
}

async function cutSilentLocker(): Promise<string> {
  const window = parseRecord(readIfThere(WINDOW_FILE));
  if (window === null) return "It had not locked yet. See: ps -ef | grep locker";
  return `${await killSessions(window)}. End it: kill -9 ${window.locker_pid}`;
}

/** The usual thaw has a locker that does this itself. */
async function killSessions(window: WindowRecord): Promise<string> {
  const cut = await runErrand<string>("kill-sessions", window, KILL_SESSIONS_LIMIT_MS);
  return cut?.value ?? `Its sessions could not be ended within ${KILL_SESSIONS_LIMIT_MS} ms`;
}
