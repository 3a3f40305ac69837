/** uninstall: takes the hooks away and puts back what was there before, by the receipt. */
import type { Caller } from "../callers/table.ts";
import { removeIfThere } from "../base/files.ts";
import { OPTION_FILE } from "../base/paths.ts";
import type { Plan } from "../install/steps.ts";
import { planUninstall } from "../install/plan_uninstall.ts";
import { askLocker } from "../locker/control_client.ts";
import { dryRunText, stepsText } from "../install/text.ts";
import { complainOf, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal } from "../base/refusal.ts";
import { guestTree } from "../hooks/guest_tree.ts";
import { removeReceipt, writeReceipt } from "../hooks/receipt_file.ts";
import { perform } from "./install.ts";
import { PROMETHEUS } from "./install_metrics.ts";
import { prepare } from "./prepare_install.ts";
import { openSince } from "./pre_freeze.ts";

/** Longest wait for a locker to say since when it holds, in milliseconds. */
const STATUS_LIMIT_MS = 2_000;

/** What to uninstall. */
export interface UninstallOptions {
  /** Empty, and without the metrics: everything. */
  readonly callers: readonly Caller[];
  readonly metrics: boolean;
  /** Whether hooks that call a program at another path stay. */
  readonly own: boolean;
  readonly force: boolean;
  readonly dryRun: boolean;
}

/** Takes hooks away. */
export async function uninstall(options: UninstallOptions): Promise<ExitCode> {
  const prepared = await prepare("uninstall", options.dryRun);
  if (isRefusal(prepared)) return await complainOf(prepared);
  using ready = prepared;
  // Its thaw would find no hook, and the lock would stay until it expires.
  const running = await askLocker("status", STATUS_LIMIT_MS);
  if (running.kind !== "no-locker") return await complainOf(openSince(running));
  const { receipt } = ready;
  const program = options.own ? ready.program : null;
  const isEverything = options.callers.length === 0 && !options.metrics;
  const callers = isEverything ? null : options.callers;
  const planned = planUninstall({ callers, program, force: options.force }, guestTree, receipt);
  if (isRefusal(planned)) return await complainOf(planned);
  // The program of the hooks that stay goes on writing the metrics.
  const isGoing = options.metrics ||
    (isEverything && !(options.own && planned.receipt.installs.length > 0));
  const metrics = isGoing ? receipt.metrics : null;
  const plan = metrics === null ? planned : withoutMetrics(planned, metrics.file);
  const isNone = metrics === null && plan.receipt.installs.length === receipt.installs.length;
  if (isNone) {
    const names = [...options.callers, ...(options.metrics ? [PROMETHEUS] : [])];
    await sayAll(
      `Nothing to do: ${
        !isEverything
          ? `nothing is installed for ${names.join(" and ")}`
          : program !== null && receipt.installs.length > 0
          ? `no hooks call ${program}`
          : "no hooks are installed"
      }.`,
    );
    return EXIT.ok;
  }
  if (options.dryRun) {
    const files = metrics === null ? [] : [`  remove      ${metrics.file}`];
    await sayAll(["Would uninstall:", ...dryRunText(plan.steps), ...files].join("\n"));
    return EXIT.ok;
  }
  const refused = perform(plan.steps);
  if (refused !== null) return await complainOf(refused);
  if (metrics !== null) removeIfThere(metrics.file);
  const isLast = plan.receipt.installs.length === 0 && plan.receipt.metrics === null;
  const unwritten = isLast ? null : writeReceipt(plan.receipt);
  if (unwritten !== null) return await complainOf(unwritten);
  const removed = isLast ? removeReceipt(plan.receipt) : [];
  await sayAll([
    "Uninstalled:",
    ...stepsText(plan.steps, true),
    ...(metrics === null ? [] : [`  removed     ${metrics.file}`]),
    ...removed.map((path) => `  removed     ${path}`),
    ...plan.told.map((one) => `  ${one}`),
  ].join("\n"));
  return EXIT.ok;
}

/** The same, and the metrics go. */
function withoutMetrics(plan: Plan, file: string): Plan {
  const { receipt, told } = plan;
  return {
    ...plan,
    receipt: { ...receipt, metrics: null },
    told: receipt.installs.length === 0 ? told : [
      ...told,
      `The next window writes ${file} again, while its directory is there; metrics_file=off in [locktables] of ${OPTION_FILE} ends that`,
    ],
  };
}
