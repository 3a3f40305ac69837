/** A guest of a few files, for plans. */
import { digestOf, type Entry, type Tree } from "../../lib/hooks/tree.ts";

/** A file of root's. */
export function file(text: string, mode = 0o755, uid = 0): Entry {
  return { kind: "file", mode, uid, sha256: digestOf(text), text };
}

/** A directory. */
export const DIRECTORY: Entry = { kind: "directory" };

/** A tree with these entries, and the directories above them. */
export function memoryTree(entries: Readonly<Record<string, Entry>>): Tree {
  return {
    look(path) {
      const entry = entries[path];
      if (entry !== undefined) return entry;
      return Object.keys(entries).some((one) => one.startsWith(`${path}/`)) ? DIRECTORY : null;
    },
  };
}
