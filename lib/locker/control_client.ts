/**
 * How hooks and `status` talk to the locker: one word over its socket; back come the word
 * `heard` at once, which distinguishes a working locker from a stopped one, and a JSON line
 * when there is an answer.
 */
import type { WindowRecord } from "../window/record.ts";
import { atMost } from "../base/at_most.ts";
import { hasEnded } from "../base/ended.ts";
import { readIfThere } from "../base/files.ts";
import { chunksOf, linesOf } from "../base/lines.ts";
import { LOCKER_SOCKET, WINDOW_FILE } from "../base/paths.ts";
import { parseRecord } from "../window/parse_record.ts";

/** Longest wait for a locker to be gone that has spoken its last word, in milliseconds. */
export const LOCKER_END_LIMIT_MS = 2_000;

/** What can be asked of a locker. */
export type ControlWord =
  /** Release; the answer is the closed window. */
  | "thaw"
  /** Release, the snapshot failed; the answer is the closed window. */
  | "abort"
  /** The answer is the window now. */
  | "status";

/** What a locker says as soon as it has a word. */
export const HEARD = "heard";

/** Longest wait for {@linkcode HEARD}, in milliseconds: a locker that works needs less than one. */
const HEARD_LIMIT_MS = 2_000;

/** Words that a locker understands. */
export const CONTROL_WORDS: readonly ControlWord[] = ["thaw", "abort", "status"];

/** What came of asking. */
export type ControlAnswer =
  | { readonly kind: "answered"; readonly record: WindowRecord; readonly gone: Promise<unknown> }
  /** No process listens: there is no locker. */
  | { readonly kind: "no-locker" }
  /** It was killed, and the kernel keeps its sockets until a disk is thawed. */
  | { readonly kind: "killed" }
  /** A locker is there but did not answer in time (stopped, or starved). */
  | { readonly kind: "no-answer" };

/**
 * Asks the locker. `gone` of an answer settles when nothing of the window is left, or the locker.
 * @param limitMs longest wait for the answer
 */
export async function askLocker(word: ControlWord, limitMs: number): Promise<ControlAnswer> {
  let connection: Deno.UnixConn;
  try {
    connection = await Deno.connect({ transport: "unix", path: LOCKER_SOCKET });
  } catch (error) {
    if (
      error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
      error instanceof Deno.errors.ConnectionRefused
    ) return { kind: "no-locker" };
    throw error;
  }
  const lines = linesOf(chunksOf(connection));
  const hear = async () => {
    await connection.write(new TextEncoder().encode(`${word}\n`));
    return await lines.next();
  };
  const heard = await atMost(hear().catch(() => ""), HEARD_LIMIT_MS, null);
  const line = heard === HEARD ? await atMost(lines.next().catch(() => ""), limitMs, null) : heard;
  if (line === null) {
    connection.close();
    return isLockerEnded() ? { kind: "killed" } : { kind: "no-answer" };
  }
  // A locker that dies in the middle of its answer is no locker any more.
  if (line === "") {
    connection.close();
    return { kind: "no-locker" };
  }
  return {
    kind: "answered",
    record: JSON.parse(line) as WindowRecord,
    gone: lines.next().catch(() => "").finally(() => connection.close()),
  };
}

function isLockerEnded(): boolean {
  const window = parseRecord(readIfThere(WINDOW_FILE));
  return window !== null && hasEnded(window.locker_pid);
}
