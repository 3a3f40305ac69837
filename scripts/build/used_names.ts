/** The source of the program, and which names it takes from npm. */

import { ScriptError } from "../shell.ts";

/** The names that our source takes from each bare specifier, e.g. `zod/mini` → `object`. */
export type UsedNames = ReadonlyMap<string, ReadonlySet<string>>;

/** Import clause of a static import or re-export that can carry names; types are left out. */
const STATIC_IMPORT =
  /^[ \t]*(?:import|export)\s+(type\s+)?(\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+(?:\s*,\s*(?:\{[^}]*\}|\*\s+as\s+\w+))?)\s*from\s*"([^"]+)"/gm;
/** A side-effect import. */
const BARE_IMPORT = /^[ \t]*import\s*"([^"]+)"/gm;
/** A lazy import; the first group is the destructured names where there are any. */
const LAZY_IMPORT = /(?:(\{[^{}]*\})\s*=\s*)?await\s+import\(\s*"([^"]+)"\s*\)/g;

/**
 * Collects which names a source takes from npm. Only named imports are allowed: a namespace would
 * keep all of a package in the bundle, and with it the start-up time that the bundle is there to save.
 */
export function collectUsedNames(file: string, source: string, into: Map<string, Set<string>>) {
  const take = (clause: string | undefined, specifier: string): void => {
    if (/^(\.|\/|node:|file:)/.test(specifier)) return;
    if (clause === undefined || !clause.startsWith("{")) {
      throw new ScriptError(
        `${file} imports "${specifier}" without naming what it uses: write import { name } from "${specifier}"`,
      );
    }
    const names = into.get(specifier) ?? new Set<string>();
    for (const part of clause.slice(1, -1).replace(/\/\/.*$/gm, "").split(",")) {
      const name = part.trim().split(/\s+as\s+|\s*:\s*/)[0] ?? "";
      if (name !== "" && !name.startsWith("type ")) names.add(name);
    }
    if (names.size > 0) into.set(specifier, names);
  };
  for (const [, type, clause, specifier] of source.matchAll(STATIC_IMPORT)) {
    if (type === undefined && specifier !== undefined) take(clause, specifier);
  }
  for (const [, specifier] of source.matchAll(BARE_IMPORT)) {
    if (specifier !== undefined) take(undefined, specifier);
  }
  for (const [, clause, specifier] of source.matchAll(LAZY_IMPORT)) {
    if (specifier !== undefined) take(clause, specifier);
  }
}

/** Which names the source of the program takes from npm. */
export async function usedNames(root: string): Promise<UsedNames> {
  const used = new Map<string, Set<string>>();
  for (const file of await sourceFiles(root)) {
    if (/\.[mc]?[tj]s$/.test(file)) {
      collectUsedNames(file, await Deno.readTextFile(`${root}/${file}`), used);
    }
  }
  return used;
}

/** Every file of the program, relative to the root, in a fixed order. */
export async function sourceFiles(root: string): Promise<string[]> {
  const files = ["main.ts"];
  const walk = async (directory: string): Promise<void> => {
    for await (const entry of Deno.readDir(`${root}/${directory}`)) {
      if (entry.isDirectory) await walk(`${directory}/${entry.name}`);
      else files.push(`${directory}/${entry.name}`);
    }
  };
  await walk("lib");
  return files.sort();
}
