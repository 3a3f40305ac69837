/** What a caller's form of hooks should be: its files, and whether its switch is on. Pure. */
import type { Caller, Form, Switch } from "../callers/table.ts";
import { hookText, isAsGood } from "./hook_text.ts";
import { iniValue } from "./ini.ts";
import type { Tree } from "./tree.ts";

/** A file to put in place. */
export interface Wanted {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  readonly keepAt: string;
  /** Whether what is there instead is as good. */
  readonly isAsGood: (text: string) => boolean;
}

/** The text of every hook file of a form. */
export function wantedFiles(
  caller: Caller,
  form: Form,
  program: string,
  version: string,
): readonly Wanted[] {
  return form.files.map((file) => ({
    path: file.path,
    text: hookText({ caller, form, file, program, version }),
    mode: file.mode,
    keepAt: file.keepAt,
    isAsGood: (text) => isAsGood(text, { form, file }),
  }));
}

/** Whether a caller's switch is on, or its agent is started with the hook named. */
export function isSwitchedOn(one: Switch, tree: Tree): boolean {
  const entry = tree.look(one.path);
  const text = entry?.kind === "file" ? entry.text : null;
  const value = text === null ? null : iniValue(text, one.section, one.key);
  if (
    value === one.value || (one.isOnByDefault && (value === null || !one.offValues.includes(value)))
  ) {
    return true;
  }
  const { unit } = one;
  return unit !== null && unit.files.some((path) => {
    const found = tree.look(path);
    return found?.kind === "file" && found.text !== null && unit.option.test(found.text);
  });
}
