/** Trying whether a directory of ours can be written, the way a window will. */
import { EXIT, type Refusal, refusal } from "../report/refusal.ts";
import { unusable } from "./files.ts";
import { lookAt } from "./guest_files.ts";

/** A file of its own: those of a window that is being opened at this moment are not touched. */
const TRIAL_NAME = "check.tmp";

/**
 * Writes a file of so many bytes and removes it: nothing else tells a full disk, a quota or a
 * read-only filesystem. Null where it worked, or where there is no such directory yet: the first
 * window makes it.
 */
export async function tryDirectory(path: string, bytes: number): Promise<Refusal | null> {
  const look = await lookAt(path, true);
  if (look === null) return null;
  if (look.kind !== "directory") {
    return refusal(
      EXIT.badSetup,
      "path-unusable",
      `${path} is ${look.kind === "file" ? "a file" : "no directory"}; want a directory`,
      `Move it away: mv ${path} ${path}.old`,
      `mv ${path} ${path}.old`,
    );
  }
  const trial = `${path}/${TRIAL_NAME}`;
  try {
    await Deno.writeFile(trial, new Uint8Array(bytes), { mode: 0o600 });
    return null;
  } catch (error) {
    const refused = unusable(trial, "write", error);
    // A full disk has no remedy: what may be thrown away is not for a command to decide.
    return isReadOnly(error)
      ? { ...refused, remedy: `mount -o remount,rw "$(findmnt -no TARGET -T ${path})"` }
      : refused;
  } finally {
    await Deno.remove(trial).catch(() => {}); // it may not be there
  }
}

/** EROFS, which Deno has no class for. */
function isReadOnly(error: unknown): boolean {
  return /os error 30|Read-only file system/.test(String(error));
}
