/** Whether a file is root's alone, by every part of its path. */
import { parentOf } from "./paths.ts";
import { modeOf, ROOT } from "./look.ts";

/** A part of a path that a user other than root decides. */
export interface LoosePart {
  readonly path: string;
  readonly why: "owner" | "writable";
  readonly uid: number;
  readonly mode: number;
}

const WORLD_WRITE = 0o002;
const GROUP_WRITE = 0o020;
const STICKY = 0o1000;

/**
 * The first part that is not root's alone, or null: the file and the directories above it, as the
 * path names them and where its links lead.
 * @throws where a part cannot be looked at
 */
export function loosePart(path: string): LoosePart | null {
  const real = Deno.realPathSync(ROOT + path);
  return looseOn(path) ?? (real === path ? null : looseOn(real));
}

function looseOn(path: string): LoosePart | null {
  for (let part = path; part !== "/"; part = parentOf(part)) {
    const info = Deno.statSync(ROOT + part);
    const mode = modeOf(info);
    const uid = info.uid ?? -1;
    if (uid !== 0) return { path: part, why: "owner", uid, mode };
    const isWritten = (mode & WORLD_WRITE) !== 0 || ((mode & GROUP_WRITE) !== 0 && info.gid !== 0);
    // In a sticky directory no other user can replace what is root's, but for what lies in it itself:
    // there anybody can be first.
    const isShared = info.isDirectory && part !== parentOf(path) && (mode & STICKY) !== 0;
    if (isWritten && !isShared) return { path: part, why: "writable", uid, mode };
  }
  return null;
}
