/**
 * The two directories of ours are root's alone, or nothing in them is believed: who writes
 * there could answer in the locker's place, release a lock, or have uninstall remove any file.
 */
import { OTHERS, OTHERS_WRITE } from "./mode.ts";
import {
  CLOSING_FILE,
  HISTORY_FILE,
  LOCKER_SOCKET,
  OLDER_HISTORY_FILE,
  parentOf,
  RECEIPT_FILE,
  RECORD_FILE,
  RESERVED_FILE,
  RUN_DIR,
  STATE_DIR,
  TOTALS_FILE,
  TOTALS_TEMPORARY,
  UNREPORTED_FILE,
  WAIT_FOR_LOCK,
  WAIT_FOR_SNAPSHOT,
  WINDOW_FILE,
} from "./paths.ts";
import { EXIT, isRefusal, type Refusal, refusal } from "./refusal.ts";
import { isMissing, unusable } from "./files.ts";
import { modeOf, ROOT } from "./look.ts";

/** A directory of ours. */
export interface PrivateDirectory {
  readonly path: string;
  /** What in it is believed or written over. Other programs may keep theirs beside it. */
  readonly believed: readonly string[];
}

/** Where the window lives. */
export const RUN_DIRECTORY: PrivateDirectory = {
  path: RUN_DIR,
  believed: [
    WAIT_FOR_LOCK,
    WAIT_FOR_SNAPSHOT,
    LOCKER_SOCKET,
    WINDOW_FILE,
    `${WINDOW_FILE}.tmp`,
    UNREPORTED_FILE,
    `${UNREPORTED_FILE}.tmp`,
  ],
};

/** Where the record lives. */
export const STATE_DIRECTORY: PrivateDirectory = {
  path: STATE_DIR,
  believed: [
    RECORD_FILE,
    RESERVED_FILE,
    HISTORY_FILE,
    OLDER_HISTORY_FILE,
    CLOSING_FILE,
    TOTALS_FILE,
    TOTALS_TEMPORARY,
    RECEIPT_FILE,
    `${RECEIPT_FILE}.tmp`,
  ],
};

/** What is known of one path. */
export interface OwnerFacts {
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** What is known of a directory of ours. */
export interface PrivacyFacts extends OwnerFacts {
  readonly kind: "missing" | "directory" | "link" | "other";
  readonly isEmpty: boolean;
  /** The directories above it, `/` last. */
  readonly above: readonly OwnerFacts[];
  /** Of what in it is believed, what there is. */
  readonly inside: readonly InsideFacts[];
}

/** What is known of a file in it. */
export interface InsideFacts extends OwnerFacts {
  /** How many names it has: more than one, and it is a link to another file. */
  readonly names: number;
}

/** How private a directory is, and what makes it so. */
export type Privacy =
  /** As it must be. */
  | "private"
  /** Not there: to be made. */
  | "missing"
  /** Root's, with nothing of others' in it: to be closed. Other software makes it so. */
  | "open"
  /** Another's, and nothing is in it: to be made anew. */
  | "spoilt";

const GROUP_WRITE = 0o020;

/** Decides. Pure. A refusal where what is there must not be believed. */
export function privacyOf(facts: PrivacyFacts): Privacy | Refusal {
  const { path, kind, uid, mode } = facts;
  const loose = facts.above.find((one) => one.uid !== 0 || isWritten(one));
  if (loose !== undefined) {
    return distrusted(
      `${loose.path}, above ${path}, ${whose(loose)}`,
      `chown root:root ${loose.path} && chmod go-w ${loose.path}`,
    );
  }
  if (kind === "missing") return "missing";
  if (kind === "link") {
    return distrusted(`${path} is a symbolic link`, `mv ${path} ${path}.old`);
  }
  if (kind === "other") {
    const remedy = `mv ${path} ${path}.old`;
    const summary = `${path} is a file; expected a directory`;
    return refusal(EXIT.badSetup, "path-unusable", summary, `Move it away: ${remedy}`, remedy);
  }
  // In root's own, other software may have made it so: it matters what others can have made in it.
  const isSafe = uid !== 0 ? facts.isEmpty : !isWritten(facts) || facts.inside.length === 0;
  if (!isSafe) {
    return distrusted(`${path} ${whose(facts)}, and is not empty`, `mv ${path} ${path}.untrusted`);
  }
  if (uid !== 0) return "spoilt";
  const planted = facts.inside.find((one) => one.uid !== 0 || one.names > 1);
  if (planted !== undefined) {
    return distrusted(
      `${planted.path} ${planted.uid === 0 ? "is a hard link to another file" : whose(planted)}`,
      `rm -r ${planted.path}`,
    );
  }
  return (mode & OTHERS) === 0 ? "private" : "open";
}

/** Makes a directory root's and 0700, or refuses it. Before anything in it is believed or written. */
export function makePrivate(directory: PrivateDirectory): Refusal | null {
  const { path } = directory;
  try {
    const privacy = privacyOf(lookAtPrivacy(directory));
    if (isRefusal(privacy)) return privacy;
    switch (privacy) {
      case "private":
        return null;
      case "open":
        Deno.chmodSync(path, 0o700);
        break;
      case "spoilt":
        // It is removed only while it is empty; the new one is open in no other process.
        Deno.removeSync(path);
        Deno.mkdirSync(path, { mode: 0o700 });
        break;
      case "missing":
        Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
        break;
      default:
        return privacy satisfies never;
    }
    // Another process may have been quicker while it was still open.
    const now = privacyOf(lookAtPrivacy(directory));
    return isRefusal(now) ? now : null;
  } catch (error) {
    return unusable(path, "make a directory for root alone of", error);
  }
}

/** How private a directory is now. Only looks. */
export function privacyNow(directory: PrivateDirectory): Privacy | Refusal {
  try {
    return privacyOf(lookAtPrivacy(directory));
  } catch (error) {
    return unusable(directory.path, "look at", error);
  }
}

/** Whether what is in a directory may be believed: no other user can have put it there. */
export function isBelieved(directory: PrivateDirectory): boolean {
  const privacy = privacyNow(directory);
  return privacy === "private" || privacy === "open";
}

function lookAtPrivacy({ path, believed }: PrivateDirectory): PrivacyFacts {
  const above: OwnerFacts[] = [];
  for (let one = parentOf(path);; one = parentOf(one)) {
    const facts = ownerOf(one, Deno.statSync(ROOT + one));
    above.push(facts);
    if (one === "/") break;
  }
  const info = lstatIfThere(path);
  if (info === null) {
    return { path, uid: 0, gid: 0, mode: 0, kind: "missing", isEmpty: true, above, inside: [] };
  }
  const kind = info.isDirectory ? "directory" : info.isSymlink ? "link" : "other";
  const inside = kind !== "directory" ? [] : believed.flatMap((name) => {
    const one = lstatIfThere(name);
    return one === null ? [] : [{ ...ownerOf(name, one), names: one.isFile ? one.nlink ?? 1 : 1 }];
  });
  return {
    ...ownerOf(path, info),
    kind,
    // Listed only where it decides.
    isEmpty: kind === "directory" && inside.length === 0 &&
      Deno.readDirSync(path).next().done === true,
    above,
    inside,
  };
}

function lstatIfThere(path: string): Deno.FileInfo | null {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function ownerOf(path: string, info: Deno.FileInfo): OwnerFacts {
  return { path, uid: info.uid ?? -1, gid: info.gid ?? -1, mode: modeOf(info) };
}

/** Root's group is root. */
function isWritten({ mode, gid }: OwnerFacts): boolean {
  return (mode & OTHERS_WRITE & ~GROUP_WRITE) !== 0 || ((mode & GROUP_WRITE) !== 0 && gid !== 0);
}

function whose({ uid, mode }: OwnerFacts): string {
  return uid === 0
    ? `has mode ${mode.toString(8).padStart(4, "0")}: others than root may write there`
    : `belongs to the user ${uid}`;
}

function distrusted(what: string, remedy: string): Refusal {
  return refusal(
    EXIT.badSetup,
    "directory-untrusted",
    `${what}; nothing there is trusted; expected it to be root's alone`,
    `Look at it, then: ${remedy}`,
    remedy,
  );
}
