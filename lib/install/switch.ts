/** The switches of callers: keys of their configuration without which no hook is run. Pure. */
import type { Refusal } from "../base/refusal.ts";
import type { Caller, Switch } from "../callers/table.ts";
import { iniValue, withIniValue } from "../hooks/ini.ts";
import type { Install, InstalledFile } from "../hooks/receipt.ts";
import { digestOf, type Step, type Tree } from "../hooks/tree.ts";
import { isSwitchedOn } from "../hooks/wanted.ts";
import { refuse, writeStep } from "./steps.ts";

/** How a file begins that install made for a caller's switch. */
const MADE_BY = "# Made by: locktables install";

/** Sets a key of a caller's configuration, or makes the file. */
export function planSwitch(
  one: Switch,
  { caller, replace, before, tree, steps, files }: {
    readonly caller: Caller;
    /** Whether a value that locktables did not set may be replaced. */
    readonly replace: boolean;
    readonly before: Install | undefined;
    readonly tree: Tree;
    readonly steps: Step[];
    readonly files: InstalledFile[];
  },
): Refusal | null {
  const { path, section, key, value, mode, keepAt } = one;
  const old = before?.files.find((file) => file.path === path);
  const entry = tree.look(path);
  const noted = (text: string, kept: string | null, previous: string | null) => {
    const edit = { section, key, value, previous };
    const sha256 = digestOf(text);
    files.push({ path, sha256, previous_sha256: null, mode, kept, edit, is_log: false });
  };
  if (isSwitchedOn(one, tree)) {
    const before = tree.look(keepAt);
    const text = entry?.kind === "file" ? entry.text ?? "" : "";
    if (old !== undefined) files.push(old);
    // After a lost receipt: the file was ours, or what was kept tells that we have edited it.
    else if (before?.kind === "file") {
      noted(text, keepAt, iniValue(before.text ?? "", section, key));
    } else if (text.startsWith(MADE_BY)) noted(text, null, null);
    return null;
  }
  if (entry === null) {
    const text = `${MADE_BY} ${caller}\n${withIniValue("", section, key, value)}`;
    steps.push(writeStep({ path, text, mode, keepAt }, null));
    noted(text, null, null);
    return null;
  }
  const set = `Set ${key}=${value} in [${section}] of ${path}`;
  if (entry.kind !== "file" || entry.text === null) {
    return refuse("switch-unusable", `${path} is no text file`, set);
  }
  const current = iniValue(entry.text, section, key);
  if (current !== null && !one.offValues.includes(current) && !replace) {
    return refuse(
      "foreign-hook",
      `${path} has ${key}=${current}, expected ${value}`,
      `${set}, or add --replace, and uninstall puts it back`,
    );
  }
  const text = withIniValue(entry.text, section, key, value);
  if (old !== undefined) {
    // Ours already, and switched off since: what was there before stays what is put back.
    steps.push(
      writeStep({ path, text, mode: entry.mode, keepAt }, { text: entry.text, mode: entry.mode }),
    );
    noted(text, old.kept, old.edit?.previous ?? null);
    return null;
  }
  if (tree.look(keepAt) !== null) {
    return refuse("kept-twice", `${keepAt}, where ${path} would be kept, is taken`, "Move it away");
  }
  steps.push({ do: "move", path, to: keepAt });
  steps.push(writeStep({ path, text, mode: entry.mode, keepAt }, null));
  noted(text, keepAt, current);
  return null;
}
