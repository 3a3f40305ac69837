/**
 * What a call means: the name the program was called by decides first, then the verb.
 * Pure, and imported by the hook path: no library here.
 */
import { type Caller, CALLER_TABLE, type CallerFacts, parseCaller } from "./table.ts";

/** A call that is a hook. */
export interface HookCall {
  readonly command: "pre-freeze" | "post-thaw";
  /** Whether the caller says that the snapshot failed (VMware's freezeFail). */
  readonly isAborted: boolean;
  /** Who runs the hook, as far as it is known: it decides the default of `freeze_timeout`. */
  readonly caller: Caller | null;
}

type Command = HookCall["command"];

/** Program names that callers look for. */
const BY_PROGRAM = namesOfCallers(({ programs }) => programs);

/** Verbs that callers pass: those of several, and those that tell who it is. */
const BY_VERB: Readonly<Record<string, readonly [Command, Caller | null]>> = {
  freeze: ["pre-freeze", null],
  pre: ["pre-freeze", null],
  thaw: ["post-thaw", null],
  post: ["post-thaw", null],
  freezeFail: ["post-thaw", null],
  freezefail: ["post-thaw", null],
  ...namesOfCallers(({ verbs }) => verbs),
};

function namesOfCallers(
  namesOf: (caller: CallerFacts) => CallerFacts["verbs"],
): Readonly<Record<string, readonly [Command, Caller]>> {
  return Object.fromEntries(
    Object.values(CALLER_TABLE).flatMap((caller) => {
      const { pre, post } = namesOf(caller);
      return [
        ...pre.map((name) => [name, ["pre-freeze", caller.name] as const] as const),
        ...post.map((name) => [name, ["post-thaw", caller.name] as const] as const),
      ];
    }),
  );
}

/** Our own names of the two, as people type them. */
const OWN: readonly string[] = ["pre-freeze", "post-thaw"];

/** The names that callers know a command by, for help and for hints. */
export interface HookNames {
  readonly verbs: readonly string[];
  readonly programs: readonly string[];
}

/** Every name that callers have for a command, except our own. */
export function hookNamesOf(command: Command): HookNames {
  const namesIn = (table: typeof BY_VERB) =>
    Object.keys(table).filter((name) => table[name]?.[0] === command);
  return { verbs: namesIn(BY_VERB), programs: namesIn(BY_PROGRAM) };
}

/**
 * The hook call in a program name and its arguments, or null where it is something else: a
 * command for people, or a mistake, which the command line's parser then explains.
 *
 * Where the caller's convention decides (program name or verb), further arguments that we do
 * not know are the caller's own (VMware's verb and scriptArg, Google's disk list) and ignored.
 * The one exception is a lone --help: no caller sends it, and who asks must not freeze a server.
 */
export function hookCallOf(programName: string, args: readonly string[]): HookCall | null {
  const name = programName.slice(programName.lastIndexOf("/") + 1);
  const byProgram = entryOf(BY_PROGRAM, name);
  if (byProgram !== undefined) {
    if (isHelpAlone(args)) return null;
    const [command, caller] = byProgram;
    return {
      command,
      isAborted: isFreezeFail(args[0]) && command === "post-thaw",
      caller: callerIn(args) ?? caller,
    };
  }
  const [verb = "", ...rest] = args;
  const byVerb = entryOf(BY_VERB, verb);
  if (byVerb !== undefined) {
    if (isHelpAlone(rest)) return null;
    const [command, caller] = byVerb;
    return { command, isAborted: isFreezeFail(verb), caller: callerIn(rest) ?? caller };
  }
  if (!OWN.includes(verb)) return null;
  const caller = callerIn(rest);
  // Nothing but the caller, in one word or two.
  const isUnderstood = rest.length === 0 ||
    (caller !== null && rest.length === (rest[0] === "--caller" ? 2 : 1));
  return isUnderstood ? { command: verb as Command, isAborted: false, caller } : null;
}

/** What a table itself has under a name: "constructor" is a name that every object knows. */
function entryOf<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** VMware's word for a snapshot that failed: its manual and its code spell it differently. */
function isFreezeFail(verb: string | undefined): boolean {
  return verb?.toLowerCase() === "freezefail";
}

function isHelpAlone(args: readonly string[]): boolean {
  return args.length === 1 && (args[0] === "--help" || args[0] === "-h");
}

/** The value of `--caller`, where it is one we know. */
function callerIn(args: readonly string[]): Caller | null {
  const at = args.findIndex((arg) => arg === "--caller" || arg.startsWith("--caller="));
  if (at < 0) return null;
  const value = args[at] === "--caller" ? args[at + 1] : args[at]?.slice("--caller=".length);
  return parseCaller(value);
}
