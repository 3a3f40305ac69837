/**
 * What the guest's file tree looks like, whatever paths are compiled in: below /proc/self/root
 * the right to read /proc/self is enough to look, though not to open a file.
 */
import { parentOf } from "./paths.ts";

/** Before an absolute path; see above. */
export const ROOT = "/proc/self/root";

/** What there is at a path. */
export interface FileLook {
  readonly kind: "directory" | "file" | "fifo" | "other";
  /** The permission bits. */
  readonly mode: number;
  readonly uid: number;
  /** When it was last changed, in milliseconds since 1970. */
  readonly changedMs: number;
}

/** Where a path's data is. */
export interface Place {
  readonly path: string;
  /** The uppermost directory of the same filesystem above it: its mount point. */
  readonly mount_point: string;
  /** The filesystem's device as the kernel numbers it: `8:1`. */
  readonly device: string;
}

/** Permission bits alone. */
export function modeOf(info: Deno.FileInfo): number {
  return (info.mode ?? 0) & 0o7777;
}

/** Which user this process is. */
export function effectiveUser(): number {
  return Deno.statSync("/proc/self").uid ?? 0;
}

/** What is at a path; a link is followed with `followed`. Null where there is nothing to be seen. */
export async function lookAt(path: string, followed = false): Promise<FileLook | null> {
  try {
    const info = await (followed ? Deno.stat : Deno.lstat)(ROOT + path);
    return {
      kind: info.isDirectory ? "directory" : info.isFile ? "file" : info.isFifo ? "fifo" : "other",
      mode: modeOf(info),
      uid: info.uid ?? 0,
      changedMs: info.mtime?.getTime() ?? 0,
    };
  } catch {
    // Whatever keeps root from looking there, there is nothing to be seen.
    return null;
  }
}

/** The filesystem that a path is on; null where the path cannot be seen. */
export async function placeOf(path: string): Promise<Place | null> {
  try {
    const { dev } = await Deno.stat(ROOT + path);
    let mountPoint = await Deno.realPath(ROOT + path);
    while (mountPoint !== "/") {
      const parent = parentOf(mountPoint);
      if ((await Deno.stat(ROOT + parent)).dev !== dev) break;
      mountPoint = parent;
    }
    return { path, mount_point: mountPoint, device: deviceNumber(dev) };
  } catch {
    return null;
  }
}

/** `major:minor` of a device number as Linux packs it (`makedev(3)`). */
export function deviceNumber(dev: number): string {
  const low = dev % 2 ** 32;
  const high = Math.floor(dev / 2 ** 32);
  const major = ((low >>> 8) & 0xfff) | (high & ~0xfff);
  const minor = (low & 0xff) | ((low >>> 12) & 0xfff00);
  return `${major}:${minor}`;
}
