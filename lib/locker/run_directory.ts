/** The run directory: the two lock files of the original method, and what is left in it by a crash. */
import { type DirectoryLock, lockDirectory } from "../base/directory_lock.ts";
import type { Refusal } from "../base/refusal.ts";
import { exists, readIfThere, removeIfThere, replaceFile, unusable } from "../base/files.ts";
import { makePrivate, RUN_DIRECTORY } from "../base/private_directory.ts";
import {
  LOCKER_SOCKET,
  RUN_DIR,
  WAIT_FOR_LOCK,
  WAIT_FOR_SNAPSHOT,
  WINDOW_FILE,
} from "../base/paths.ts";
import { parseRecord } from "../window/parse_record.ts";
import type { WindowRecord } from "../window/record.ts";

/** How long another pre-freeze that holds the right is waited for: the time of two file calls. */
const RIGHT_LIMIT_MS = 150;

/**
 * Gets the right to open a window, which pre-freeze holds while it works; null where another process
 * has it.
 */
export async function takeOpeningRight(): Promise<DirectoryLock | Refusal | null> {
  const refused = makePrivate(RUN_DIRECTORY);
  if (refused !== null) return refused;
  try {
    return await lockDirectory(RUN_DIR, RIGHT_LIMIT_MS);
  } catch (error) {
    return unusable(RUN_DIR, "open", error);
  }
}

/**
 * Clears what a dead locker left and makes both lock files. Only for the holder of the right.
 * @returns `waitforsnapshot`, open: what the thaw hook writes into it is seen even after its removal
 */
export function openLockFiles(): Deno.FsFile | Refusal {
  try {
    clearRunDirectory();
    const [waitForSnapshot, waitForLock] = [WAIT_FOR_SNAPSHOT, WAIT_FOR_LOCK].map((path) =>
      Deno.openSync(path, { write: true, createNew: true, mode: 0o600 })
    ) as [Deno.FsFile, Deno.FsFile];
    waitForLock.close();
    return waitForSnapshot;
  } catch (error) {
    return unusable(RUN_DIR, "make the lock files in", error);
  }
}

/** Removes all files of a window. */
export function clearRunDirectory(): void {
  for (const path of [WAIT_FOR_LOCK, WAIT_FOR_SNAPSHOT, LOCKER_SOCKET, WINDOW_FILE]) {
    removeIfThere(path);
  }
}

/** Writes the window down for the time when the locker is gone. */
export function writeWindowFile(record: WindowRecord): void {
  replaceFile(WINDOW_FILE, `${JSON.stringify(record)}\n`);
}

/** Whether the window that is written down is the one with this id. */
export function windowFileIs(windowId: string): boolean {
  return parseRecord(readIfThere(WINDOW_FILE))?.window_id === windowId;
}

/** What can happen to `waitforsnapshot`; one of the two, once. */
export interface LockFileHandlers {
  /** The thaw hook has left its word in it, whether or not the file is still there. */
  readonly onHook: () => void;
  /** It is gone, and was empty. */
  readonly onRemoved: () => void;
}

/**
 * Watches `waitforsnapshot`. The window's own hook writes a word into it before it removes it. The
 * open file shows that word even when the name is gone, and a word that was left in the file of an
 * earlier window is not in this one.
 * @returns a check to be called now and then as well: inotify instances can run out
 */
export function watchLockFile(
  file: Deno.FsFile,
  { onHook, onRemoved }: LockFileHandlers,
): { check(): void; close(): void } {
  let isOver = false;
  const check = () => {
    if (isOver) return;
    // The name first: once it is gone, nothing more comes into the file.
    const isGone = !exists(WAIT_FOR_SNAPSHOT);
    const hasWord = file.statSync().size > 0;
    if (!isGone && !hasWord) return;
    isOver = true;
    if (hasWord) onHook();
    else onRemoved();
  };
  let watcher: Deno.FsWatcher | null = null;
  try {
    watcher = Deno.watchFs(RUN_DIR, { recursive: false });
    follow(watcher, check).catch(() => {}); // closed, or out of instances: the check goes on
  } catch {
    // No inotify: the check alone finds it, a tick later.
  }
  return {
    check,
    close() {
      isOver = true;
      file.close();
      try {
        watcher?.close();
      } catch {
        // It has ended already.
      }
    },
  };
}

async function follow(watcher: Deno.FsWatcher, check: () => void): Promise<void> {
  for await (const event of watcher) {
    if (event.kind !== "access") check();
  }
}
