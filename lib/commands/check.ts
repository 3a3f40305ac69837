/** check: everything that would make tonight's freeze fail, without a lock. */
import { systemClock } from "../base/clock.ts";
import { plainJson } from "../base/plain_text.ts";
import { sayAll } from "../base/print.ts";
import type { ExitCode } from "../base/refusal.ts";
import { dropInstallWriteRights } from "../callers/rights.ts";
import { exitCodeOf, reported } from "../check/finding.ts";
import { gatherAll } from "../check/gather.ts";
import { jsonReport } from "../check/json_report.ts";
import { checkText } from "../check/text.ts";
import { textOf } from "../base/styled.ts";
import { terminalPaint } from "./terminal.ts";

/** Prints what would make a freeze fail now. */
export async function check(asJson: boolean): Promise<ExitCode> {
  Deno.permissions.revokeSync({ name: "run" }); // starts no program
  dropInstallWriteRights(); // and only looks at hooks
  const now = systemClock.now();
  const gathered = await gatherAll(now);
  const findings = reported(gathered.flatMap((one) => one.findings));
  const exitCode = exitCodeOf(findings);
  if (!asJson) {
    await sayAll(textOf(checkText(findings), terminalPaint()));
    return exitCode;
  }
  const instances = gathered.flatMap((one) => one.instances ?? []);
  const object = jsonReport(now, systemClock.now(), findings, instances);
  await sayAll(plainJson(object, 2));
  return exitCode;
}
