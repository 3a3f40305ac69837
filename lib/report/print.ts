/**
 * Printing that can neither fail nor block: a hook's stdout may be closed, full, or a pipe that
 * nobody reads (Azure), and none of that may cost the caller its thaw.
 */
import { atMost } from "../sys/at_most.ts";
import type { ExitCode, Refusal } from "./refusal.ts";

/** Longest wait for somebody to read, in milliseconds. */
const PRINT_LIMIT_MS = 500;

/** Longest text a hook prints, in bytes; agents hand on a few hundred, Azure's pipe takes 64 KiB. */
const HOOK_TEXT_LIMIT = 2_000;

interface Output {
  write(bytes: Uint8Array): Promise<number>;
}

async function write(output: Output, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += await output.write(bytes.subarray(done));
}

async function print(output: Output, text: string): Promise<void> {
  // Nobody listens: there is nobody to tell either.
  await atMost(write(output, text).catch(() => {}), PRINT_LIMIT_MS, undefined);
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

/** Prints one line of a hook on stdout. */
export function sayBriefly(text: string): Promise<void> {
  return print(Deno.stdout, `${brief(text)}\n`);
}

/** Prints one line on stderr. */
export function complain(text: string): Promise<void> {
  return print(Deno.stderr, `locktables: ${brief(text)}\n`);
}

/** Prints a refusal: what, where, and what to do, in one line on stderr; returns its exit code. */
export async function complainOf(refusal: Refusal): Promise<ExitCode> {
  await complain(`${refusal.summary}. ${refusal.hint}.`);
  return refusal.code;
}

function brief(text: string): string {
  const line = text.replaceAll(/\s*\n\s*/g, " ");
  return line.length <= HOOK_TEXT_LIMIT ? line : `${line.slice(0, HOOK_TEXT_LIMIT - 1)}…`;
}
