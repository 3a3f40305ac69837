/** Lines that do nothing in the groups they stand in, or stand in a group that no program reads. */
import type { Refusal } from "../base/refusal.ts";
import { commentOut, editCommand, replaceInLine, substitution } from "../base/edit_command.ts";
import { oneOf, placed, refuse } from "./bad_setting.ts";
import { CONNECTION_KEYS, isConnection, OWN_GROUP } from "./connection.ts";
import { type OptionLine, type OptionWarning, shown } from "./option_file.ts";
import { documented, isOwn, OWN_KEYS } from "./own_settings.ts";
import { nearest } from "./similar.ts";

/** A key of no meaning that the clients, too, would pass over because of its prefix. */
export function looseKey(option: OptionLine): OptionWarning {
  return {
    reason: "option-ignored",
    text: `Unknown ${placed(option)} is ignored because of its prefix loose-`,
    remedy: commentOut(option),
  };
}

/** Without the value: it may be the password of a misspelled `password`. */
export function unknownKey(option: OptionLine): Refusal {
  const known = [...OWN_KEYS, ...CONNECTION_KEYS];
  const near = nearest(option.key, known);
  return refuse(
    `Unknown setting ${placed(option)} in [${OWN_GROUP}]; expected ` +
      (near === null ? oneOf(known.map(documented)) : documented(near)),
    near === null
      ? `Correct or remove line ${option.line} of ${shown(option.file)}`
      : `Write ${documented(near)} in line ${option.line} of ${shown(option.file)}`,
    near === null ? commentOut(option) : replaceInLine(option, option.rawKey, documented(near)),
  );
}

/** Refuses what looks like a group of ours and has no effect, or an effect not meant. */
export function strayGroup(
  options: readonly OptionLine[],
  names: readonly string[],
): Refusal | null {
  const known = [OWN_GROUP, ...names.map((name) => `${OWN_GROUP}_${name.toLowerCase()}`)];
  for (const option of options) {
    const group = option.group.toLowerCase();
    if (group === OWN_GROUP || !group.startsWith(OWN_GROUP)) continue;
    if (!known.includes(group)) {
      return refuse(
        `Unknown group [${shown(option.group)}] at ${placed(option)}; ` +
          `expected ${oneOf(known.map((name) => `[${name}]`))}`,
        `Rename the group, or name its instance: instances=main,reporting in [${OWN_GROUP}]`,
        commentOut(option),
      );
    }
    if (!isConnection(option.key) && !option.loose) {
      return refuse(
        `Bad setting ${placed(option)} in [${shown(option.group)}]; ` +
          `expected ${oneOf(CONNECTION_KEYS)} in the group of one instance`,
        isOwn(option.key)
          ? `Move line ${option.line} of ${shown(option.file)} to [${OWN_GROUP}], ` +
            "it is for all instances"
          : `Correct or remove line ${option.line} of ${shown(option.file)}`,
        commentOut(option),
      );
    }
  }
  return null;
}

/** Groups that are almost `[locktables]`, one warning each. They may be another program's. */
export function misspelled(options: readonly OptionLine[]): OptionWarning[] {
  const groups = new Map(options.map((option) => [option.group.toLowerCase(), option]));
  const warnings: OptionWarning[] = [];
  for (const [group, option] of groups) {
    if (group.startsWith(OWN_GROUP) || nearest(group, [OWN_GROUP]) === null) continue;
    warnings.push({
      reason: "option-ignored",
      text:
        `Group [${shown(option.group)}] near ${shown(option.file)}:${option.line} is ignored; ` +
        `did you mean [${OWN_GROUP}]?`,
      remedy: editCommand(option.file, [substitution(`[${option.group}`, `[${OWN_GROUP}`)]),
    });
  }
  return warnings;
}
