/** Hooks in a sandbox, as a caller finds them. */
import { type Caller, CALLER_TABLE, type Form } from "../../lib/hooks/callers.ts";
import { hookText } from "../../lib/hooks/hook_text.ts";
import { VERSION } from "../../lib/version.ts";
import type { Sandbox } from "./sandbox.ts";

/** Puts a caller's hooks where it looks for them and returns the form. */
export async function placeHooks(
  sandbox: Sandbox,
  caller: Caller,
  option: string | null = null,
): Promise<Form> {
  const form = CALLER_TABLE[caller].forms.find((one) => one.option === option);
  if (form === undefined) throw new Error(`${caller} has no form ${option}`);
  for (const file of form.files) {
    await sandbox.sh(`mkdir -p "$(dirname ${file.path})"`);
    const text = hookText({ caller, form, file, program: sandbox.binary, version: VERSION });
    await sandbox.writeFile(file.path, text, file.mode);
  }
  return form;
}
