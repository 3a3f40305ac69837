/** What install and uninstall begin with. */
import { diskAnswered } from "../base/disk.ts";
import { effectiveUser } from "../base/look.ts";
import { STATE_DIR } from "../base/paths.ts";
import { EXIT, isRefusal, type Refusal, refusal } from "../base/refusal.ts";
import { unsafeProgram } from "../hooks/guest_tree.ts";
import type { Receipt } from "../hooks/receipt.ts";
import { readReceipt } from "../hooks/receipt_file.ts";

/** What every change of hooks begins with: root, a program that may be started, a receipt. */
export async function prepare(
  command: "install" | "uninstall",
): Promise<{ readonly receipt: Receipt; readonly program: string } | Refusal> {
  if (effectiveUser() !== 0) {
    return refusal(
      EXIT.badSetup,
      "not-root",
      `${command} must run as root`,
      `Run: sudo locktables ${command}`,
    );
  }
  const program = Deno.execPath();
  const unsafe = command === "install" ? unsafeProgram(program) : null;
  if (unsafe !== null) {
    return refusal(
      EXIT.badSetup,
      "program-unsafe",
      `Hooks run ${program} as root, but ${unsafe.path} ${unsafe.why}`,
      `Leave it to root alone: ${unsafe.remedy}`,
    );
  }
  // Nothing is begun on a frozen disk: who waits there is stopped, and would leave a part of it.
  await diskAnswered(STATE_DIR);
  const receipt = readReceipt();
  return isRefusal(receipt) ? receipt : { receipt, program };
}
