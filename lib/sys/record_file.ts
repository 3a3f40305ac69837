/**
 * The record on disk. Whatever can fail is tried before the lock: the file is created,
 * filled and fsynced then, so that under the lock only its blocks are overwritten.
 */
import { isRefusal, type Refusal } from "../report/refusal.ts";
import { ensureDirectory, readIfThere, unusable } from "./files.ts";

/** Room for the record of a window with many instances and long GTID sets, in bytes. */
const RESERVED_BYTES = 64 * 1024;

/** How many closed windows the history keeps: more than a year of nightly backups. */
export const HISTORY_LINES = 500;

/** A record that has its place on disk but not yet its content. */
export interface ReservedRecord {
  /**
   * Writes the content, fsyncs it, puts it in place and fsyncs the directory.
   * After this it is on disk, whatever happens to the machine.
   */
  commit(text: string): Promise<Refusal | null>;
  /** Gives the place back; the record of the window before stays. */
  discard(): void;
}

/** Reserves the place of the record `path` in its directory, which is made where it is missing. */
export async function reserveRecord(path: string): Promise<ReservedRecord | Refusal> {
  const directory = path.slice(0, path.lastIndexOf("/"));
  const refused = ensureDirectory(directory);
  if (refused !== null) return refused;
  const temporary = `${path}.tmp`;
  let file: Deno.FsFile;
  try {
    file = await Deno.open(temporary, { write: true, create: true, truncate: true, mode: 0o600 });
  } catch (error) {
    return unusable(temporary, "create", error);
  }
  try {
    await writeAll(file, new Uint8Array(RESERVED_BYTES).fill(0x20));
    await file.sync();
  } catch (error) {
    file.close();
    discard(temporary);
    return unusable(temporary, "write", error);
  }
  return {
    async commit(text) {
      try {
        const bytes = new TextEncoder().encode(text);
        await file.seek(0, Deno.SeekMode.Start);
        await writeAll(file, bytes);
        await file.truncate(bytes.length);
        await file.sync();
        await Deno.rename(temporary, path);
        await syncDirectory(directory);
        return null;
      } catch (error) {
        discard(temporary);
        return unusable(path, "write the record", error);
      } finally {
        file.close();
      }
    },
    discard() {
      file.close();
      discard(temporary);
    },
  };
}

/** Replaces the record and adds the window to the history, after everything is released. */
export async function closeRecord(
  path: string,
  history: string,
  text: string,
  line: string,
): Promise<Refusal | null> {
  const reserved = await reserveRecord(path);
  if (isRefusal(reserved)) return reserved;
  const refused = await reserved.commit(text);
  if (refused !== null) return refused;
  try {
    const lines = (readIfThere(history) ?? "").split("\n").filter((old) => old !== "");
    const kept = [...lines, line].slice(-HISTORY_LINES).join("\n");
    await Deno.writeTextFile(`${history}.tmp`, `${kept}\n`, { mode: 0o600 });
    await Deno.rename(`${history}.tmp`, history);
    return null;
  } catch (error) {
    return unusable(history, "write the history", error);
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

async function syncDirectory(path: string): Promise<void> {
  using directory = await Deno.open(path, { read: true });
  await directory.sync();
}

/** Best effort: the error that led here is the one to tell. */
function discard(temporary: string): void {
  try {
    Deno.removeSync(temporary);
  } catch {
    // A full or read-only disk refuses this too; the next window overwrites the file.
  }
}
