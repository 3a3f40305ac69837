/**
 * Work on a disk that may be frozen or hang. In this runtime opening a file (and `Deno.readFile`,
 * `Deno.writeFile`, sockets, programs) waits on the main thread, timers and signals included; the
 * calls used here wait on a thread of the pool (`.github/ARCHITECTURE.md`, "Calls that wait").
 */
import { EXIT, type Refusal, refusal } from "./refusal.ts";
import { RUN_DIR } from "./paths.ts";

/** Reason of {@linkcode silentDisk}. */
export const DISK_SILENT = "disk-silent";

/** A name that is never there. */
const PROBE_NAME = "probe.tmp";

/**
 * Resolves when the filesystem of a directory takes a write, or fails one: waits exactly as long as
 * it is frozen, and changes nothing. To be awaited before anything that would wait on the main
 * thread. By a rename of what is not there: that asks for the right to write before it looks, while
 * `mkdir` of a mount point asks the filesystem above.
 * @returns `writable` where it got as far as to look
 */
export async function diskAnswered(directory: string): Promise<"writable" | "failed"> {
  const path = `${directory}/${PROBE_NAME}`;
  return await Deno.rename(path, path).then(
    () => "failed", // of a name that is never there
    (error) => error instanceof Deno.errors.NotFound ? "writable" : "failed",
  );
}

/**
 * Makes a file with this content and mode 0600, not yet fsynced: opening a new file waits on the
 * main thread, copying one does not.
 */
export async function copyToDisk(path: string, content: Uint8Array): Promise<void> {
  await Deno.remove(path).catch(ignoreMissing);
  // By pid: a released locker may still write its record while the next one reserves its own.
  const staged = `${RUN_DIR}/staged-${Deno.pid}`;
  try {
    Deno.writeFileSync(staged, content, { mode: 0o600 });
    await Deno.copyFile(staged, path);
  } finally {
    Deno.removeSync(staged);
  }
}

/**
 * Replaces a file in one step, on disk when it resolves. Only for the holder of the lock on its
 * directory.
 * @param temporary where it is written first, on the same filesystem
 */
export async function replaceOnDisk(
  path: string,
  temporary: string,
  content: Uint8Array,
): Promise<void> {
  try {
    await copyToDisk(temporary, content);
    // For reading: that never waits for a frozen disk, and is enough for fsync.
    using file = await Deno.open(temporary, { read: true });
    await file.sync();
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // the error before is the one to tell
    throw error;
  }
}

/** Reads a file that may be missing. Opening for reading does not wait for a frozen disk. */
export async function readFromDisk(path: string): Promise<string | null> {
  // On the pool: afterwards the way to the file is in memory, and opening it waits for nothing.
  const info = await Deno.stat(path).catch(ignoreMissing);
  if (info === undefined) return null;
  using file = await Deno.open(path, { read: true });
  return await new Response(file.readable).text();
}

/** The refusal for a path whose disk does not answer. */
export function silentDisk(path: string, limitMs: number): Refusal {
  return refusal(
    EXIT.badSetup,
    DISK_SILENT,
    `${path} does not answer (${limitMs} ms): its filesystem is frozen or its disk hangs`,
    `Thaw it, or look at the disk: fsfreeze -u "$(findmnt -no TARGET -T ${path} | tail -n 1)"; dmesg | tail`,
  );
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return;
  throw error;
}
