/** Who attends the process that does a command's work (`lib/commands/attended.ts`). */

/** What the process that people wait for tells the one that does the work. */
export interface Attendant {
  readonly pid: number;
  /** Whether it writes to a terminal, in colours. */
  readonly isForTerminal: boolean;
}

let attendant: Attendant | null = null;

/** From now on this process works for that one, its parent. */
export function beAttendedBy(by: Attendant): void {
  attendant = by;
}

/** Whether the one it works for is gone, killed to end the command. */
export function isAbandoned(): boolean {
  return attendant !== null && Deno.ppid !== attendant.pid;
}

/** Whether what is printed is for a terminal that shows colours. */
export function isForTerminal(): boolean {
  return attendant?.isForTerminal ?? (Deno.stdout.isTerminal() && !Deno.noColor);
}
