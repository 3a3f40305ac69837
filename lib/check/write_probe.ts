/** Trying whether a directory of ours can be written, the way a window will. */
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { diskAnswered } from "../base/disk.ts";
import { writeAll } from "../base/lines.ts";
import { isReadOnly, remountCommand, unusable } from "../base/files.ts";
import { lookAt } from "../base/look.ts";
import { WRITE_PROBE_NAME } from "../base/paths.ts";

/**
 * Writes a file of so many bytes to disk, and removes it: nothing else tells a full disk, a quota, a
 * read-only filesystem, or a disk that hangs. Null where it worked, or where there is no such directory yet: the first
 * window makes it.
 */
export async function probeWrite(path: string, bytes: number): Promise<Refusal | null> {
  const look = await lookAt(path, true);
  if (look === null) return null;
  if (look.kind !== "directory") {
    return refusal(
      EXIT.badSetup,
      "path-unusable",
      `${path} is ${look.kind === "file" ? "a file" : "no directory"}; expected a directory`,
      `Move it away: mv ${path} ${path}.old`,
      `mv ${path} ${path}.old`,
    );
  }
  const trial = `${path}/${WRITE_PROBE_NAME}`;
  try {
    await diskAnswered(path);
    using file = await Deno.open(trial, { write: true, create: true, truncate: true, mode: 0o600 });
    await writeAll(file, new Uint8Array(bytes));
    // Before the part that may never end: who is stopped there leaves nothing.
    await Deno.remove(trial);
    await file.sync();
    return null;
  } catch (error) {
    const refused = unusable(trial, "write", error);
    // A full disk has no remedy: what may be thrown away is not for a command to decide.
    return isReadOnly(error) ? { ...refused, remedy: remountCommand(path) } : refused;
  } finally {
    await Deno.remove(trial).catch(() => {}); // it may not be there
  }
}
