/** What did not go as it should in a guest, in one text. */
import { type RunResult, ScriptError, tail } from "../../scripts/shell.ts";

/** A script of the guest that failed. */
export class GuestFailure extends ScriptError {
  constructor(script: string, { code, stdout, stderr }: RunResult) {
    super(`In the guest, exit code ${code}: ${script}\n${tail(`${stdout}\n${stderr}`, 8)}`);
  }
}
