/**
 * Putting dirty data on disk with coreutils' `sync`: Deno has no syncfs(2). A process of its
 * own also keeps a disk that hangs from hanging the locker.
 */

/** A `sync` under way. */
export interface Flush {
  /** Resolves to null when the data is on disk, else to what went wrong. Never rejects. */
  readonly done: Promise<string | null>;
}

/** Where `sync` may be; both are compiled in as the only programs we may run besides ourselves. */
const SYNC_PROGRAMS = ["/usr/bin/sync", "/bin/sync"];

/** Starts writing out every filesystem: sync(2). Waits for network filesystems as well. */
export function flushEverything(): Flush {
  return start([]);
}

/** Starts writing out the filesystems that hold these paths: syncfs(2) for each. */
export function flushFilesystemsOf(paths: readonly string[]): Flush {
  return start(["-f", ...paths]);
}

function start(args: string[]): Flush {
  for (const program of SYNC_PROGRAMS) {
    try {
      const child = new Deno.Command(program, {
        args,
        stdin: "null",
        stdout: "null",
        stderr: "piped",
        clearEnv: true,
        cwd: "/",
      }).spawn();
      return { done: resultOf(child) };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
        continue;
      }
      return { done: Promise.resolve(String(error)) };
    }
  }
  return { done: Promise.resolve(`no ${SYNC_PROGRAMS.join(" or ")} on this machine`) };
}

async function resultOf(child: Deno.ChildProcess): Promise<string | null> {
  const { success, stderr } = await child.output();
  if (success) return null;
  const text = new TextDecoder().decode(stderr).trim().replaceAll(/\s*\n\s*/g, "; ");
  return text === "" ? "sync failed" : text;
}
