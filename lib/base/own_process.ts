/**
 * Starts this program again: with nothing of the caller's, which would need permissions and is not
 * for us, and in a session of its own, so that it may outlive this process and hears no signal of the
 * caller's group. It is talked to over its standard input and output.
 */
export function startOwnProcess(args: readonly string[]): Deno.ChildProcess {
  const child = new Deno.Command("/proc/self/exe", {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    clearEnv: true,
    cwd: "/",
    detached: true,
  }).spawn();
  child.unref();
  return child;
}
