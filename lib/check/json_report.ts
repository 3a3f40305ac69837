/** What `check --json` prints. */
import { elapsedMs, type Instant, rfc3339 } from "../base/clock.ts";
import { SCHEMA_VERSION } from "../window/record.ts";
import { exitCodeOf, type Finding } from "./finding.ts";

/** The object, from what was found and how long that took; `Instance` is the facts of one server. */
export function jsonReport<Instance>(
  began: Instant,
  ended: Instant,
  findings: readonly Finding[],
  instances: readonly Instance[],
) {
  return {
    schema_version: SCHEMA_VERSION,
    now: rfc3339(began),
    took_ms: elapsedMs(began, ended),
    exit_code: exitCodeOf(findings),
    findings,
    instances,
  };
}
