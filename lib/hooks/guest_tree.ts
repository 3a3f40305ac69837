/** The guest's files as install, uninstall and check see them, and the changes made to them. */
import { digestOf, type Entry, type Step, type Tree } from "./tree.ts";
import { parentOf, PROGRAM } from "../base/paths.ts";
import { isAbandoned } from "../base/attendance.ts";
import { isMissing, replaceFileOnDisk } from "../base/files.ts";
import { shellWord } from "../base/shell.ts";
import { modeOf, ROOT } from "../base/look.ts";

/** Bits of a mode. */
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** The files of this guest. Reading what is in a file needs the right to its path. */
export const guestTree: Tree = {
  look(path) {
    let info: Deno.FileInfo;
    try {
      info = Deno.lstatSync(ROOT + path);
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
    if (info.isSymlink) return link(path);
    if (info.isDirectory) return { kind: "directory" };
    if (!info.isFile) return { kind: "other" };
    return { kind: "file", mode: modeOf(info), uid: info.uid ?? -1, ...contentOf(path) };
  },
};

/** The paths of what is in a directory; none where it is missing. */
export function filesIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => `${directory}/${name}`).sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function link(path: string): Entry {
  try {
    return { kind: "link", target: Deno.realPathSync(ROOT + path) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { kind: "link", target: null };
    throw error;
  }
}

/** Content of a path that this program may read; of another only that it is there. */
function contentOf(path: string): { readonly sha256: string; readonly text: string | null } {
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") {
    return { sha256: "", text: null };
  }
  const bytes = Deno.readFileSync(path);
  const sha256 = digestOf(bytes);
  try {
    return { sha256, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    return { sha256, text: null };
  }
}

/**
 * Does the steps; where one fails, those before it are undone and the error is thrown with the path
 * that it was about.
 */
export function applySteps(steps: readonly Step[]): void {
  const done: Step[] = [];
  for (const step of steps) {
    try {
      // A command that was killed must not continue in the background.
      if (isAbandoned()) throw new Error("the command was ended meanwhile");
      apply(step);
      done.push(step);
    } catch (error) {
      for (const one of done.reverse()) undo(one);
      throw new StepError(step.path, error);
    }
  }
}

/** A step that could not be done; those before it were undone. */
export class StepError extends Error {
  override readonly name = "StepError";
  constructor(readonly path: string, cause: unknown) {
    super(String((cause as Error)?.message ?? cause), { cause });
  }
}

function apply(step: Step): void {
  switch (step.do) {
    case "make-directory":
      Deno.mkdirSync(step.path);
      // Not by mkdir, which the umask of the administrator's shell takes bits from.
      Deno.chmodSync(step.path, step.mode);
      return;
    case "move":
      Deno.renameSync(step.path, step.to);
      return;
    case "write":
      replaceFileOnDisk(step.path, step.temporary, step.text, step.mode);
      return;
    case "remove":
      Deno.removeSync(step.path);
      return;
    case "remove-directory":
      removeEmpty(step.path);
      return;
    default:
      step satisfies never;
  }
}

function undo(step: Step): void {
  switch (step.do) {
    case "make-directory":
      removeEmpty(step.path);
      return;
    case "move":
      Deno.renameSync(step.to, step.path);
      return;
    case "write":
      if (step.before === null) Deno.removeSync(step.path);
      else replaceFileOnDisk(step.path, step.temporary, step.before.text, step.before.mode);
      return;
    case "remove":
      replaceFileOnDisk(step.path, step.temporary, step.before.text, step.before.mode);
      return;
    case "remove-directory":
      // The last of all steps: nothing comes after it that could fail.
      return;
    default:
      step satisfies never;
  }
}

/** Removes a directory, but not where something is kept in it. */
export function removeEmpty(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    // ENOTEMPTY: something else is kept there.
    if (!(error instanceof Error && /os error 39/.test(error.message))) throw error;
  }
}

/** What a user other than root could change of a program that hooks run as root. */
export interface UnsafeProgram {
  readonly path: string;
  readonly why: string;
  /** The command that makes it safe. */
  readonly remedy: string;
}

/** What of a program's path is not root's alone, or null: the file first, then the directories. */
export function unsafeProgram(program: string): UnsafeProgram | null {
  for (let path = program; path !== "/"; path = parentOf(path)) {
    const info = Deno.statSync(ROOT + path);
    const isTheirs = info.uid !== 0;
    if (!isTheirs && (modeOf(info) & OTHERS_WRITE) === 0) continue;
    const word = shellWord(path);
    return {
      path,
      why: isTheirs ? "does not belong to root" : "can be written to by others than root",
      // A directory for everybody, such as /tmp, is right as it is.
      remedy: (modeOf(info) & STICKY) !== 0
        ? `install -m 0755 ${shellWord(program)} ${PROGRAM}`
        : `chown root ${word} && chmod go-w ${word}`,
    };
  }
  return null;
}
