/**
 * pre-freeze: starts the locker and waits, with a limit, until the lock is held. Imports
 * nothing that it does not need: every millisecond here is one of the caller's freeze.
 */
import { startOwnProcess } from "../base/own_process.ts";
import type { Caller } from "../callers/table.ts";
import type { LockerMessage } from "../locker/freeze_protocol.ts";
import { ACCEPTED, CANCELLED, lockerArguments } from "../locker/freeze_protocol.ts";
import { askLocker, type ControlAnswer, LOCKER_END_LIMIT_MS } from "../locker/control_client.ts";
import { clearRunDirectory, takeOpeningRight } from "../locker/run_directory.ts";
import { frozenLine } from "../window/text.ts";
import {
  beBrief,
  complain,
  complainOf,
  complainOfWarnings,
  type ReadyLines,
  readyLines,
  warmUpPrinting,
} from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal, type Refusal, refusal } from "../base/refusal.ts";
import { parseRecord } from "../window/parse_record.ts";
import type { WindowRecord } from "../window/record.ts";
import type { Report } from "../window/report.ts";
import { atMost } from "../base/at_most.ts";
import { rfc3339, systemClock } from "../base/clock.ts";
import { DISK_SILENT, silentDisk } from "../base/disk.ts";
import { KILL_SESSIONS_LIMIT_MS, runErrand, sendErrand, silentPath } from "../base/errand.ts";
import { readIfThere } from "../base/files.ts";
import { linesOf } from "../base/lines.ts";
import { KNOWN_SOCKETS, OPTION_FILE, STATE_DIR, WINDOW_FILE } from "../base/paths.ts";

/** Longest wait for a locker to say that it runs and has read its options, in milliseconds. */
const START_LIMIT_MS = 5_000;

/** What the locker gets beyond `freeze_timeout` to release and say so: one release's bound. */
const REFUSE_LIMIT_MS = 6_000;

/** How long after its last word a locker that has died may still look alive. */
const ENDED_LIMIT_MS = 100;

/** VMware kills 5 s after its TERM; by then the locker must be gone. */
const CANCEL_LIMIT_MS = 4_000;

/** Longest wait for a dead locker's file to be gone: a busy disk's second. */
const DISCARD_LIMIT_MS = 1_000;

/** Longest wait for a running locker to say since when it holds. */
const STATUS_LIMIT_MS = 1_000;

/**
 * For how long the right to open a window is asked for while no locker answers: on a busy guest the
 * kernel's answer alone has taken longer than one try, and no process had it.
 */
const RIGHT_PATIENCE_MS = 2_000;

/** How opening a window ended. */
export type Opening =
  | { readonly kind: "frozen"; readonly record: WindowRecord }
  | {
    readonly kind: "refused";
    readonly refusal: Refusal;
    readonly mayProceed: boolean;
    readonly warnings: readonly string[];
    /** Whether the locker has reported it to the outlets. */
    readonly isReported: boolean;
  };

/** Opens a window for a caller; its exit code is the caller's answer. */
export async function preFreeze(caller: Caller | null): Promise<ExitCode> {
  beBrief();
  // For people: no hook has a terminal, and none loads this.
  const shown = Deno.stderr.isTerminal() ? import("./live_line.ts") : null;
  const watched = shown?.then(({ watchOpening }) => watchOpening()) ?? null;
  const said: { lines: ReadyLines | null } = { lines: null };
  const opening = await openFreezeWindow(caller, {
    onStarted: () => void warmUpPrinting(),
    onAccepted(record) {
      said.lines = readyLines(frozenLine(record), record.warnings);
    },
  });
  await (await watched)?.end();
  if (opening.kind === "frozen") {
    await said.lines?.print();
    return EXIT.ok;
  }
  if (opening.mayProceed) {
    await complain(
      "GOING ON WITHOUT A LOCK (on_failure=proceed): this snapshot is not quiesced. Exiting 0, so the caller takes the snapshot anyway",
    );
  }
  await complainOf(opening.refusal);
  await complainOfWarnings(opening.warnings);
  if (!opening.isReported) await reportRefusal(caller, opening.refusal);
  return opening.mayProceed ? EXIT.ok : opening.refusal.code;
}

/** Nothing is locked any more, and everything is said. */
async function reportRefusal(caller: Caller | null, refusal: Refusal): Promise<void> {
  const at = rfc3339(systemClock.now());
  await sendErrand("report", { kind: "refusal", at, caller, refusal } satisfies Report);
}

/** Who opens a window: a caller, somebody by hand (null), or `rehearse`, for no image. */
export type Opener = Caller | "rehearse" | null;

/** Moments of an opening at which this process has nothing to do but to wait for the locker. */
export interface OpeningPauses {
  /** The locker has read its options. */
  readonly onStarted: () => void;
  /** This process has accepted the answer; the lock is not promised yet. */
  readonly onAccepted: (record: WindowRecord) => void;
}

/** Opens a window and returns once it is frozen, or once nothing of it is left. */
export async function openFreezeWindow(
  opener: Opener,
  pauses: OpeningPauses = { onStarted() {}, onAccepted() {} },
): Promise<Opening> {
  const deadline = performance.now() + RIGHT_PATIENCE_MS;
  let right = await takeOpeningRight();
  while (right === null) {
    // Another pre-freeze works at this moment; its locker may already be able to say more.
    const running = await askLocker("status", STATUS_LIMIT_MS);
    if (running.kind !== "no-locker" || performance.now() > deadline) {
      return refusedAs(openSince(running));
    }
    right = await takeOpeningRight();
  }
  if (isRefusal(right)) return refusedAs(right);
  try {
    const running = await askLocker("status", STATUS_LIMIT_MS);
    return running.kind === "no-locker"
      ? await startLocker(opener, pauses)
      : refusedAs(openSince(running));
  } finally {
    right.release();
  }
}

async function startLocker(opener: Opener, pauses: OpeningPauses): Promise<Opening> {
  const child = startOwnProcess(lockerArguments({
    caller: opener === "rehearse" ? null : opener,
    isRehearsal: opener === "rehearse",
    beganMs: performance.timeOrigin,
  }));
  const stdin = child.stdin.getWriter();
  // A locker that takes no word has released meanwhile; its last message says why.
  const tell = (word: string) => stdin.write(new TextEncoder().encode(`${word}\n`)).catch(() => {});
  const messages = messagesOf(child.stdout);

  let isCancelled = false;
  const cancelled = new Promise<null>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      Deno.addSignalListener(signal, () => {
        isCancelled = true;
        tell(CANCELLED);
        // The locker now releases and says so; this is only the limit of it.
        setTimeout(() => resolve(null), CANCEL_LIMIT_MS);
      });
    }
  });

  let limitMs = START_LIMIT_MS;
  let mayProceed = false;
  let record: WindowRecord | null = null;
  let warnings: readonly string[] = [];
  const refused = (refusal: Refusal, isReported: boolean): Opening => ({
    kind: "refused",
    isReported,
    refusal,
    // Not for a caller that has given up, and not over a defect of ours.
    mayProceed: mayProceed && !isCancelled && refusal.code !== EXIT.defect,
    warnings,
  });
  while (true) {
    const message = await atMost(Promise.race([messages.next(), cancelled]), limitMs, null);
    switch (message?.event) {
      case "started":
        limitMs = message.freeze_timeout_ms + REFUSE_LIMIT_MS;
        mayProceed = message.on_failure === "proceed";
        warnings = message.warnings;
        // Nothing, by the way that the acceptance will go: clients will wait for that one.
        stdin.write(new Uint8Array()).catch(() => {});
        pauses.onStarted();
        break;
      case "frozen":
        record = message.record;
        if (isCancelled) break;
        await tell(ACCEPTED);
        pauses.onAccepted(record);
        break;
      case "held":
        if (record === null) break;
        return { kind: "frozen", record };
      case "refused":
        // Where its disk does not answer it stays, with nothing in its hands, until it can clear up.
        if (message.refusal.reason !== DISK_SILENT) {
          await atMost(Promise.race([child.status, messages.next()]), LOCKER_END_LIMIT_MS, null);
        }
        return refused(message.refusal, true);
      case undefined:
        // Silent or dead: killing it is the one thing that is sure to end the lock, because
        // the server releases the lock when the sessions break.
        return refused(await endLocker(child), false);
    }
  }
}

function killQuietly(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended already.
  }
}

async function endLocker(child: Deno.ChildProcess): Promise<Refusal> {
  // The end of its output comes a moment before that of the process.
  const ended = await atMost(child.status, ENDED_LIMIT_MS, null);
  const wasAlive = ended === null;
  if (wasAlive) killQuietly(child);
  const status = ended ?? await atMost(child.status, LOCKER_END_LIMIT_MS, null);
  const window = parseRecord(readIfThere(WINDOW_FILE));
  // On MySQL a lock statement that waits outlives its client.
  if (window !== null) await runErrand("kill-sessions", window, KILL_SESSIONS_LIMIT_MS);
  clearRunDirectory();
  await runErrand("discard-reserved", null, DISCARD_LIMIT_MS, "goes-on");
  const silent = wasAlive ? await silentPath([OPTION_FILE, STATE_DIR, ...KNOWN_SOCKETS]) : null;
  if (silent !== null) return silentDisk(silent, START_LIMIT_MS);
  return refusal(
    wasAlive ? EXIT.lockNotObtained : EXIT.defect,
    wasAlive ? "locker-silent" : "locker-died",
    wasAlive
      ? "The locker did not answer in time and was killed; nothing is locked"
      : `The locker ended without a word (${
        status?.signal ?? `exit ${status?.code ?? "unknown"}`
      }); nothing is locked`,
    "Look at the load and the memory of the guest: dmesg | tail",
  );
}

function refusedAs(refusal: Refusal): Opening {
  return { kind: "refused", refusal, mayProceed: false, warnings: [], isReported: false };
}

/** The refusal while a window is open, with since when and until when. */
export function openSince(running: ControlAnswer): Refusal {
  if (running.kind === "killed") {
    return refusal(
      EXIT.windowOpen,
      "window-open",
      "A window is not closed yet, and its locker was killed while a disk was frozen",
      "Close it with: locktables post-thaw",
    );
  }
  const record = running.kind === "answered" ? running.record : null;
  const since = record === null ? "" : `, since ${record.opened_at}`;
  const until = record?.deadline ? `, until ${record.deadline} at the latest` : "";
  const by = record?.caller ? ` of ${record.caller}` : "";
  return refusal(
    EXIT.windowOpen,
    "window-open",
    `A window${by} is already open${since}${until}; it is left as it is`,
    "Close it with: locktables post-thaw",
  );
}

/** The locker's messages, one at a time; null at the end. */
function messagesOf(stdout: ReadableStream<Uint8Array>): { next(): Promise<LockerMessage | null> } {
  const reader = stdout.getReader();
  const lines = linesOf(async () => (await reader.read()).value ?? null);
  return {
    async next() {
      const line = await lines.next();
      return line === "" ? null : JSON.parse(line) as LockerMessage;
    },
  };
}
