/** What plans are made of. Pure. */
import { EXIT, type Refusal, refusal, type RefusalReason } from "../base/refusal.ts";
import { temporaryFor, TMPFILES_ENTRY } from "../callers/install_paths.ts";
import type { Receipt } from "../hooks/receipt.ts";
import type { Step } from "../hooks/tree.ts";
import type { Wanted } from "../hooks/wanted.ts";

/** What would be done. */
export interface Plan {
  readonly steps: readonly Step[];
  /** What will be true afterwards. */
  readonly receipt: Receipt;
  /** What is worth a line, and what is left to the operator. */
  readonly told: readonly string[];
}

/** The run directory, for tmpfiles.d. */
export const RUN_DIRECTORY_ENTRY = "d /run/veeam 0700 root root -";

/** systemd-tmpfiles makes the run directory at boot, with the label that SELinux wants. */
export const TMPFILES = {
  ...TMPFILES_ENTRY,
  text: `# Made by: locktables install. See tmpfiles.d(5).
${RUN_DIRECTORY_ENTRY}
`,
  mode: 0o644,
  isAsGood: () => false,
} as const;

/** The agent reports into it; others have no business there. */
export const LOG_MODE = 0o640;

/** Writes a file over what is there, which is always something of ours. */
export function writeStep(
  { path, text, mode, keepAt }: Omit<Wanted, "isAsGood">,
  before: { readonly text: string; readonly mode: number } | null,
): Step {
  return { do: "write", path, temporary: temporaryFor(keepAt), text, mode, before };
}

/** Why nothing is done. */
export function refuse(reason: RefusalReason, summary: string, hint: string): Refusal {
  return refusal(EXIT.badSetup, reason, summary, hint);
}
