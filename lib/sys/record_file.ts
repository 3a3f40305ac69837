/**
 * The record on disk. Whatever can fail is tried before the lock: the file is created,
 * filled and fsynced then, so that under the lock only its blocks are overwritten.
 */
import { plainJson } from "../report/plain_text.ts";
import { isRefusal, type Refusal } from "../report/refusal.ts";
import type { WindowRecord } from "../window/record.ts";
import { readIfThere, unusable } from "./files.ts";
import { HISTORY_FILE, RECORD_FILE, RESERVED_FILE, STATE_DIR } from "./paths.ts";
import { makePrivate, STATE_DIRECTORY } from "./private_directory.ts";

/** Room for the record of a window with many instances and long GTID sets, in bytes. */
export const RESERVED_BYTES = 64 * 1024;

/** How many closed windows the history keeps: more than a year of nightly backups. */
const HISTORY_LINES = 500;

/** A record that has its place on disk but not yet its content. */
export interface ReservedRecord {
  /**
   * Writes the record, fsyncs it, puts it in place and fsyncs the directory.
   * After this it is on disk, whatever happens to the machine.
   */
  commit(record: WindowRecord): Promise<Refusal | null>;
  /** Gives the place back; the record of the window before stays. */
  discard(): void;
}

/** Reserves the place of a record in the state directory, which is made where it is missing. */
export async function reserveRecord(): Promise<ReservedRecord | Refusal> {
  const refused = makePrivate(STATE_DIRECTORY);
  if (refused !== null) return refused;
  let file: Deno.FsFile;
  try {
    file = await Deno.open(RESERVED_FILE, {
      write: true,
      create: true,
      truncate: true,
      mode: 0o600,
    });
  } catch (error) {
    return unusable(RESERVED_FILE, "create", error);
  }
  try {
    await writeAll(file, new Uint8Array(RESERVED_BYTES).fill(0x20));
    await file.sync();
  } catch (error) {
    file.close();
    discard();
    return unusable(RESERVED_FILE, "write", error);
  }
  return {
    async commit(record) {
      try {
        const bytes = new TextEncoder().encode(`${plainJson(record, 2)}\n`);
        await file.seek(0, Deno.SeekMode.Start);
        await writeAll(file, bytes);
        await file.truncate(bytes.length);
        await file.sync();
        await Deno.rename(RESERVED_FILE, RECORD_FILE);
        await syncDirectory(STATE_DIR);
        return null;
      } catch (error) {
        discard();
        return unusable(RECORD_FILE, "write the record", error);
      } finally {
        file.close();
      }
    },
    discard() {
      file.close();
      discard();
    },
  };
}

/** Replaces the record and adds the window to the history, after everything is released. */
export async function closeRecord(record: WindowRecord): Promise<Refusal | null> {
  const reserved = await reserveRecord();
  if (isRefusal(reserved)) return reserved;
  const refused = await reserved.commit(record);
  if (refused !== null) return refused;
  try {
    const lines = (readIfThere(HISTORY_FILE) ?? "").split("\n").filter((old) => old !== "");
    const kept = [...lines, plainJson(record)].slice(-HISTORY_LINES).join("\n");
    await Deno.writeTextFile(`${HISTORY_FILE}.tmp`, `${kept}\n`, { mode: 0o600 });
    await Deno.rename(`${HISTORY_FILE}.tmp`, HISTORY_FILE);
    return null;
  } catch (error) {
    return unusable(HISTORY_FILE, "write the history", error);
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
function discard(): void {
  try {
    Deno.removeSync(RESERVED_FILE);
  } catch {
    // A full or read-only disk refuses this too; the next window overwrites the file.
  }
}
