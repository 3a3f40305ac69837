/** rehearse: a real window without a snapshot, to see on a working day what the night will cost. */
import { sleep } from "../base/sleep.ts";
import { plainJson, plainLines } from "../base/plain_text.ts";
import { instanceSocket } from "../options/instance_socket.ts";
import { gaveUp, type Waiting, waitingIn } from "../mysql/waiting.ts";
import { openSession, type Session } from "../mysql/session.ts";
import { complain, complainOf, complainOfWarnings, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal, type Refusal } from "../base/refusal.ts";
import { closedLine, frozenLine } from "../window/text.ts";
import { type Rehearsal, rehearsalText } from "../window/rehearsal_text.ts";
import { textOf } from "../base/styled.ts";
import { isGoodEnd } from "../window/verdict.ts";
import { silentDisk } from "../base/disk.ts";
import { silentPath } from "../base/errand.ts";
import { OPTION_FILE } from "../base/paths.ts";
import { barsText } from "../window/bars.ts";
import { SCHEMA_VERSION } from "../window/record.ts";
import { longestStallMs } from "../window/stall.ts";
import { readSettings } from "../locker/main.ts";
import { closeFreezeWindow } from "./post_thaw.ts";
import { openFreezeWindow } from "./pre_freeze.ts";
import { liveLine, watchOpening } from "./live_line.ts";
import { terminalPaint } from "./terminal.ts";

/** How often the waiting sessions are counted while the lock is held, in milliseconds. */
const LOOK_PAUSE_MS = 50;

/** Longest wait for one look; the servers answer SHOW PROCESSLIST under every lock. */
const LOOK_LIMIT_MS = 2_000;

/** What to rehearse. */
export interface RehearseOptions {
  /** How long to hold the lock, as a snapshot would, in milliseconds. */
  readonly holdMs: number;
  readonly asJson: boolean;
}

/** Opens a window, holds it, closes it, and tells what it cost. */
export async function rehearse({ holdMs, asJson }: RehearseOptions): Promise<ExitCode> {
  const watch = await watchers();
  if (isRefusal(watch)) return await complainOf(watch);
  const paint = terminalPaint();
  try {
    const opened = watchOpening();
    const opening = await openFreezeWindow("rehearse").finally(() => opened.end());
    if (opening.kind === "refused") {
      await complainOfWarnings(opening.warnings);
      return await complainOf(opening.refusal);
    }
    await complainOfWarnings(opening.record.warnings);
    if (!asJson) await sayAll(plainLines(frozenLine(opening.record)));
    const seen = await hold(holdMs, watch);
    const closing = await closeFreezeWindow(false);
    if (closing.kind !== "closed") {
      await complain("Another process closed the window. See: locktables status");
      return EXIT.notHeld;
    }
    const { record } = closing;
    const rehearsal: Rehearsal = {
      record,
      stall_ms: longestStallMs(record.timeline),
      most_waiting: seen?.most ?? null,
      // A lock that ended before its release has let them through.
      gave_up: seen !== null && record.outcome === "released" ? seen.gaveUp : null,
    };
    if (asJson) {
      await sayAll(plainJson({ schema_version: SCHEMA_VERSION, ...rehearsal }, 2));
    } else {await sayAll(
        textOf([...rehearsalText(rehearsal), [], ...barsText(record)], paint),
      );}
    if (isGoodEnd(record)) return EXIT.ok;
    await complain(closedLine(record));
    return EXIT.notHeld;
  } finally {
    for (const session of watch) session.close();
  }
}

/** Sessions of our own that count who waits; opened before the lock, like every connection. */
async function watchers(): Promise<Session[] | Refusal> {
  const silent = await silentPath([OPTION_FILE]);
  if (silent !== null) return silentDisk(silent, LOOK_LIMIT_MS);
  const read = readSettings(null);
  if (isRefusal(read)) return read;
  const opened = await Promise.allSettled(
    read.settings.instances.map(async ({ connection }) =>
      await openSession({
        ...connection,
        socket: await instanceSocket(connection.socket),
        limitMs: LOOK_LIMIT_MS,
        onLost: () => {}, // the count ends; the window has its own sessions
      })
    ),
  );
  // A server that cannot be reached is reported by the window itself, with its hint.
  return opened.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
}

/** What was seen of those who waited. */
interface Seen {
  /** The most at one moment, all servers together. */
  readonly most: number;
  readonly gaveUp: number;
}

/** Holds for `holdMs`, or until Ctrl-C, and watches who waits; null where nothing could be seen. */
async function hold(holdMs: number, watch: readonly Session[]): Promise<Seen | null> {
  let isStopped = false;
  const stop = () => {
    isStopped = true;
  };
  Deno.addSignalListener("SIGINT", stop);
  Deno.addSignalListener("SIGTERM", stop);
  let before: readonly Waiting[] | null = null;
  let most = 0;
  let failed = 0;
  const line = liveLine();
  const end = performance.now() + holdMs;
  while (!isStopped && performance.now() < end) {
    const waiting = await lookWhoWaits(watch);
    if (waiting !== null) {
      const count = waiting.reduce((sum, { size }) => sum + size, 0);
      most = Math.max(most, count);
      const leftS = Math.max(0, (end - performance.now()) / 1_000).toFixed(1);
      line.show(
        `locked, ${leftS} s left: ${count} ${count === 1 ? "session waits" : "sessions wait"}`,
      );
      for (const [at, now] of waiting.entries()) failed += gaveUp(before?.[at] ?? now, now);
      before = waiting;
    }
    const pause = Math.max(0, Math.min(LOOK_PAUSE_MS, end - performance.now()));
    await sleep(pause);
  }
  await line.end();
  return before === null ? null : { most, gaveUp: failed };
}

/** One map for each server. */
async function lookWhoWaits(watch: readonly Session[]): Promise<Waiting[] | null> {
  try {
    const lists = await Promise.all(
      watch.map((session) => session.query("SHOW /* locktables */ PROCESSLIST", LOOK_LIMIT_MS)),
    );
    return lists.map(waitingIn);
  } catch {
    return null; // said as "could not be seen"
  }
}
