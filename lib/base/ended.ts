/** Processes that have ended and are still there. */
import { ROOT } from "./look.ts";

/**
 * Whether a process has ended, or is gone: one that is killed while a thread of it waits for a frozen
 * disk keeps its sockets open until the thaw, and answers nobody. What it ran is gone by then.
 */
export function hasEnded(pid: number): boolean {
  try {
    Deno.readLinkSync(`${ROOT}/proc/${pid}/exe`);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}
