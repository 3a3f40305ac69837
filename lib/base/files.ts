/** Small file operations with the care that a record under a lock needs. */
import { writeAllSync } from "./lines.ts";
import { parentOf } from "./paths.ts";
import { EXIT, type Refusal, refusal } from "./refusal.ts";

/** Whether there is anything at this path. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Whether an error says that nothing is at a path; nothing is below a file, either. */
export function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

/** Removes a file; its absence is no error. */
export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The text of a file, or null where there is none. */
export function readIfThere(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Replaces a file in one step, without fsync: for tmpfs. */
export function replaceFile(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  Deno.writeTextFileSync(temporary, text, { mode: 0o600 });
  Deno.renameSync(temporary, path);
}

/**
 * Replaces a file in one step, on disk when it returns: a reader meanwhile, or after a power
 * cut, finds all of the old one or all of the new.
 * @param temporary where it is written first, on the same filesystem
 */
export function replaceFileOnDisk(
  path: string,
  temporary: string,
  text: string,
  mode: number,
): void {
  // Left by a process that was killed here.
  removeIfThere(temporary);
  const file = Deno.openSync(temporary, { write: true, createNew: true, mode: 0o600 });
  try {
    writeAllSync(file, new TextEncoder().encode(text));
    // Not by open, which the umask takes bits from.
    Deno.chmodSync(temporary, mode);
    file.syncSync();
    Deno.renameSync(temporary, path);
  } catch (error) {
    removeIfThere(temporary);
    throw error;
  } finally {
    file.close();
  }
}

/** The refusal for a path of ours that cannot be used. */
export function unusable(path: string, doing: string, error: unknown): Refusal {
  const message = String((error as { message?: unknown })?.message ?? error);
  const isFull = /ENOSPC|os error 28|No space left/.test(message);
  return refusal(
    EXIT.badSetup,
    isFull ? "disk-full" : "path-unusable",
    `Cannot ${doing} ${path}: ${message.replace(/[:,] \w+ '.*$/, "")}`,
    isFull
      ? `Free some space or inodes: df -h ${parentOf(path)}; df -i ${parentOf(path)}`
      : isReadOnly(error)
      ? `Mount it for writing: ${remountCommand(parentOf(path))}`
      : `Make it writable for root: ls -ld ${parentOf(path)}`,
  );
}

/** EROFS, which Deno has no class for. */
export function isReadOnly(error: unknown): boolean {
  return /os error 30|Read-only file system/.test(String(error));
}

/** Makes the filesystem of a path writable. */
export function remountCommand(path: string): string {
  return `mount -o remount,rw "$(findmnt -no TARGET -T ${path} | tail -n 1)"`;
}
