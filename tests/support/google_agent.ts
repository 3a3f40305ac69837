/**
 * Google's guest agent and its guest-flush snapshots.
 * google-guest-agent: cmd/core_plugin/snapshot/snapshot_linux.go, internal/run/run.go.
 */
import type { Sandbox } from "./sandbox.ts";

/** What the agent answers the snapshot service. */
export interface GoogleAnswer {
  readonly code: number;
  readonly error: "NO_ERROR" | "SCRIPT_NOT_FOUND" | "SCRIPT_TIMED_OUT" | "UNHANDLED_SCRIPT_ERROR";
  readonly stderr: string;
}

/** `timeout_in_seconds` of `[Snapshots]`. */
export const SCRIPT_LIMIT_MS = 60_000;

/** The disks of the snapshot, as the agent passes them on. */
export const DISKS = "persistent-disk-0,data";

const PATHS = { pre: "/etc/google/snapshots/pre.sh", post: "/etc/google/snapshots/post.sh" };

/** Runs one of the two scripts. */
export async function runScript(
  sandbox: Sandbox,
  which: "pre" | "post",
  limitMs = SCRIPT_LIMIT_MS,
): Promise<GoogleAnswer> {
  const path = PATHS[which];
  if (!await sandbox.exists(path)) return { code: -1, error: "SCRIPT_NOT_FOUND", stderr: "" };
  // What cannot be started is neither a timeout nor an exit code: the agent calls it a success.
  if ((await sandbox.run(["/usr/bin/test", "-x", path])).code !== 0) {
    return { code: 0, error: "NO_ERROR", stderr: "" };
  }
  const child = sandbox.spawn([path, DISKS], {
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin" },
    stdout: "null",
  });
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    // The script alone, not its group; and the wait for its stderr goes on.
    child.kill("SIGKILL");
  }, limitMs);
  const [status, stderr] = await Promise.all([
    child.status,
    new Response(child.stderr).text(),
  ]);
  clearTimeout(timer);
  if (isTimedOut) return { code: -1, error: "SCRIPT_TIMED_OUT", stderr };
  return {
    code: status.code,
    error: status.success ? "NO_ERROR" : "UNHANDLED_SCRIPT_ERROR",
    stderr,
  };
}

/** A guest-flush snapshot: none is made where the pre script failed. Returns both answers. */
export async function takeSnapshot(
  sandbox: Sandbox,
  snapshot: () => Promise<void>,
): Promise<readonly GoogleAnswer[]> {
  const pre = await runScript(sandbox, "pre");
  if (pre.error !== "NO_ERROR") return [pre];
  await snapshot();
  return [pre, await runScript(sandbox, "post")];
}
