/**
 * Every part of a path as the kernel goes through it: each directory, each link on the way, and
 * what is at the end. Who may change one of them decides what the path means.
 */
import { parentOf } from "./paths.ts";
import { isMissing } from "./files.ts";
import { modeOf, ROOT } from "./look.ts";

/** One part of a path. */
export interface PathPart {
  readonly path: string;
  readonly kind: "directory" | "link" | "socket" | "file" | "other";
  readonly uid: number;
  readonly gid: number;
  /** The permission bits. */
  readonly mode: number;
  /** Which file it is, whatever it is called. */
  readonly identity: string;
}

/** The way of a path. */
export interface PathWay {
  /** In the order of the way, `/` first. */
  readonly parts: readonly PathPart[];
  /** Whether there is something at its end; else the last part is the last that there is. */
  readonly isComplete: boolean;
}

/** As many links as the kernel follows (`path_resolution(7)`). */
const LINKS_MOST = 40;

/** Links whose text is not where they lead (`proc(5)`): the kernel alone can follow them. */
const MAGIC_LINK = /^\/proc\/[^/]+\/(root|cwd)$/;

/**
 * Looks at each part of a path.
 * @throws where one cannot be looked at, or there are too many links
 */
export async function wayOf(path: string): Promise<PathWay> {
  const parts = [partFrom("/", await Deno.lstat(`${ROOT}/`))];
  let at = "";
  let links = 0;
  const ahead = namesOf(path);
  for (let name = ahead.shift(); name !== undefined; name = ahead.shift()) {
    if (name === "..") {
      at = at.slice(0, Math.max(at.lastIndexOf("/"), 0));
      continue;
    }
    const next = `${at}/${name}`;
    let info: Deno.FileInfo;
    try {
      info = await Deno.lstat(ROOT + next);
    } catch (error) {
      if (isMissing(error)) return { parts, isComplete: false };
      throw error;
    }
    if (info.isSymlink && MAGIC_LINK.test(next)) info = await Deno.stat(ROOT + next);
    parts.push(partFrom(next, info));
    if (!info.isSymlink) {
      at = next;
      continue;
    }
    links += 1;
    if (links > LINKS_MOST) throw new Error(`Too many links on the way to ${path}`);
    const target = await Deno.readLink(ROOT + next);
    if (target.startsWith("/")) at = "";
    ahead.unshift(...namesOf(target));
  }
  return { parts, isComplete: true };
}

/** Which file a path leads to now; null where there is none to be seen. */
export async function identityAt(path: string): Promise<string | null> {
  try {
    return identityOf(await Deno.stat(ROOT + path));
  } catch {
    // Gone or out of sight: it is not what was looked at.
    return null;
  }
}

/** The directory of a way that its last part lies in. */
export function directoryOfLast(parts: readonly PathPart[]): PathPart | null {
  const last = parts.at(-1);
  if (last === undefined) return null;
  if (last.kind === "directory") return last;
  return parts.findLast(({ path }) => path === parentOf(last.path)) ?? null;
}

function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function partFrom(path: string, info: Deno.FileInfo): PathPart {
  return {
    path,
    kind: info.isDirectory
      ? "directory"
      : info.isSymlink
      ? "link"
      : info.isSocket
      ? "socket"
      : info.isFile
      ? "file"
      : "other",
    uid: info.uid ?? -1,
    gid: info.gid ?? -1,
    mode: modeOf(info),
    identity: identityOf(info),
  };
}

function identityOf({ dev, ino }: Deno.FileInfo): string {
  return `${dev}:${ino}`;
}
