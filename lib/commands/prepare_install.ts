/** What install and uninstall begin with. */
import { isAbandoned } from "../base/attendance.ts";
import { type DirectoryLock, lockDirectory } from "../base/directory_lock.ts";
import { diskAnswered } from "../base/disk.ts";
import { unusable } from "../base/files.ts";
import { STATE_DIR } from "../base/paths.ts";
import { makePrivate, STATE_DIRECTORY } from "../base/private_directory.ts";
import { EXIT, isRefusal, type Refusal, refusal } from "../base/refusal.ts";
import { removeEmpty, unsafeProgram } from "../hooks/guest_tree.ts";
import type { Receipt } from "../hooks/receipt.ts";
import { missingDirectories, readReceipt } from "../hooks/receipt_file.ts";
import { rootAlone } from "./root_alone.ts";

/** How long another installation is waited for, in milliseconds: longer than one takes on a slow disk. */
const OTHERS_LIMIT_MS = 3_000;

/** What a change of hooks needs. */
export interface Prepared {
  readonly receipt: Receipt;
  readonly program: string;
  /** Lets others change hooks; takes away what was made for the lock alone. */
  [Symbol.dispose](): void;
}

/**
 * What every change of hooks begins with: root, a program that may be started, and until the end no
 * other process that changes hooks, the rest of a killed command included.
 * @param isDryRun only looks: nothing is made, and nobody is waited for
 */
export async function prepare(
  command: "install" | "uninstall",
  isDryRun: boolean,
): Promise<Prepared | Refusal> {
  const notRoot = rootAlone(command, "who alone may change hooks");
  if (notRoot !== undefined) return notRoot;
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
  const missing = missingDirectories();
  // Where the directory is not there, nothing is installed that could be taken away.
  const needsLock = !isDryRun && (command === "install" || !missing.includes(STATE_DIR));
  const lock = needsLock ? await lockState(command) : null;
  if (isRefusal(lock)) return lock;
  const end = () => {
    if (lock === null) return;
    if (missing.includes(STATE_DIR)) removeEmpty(STATE_DIR);
    lock.release();
  };
  // Looked at under the lock: the command that comes after a killed one finds nothing half done.
  const receipt = isAbandoned() ? ended(command) : readReceipt(missing);
  if (!isRefusal(receipt)) return { receipt, program, [Symbol.dispose]: end };
  end();
  return receipt;
}

/** Locks the state directory, made where it is missing: one change of hooks after the other. */
async function lockState(command: string): Promise<DirectoryLock | Refusal> {
  while (!isAbandoned()) {
    const refused = makePrivate(STATE_DIRECTORY);
    if (refused !== null) return refused;
    try {
      const lock = await lockDirectory(STATE_DIR, OTHERS_LIMIT_MS);
      if (lock === null) return busy(command);
      if (!lock.isOfRemoved()) return lock;
      lock.release();
    } catch (error) {
      return unusable(STATE_DIR, "lock", error);
    }
  }
  return ended(command);
}

function busy(command: string): Refusal {
  return refusal(
    EXIT.badSetup,
    "changed-meanwhile",
    `Another process has had ${STATE_DIR} locked for ${OTHERS_LIMIT_MS} ms: an install or uninstall, or a report that waits for its disk`,
    `Let it end (lslocks shows it), then: locktables ${command}`,
  );
}

/** For nobody to read: who waited for it was killed. */
function ended(command: string): Refusal {
  return refusal(
    EXIT.badSetup,
    "changed-meanwhile",
    `${command} was ended before it changed anything`,
    `Run it again: locktables ${command}`,
  );
}
