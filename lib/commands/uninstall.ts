/** uninstall: takes the hooks away and puts back what was there before, by the receipt. */
import type { Caller } from "../callers/table.ts";
import { planUninstall } from "../install/plan_uninstall.ts";
import { askLocker } from "../locker/control_client.ts";
import { dryRunText, stepsText } from "../install/text.ts";
import { complainOf, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal } from "../base/refusal.ts";
import { guestTree } from "../hooks/guest_tree.ts";
import { removeReceipt, writeReceipt } from "../hooks/receipt_file.ts";
import { perform, prepare } from "./install.ts";
import { openSince } from "./pre_freeze.ts";

/** Longest wait for a locker to say since when it holds, in milliseconds. */
const STATUS_LIMIT_MS = 2_000;

/** What to uninstall. */
export interface UninstallOptions {
  /** Empty: everything. */
  readonly callers: readonly Caller[];
  readonly force: boolean;
  readonly dryRun: boolean;
}

/** Takes hooks away. */
export async function uninstall(options: UninstallOptions): Promise<ExitCode> {
  const ready = await prepare("uninstall");
  if (isRefusal(ready)) return await complainOf(ready);
  // Its thaw would find no hook, and the lock would stay until it expires.
  const running = await askLocker("status", STATUS_LIMIT_MS);
  if (running.kind !== "no-locker") return await complainOf(openSince(running));
  const { receipt } = ready;
  const callers = options.callers.length === 0 ? null : options.callers;
  const plan = planUninstall({ callers, force: options.force }, guestTree, receipt);
  if (isRefusal(plan)) return await complainOf(plan);
  const isNone = plan.receipt.installs.length === receipt.installs.length;
  if (isNone) {
    await sayAll(
      `Nothing to do: no hooks are installed${
        callers === null ? "" : ` for ${callers.join(" and ")}`
      }.`,
    );
    return EXIT.ok;
  }
  if (options.dryRun) {
    await sayAll(["Would uninstall:", ...dryRunText(plan.steps)].join("\n"));
    return EXIT.ok;
  }
  const refused = perform(plan.steps);
  if (refused !== null) return await complainOf(refused);
  const isLast = plan.receipt.installs.length === 0;
  const unwritten = isLast ? null : writeReceipt(plan.receipt);
  if (unwritten !== null) return await complainOf(unwritten);
  const removed = isLast ? removeReceipt(plan.receipt) : [];
  await sayAll([
    "Uninstalled:",
    ...stepsText(plan.steps, true),
    ...removed.map((path) => `  removed     ${path}`),
    ...plan.told.map((one) => `  ${one}`),
  ].join("\n"));
  return EXIT.ok;
}
