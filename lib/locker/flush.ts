/**
 * Putting dirty data on disk with coreutils' `sync`: Deno has no syncfs(2). A process of its
 * own also keeps a disk that hangs from hanging the locker.
 */
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";

/** A `sync` under way. */
export interface Flush {
  /** Resolves to null when the data is on disk, else to what went wrong. Never rejects. */
  readonly done: Promise<Refusal | null>;
  /** Ends a `sync` that still runs. One that waits for a disk that hangs ends when the disk does. */
  abandon(): void;
}

/** Where `sync` may be; these are compiled in as the only programs we may run besides ourselves. */
export const SYNC_PROGRAMS = ["/usr/bin/sync", "/bin/sync"];

/** Starts writing out every filesystem: sync(2). Waits for network filesystems as well. */
export function flushEverything(): Flush {
  return start([]);
}

/** Starts writing out the filesystems that hold these paths: syncfs(2) for each. */
export function flushFilesystemsOf(paths: readonly string[]): Flush {
  return start(["-f", ...paths]);
}

function start(args: string[]): Flush {
  let failure: Refusal | null = null;
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
      let isOver = false;
      const done = resultOf(program, child).finally(() => isOver = true);
      // At the release, too: to kill one that has ended takes as long as the release itself.
      return { done, abandon: () => isOver || killQuietly(child) };
    } catch (error) {
      failure ??= cannotStart(program, error);
    }
  }
  return { done: Promise.resolve(failure), abandon() {} };
}

async function resultOf(program: string, child: Deno.ChildProcess): Promise<Refusal | null> {
  const { success, code, signal, stderr } = await child.output();
  if (success) return null;
  const said = new TextDecoder().decode(stderr).trim().replaceAll(/\s*\n\s*/g, "; ");
  const how = signal === null ? `exit ${code}` : signal;
  return said === "" ? failedSilently(program, how) : cannotFlush(said);
}

function killQuietly(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended already.
  }
}

function cannotStart(program: string, error: unknown): Refusal {
  return noSync(
    program,
    error instanceof Deno.errors.NotFound
      ? "there is no such program"
      : error instanceof Deno.errors.PermissionDenied
      ? "it is not executable"
      : (error as Error).message,
  );
}

/** The refusal for a `sync` that cannot be started. */
export function noSync(program: string, why: string): Refusal {
  return refusal(
    EXIT.badSetup,
    "sync-unusable",
    `Cannot write data out to disk: ${program} cannot be started: ${why}`,
    `sync is part of coreutils; repair it: ls -l ${SYNC_PROGRAMS.join(" ")}`,
  );
}

/** coreutils' sync names what it could not write out; one that fails without a word is another program. */
function failedSilently(program: string, how: string): Refusal {
  return refusal(
    EXIT.badSetup,
    "sync-unusable",
    `Cannot write data out to disk: ${program} failed without a message (${how})`,
    `Run it and see whether it is coreutils' own: ${program}; echo $?`,
  );
}

function cannotFlush(why: string): Refusal {
  return refusal(
    EXIT.badSetup,
    "flush-failed",
    `Cannot write the server's data out to disk: ${why}`,
    "The server's directories must be visible to this guest's root: a server in a container needs its own hook",
  );
}
