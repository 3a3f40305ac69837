/** What the command line says, and the exit code that it means. */
import { complain, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode } from "../base/refusal.ts";
import { PROGRAM } from "./parser.ts";

/** Prints a page. */
export async function print(whole: string): Promise<ExitCode> {
  try {
    await sayAll(whole);
    return EXIT.ok;
  } catch (error) {
    await complain(`Cannot print: ${error instanceof Error ? error.message : error}`);
    return EXIT.defect;
  }
}

/** Says in one line what is wrong with the command line; every mistake is a whole sentence. */
export async function refuse(mistake: string, commandName = ""): Promise<ExitCode> {
  await complain(`${mistake} Run: ${PROGRAM} ${commandName}--help`);
  return EXIT.usage;
}
