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
    makeLockFile(WAIT_FOR_LOCK).close();
    return makeLockFile(WAIT_FOR_SNAPSHOT);
  } catch (error) {
    return unusable(RUN_DIR, "make the lock files in", error);
  }
}

function makeLockFile(path: string): Deno.FsFile {
  return Deno.openSync(path, { read: true, write: true, createNew: true, mode: 0o600 });
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
  /** It is gone, and no hook of this window's has left its word in it. */
  readonly onRemoved: () => void;
  /** Whether a hook of this caller may release the lock. */
  readonly isThawedBy: (caller: string) => boolean;
}

/** What a hook writes, with the caller's name behind it. */
const WORD = "thaw ";

/** More than the longest word. */
const WORD_BYTES = 64;

/**
 * Watches `waitforsnapshot`. The window's own hook writes a word into it before it removes it. The
 * open file shows that word even when the name is gone, and a word that was left in the file of an
 * earlier window is not in this one. After the hook of another caller, whose own pre-freeze was
 * refused because of this window, the file is made again.
 * @returns a check to be called now and then as well: inotify instances can run out
 */
export function watchLockFile(
  opened: Deno.FsFile,
  { onHook, onRemoved, isThawedBy }: LockFileHandlers,
): { check(): void; close(): void } {
  let file = opened;
  let isOver = false;
  const check = () => {
    if (isOver) return;
    // The name first: once it is gone, nothing more comes into the file.
    const isGone = !exists(WAIT_FOR_SNAPSHOT);
    const hasWord = file.statSync().size > 0;
    if (!isGone && !hasWord) return;
    const isOurs = hasWord && !isOfAnother(file, isThawedBy);
    if (hasWord && !isOurs) {
      if (!isGone) return; // its hook removes it
      const again = makeAgain();
      if (again !== null) {
        file.close();
        file = again;
        return;
      }
    }
    isOver = true;
    if (isOurs) onHook();
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

function isOfAnother(file: Deno.FsFile, isThawedBy: LockFileHandlers["isThawedBy"]): boolean {
  const bytes = new Uint8Array(WORD_BYTES);
  file.seekSync(0, Deno.SeekMode.Start);
  const read = file.readSync(bytes) ?? 0;
  const text = new TextDecoder().decode(bytes.subarray(0, read));
  return text.startsWith(WORD) && !isThawedBy(text.slice(WORD.length).trimEnd());
}

/** Null where it cannot be made: nobody could release the lock by it, and it is removed for good. */
function makeAgain(): Deno.FsFile | null {
  try {
    return makeLockFile(WAIT_FOR_SNAPSHOT);
  } catch {
    return null; // the window is lost, as by anybody's removal
  }
}

async function follow(watcher: Deno.FsWatcher, check: () => void): Promise<void> {
  for await (const event of watcher) {
    if (event.kind !== "access") check();
  }
}
