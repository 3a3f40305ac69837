/** Who attends the process that does a command's work (`lib/commands/attended.ts`). */

let attendant: number | null = null;

/** From now on this process works for the one with this pid, its parent. */
export function beAttendedBy(pid: number): void {
  attendant = pid;
}

/** Whether the one it works for is gone, killed by whoever wanted the command to end. */
export function isAbandoned(): boolean {
  return attendant !== null && Deno.ppid !== attendant;
}
