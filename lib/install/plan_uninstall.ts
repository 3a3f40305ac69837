/** What uninstall would do to a guest, or why it refuses. Pure. */
import type { Refusal } from "../base/refusal.ts";
import { temporaryFor } from "../callers/install_paths.ts";
import { type Caller, CALLER_TABLE } from "../callers/table.ts";
import { iniValue, withIniValue } from "../hooks/ini.ts";
import { type Install, type InstalledFile, isUntouched, type Receipt } from "../hooks/receipt.ts";
import type { Step, Tree } from "../hooks/tree.ts";
import { LOG_MODE, type Plan, refuse, TMPFILES, writeStep } from "./steps.ts";

/** What is to be uninstalled. */
export interface UninstallRequest {
  /** null: everything. */
  readonly callers: readonly Caller[] | null;
  /** null: whichever program they call; else only hooks that call the one at this path. */
  readonly program: string | null;
  /** Whether also what was changed since is removed. */
  readonly force: boolean;
}

/** What uninstall would do. */
export function planUninstall(
  { callers, program, force }: UninstallRequest,
  tree: Tree,
  receipt: Receipt,
): Plan | Refusal {
  const going = receipt.installs.filter((one) =>
    (callers === null || callers.includes(one.caller)) &&
    (program === null || one.program === program)
  );
  const staying = receipt.installs.filter((one) => !going.includes(one));
  const isShared = (path: string) =>
    staying.some((one) => one.files.some((file) => file.path === path));
  const seen = new Set<string>();
  const steps: Step[] = [];
  const told: string[] = [];
  for (const file of going.flatMap(({ files }) => files)) {
    if (seen.has(file.path) || isShared(file.path)) continue;
    seen.add(file.path);
    const refused = planRemoval(file, { force, tree, steps, told });
    if (refused !== null) return refused;
  }
  for (const path of halfWritten(going, tree)) {
    steps.push({ do: "remove", path, temporary: path, before: { text: "", mode: LOG_MODE } });
  }
  const kept = staying.flatMap(({ directories }) => directories);
  const emptied = going.flatMap(({ directories }) => directories)
    .filter((path, index, all) => all.indexOf(path) === index && !kept.includes(path));
  steps.push(
    ...emptied.reverse().map((path) => ({ do: "remove-directory", path }) as const),
  );
  return {
    steps,
    receipt: { ...receipt, installs: staying.map((one) => inherit(one, emptied)) },
    told,
  };
}

/** What an installation that was killed has left: files that had not got their name yet. */
function halfWritten(going: readonly Install[], tree: Tree): readonly string[] {
  const places = going.flatMap(({ caller }) =>
    CALLER_TABLE[caller].forms.flatMap(({ files, switches }) => [...files, ...switches])
  );
  const paths = [TMPFILES, ...places].map(({ keepAt }) => temporaryFor(keepAt));
  return [...new Set(paths)].filter((path) => tree.look(path) !== null);
}

/** A directory made for one caller and needed by another goes with that one. */
function inherit(one: Install, emptied: readonly string[]): Install {
  const needed = emptied.filter((directory) =>
    one.files.some(({ path }) => path.startsWith(`${directory}/`)) &&
    !one.directories.includes(directory)
  ).reverse();
  return needed.length === 0 ? one : { ...one, directories: [...needed, ...one.directories] };
}

function planRemoval(
  file: InstalledFile,
  { force, tree, steps, told }: {
    readonly force: boolean;
    readonly tree: Tree;
    readonly steps: Step[];
    readonly told: string[];
  },
): Refusal | null {
  const { path, kept, edit } = file;
  const entry = tree.look(path);
  const putBack = () => {
    if (kept !== null && tree.look(kept) !== null) steps.push({ do: "move", path: kept, to: path });
  };
  if (entry === null) {
    // It was removed since: what was moved away for it goes back anyway.
    putBack();
    return null;
  }
  const isUnchanged = entry.kind === "file" && isUntouched(file, entry.sha256);
  // The installation was cut short before the file that was there was moved: it is not ours.
  if (!isUnchanged && kept !== null && tree.look(kept) === null && edit === null) return null;
  const isRefusedFor = (hint: string) =>
    refuse("changed-since", `${path} was changed since it was installed`, hint);
  if (entry.kind !== "file") {
    return isRefusedFor(`It is no longer a regular file; remove it: rm ${path}`);
  }
  if (!isUnchanged && !file.is_log && edit === null && !force) {
    return isRefusedFor("Look at it; locktables uninstall --force removes it anyway");
  }
  if (!isUnchanged && edit !== null) {
    // Others have edited the file since: only our key is taken back.
    if (entry.text === null || iniValue(entry.text, edit.section, edit.key) !== edit.value) {
      told.push(`${path} was changed since and stays as it is`);
      return null;
    }
    const text = withIniValue(entry.text, edit.section, edit.key, edit.previous);
    const wanted = { path, text, mode: entry.mode, keepAt: kept ?? path };
    steps.push(writeStep(wanted, { text: entry.text, mode: entry.mode }));
    if (kept !== null) {
      told.push(`${path} was changed since; the file of before the installation is ${kept}`);
    }
    return null;
  }
  steps.push({
    do: "remove",
    path,
    temporary: temporaryFor(kept ?? path),
    before: { text: entry.text ?? "", mode: entry.mode },
  });
  putBack();
  return null;
}
