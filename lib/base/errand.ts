/**
 * Errands: work that may wait for a disk without an end, done by a process of its own. A thread
 * that waits for a frozen filesystem cannot be killed, and keeps its whole process from being
 * reaped; a command that its caller waits for must therefore never be the one that waits.
 */
import { startOwnProcess } from "./own_process.ts";
import { atMost } from "./at_most.ts";
import { chunksOf, linesOf } from "./lines.ts";

/** What can be done on the way; each takes one value and gives one back, as JSON. */
export type ErrandName =
  /** The text of the record on disk, or null. */
  | "read-record"
  /** Writes the record that it is given, of a locker that was killed; a refusal, or null. */
  | "close-record"
  /** Removes the reservation of a locker that was killed. */
  | "discard-reserved"
  /** Removes what the check with this pid, which was stopped, may leave when its disk answers. */
  | "remove-probe"
  /** Ends the sessions of the window that it is given; says what came of it. */
  | "kill-sessions"
  /** Brings the report that it is given to every outlet. */
  | "report"
  /** Starts the operator's program with the notice that it is given; says how that went. */
  | "try-notify"
  /** Which of the paths that it is given do not answer. */
  | "touch";

/** Longest wait for the end of a lost locker's sessions: socket, login and one statement. */
export const KILL_SESSIONS_LIMIT_MS = 6_000;

/** What an errand has brought back. */
export interface ErrandResult<T> {
  readonly value: T;
}

/**
 * Has an errand done; null where nothing came back in time. What is under way then
 * continues when its disk answers, or ends at once where that would be too late for it.
 */
export async function runErrand<T>(
  name: ErrandName,
  input: unknown,
  limitMs: number,
  whenLate: "goes-on" | "ends" = "ends",
): Promise<ErrandResult<T> | null> {
  const child = startOwnProcess(["errand", name]);
  const talk = async (): Promise<ErrandResult<T> | null> => {
    const stdin = child.stdin.getWriter();
    await stdin.write(new TextEncoder().encode(`${JSON.stringify(input)}\n`));
    const reader = child.stdout.getReader();
    const line = await linesOf(async () => (await reader.read()).value ?? null).next();
    return line === "" ? null : { value: JSON.parse(line) as T };
  };
  const result = await atMost(talk().catch(() => null), limitMs, null);
  if (result === null && whenLate === "ends") {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
  }
  return result;
}

/** How long the input of an errand that is sent off may take: it fits into the pipe as a rule. */
const SEND_LIMIT_MS = 1_000;

/**
 * Has an errand done that nobody waits for. Never fails what sends it: where no process can be
 * started, it is not done.
 */
export async function sendErrand(name: ErrandName, input: unknown): Promise<void> {
  try {
    const stdin = startOwnProcess(["errand", name]).stdin.getWriter();
    const writing = stdin.write(new TextEncoder().encode(`${JSON.stringify(input)}\n`));
    await atMost(writing.catch(() => {}), SEND_LIMIT_MS, undefined);
  } catch {
    // No memory, no process left: the guest has other troubles, and who sends it has done its work.
  }
}

/** The input of an errand, for the process that does it. */
export async function errandInput(): Promise<unknown> {
  return JSON.parse(await linesOf(chunksOf(Deno.stdin)).next());
}

/** Longest wait for {@linkcode silentPath}'s errand, which itself waits for less than a second. */
const TOUCH_LIMIT_MS = 2_000;

/** The first of these paths that does not answer; null where all do. */
export async function silentPath(paths: readonly string[]): Promise<string | null> {
  const touched = await runErrand<readonly string[]>("touch", paths, TOUCH_LIMIT_MS);
  return touched?.value[0] ?? null;
}
