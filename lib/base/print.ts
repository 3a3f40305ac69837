/**
 * Printing that can neither fail nor block: a hook's stdout may be closed, full, or a pipe that
 * nobody reads (Azure), and none of that may cost the caller its thaw.
 */
import { atMost } from "./at_most.ts";
import { writeAll } from "./lines.ts";
import { plainLine } from "./plain_text.ts";
import type { ExitCode, Refusal } from "./refusal.ts";

/** Longest wait for a reader, in milliseconds. */
const PRINT_LIMIT_MS = 500;

/**
 * Longest text of one hook over all its lines, in bytes; agents hand on a few hundred, Azure's pipe
 * takes 64 KiB. An ordinary line has 100 to 300; the GRANT of five privileges to an account with
 * long names makes 550, a refusal that names four statements of such accounts 860.
 */
export const HOOK_TEXT_LIMIT = 1_000;

/** What is still worth printing of a line that does not fit, in bytes; else it is left out. */
const SHORTEST_PART = 200;

/** Remaining output budget of a hook, in bytes; unlimited for interactive commands. */
let bytesLeft = Number.POSITIVE_INFINITY;

/** From now on this process is a hook and prints {@linkcode HOOK_TEXT_LIMIT} bytes at most. */
export function beBrief(): void {
  bytesLeft = HOOK_TEXT_LIMIT;
}

type Output = Parameters<typeof writeAll>[0];

function write(output: Output, text: string): Promise<void> {
  return writeAll(output, new TextEncoder().encode(text));
}

async function print(output: Output, bytes: Uint8Array): Promise<void> {
  // Without a listener there is no one to tell either.
  await atMost(writeAll(output, bytes).catch(() => {}), PRINT_LIMIT_MS, undefined);
}

/**
 * Prints a whole text of a command for people on stdout, however slowly it is read: a pager may
 * wait for a key. Never for a hook. A reader that has seen enough and closed is no error; any
 * other failure, such as a full disk under a redirection, is thrown.
 */
export async function sayAll(text: string): Promise<void> {
  try {
    await write(Deno.stdout, `${text}\n`);
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** Prints on stderr what a process of ours has written there. */
export async function printAsItIs(text: string): Promise<void> {
  if (text !== "") await print(Deno.stderr, new TextEncoder().encode(text));
}

/** Prints one line of a hook on stdout. The most important line of a hook comes first. */
export function sayBriefly(text: string): Promise<void> {
  return printLine(Deno.stdout, text, "");
}

/** Prints one line on stderr. */
export function complain(text: string): Promise<void> {
  return printLine(Deno.stderr, complaintOf(text), "");
}

function complaintOf(text: string): string {
  return `locktables: ${text}`;
}

function warningLine(warning: string): string {
  return complaintOf(`Warning: ${warning}`);
}

/**
 * Prints a refusal: what, where, and what to do, in one line on stderr. What to do is never cut:
 * it has the command that helps. Returns its exit code.
 */
export async function complainOf({ summary, hint, code }: Refusal): Promise<ExitCode> {
  await printLine(Deno.stderr, complaintOf(summary), `. ${hint}.`);
  return code;
}

/** Prints what a window has to do without, one line each on stderr; its record has them too. */
export async function complainOfWarnings(warnings: readonly string[]): Promise<void> {
  for (const warning of warnings) await printLine(Deno.stderr, warningLine(warning), "");
}

async function printLine(output: Output, what: string, remedy: string): Promise<void> {
  const line = lineOf(output, what, remedy, bytesLeft);
  bytesLeft -= line.bytes.length;
  await printReady(line);
}

/** A line with its line feed; nothing where it does not fit. */
interface Line {
  readonly output: Output;
  readonly bytes: Uint8Array;
}

function lineOf(output: Output, what: string, remedy: string, limit: number): Line {
  const line = fitted(plainLine(what), plainLine(remedy), limit - 1);
  return { output, bytes: new TextEncoder().encode(line === "" ? "" : `${line}\n`) };
}

async function printReady({ output, bytes }: Line): Promise<void> {
  if (bytes.length > 0) await print(output, bytes);
}

/** Lines of a hook that are made, and not printed yet. */
export interface ReadyLines {
  print(): Promise<void>;
}

/**
 * Makes a line for stdout, and warnings for stderr, before they may be printed: once they may, the
 * caller waits for them, and clients behind the lock wait for the caller.
 */
export function readyLines(text: string, warnings: readonly string[]): ReadyLines {
  let left = bytesLeft;
  const made = [
    { output: Deno.stdout, text },
    ...warnings.map((warning) => ({ output: Deno.stderr, text: warningLine(warning) })),
  ].map(({ output, text }) => {
    const line = lineOf(output, text, "", left);
    left -= line.bytes.length;
    return line;
  });
  return {
    async print() {
      bytesLeft = left;
      for (const line of made) await printReady(line);
    },
  };
}

/** Prints nothing, the way a line is printed, so that this way is not gone for the first time later. */
export async function warmUpPrinting(): Promise<void> {
  readyLines("", []);
  await atMost(Deno.stdout.write(new Uint8Array()).catch(() => {}), PRINT_LIMIT_MS, undefined);
}

/**
 * Both texts in at most `limit` bytes: the first is cut where they are longer, the second only
 * where there is no room for it. Nothing at all where too little would be left.
 */
export function fitted(what: string, remedy: string, limit: number): string {
  if (sizeOf(what) + sizeOf(remedy) <= limit) return what + remedy;
  const room = limit - sizeOf(remedy) - sizeOf("…");
  if (room < SHORTEST_PART) return remedy === "" ? "" : fitted(what + remedy, "", limit);
  // Whole characters only.
  const { read } = new TextEncoder().encodeInto(what, new Uint8Array(room));
  return `${what.slice(0, read)}…${remedy}`;
}

function sizeOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
