/** What install and check look at in the guest, and what install does to it: the port's types. */
import { createHash } from "node:crypto";

/** What is at a path. */
export type Entry =
  | {
    readonly kind: "file";
    readonly mode: number;
    readonly uid: number;
    readonly sha256: string;
    /** null where it is not UTF-8. */
    readonly text: string | null;
  }
  | { readonly kind: "directory" }
  /** `target` with every link followed; null where it leads nowhere. */
  | { readonly kind: "link"; readonly target: string | null }
  | { readonly kind: "other" };

/** The files of the guest, as far as this program may see them. */
export interface Tree {
  /** What is at this absolute path, or null. Throws where it cannot be seen. */
  look(path: string): Entry | null;
}

/** One change. Each can be undone by what it says itself. */
export type Step =
  | { readonly do: "make-directory"; readonly path: string; readonly mode: number }
  /** Moves a file out of the way, or back to where it was. Both on one filesystem. */
  | { readonly do: "move"; readonly path: string; readonly to: string }
  | {
    readonly do: "write";
    readonly path: string;
    /** Where it is written before it takes its name: a directory of hooks is run as a whole. */
    readonly temporary: string;
    readonly text: string;
    readonly mode: number;
    /** What is overwritten: always something of ours, or null. */
    readonly before: { readonly text: string; readonly mode: number } | null;
  }
  | {
    readonly do: "remove";
    readonly path: string;
    readonly temporary: string;
    readonly before: { readonly text: string; readonly mode: number };
  }
  /** Only where it is empty: others may have put something there since. */
  | { readonly do: "remove-directory"; readonly path: string };

/** Digest of a file's content as in a receipt. */
export function digestOf(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** A tree as it will be after some steps: the next plan is made on it. */
export function treeAfter(tree: Tree, steps: readonly Step[]): Tree {
  const changed = new Map<string, Entry | null>();
  const look = (path: string): Entry | null =>
    changed.has(path) ? changed.get(path) ?? null : tree.look(path);
  for (const step of steps) {
    switch (step.do) {
      case "make-directory":
        changed.set(step.path, { kind: "directory" });
        break;
      case "move":
        changed.set(step.to, look(step.path));
        changed.set(step.path, null);
        break;
      case "write":
        changed.set(step.path, {
          kind: "file",
          mode: step.mode,
          uid: 0,
          sha256: digestOf(step.text),
          text: step.text,
        });
        break;
      case "remove":
        changed.set(step.path, null);
        break;
      case "remove-directory":
        // Whether it is empty shows only when it is done.
        break;
      default:
        step satisfies never;
    }
  }
  return { look };
}
