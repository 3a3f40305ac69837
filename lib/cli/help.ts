/** The pages of the help: text of our own around the parser's list of options. */
import {
  HISTORY_FILE,
  OPTION_FILE,
  RECEIPT_FILE,
  RECORD_FILE,
  RUN_DIR,
  TOTALS_FILE,
  WAIT_FOR_SNAPSHOT,
} from "../base/paths.ts";
import { EXIT, type ExitCode } from "../base/refusal.ts";
import { VERSION } from "../base/version.ts";
import { hookNamesOf } from "../callers/call.ts";
import { CALLERS } from "../callers/table.ts";
import { type Command, PROGRAM, usageOf } from "./parser.ts";

/** One line of the program. */
export const SUMMARY = "application-consistent VM snapshots of MySQL and MariaDB";

/** What each exit code tells the person who reads it: complete, or it does not compile. */
export const EXIT_TEXTS: Readonly<Record<ExitCode, string>> = {
  [EXIT.ok]: "Good. What that means for each command: locktables help COMMAND",
  [EXIT.defect]: "A defect in locktables; please report it",
  [EXIT.usage]: "The command line was wrong; nothing was done",
  [EXIT.lockNotObtained]: "No lock in time; the message names who was in the way",
  [EXIT.windowOpen]: "A window is open already, and left as it is",
  [EXIT.notHeld]: "The lock did not hold until the thaw: only crash-consistent",
  [EXIT.unreachable]: "The server cannot be reached",
  [EXIT.denied]: "Access denied, or a privilege is missing; the message has the GRANT",
  [EXIT.badSetup]: "A bad option file, setting, or path",
  [EXIT.notAsPromised]: "verify: the image is sound, but not what was promised",
  [EXIT.damaged]: "verify: the image is damaged",
  [EXIT.cannotTell]: "verify: it cannot be told; the message says why",
};

/** Names that callers have for a command. */
export function namesOf(name: "pre-freeze" | "post-thaw"): string {
  return hookNamesOf(name).verbs.join(", ");
}

/** The page of one command. */
export function helpOf(commands: readonly Command[], one: Command): string {
  return `${one.brief}.\n\n${usageOf(commands, one.name)}\n${one.details}`;
}

/** The page of all commands. */
export function overview(commands: readonly Command[]): string {
  const programs = (name: "pre-freeze" | "post-thaw") => hookNamesOf(name).programs.join(", ");
  return `${PROGRAM} ${VERSION}: ${SUMMARY}

Usage: ${PROGRAM} COMMAND [OPTION]...

Commands:
${table(commands.map(({ name, brief }) => [name, brief]))}
  ${PROGRAM} help COMMAND explains one; -V, --version prints the version.

If writers hang now:
${
    table([
      [`${PROGRAM} status`, "is a lock held, since when, until when"],
      [`${PROGRAM} post-thaw`, "unlock; safe to repeat"],
      [`rm ${WAIT_FOR_SNAPSHOT}`, "unlock without this program"],
    ])
  }
  The lock is also released automatically after hold_timeout: 60s unless set.

Exit codes:
${table(Object.entries(EXIT_TEXTS).map(([code, meaning]) => [code.padStart(2), meaning]))}

Files:
${
    table([
      [OPTION_FILE, "options: groups [client], [locktables]"],
      [`${RUN_DIR}/`, "the open window; never survives a reboot"],
      [RECORD_FILE, "the newest window; part of its snapshot"],
      [RECEIPT_FILE, "what install changed"],
      [HISTORY_FILE, "the windows before it"],
      [TOTALS_FILE, "numbers over all windows"],
    ])
  }

Called by hooks (the program's name decides before the first word does):
${
    table([
      ["pre-freeze, first word", namesOf("pre-freeze")],
      ["pre-freeze, program name", programs("pre-freeze")],
      ["post-thaw, first word", namesOf("post-thaw")],
      ["post-thaw, program name", programs("post-thaw")],
    ])
  }
  Further words of the caller's are ignored, except --caller NAME:
${listed(CALLERS)}.`;
}

/** How wide a plain terminal is. */
const WIDTH = 80;

/** Words with commas in lines that fit, indented. */
function listed(words: readonly string[]): string {
  const lines: string[] = [];
  for (const [at, word] of words.entries()) {
    const text = at < words.length - 1 ? `${word},` : word;
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + text.length >= WIDTH) lines.push(`  ${text}`);
    else lines[lines.length - 1] = `${last} ${text}`;
  }
  return lines.join("\n");
}

/** Two columns, indented. */
function table(rows: readonly (readonly [left: string, right: string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
