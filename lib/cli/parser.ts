/**
 * The command line's parser: options, arguments, their hints, completion and usage. This is the one
 * file that knows optique, so that another library would be a change of this file
 * (`.github/ARCHITECTURE.md` says why optique).
 *
 * Parsing goes one command at a time: optique looks for similar options among those of a command,
 * and would miss them among alternatives.
 */
import { bash, fish, type ShellCompletion, zsh } from "@optique/core/completion";
import { object, or } from "@optique/core/constructs";
import { formatDocPage } from "@optique/core/doc";
import { formatMessage, type Message, text } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { getDocPageSync, type Parser, parseSync, suggestSync } from "@optique/core/parser";
import type { NonEmptyString } from "@optique/core/nonempty";
import { argument, command, option } from "@optique/core/primitives";
import { findSimilar } from "@optique/core/suggestion";
import { choice, type ValueParser } from "@optique/core/valueparser";
import { formatAge, formatDuration, parseAge, parseDuration } from "../base/duration.ts";
import type { CommandEnd } from "../base/plugin_state.ts";

export const PROGRAM = "locktables";

/** The width of a plain terminal: help on a serial console must not break. */
export const WIDTH = 80;

/** One command, its result type closed over. */
export interface Command {
  readonly name: string;
  /** The line in the list of commands. */
  readonly brief: string;
  /** What a person needs to know before running it; lines of at most {@linkcode WIDTH}. */
  readonly details: string;
  readonly parser: Parser<"sync", unknown, unknown>;
  /** Whether it keeps the rights to the paths of hooks; the others give them back first. */
  readonly isGranted?: boolean;
  /** What to do; or, in one line, what is wrong with the arguments. */
  read(args: readonly string[]): (() => Promise<CommandEnd>) | string;
}

/** A command whose `run` gets what its `parser` read. */
export function define<T, S>(
  definition: Pick<Command, "name" | "brief" | "details" | "isGranted"> & {
    readonly parser: Parser<"sync", T, S>;
    run(value: T): Promise<CommandEnd>;
  },
): Command {
  const { parser, run, ...rest } = definition;
  return {
    ...rest,
    parser: command(rest.name, parser, { brief: [text(rest.brief)] }),
    read(args) {
      const result = parseSync(parser, args);
      return result.success ? () => run(result.value) : oneLine(result.error);
    },
  };
}

type Fields = Readonly<Record<string, Parser<"sync", unknown, unknown>>>;

/**
 * The options and arguments of a command, and `--help`, whose value is never looked at.
 * @param missing what is wrong where an argument is not there
 */
export function fields<const F extends Fields>(own: F, missing?: string) {
  const help = flag("--help", "Explain this command, and do nothing else", "-h");
  return object({ ...own, help }, {
    errors: {
      suggestions: (names) => [text(didYouMean(names))],
      ...(missing === undefined ? {} : { endOfInput: [text(missing)] }),
    },
  });
}

/** An option without a value. One with a short form is left out of the usage line. */
export function flag(name: `--${string}`, description: string, short?: `-${string}`) {
  return short === undefined
    ? option(name, { description: [text(description)] })
    : option(short, name, { description: [text(description)], hidden: "usage" });
}

/** An option whose value is one of a few words. */
export function choiceOption<const T extends string>(
  name: `--${string}`,
  words: readonly T[],
  description: string,
) {
  return optional(option(name, oneOf(name, words, "NAME"), described(description)));
}

/** An option, which need not be there, whose value is any text. */
export function textOption(name: `--${string}`, metavar: NonEmptyString, description: string) {
  const parser: ValueParser<"sync", string> = {
    mode: "sync",
    metavar,
    placeholder: "",
    format: (word) => word,
    parse: (input) =>
      input === ""
        ? { success: false, error: [text(`${name} is empty, expected a ${metavar}.`)] }
        : { success: true, value: input },
  };
  return optional(option(name, parser, described(description)));
}

/** An argument that is one of a few words. */
export function choiceArgument<const T extends string>(
  metavar: NonEmptyString,
  words: readonly T[],
  description: string,
) {
  return argument(oneOf(metavar, words, metavar), described(description));
}

/** Any number of {@linkcode choiceArgument}. */
export function choiceArguments<const T extends string>(
  metavar: NonEmptyString,
  words: readonly T[],
  description: string,
) {
  return multiple(choiceArgument(metavar, words, description));
}

/** An option whose value is a duration in a range, in milliseconds. */
export function durationOption(
  name: `--${string}`,
  { minMs, maxMs, defaultMs }: { minMs: number; maxMs: number; defaultMs: number },
  description: string,
) {
  const parser = duration({
    name,
    minMs,
    maxMs,
    parse: parseDuration,
    format: formatDuration,
    written: "500ms, 8s or 2m",
    examples: ["2s", "10s", "30s"],
  });
  return withDefault(option(name, parser, described(description)), defaultMs);
}

/** An option, which need not be there, for how old something may be, in milliseconds. */
export function ageOption(
  name: `--${string}`,
  { minMs, maxMs, examples }: { minMs: number; maxMs: number; examples: readonly string[] },
  description: string,
) {
  const parser = duration({
    name,
    minMs,
    maxMs,
    parse: parseAge,
    format: formatAge,
    written: "90s, 26h or 7d",
    examples,
  });
  return optional(option(name, parser, described(description)));
}

/**
 * An argument, which need not be there, that is a word by another's rule.
 * @param find what it means, or in one line what is wrong with it
 */
export function foundArgument(
  metavar: NonEmptyString,
  find: (word: string) => { readonly found: string } | { readonly wrong: string },
  examples: () => readonly string[],
  description: string,
) {
  const parser: ValueParser<"sync", string> = {
    mode: "sync",
    metavar,
    placeholder: "",
    format: (word) => word,
    parse(input) {
      const result = find(input);
      return "found" in result
        ? { success: true, value: result.found }
        : { success: false, error: [text(result.wrong)] };
    },
    *suggest(prefix) {
      yield* literals(examples(), prefix);
    },
  };
  return optional(argument(parser, described(description)));
}

/** The errors of values are whole sentences already. */
function described(description: string) {
  return {
    description: [text(description)],
    errors: { invalidValue: (error: Message) => error },
  };
}

/** A value parser for one of a few words, with what is wrong about another. */
function oneOf<const T extends string>(
  what: string,
  words: readonly T[],
  metavar: NonEmptyString,
) {
  return choice(words, {
    metavar,
    errors: {
      invalidChoice: (input, names) => [
        text(`${what} is "${input}", expected one of ${names.join(", ")}. `),
        text(hintFor(input, names)),
      ],
    },
  });
}

/** A value parser for a time in a range, with errors that name the option. */
function duration(
  { name, minMs, maxMs, parse, format, written, examples }: {
    readonly name: string;
    readonly minMs: number;
    readonly maxMs: number;
    readonly parse: (text: string) => number | null;
    readonly format: (ms: number) => string;
    readonly written: string;
    readonly examples: readonly string[];
  },
): ValueParser<"sync", number> {
  const range = `${format(minMs)} to ${format(maxMs)}`;
  return {
    mode: "sync",
    metavar: "DURATION",
    placeholder: minMs,
    format,
    parse(input) {
      const ms = parse(input);
      return ms !== null && ms >= minMs && ms <= maxMs ? { success: true, value: ms } : {
        success: false,
        error: [text(`${name} is "${input}", expected ${range}, written like ${written}.`)],
      };
    },
    *suggest(prefix) {
      yield* literals(examples, prefix);
    },
  };
}

function literals(words: readonly string[], prefix: string) {
  return words.filter((word) => word.startsWith(prefix)).map((word) =>
    ({ kind: "literal", text: word }) as const
  );
}

// ---------------------------------------------------------------------------------------------
// Mistakes

/** What was probably meant by a word; empty where nothing is near, or everything. */
export function hintFor(word: string, names: readonly string[]): string {
  const near = findSimilar(word, names);
  return near.length === names.length ? "" : didYouMean(near);
}

/** The hint after a mistake; one-letter options are similar to every other and left out. */
function didYouMean(names: readonly string[]): string {
  const near = names.filter((name) => !/^-.$/.test(name));
  return near.length === 0 ? "" : `Did you mean ${near.join(" or ")}?`;
}

/** A message of optique's as one line: it sets its hints apart with empty ones. */
function oneLine(message: Message): string {
  return formatMessage(message, { quotes: false }).replaceAll(/\s+/g, " ").trim();
}

// ---------------------------------------------------------------------------------------------
// Help and completion, of all commands

/** Usage and options of a command, as lines of at most {@linkcode WIDTH}. */
export function usageOf(commands: readonly Command[], name: string): string {
  const { usage, sections } = getDocPageSync(rootOf(commands), [name]) ?? { sections: [] };
  const doc = { sections, ...(usage === undefined ? {} : { usage }) };
  const page = formatDocPage(PROGRAM, doc, { maxWidth: WIDTH, termWidth: "auto" });
  return page.trim().replaceAll(/ +$/gm, "");
}

export const SHELL_NAMES = ["bash", "zsh", "fish"] as const;
export type ShellName = typeof SHELL_NAMES[number];
const SHELLS: Readonly<Record<ShellName, ShellCompletion>> = { bash, zsh, fish };

/** The script; it has the program called back with `completions SHELL --` and the words so far. */
export function completionScript(shell: ShellName): string {
  return SHELLS[shell].generateScript(PROGRAM, ["completions", shell, "--"]).trim();
}

/**
 * What completes the last of the words, in the form that the shell's script reads.
 * @param alone options that stand in a command's place
 */
export function completionOf(
  shell: ShellName,
  commands: readonly Command[],
  alone: readonly string[],
  words: readonly string[],
): string {
  const [first = "", ...rest] = words;
  const isFirst = rest.length === 0;
  if (!isFirst && !commands.some(({ name }) => name === first)) return ""; // not the commands again
  const suggestions = isFirst && first.startsWith("-")
    ? literals(alone, first)
    : suggestSync(rootOf(commands), [first, ...rest]);
  return [...SHELLS[shell].encodeSuggestions(suggestions)].join("");
}

/** Everything at once. */
function rootOf(commands: readonly Command[]): Parser<"sync", unknown, unknown> {
  return or(...commands.map(({ parser }) => parser) as AtLeastOne);
}
type AtLeastOne = [Parser<"sync", unknown, unknown>];
