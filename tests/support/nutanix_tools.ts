/**
 * Nutanix Guest Tools. Its source is closed; what is known: documentation.commvault.com 2024,
 * "Pre-Freeze and Post-Thaw Using Nutanix Guest Tools".
 */
import type { Sandbox, SandboxResult } from "./sandbox.ts";

const PATHS = { pre: "/usr/local/sbin/pre_freeze", post: "/usr/local/sbin/post_thaw" };

/** Why the tools would not run a script; null: they would. */
export async function obstacleTo(
  sandbox: Sandbox,
  which: "pre" | "post",
): Promise<string | null> {
  const path = PATHS[which];
  const { stdout, code } = await sandbox.run(["/usr/bin/stat", "-c", "%U %a %F", path]);
  if (code !== 0) return "it is missing";
  if (stdout.trim() !== "root 700 regular file") return `it is ${stdout.trim()}`;
  // deno-lint-ignore no-control-regex -- they are what is looked for
  return /[\x00-\x09\x0b-\x1f\x7f]/.test(await sandbox.read(path))
    ? "it has control characters"
    : null;
}

/** Runs a script as a daemon of root's does. */
export function runScript(sandbox: Sandbox, which: "pre" | "post"): Promise<SandboxResult> {
  return sandbox.run([PATHS[which]], { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
}
