/** The command line for people: everything that is not a hook's call. */
import type { CommandEnd } from "../base/plugin_state.ts";
import { EXIT } from "../base/refusal.ts";
import { VERSION } from "../base/version.ts";
import { dropInstallRights } from "../callers/rights.ts";
import { isPluginCall, sayUnknown } from "../commands/plugin.ts";
import { commandNamed, COMMANDS, pageOf, unknownCommand } from "./commands.ts";
import { completionOf, hintFor, PROGRAM, SHELL_NAMES } from "./parser.ts";
import { print, refuse } from "./say.ts";

/** Options that stand alone. */
const ALONE = ["--help", "--version"] as const;

/** Runs a command for people; `args` is the whole command line after the program's name. */
export async function cli(args: readonly string[]): Promise<CommandEnd> {
  const [first, ...rest] = args;
  if (first === undefined) {
    await print(pageOf(undefined));
    // Not a success: a hook that has lost its argument must not be taken for a lock.
    return EXIT.usage;
  }
  const shell = SHELL_NAMES.find((name) => name === rest[0]);
  if (first === "completions" && rest[1] === "--" && shell !== undefined) {
    const candidates = completionOf(shell, COMMANDS, ALONE, rest.slice(2));
    // An empty line would be a candidate to fish.
    return candidates === "" ? EXIT.ok : await print(candidates);
  }
  const found = commandNamed(first);
  if (args.some((arg) => arg === "--help" || arg === "-h")) {
    // Help on a command that is not there would hide the mistake.
    return found === undefined && !first.startsWith("-")
      ? await refuse(unknownCommand(first))
      : await print(pageOf(found));
  }
  if (found === undefined) {
    if (rest.length === 0 && (first === "--version" || first === "-V")) {
      return await print(`${PROGRAM} ${VERSION}`);
    }
    return await refuse(first.startsWith("-") ? unknownAlone(args) : unknownCommand(first));
  }
  const run = found.read(rest);
  if (typeof run === "function") {
    if (found.isGranted !== true) dropInstallRights();
    return await run();
  }
  if (isPluginCall(args)) return await sayUnknown(run);
  // Who asks for help on something unknown wants the list, not the help's own page.
  return await refuse(run, found.name === "help" ? "" : `${found.name} `);
}

/** What is wrong with a first word that is an option which we do not have, or not there. */
function unknownAlone([name = "", next]: readonly string[]): string {
  if (name === "--version" || name === "-V") return `Unexpected argument "${next}".`;
  const isOfCommand = COMMANDS.some(({ read }) => typeof read([name]) === "function");
  const hint = isOfCommand ? "Options follow the command." : hintFor(name, ALONE);
  return `Unknown option ${name}. ${hint}`.trim();
}
