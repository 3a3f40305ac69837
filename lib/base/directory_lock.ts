/**
 * An flock on a directory itself: it leaves no file, and the kernel gives it back when the process
 * that holds it ends, however it ends.
 */
import { atMost } from "./at_most.ts";
import { exists } from "./files.ts";

/** The lock. */
export interface DirectoryLock {
  release(): void;
  /** Whether the directory has been removed meanwhile, by who held the lock before. */
  isOfRemoved(): boolean;
}

/**
 * Locks a directory that is there, and whose disk answers.
 * @returns null where another process holds it all of the time
 * @throws where it cannot be opened
 */
export async function lockDirectory(path: string, limitMs: number): Promise<DirectoryLock | null> {
  const directory = Deno.openSync(path, { read: true });
  // Deno 2.5 has no tryLock: a waiting lock() ends with the process.
  const locked = directory.lock(true).then(() => true);
  const isLocked = await atMost(locked, limitMs, false);
  if (!isLocked) {
    // The wait goes on, and would hold the lock against our own next try: given back when granted.
    locked.then(() => directory.close(), () => directory.close());
    return null;
  }
  return {
    release: () => directory.close(),
    isOfRemoved: () => !isAt(path, directory),
  };
}

/** Whether the directory of that path is still the one that was opened. */
export function isAt(path: string, directory: Deno.FsFile): boolean {
  if (!exists(path)) return false;
  const [opened, there] = [directory.statSync(), Deno.statSync(path)];
  return opened.ino === there.ino && opened.dev === there.dev;
}
