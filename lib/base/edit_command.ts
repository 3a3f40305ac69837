/** Commands that correct an option file in place: `sed`, because every guest has it. */
import { shellWord } from "./shell.ts";

/** A line of a file, from 1. */
export interface LineOf {
  readonly file: string;
  readonly line: number;
}

/** The command that edits a file by these `sed` expressions; a link to it stays a link. */
export function editCommand(file: string, expressions: readonly string[]): string {
  return `sed -i --follow-symlinks ${expressions.map((one) => `-e ${shellWord(one)}`).join(" ")} ${
    shellWord(file)
  }`;
}

/** Puts one text in the place of another, wherever that stands first in a line. */
export function substitution(from: string, to: string): string {
  return `s/${pattern(from)}/${replacement(to)}/`;
}

/** Makes a line a comment: it is out of the way, and can be brought back. */
export function commentOut(at: LineOf): string {
  return editCommand(at.file, [`${at.line}s/^/# /`]);
}

/** Puts one text in the place of another in a line. */
export function replaceInLine(at: LineOf, from: string, to: string): string {
  return editCommand(at.file, [`${at.line}${substitution(from, to)}`]);
}

/** Gives an option another value. */
export function setValue(at: LineOf, value: string): string {
  return editCommand(at.file, [`${at.line}s/=.*/=${replacement(value)}/`]);
}

/** Puts a group's line above a line. */
export function groupAbove(at: LineOf, group: string): string {
  return editCommand(at.file, [`${at.line}i [${group}]`]);
}

/** Adds lines at the end of a file, where they win. */
export function append(file: string, lines: readonly string[]): string {
  return `printf '\\n${lines.map((line) => `${line}\\n`).join("")}' >> ${shellWord(file)}`;
}

/** A text that `sed` finds literally. */
function pattern(text: string): string {
  return text.replaceAll(/[\\/.*[\]^$]/g, "\\$&");
}

/** A text that `sed` writes literally. */
function replacement(text: string): string {
  return text.replaceAll(/[\\/&]/g, "\\$&");
}
