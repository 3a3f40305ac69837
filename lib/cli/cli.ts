/**
 * The command line for people: everything that is not a hook's call.
 *
 * Parsing, hints and completion are optique's, one command at a time: it looks for similar
 * options among those of a command, and would miss them among alternatives. The help is text of
 * our own around optique's list of options, so that it names no option that does not exist.
 */
import { bash, fish, type ShellCompletion, zsh } from "@optique/core/completion";
import { object, or } from "@optique/core/constructs";
import { formatDocPage } from "@optique/core/doc";
import { formatMessage, type Message, message, text } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { getDocPageSync, type Parser, parseSync, suggestSync } from "@optique/core/parser";
import { argument, command, option } from "@optique/core/primitives";
import { findSimilar } from "@optique/core/suggestion";
import { choice, type ValueParser } from "@optique/core/valueparser";
import { formatDuration, parseDuration } from "../base/duration.ts";
import { complain, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode } from "../base/refusal.ts";
import {
  HISTORY_FILE,
  OPTION_FILE,
  RECEIPT_FILE,
  RECORD_FILE,
  RUN_DIR,
  WAIT_FOR_SNAPSHOT,
} from "../base/paths.ts";
import { dropInstallRights } from "../callers/rights.ts";
import { VERSION } from "../base/version.ts";
import { CALLER_TABLE, CALLERS } from "../callers/table.ts";
import { hookCallOf, hookNamesOf } from "../callers/call.ts";

const PROGRAM = "locktables";

/** The width of a plain terminal: help on a serial console must not break. */
const WIDTH = 80;

/** Longest hold of a rehearsal: beyond it somebody is looking for a maintenance mode. */
const HOLD_LIMIT_MS = 15 * 60_000;

/** A hold long enough to see writers wait, and short enough for a server in use. */
const HOLD_DEFAULT_MS = 2_000;

const SHELL_NAMES = ["bash", "zsh", "fish"] as const;
type ShellName = typeof SHELL_NAMES[number];
const SHELLS: Readonly<Record<ShellName, ShellCompletion>> = { bash, zsh, fish };

/** What each exit code tells the person who reads it: complete, or it does not compile. */
const EXIT_TEXTS: Readonly<Record<ExitCode, string>> = {
  [EXIT.ok]: "Good. What that means for each command: locktables help COMMAND",
  [EXIT.defect]: "A defect in locktables; please report it",
  [EXIT.usage]: "The command line was wrong; nothing was done",
  [EXIT.lockNotObtained]: "No lock in time; the message names who was in the way",
  [EXIT.windowOpen]: "A window is open already, and left as it is",
  [EXIT.notHeld]: "The lock did not hold until the thaw: only crash-consistent",
  [EXIT.unreachable]: "The server cannot be reached",
  [EXIT.denied]: "Access denied, or a privilege is missing; the message has the GRANT",
  [EXIT.badSetup]: "A bad option file, setting, or path",
};

/** One command, its result type closed over. */
interface Command {
  readonly name: string;
  /** The line in the list of commands. */
  readonly brief: string;
  /** What a person needs to know before running it; lines of at most {@linkcode WIDTH}. */
  readonly details: string;
  readonly parser: Parser<"sync", unknown, unknown>;
  /** Whether it keeps the rights to the paths of hooks; the others give them back first. */
  readonly isGranted?: boolean;
  /** What to do, or what is wrong with the arguments. */
  read(args: readonly string[]): (() => Promise<ExitCode>) | Message;
}

function define<T, S>(
  definition: Pick<Command, "name" | "brief" | "details" | "isGranted"> & {
    readonly parser: Parser<"sync", T, S>;
    run(value: T): Promise<ExitCode>;
  },
): Command {
  const { parser, run, ...rest } = definition;
  return {
    ...rest,
    parser: command(rest.name, parser, { brief: [text(rest.brief)] }),
    read(args) {
      const result = parseSync(parser, args);
      return result.success ? () => run(result.value) : result.error;
    },
  };
}

// ---------------------------------------------------------------------------------------------
// Options

/** The hints of a command's own options; with an error text of our own there would be none. */
const ERRORS = { suggestions: didYouMean };

/** In every command, for its help and its completion; the value is never looked at. */
const help = option("-h", "--help", {
  description: message`Explain this command, and do nothing else`,
  hidden: "usage",
});

const json = option("--json", { description: message`Print one JSON object instead of sentences` });

/** `--caller`, with what it is good for in this command. */
function callerOption(purpose: string) {
  return optional(option(
    "--caller",
    callerName("--caller"),
    {
      description: [text(`Who takes the snapshot: ${CALLERS.join(", ")}. ${purpose}`)],
      errors: { invalidValue: (error) => error },
    },
  ));
}

/** A caller's name, with what is wrong about another word. `what` begins the sentence. */
function callerName(what: string) {
  return choice(CALLERS, {
    metavar: "NAME",
    errors: {
      invalidChoice: (input, names) => [
        text(`${what} is "${input}", expected one of ${names.join(", ")}. `),
        ...didYouMean(findSimilar(input, names)),
      ],
    },
  });
}

const callerArguments = multiple(
  argument(callerName("CALLER"), {
    description: [text(`Who takes the snapshot: ${CALLERS.join(", ")}`)],
    errors: { invalidValue: (error) => error },
  }),
);

const dryRun = option("--dry-run", {
  description: message`Say exactly what would be done, and do nothing`,
});

/** Options that choose another than the usual form of a caller's hooks. */
const formOptions = {
  legacy: option("--legacy", {
    description: message`vmware: the legacy script names, for products that call no other`,
  }),
  direct: option("--direct", {
    description: message`qemu: in place of the dispatcher, so that a failing freeze is heard`,
  }),
} as const;

/** A value parser for a duration in a range, with errors that name the option. */
function duration(name: string, minMs: number, maxMs: number): ValueParser<"sync", number> {
  const range = `${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return {
    mode: "sync",
    metavar: "DURATION",
    placeholder: minMs,
    format: formatDuration,
    parse(input) {
      const ms = parseDuration(input);
      return ms !== null && ms >= minMs && ms <= maxMs ? { success: true, value: ms } : {
        success: false,
        error: [
          text(`${name} is "${input}", expected ${range}, written like 500ms, 8s or 2m.`),
        ],
      };
    },
    *suggest(prefix) {
      for (const example of ["2s", "10s", "30s"]) {
        if (example.startsWith(prefix)) yield { kind: "literal", text: example };
      }
    },
  };
}

/** A value parser for a command to be explained, by any of its names. */
const topic: ValueParser<"sync", string> = {
  mode: "sync",
  metavar: "COMMAND",
  placeholder: "",
  format: (name) => name,
  parse(input) {
    const found = commandNamed(input);
    return found !== undefined
      ? { success: true, value: found.name }
      : { success: false, error: unknownCommand(input) };
  },
  *suggest(prefix) {
    for (const { name } of COMMANDS) {
      if (name.startsWith(prefix)) yield { kind: "literal", text: name };
    }
  },
};

// ---------------------------------------------------------------------------------------------
// Commands

/** The order is that of the list in the help. The locker is not for people and not here. */
const COMMANDS: readonly Command[] = [
  define({
    name: "pre-freeze",
    brief: "Lock the servers, before the snapshot",
    details: `
Opens a window: waits until no long statement is in the way, locks every
configured server, writes binlog coordinates to disk, flushes the disks, and
returns while a background process keeps the lock. Close it with post-thaw.
Otherwise the lock is released automatically after hold_timeout (60s unless
set).

Exit 0: every server is locked, its data is on disk, and its coordinates are
recorded on disk. After any other exit nothing is locked by this call.
(With on_failure=proceed also 0 without a lock; a line on stderr says so.)

Also called as: ${namesOf("pre-freeze")}`,
    parser: object({
      caller: callerOption("Decides how long the freeze may take, unless freeze_timeout is set"),
      help,
    }, { errors: ERRORS }),
    run: async (value) => {
      const { preFreeze } = await import("../commands/pre_freeze.ts");
      return await preFreeze(value.caller ?? null);
    },
  }),
  define({
    name: "post-thaw",
    brief: "Unlock, after the snapshot, and say what it is worth",
    details: `
Closes the window: releases the lock first, then compares the coordinates and
says whether the snapshot is application-consistent. Safe to repeat, and safe
when nothing is open. While pre-freeze still works, it cancels it.

Exit 0: the lock was held without a gap since pre-freeze returned, or there was
nothing to close (it says which).
Exit 12: the lock expired or was lost: that snapshot is only crash-consistent.
(Or pre-freeze was killed, which VMware Tools take for a success.)

Also called as: ${namesOf("post-thaw")}
(freezeFail: the caller gave up its snapshot; closed as aborted, exit 0)`,
    parser: object({
      caller: callerOption("Accepted for symmetry; changes nothing here"),
      help,
    }, { errors: ERRORS }),
    run: async () => {
      const { postThaw } = await import("../commands/post_thaw.ts");
      return await postThaw(false);
    },
  }),
  define({
    name: "status",
    brief: "Say whether a lock is held now, and how the last window ended",
    details: `
Only looks; changes nothing and needs no connection to a server.

Exit 0: printed, whatever the state is.`,
    parser: object({ json, help }, { errors: ERRORS }),
    run: async (value) => {
      const { status } = await import("../commands/status.ts");
      return await status(value.json);
    },
  }),
  define({
    name: "check",
    brief: "Find what would make tonight's freeze fail, without locking",
    details: `
Logs in as pre-freeze does and asks; locks nothing, changes nothing, starts no
program, and ends within 10 seconds. Prints errors, warnings and notes, each
with a command that ends it, ready to be copied, where there is one.

Exit 0: no error was found; warnings and notes do not count.
Otherwise the code that pre-freeze would have had: 20, 21, 22, 10 or 11.

Example: locktables check --json`,
    parser: object({ json, help }, { errors: ERRORS }),
    isGranted: true,
    run: async (value) => {
      const { check } = await import("../commands/check.ts");
      return await check(value.json);
    },
  }),
  define({
    name: "rehearse",
    brief: "Open and close a real window without a snapshot, and time it",
    details: `
Locks the servers for real, as pre-freeze does: writers wait for as long as the
rehearsal holds. Shows what took how long, and how long writers would stall.

Exit 0: the window was good: locked, held without a gap, released.

Example: locktables rehearse --hold 500ms`,
    parser: object({
      hold: withDefault(
        option("--hold", duration("--hold", 0, HOLD_LIMIT_MS), {
          description: message`How long to hold the lock, ${
            text(`0s to ${formatDuration(HOLD_LIMIT_MS)}`)
          }; ${text(formatDuration(HOLD_DEFAULT_MS))} by default`,
          errors: { invalidValue: (error) => error },
        }),
        HOLD_DEFAULT_MS,
      ),
      json,
      help,
    }, { errors: ERRORS }),
    run: async (value) => {
      const { rehearse } = await import("../commands/rehearse.ts");
      return await rehearse({ holdMs: value.hold, asJson: value.json });
    },
  }),
  define({
    name: "install",
    brief: "Put hooks where the snapshot's caller looks for them",
    details: `
CALLER is who takes the snapshot; ${PROGRAM} install --list shows each with its
paths, its rules and its limits. Files that it did not create are never
overwritten (exit 22, names the file). It makes directories, sets the caller's
switches, and prints what it cannot do itself. Safe to repeat.

Exit 0: the hooks are in place, and have been verified.

Examples: ${PROGRAM} install vmware
          ${PROGRAM} install qemu --direct --dry-run`,
    parser: object({
      callers: callerArguments,
      list: option("--list", { description: message`Show every caller, and install nothing` }),
      dryRun,
      replace: option("--replace", {
        description: message`Keep what is in the way beside it; uninstall puts it back`,
      }),
      ...formOptions,
      help,
    }, { errors: ERRORS }),
    isGranted: true,
    run: async ({ callers, list, dryRun, replace, legacy, direct }) => {
      const { install, listCallers } = await import("../commands/install.ts");
      if (list) return await listCallers();
      const chosen = [...new Set(callers)];
      if (chosen.length === 0) return await refuse(`No CALLER: ${CALLERS.join(", ")}.`, "install ");
      const options = [...(legacy ? ["--legacy"] : []), ...(direct ? ["--direct"] : [])];
      const stray = options.find((name) =>
        !chosen.some((caller) => CALLER_TABLE[caller].forms.some((form) => form.option === name))
      );
      if (stray !== undefined) {
        return await refuse(`${stray} is not for ${chosen.join(", ")}.`, "install ");
      }
      return await install({ callers: chosen, formOptions: options, replace, dryRun });
    },
  }),
  define({
    name: "uninstall",
    brief: "Take the hooks away, and put back what was there before",
    details: `
Without CALLER: all of them, and with the last one the records of windows too,
if they began with the installation. Refuses while a window is open (exit 11),
and where a hook was changed since it was installed (exit 22). The program
itself stays.

Exit 0: done, or there was nothing to do.`,
    parser: object({
      callers: callerArguments,
      dryRun,
      force: option("--force", {
        description: message`Remove also what was changed since it was installed`,
      }),
      help,
    }, { errors: ERRORS }),
    isGranted: true,
    run: async ({ callers, dryRun, force }) => {
      const { uninstall } = await import("../commands/uninstall.ts");
      return await uninstall({ callers: [...new Set(callers)], force, dryRun });
    },
  }),
  define({
    name: "completions",
    brief: "Print the script that completes locktables in a shell",
    details: `
  bash  locktables completions bash > /etc/bash_completion.d/locktables
  zsh   locktables completions zsh > "\${fpath[1]}/_locktables"
  fish  locktables completions fish > ~/.config/fish/completions/locktables.fish

To try it in this shell first: eval "$(locktables completions bash)"

Exit 0: printed.`,
    parser: object({
      shell: argument(
        choice(SHELL_NAMES, {
          metavar: "SHELL",
          errors: {
            invalidChoice: (input, names) => [
              text(`SHELL is "${input}", expected one of ${names.join(", ")}.`),
            ],
          },
        }),
        {
          description: message`bash, zsh or fish`,
          errors: { invalidValue: (error) => error },
        },
      ),
      help,
    }, {
      errors: { ...ERRORS, endOfInput: message`completions needs a SHELL: bash, zsh or fish.` },
    }),
    run: (value) => print(completionScript(value.shell)),
  }),
  define({
    name: "help",
    brief: "Explain a command",
    details: `
Exit 0: printed.`,
    parser: object({
      topic: optional(argument(topic, {
        description: message`A command, or a caller's name for it; without it, everything`,
        errors: { invalidValue: (error) => error },
      })),
      help,
    }, { errors: ERRORS }),
    run: (value) => print(helpOf(commandNamed(value.topic ?? ""))),
  }),
];

/** Everything at once, for completion and for the pages of the help. */
const ROOT = or(...COMMANDS.map(({ parser }) => parser) as AtLeastOne);
type AtLeastOne = [Parser<"sync", unknown, unknown>];

/** Options that stand alone. */
const ALONE = ["--help", "--version"] as const;

/** Runs a command for people; `args` is the whole command line after the program's name. */
export async function cli(args: readonly string[]): Promise<ExitCode> {
  const [first, ...rest] = args;
  if (first === undefined) {
    await print(overview());
    // Not a success: a hook that has lost its argument must not be taken for a lock.
    return EXIT.usage;
  }
  const shell = SHELL_NAMES.find((name) => name === rest[0]);
  if (first === "completions" && rest[1] === "--" && shell !== undefined) {
    const candidates = completionOf(SHELLS[shell], rest.slice(2));
    // An empty line would be a candidate to fish.
    return candidates === "" ? EXIT.ok : await print(candidates);
  }
  const found = commandNamed(first);
  if (args.some((arg) => arg === "--help" || arg === "-h")) {
    // Help on a command that is not there would hide the mistake.
    return found === undefined && !first.startsWith("-")
      ? await refuse(oneLine(unknownCommand(first)))
      : await print(helpOf(found));
  }
  if (found === undefined) {
    if (rest.length === 0 && (first === "--version" || first === "-V")) {
      return await print(`${PROGRAM} ${VERSION}`);
    }
    return await refuse(
      oneLine(first.startsWith("-") ? unknownAlone(args) : unknownCommand(first)),
    );
  }
  const run = found.read(rest);
  if (typeof run === "function") {
    if (found.isGranted !== true) dropInstallRights();
    return await run();
  }
  // Who asks for help on something unknown wants the list, not the help's own page.
  return await refuse(oneLine(run), found.name === "help" ? "" : `${found.name} `);
}

/** A command by its name or by one of a caller's. */
function commandNamed(name: string): Command | undefined {
  const own = hookCallOf("", [name])?.command ?? name;
  return COMMANDS.find((one) => one.name === own);
}

async function print(whole: string): Promise<ExitCode> {
  try {
    await sayAll(whole);
    return EXIT.ok;
  } catch (error) {
    await complain(`Cannot print: ${error instanceof Error ? error.message : error}`);
    return EXIT.defect;
  }
}

// ---------------------------------------------------------------------------------------------
// Mistakes

/** Says in one line what is wrong with the command line; every mistake is a whole sentence. */
async function refuse(mistake: string, commandName = ""): Promise<ExitCode> {
  await complain(`${mistake} Run: ${PROGRAM} ${commandName}--help`);
  return EXIT.usage;
}

function unknownCommand(name: string): Message {
  const { verbs: pre } = hookNamesOf("pre-freeze");
  const { verbs: post } = hookNamesOf("post-thaw");
  const names = [...COMMANDS.map((one) => one.name), ...pre, ...post];
  return [text(`Unknown command "${name}". `), ...didYouMean(findSimilar(name, names))];
}

/** A first word that is an option we do not have, or not there. */
function unknownAlone([name = "", next]: readonly string[]): Message {
  if (name === "--version" || name === "-V") return [text(`Unexpected argument "${next}".`)];
  const options = COMMANDS.some(({ read }) => typeof read([name]) === "function");
  const hint = options
    ? [text("Options follow the command.")]
    : didYouMean(findSimilar(name, ALONE));
  return [text(`Unknown option ${name}. `), ...hint];
}

/** The hint after a mistake; one-letter options are similar to every other and left out. */
function didYouMean(names: readonly string[]): Message {
  const [best, ...others] = names.filter((name) => !/^-.$/.test(name));
  if (best === undefined) return [];
  return [text(`Did you mean ${[best, ...others].join(" or ")}?`)];
}

/** A message of optique's as one line: it sets its hints apart with empty ones. */
function oneLine(message: Message): string {
  return formatMessage(message, { quotes: false }).replaceAll(/\s+/g, " ").trim();
}

// ---------------------------------------------------------------------------------------------
// Completion

/** The script; it has the program called back with the words after `--`. */
function completionScript(shell: ShellName): string {
  return SHELLS[shell].generateScript(PROGRAM, ["completions", shell, "--"]).trim();
}

/** What completes the last of the words, in the form that the shell's script reads. */
function completionOf(shell: ShellCompletion, words: readonly string[]): string {
  const [first = "", ...rest] = words;
  const isFirst = rest.length === 0;
  if (!isFirst && !COMMANDS.some(({ name }) => name === first)) return ""; // not the commands again
  const suggestions = isFirst && first.startsWith("-")
    ? ALONE.filter((name) => name.startsWith(first)).map((name) =>
      ({ kind: "literal", text: name }) as const
    )
    : suggestSync(ROOT, [first, ...rest]);
  return [...shell.encodeSuggestions(suggestions)].join("");
}

// ---------------------------------------------------------------------------------------------
// Help

/** The page of one command, or that of all. */
function helpOf(one: Command | undefined): string {
  if (one === undefined) return overview();
  // Usage and options as optique knows them; the line above is ours, with air below it.
  const { usage, sections } = getDocPageSync(ROOT, [one.name]) ?? { sections: [] };
  const doc = { sections, ...(usage === undefined ? {} : { usage }) };
  const known = formatDocPage(PROGRAM, doc, { maxWidth: WIDTH, termWidth: "auto" });
  return `${one.brief}.\n\n${known.trim().replaceAll(/ +$/gm, "")}\n${one.details}`;
}

/** Names that callers have for a command. */
function namesOf(name: "pre-freeze" | "post-thaw"): string {
  return hookNamesOf(name).verbs.join(", ");
}

function overview(): string {
  const programs = (name: "pre-freeze" | "post-thaw") => hookNamesOf(name).programs.join(", ");
  return `${PROGRAM} ${VERSION}: application-consistent VM snapshots of MySQL and MariaDB

Usage: ${PROGRAM} COMMAND [OPTION]...

Commands:
${table(COMMANDS.map(({ name, brief }) => [name, brief]))}
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
  ${CALLERS.join(", ")}.`;
}

/** Two columns, indented. */
function table(rows: readonly (readonly [left: string, right: string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
