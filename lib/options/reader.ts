import { loosePart } from "../base/owned_path.ts";
import { isMissing } from "../base/files.ts";
import type { DirectoryRead, FileRead, OptionFileReader } from "./option_file.ts";

/** `/dev/null` is device 1:3 on Linux; a link to it is the usual way to switch a file off. */
const NULL_DEVICE = (1 << 8) | 3;

/** The other-write bit of a mode. */
const OTHER_WRITE = 0o002;

/** An option file has a few lines. What is larger is none, and is not worth the memory. */
const MAX_BYTES = 1 << 20;

/**
 * Option files on this machine's disk.
 *
 * Needs read permission for the paths it is asked for; without it the answer is
 * `denied`, also for what does not exist.
 */
export const optionFileReader: OptionFileReader = { read, list };

function read(path: string): FileRead {
  try {
    const info = Deno.statSync(path);
    if (info.isCharDevice && info.rdev === NULL_DEVICE) {
      return { kind: "text", text: "", worldWritable: false };
    }
    // Before reading, because opening a FIFO waits for its writer.
    if (!info.isFile) return { kind: "not-a-file", why: kindOf(info) };
    if (info.size > MAX_BYTES) {
      return { kind: "invalid", why: `it has ${info.size} bytes, expected at most ${MAX_BYTES}` };
    }
    const worldWritable = ((info.mode ?? 0) & OTHER_WRITE) !== 0;
    if (worldWritable) return { kind: "text", text: "", worldWritable };
    const loose = loosePart(path);
    if (loose !== null) return { kind: "untrusted", part: loose };
    const text = decode(Deno.readFileSync(path));
    return text === null
      ? { kind: "invalid", why: "it is not UTF-8" }
      : { kind: "text", text, worldWritable };
  } catch (error) {
    return isMissing(error) ? { kind: "missing" } : { kind: "denied", why: messageOf(error) };
  }
}

function list(dir: string): DirectoryRead {
  try {
    return { kind: "names", names: Array.from(Deno.readDirSync(dir), (entry) => entry.name) };
  } catch (error) {
    return isMissing(error) ? { kind: "missing" } : { kind: "denied", why: messageOf(error) };
  }
}

/** A byte order mark is kept: the clients refuse a file that starts with one. */
function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/** NotCapable (compiled-in permissions), PermissionDenied (mode), or an error of the disk. */
function messageOf(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable) {
    return "it is outside the paths that locktables is permitted to read";
  }
  if (error instanceof Error) return error.message;
  throw error;
}

function kindOf(info: Deno.FileInfo): string {
  if (info.isDirectory) return "a directory";
  if (info.isFifo) return "a FIFO";
  if (info.isSocket) return "a socket";
  return "a device";
}
