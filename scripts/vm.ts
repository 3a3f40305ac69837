/**
 * `deno task vm`: the product in a real virtual machine. Makes a release, installs it in a guest as
 * an operator does, freezes the guest over its agent's port, snapshots the running disk, and proves
 * the snapshot in a second machine; then does to the guest what happens to guests. Not a test: it
 * takes minutes, because the processor is imitated. Needs root; see tests/vm/.
 *
 *     deno task vm [-- [--only NAME]... [--rounds N] [--keep]]
 *
 * `--only`: the story, or one situation alone. `--rounds`: how often an LVM snapshot is taken.
 * `--keep`: leaves the folder with the machines' logs.
 */

import { parseArgs } from "node:util";
import { runLab, STEP_NAMES } from "../tests/vm/run.ts";
import { ScriptError, scriptMain } from "./shell.ts";

if (import.meta.main) {
  await scriptMain(async () => {
    const args = Deno.args.filter((word) => word !== "--");
    let values: { only?: string[]; rounds?: string; keep?: boolean };
    try {
      ({ values } = parseArgs({
        args,
        options: {
          only: { type: "string", multiple: true },
          rounds: { type: "string" },
          keep: { type: "boolean" },
        },
      }));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw new ScriptError(error.message);
    }
    const only = values.only ?? STEP_NAMES;
    const unknown = only.filter((name) => !STEP_NAMES.includes(name));
    if (unknown.length > 0) {
      throw new ScriptError(
        `No such part: ${unknown.join(", ")}; there are ${STEP_NAMES.join(", ")}`,
      );
    }
    const rounds = Number(values.rounds ?? "1");
    if (!Number.isInteger(rounds) || rounds < 1) {
      throw new ScriptError(`--rounds is a number, and not ${values.rounds}`);
    }
    return await runLab({ only, rounds, isKept: values.keep ?? false });
  });
}
