/** install: puts hooks where callers look for them, and notes what was changed. */
import { type Caller, CALLER_TABLE, type CallerFacts } from "../callers/table.ts";
import { PRODUCTS } from "../callers/products.ts";
import { type InstallRequest, planInstall } from "../install/plan_install.ts";
import type { Plan } from "../install/steps.ts";
import { emptyReceipt, type Receipt } from "../hooks/receipt.ts";
import { type Tree, treeAfter } from "../hooks/tree.ts";
import { dryRunText, listText, productLines, stepsText } from "../install/text.ts";
import { complainOf, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal, type Refusal, refusal } from "../base/refusal.ts";
import { rfc3339, systemClock } from "../base/clock.ts";
import { unusable } from "../base/files.ts";
import { applySteps, guestTree, StepError } from "../hooks/guest_tree.ts";
import { readReceipt, restoreReceipt, writeReceipt } from "../hooks/receipt_file.ts";
import { VERSION } from "../base/version.ts";
import { textOf } from "../base/styled.ts";
import { metricsLines } from "./install_metrics.ts";
import { prepare } from "./prepare_install.ts";
import { terminalPaint } from "./terminal.ts";

/** What to install. */
export interface InstallOptions {
  /** At least one, each once. */
  readonly callers: readonly Caller[];
  /** Options that choose a form; each belongs to one caller. */
  readonly formOptions: readonly string[];
  readonly replace: boolean;
  readonly dryRun: boolean;
}

/** Puts the hooks of some callers in place: of all of them or, on a refusal, of none. */
export async function install(options: InstallOptions): Promise<ExitCode> {
  const prepared = await prepare("install", options.dryRun);
  if (isRefusal(prepared)) return await complainOf(prepared);
  using ready = prepared;
  const { receipt: before, program } = ready;
  const requests = options.callers.map((caller): InstallRequest => ({
    caller,
    option: CALLER_TABLE[caller].forms.map(({ option }) => option)
      .find((option) => option !== null && options.formOptions.includes(option)) ?? null,
    program,
    version: VERSION,
    replace: options.replace,
    now: rfc3339(systemClock.now()),
  }));
  const plans = planAll(requests, guestTree, before);
  if (isRefusal(plans)) return await complainOf(plans);
  const receipt = plans.at(-1)?.receipt ?? before;
  const steps = plans.flatMap((plan) => plan.steps);

  if (!options.dryRun) {
    // First the receipt: what an installation that is cut short has changed can be undone.
    const refused = writeReceipt(receipt) ?? perform(steps);
    if (refused !== null) {
      return await complainOf(restoreReceipt(before, receipt) ?? refused);
    }
    // Looked at again: everything is where it should be when there is nothing left to do.
    const after = planAll(requests, guestTree, receipt);
    if (isRefusal(after) || after.some((plan) => plan.steps.length > 0)) {
      return await complainOf(
        isRefusal(after) ? after : refusal(
          EXIT.badSetup,
          "changed-meanwhile",
          "The hooks were changed while they were installed",
          "See who else does that, then install again",
        ),
      );
    }
  }
  const told = plans.flatMap((plan) => plan.told);
  const callers = options.callers.join(" and ");
  await sayAll([
    steps.length === 0
      ? `Nothing to do: hooks for ${callers} are in place.`
      : options.dryRun
      ? `Would install hooks for ${callers}:`
      : `Installed hooks for ${callers}:`,
    ...(options.dryRun ? dryRunText(steps) : stepsText(steps, true)),
    ...(told.length === 0 ? [] : ["Left for you:", ...told.map((one) => `  ${one}`)]),
    ...(options.dryRun ? [] : ["Next: locktables check"]),
  ].join("\n"));
  return EXIT.ok;
}

/** `install --list`: those callers first whose agents or hooks are on this guest. */
export async function listCallers(): Promise<ExitCode> {
  const receipt = readReceipt();
  // The list is for everybody, the receipt for root.
  if (isRefusal(receipt)) await complainOf(receipt);
  const known = isRefusal(receipt) ? emptyReceipt([]) : receipt;
  const isHere = ({ name, agents }: CallerFacts) =>
    agents.some((path) => guestTree.look(path) !== null) ||
    known.installs.some(({ caller }) => caller === name);
  const list = [
    ...listText(Object.values(CALLER_TABLE), isHere, known, Deno.execPath()),
    [],
    ...productLines(PRODUCTS),
    [],
    ...await metricsLines(known),
  ];
  await sayAll(textOf(list, terminalPaint()));
  return EXIT.ok;
}

/** Does the steps; a refusal where one failed and those before it were undone. */
export function perform(steps: Plan["steps"]): Refusal | null {
  try {
    applySteps(steps);
    return null;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    return unusable(error.path, "change", error);
  }
}

function planAll(
  requests: readonly InstallRequest[],
  tree: Tree,
  receipt: Receipt,
): readonly Plan[] | Refusal {
  const plans: Plan[] = [];
  for (const request of requests) {
    const soFar = treeAfter(tree, plans.flatMap(({ steps }) => steps));
    const plan = planInstall(request, soFar, plans.at(-1)?.receipt ?? receipt);
    if (isRefusal(plan)) return plan;
    plans.push(plan);
  }
  return plans;
}
