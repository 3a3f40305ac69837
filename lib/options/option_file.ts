/**
 * The format of MySQL and MariaDB option files (`my.cnf`), as the real clients
 * read it (`mysys/my_default.c`; the vectors in `tests/data/mycnf-vectors.json`
 * were each run through `my_print_defaults` of MariaDB 10.11 and MySQL 9.7).
 *
 * Where this reader is deliberately not the clients' reader:
 *
 * - An include that cannot be read, or that is malformed, is an error. The clients
 *   go on without it, and would then lock as another user, or another server.
 * - A file must be UTF-8. MariaDB's client cuts a *byte* A0 off the end of an
 *   unquoted value, so it halves the `à` of `password=voilà`; here it stays whole.
 * - A line is one line, however long. MariaDB's client starts a second option
 *   after 4094 bytes; MySQL's does not.
 * - An `!include` in a last line without a line end names the whole path. MariaDB's
 *   client drops its last character.
 *
 * @module
 */
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { shellWord } from "../base/shell.ts";
import type { LoosePart } from "../base/owned_path.ts";
import { commentOut, editCommand, groupAbove } from "../base/edit_command.ts";

/** What became of reading one file. `why` is text for people. */
export type FileRead =
  | { kind: "text"; text: string; worldWritable: boolean }
  | { kind: "missing" }
  /** A user other than root can change it. */
  | { kind: "untrusted"; part: LoosePart }
  /** Neither the file's mode nor the compiled-in permissions may forbid it. */
  | { kind: "denied"; why: string }
  /** There is a file, but not one made of text, such as one that is not UTF-8. */
  | { kind: "invalid"; why: string }
  /** A directory, a FIFO, a socket or a device. */
  | { kind: "not-a-file"; why: string };

/** What became of listing one directory. `why` is text for people. */
export type DirectoryRead =
  | { kind: "names"; names: string[] }
  | { kind: "missing" }
  | { kind: "denied"; why: string };

/** The files an option file is made of. Does not throw. */
export interface OptionFileReader {
  read(path: string): FileRead;
  /** The names directly in a directory, without their path, in any order. */
  list(dir: string): DirectoryRead;
}

/** One option of an option file. */
export interface OptionLine {
  /** Its group as written: `client` of `[client]`. Groups compare case-insensitively. */
  readonly group: string;
  /** Its name with `-` for `_` and without `loose-`. */
  readonly key: string;
  /** Its name as written. */
  readonly rawKey: string;
  /** Whether it was written with `loose-`: unknown names are then no error. */
  readonly loose: boolean;
  /** Its value, unquoted and unescaped; null for an option without `=`. */
  readonly value: string | null;
  /**
   * How the value differs from what stands behind the `=`, where people do not expect it: `cut` at
   * a `#` that follows it directly, or with its backslashes `unescaped`.
   */
  readonly altered?: "cut" | "unescaped";
  /** The path of the file it stands in. */
  readonly file: string;
  /** Its line in that file, from 1. */
  readonly line: number;
}

/** The options of a file and of the files it includes, in the order they are read. */
export interface OptionFile {
  readonly options: OptionLine[];
  readonly warnings: OptionWarning[];
}

/** A line that is valid but probably a mistake. */
export interface OptionWarning {
  readonly reason:
    /** A file counts as empty. */
    | "option-file-ignored"
    /** An include has no effect. */
    | "include-ignored"
    /** A line has no effect. */
    | "option-ignored"
    /** A value counts as another one. */
    | "setting-adjusted"
    /** A line has no effect because of a later one. */
    | "option-overridden";
  /** One line, upper case start. */
  readonly text: string;
  /** A shell command that can be run as it stands and ends it; null where none can. */
  readonly remedy: string | null;
}

/** Includes may be nested this deep, as in the clients (`max_recursion_level`). */
const MAX_INCLUDE_DEPTH = 10;

/**
 * At most this many files are read. The clients' depth limit alone lets a file that
 * includes itself four times be read a million times; an honest one needs a handful.
 */
const MAX_FILES = 1_000;

/** Longest text of a file that a message repeats, in UTF-16 code units. */
const MAX_SHOWN = 80;

/** A blank is what `isspace()` calls one in latin1, as far as that is a whole character. */
const LEADING_BLANKS = /^[ \t\n\v\f\r]+/;
const BLANK = " \t\n\v\f\r";

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  s: " ",
  '"': '"',
  "'": "'",
  "\\": "\\",
};

/**
 * Text of a file, made fit for a one-line message: control, format and separator
 * characters are escaped, and what is too long is cut.
 */
export function shown(text: string): string {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  return cut.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

/** `FILE:LINE`, as editors and compilers write a place. */
export function place(at: { readonly file: string; readonly line: number }): string {
  return `${shown(at.file)}:${at.line}`;
}

/**
 * Reads an option file and what it includes.
 *
 * A file that does not exist has no options. A world-writable one is ignored with a
 * warning, as in the clients.
 *
 * @param path absolute path of the file. `~` is not understood: HOME is often unset
 * in a hook, and the clients then read no file at all.
 * @returns the options in file order, or a refusal (`bad-option-file`, exit 22) that
 * names the file and, where there is one, the line. Never a value, which may be a
 * password.
 */
export function readOptionFile(reader: OptionFileReader, path: string): OptionFile | Refusal {
  const reading: Reading = { reader, top: path, filesRead: 0, options: [], warnings: [] };
  const stopped = readOne(reading, path, 0, null, true);
  return stopped ?? { options: reading.options, warnings: reading.warnings };
}

/**
 * The options of some groups, in the order of the *file*: with `["mysql", "client"]`
 * the later line wins, not the more specific group, as in the clients.
 *
 * @param groups names of groups, compared case-insensitively and in full.
 */
export function optionsOfGroups(
  options: readonly OptionLine[],
  groups: readonly string[],
): OptionLine[] {
  const wanted = new Set(groups.map((group) => group.toLowerCase()));
  return options.filter((option) => wanted.has(option.group.toLowerCase()));
}

/** The line that counts for each key: the last one. */
export function lastOfEach(options: readonly OptionLine[]): Map<string, OptionLine> {
  return new Map(options.map((option) => [option.key, option]));
}

interface Reading {
  readonly reader: OptionFileReader;
  readonly top: string;
  filesRead: number;
  readonly options: OptionLine[];
  readonly warnings: OptionWarning[];
}

interface Place {
  readonly file: string;
  readonly line: number;
  /** The group that the line stands in; null for none yet. */
  readonly group?: string | null;
}

/**
 * Reads one file into `reading`.
 *
 * @param from the line that includes it, if one does.
 * @param named whether that line names the file itself, and not its directory.
 */
function readOne(
  reading: Reading,
  path: string,
  depth: number,
  from: Place | null,
  named: boolean,
): Refusal | null {
  reading.filesRead++;
  if (reading.filesRead > MAX_FILES) {
    return badFile(
      `Option file ${shown(reading.top)} includes more than ${MAX_FILES} files; ` +
        `expected fewer${from === null ? "" : `, stopped at ${place(from)}`}`,
      `Look for files that include each other: grep -rn '!include' ${shown(reading.top)}`,
    );
  }
  const read = reading.reader.read(path);
  switch (read.kind) {
    case "missing":
      return null;
    case "untrusted":
      return untrusted(path, read.part, from);
    case "denied":
    case "invalid":
      return from === null
        ? badFile(
          `Option file ${shown(path)} cannot be read: ${shown(read.why)}`,
          `Look at it: ls -l ${shown(path)}; file ${shown(path)}`,
        )
        : unreadableInclude(reading, from, path, read.why);
    case "not-a-file":
      if (from === null) {
        return badFile(
          `Option file ${shown(path)} is ${shown(read.why)}; expected a regular file`,
          `Look at it: ls -ld ${shown(path)}`,
        );
      }
      // A directory in an !includedir is not a mistake.
      if (!named) return null;
      reading.warnings.push({
        reason: "include-ignored",
        text: `Option file ${place(from)}: ${shown(path)} is ${shown(read.why)} and is ignored`,
        remedy: commentOut(from),
      });
      return null;
    case "text":
      break;
    default:
      read satisfies never;
  }
  if (read.worldWritable) {
    reading.warnings.push({
      reason: "option-file-ignored",
      text: `World-writable config file '${shown(path)}' is ignored; run: chmod o-w ${shown(path)}`,
      remedy: `chmod o-w ${shellWord(path)}`,
    });
    return null;
  }
  return readLines(reading, path, read.text, depth);
}

function readLines(
  reading: Reading,
  file: string,
  text: string,
  depth: number,
): Refusal | null {
  let group: string | null = null;
  for (const [index, whole] of text.split("\n").entries()) {
    const at = { file, line: index + 1, group };
    const line = content(whole);
    const first = line[0];
    if (first === undefined || first === "#" || first === ";") continue;
    if (first === "!") {
      const stopped = followDirective(reading, line, depth, at);
      if (stopped !== null) return stopped;
      continue;
    }
    if (first === "[") {
      const end = line.indexOf("]");
      if (end < 0) {
        return badFile(
          `Wrong group definition in option file ${place(at)}: ${shown(line)}; expected [name]`,
          `Close the bracket in line ${at.line} of ${shown(file)}`,
          commentOut(at),
        );
      }
      group = trimEnd(line.slice(1, end));
      continue;
    }
    if (group === null) return optionWithoutGroup(line, at);
    reading.options.push(option(group, line, at));
  }
  return null;
}

/** A line without its leading blanks. The clients' lines are C strings: NUL ends them. */
function content(line: string): string {
  const nul = line.indexOf("\0");
  return (nul < 0 ? line : line.slice(0, nul)).replace(LEADING_BLANKS, "");
}

/** Not a regular expression: `/[ ]+$/` takes quadratic time on a long run of blanks. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && BLANK.includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}

function option(group: string, line: string, at: Place): OptionLine {
  const code = withoutComment(line);
  const equals = code.indexOf("=");
  const rawKey = trimEnd(equals < 0 ? code : code.slice(0, equals));
  const dashed = rawKey.replaceAll("_", "-");
  const loose = dashed.startsWith("loose-");
  const raw = equals < 0 ? "" : code.slice(equals + 1);
  const value = equals < 0 ? null : valueOf(raw);
  // A comment that is meant as one has a blank before it.
  const isCut = code.length < line.length && trimEnd(code) === code && equals >= 0;
  return {
    group,
    key: loose ? dashed.slice("loose-".length) : dashed,
    rawKey,
    loose,
    value,
    ...(isCut
      ? { altered: "cut" as const }
      : value !== null && value !== unquoted(raw)
      ? { altered: "unescaped" as const }
      : {}),
    file: at.file,
    line: at.line,
  };
}

/**
 * Cuts a line at the first `#` outside quotes. Quotes open and close anywhere in the
 * line, the key included, and a backslash protects a character inside quotes alone.
 */
function withoutComment(line: string): string {
  let quote = "";
  let escaped = false;
  for (let index = 0; index < line.length; index++) {
    const character = line[index]!;
    if ((character === '"' || character === "'") && !escaped) {
      if (quote === "") quote = character;
      else if (quote === character) quote = "";
    }
    if (quote === "" && character === "#") return line.slice(0, index);
    escaped = quote !== "" && character === "\\" && !escaped;
  }
  return line;
}

function unquoted(text: string): string {
  const value = trimEnd(text.replace(LEADING_BLANKS, ""));
  const first = value[0];
  const isQuoted = (first === '"' || first === "'") && value.length > 1 && value.endsWith(first);
  return isQuoted ? value.slice(1, -1) : value;
}

function valueOf(text: string): string {
  // A backslash that is the last character has nothing to escape, and does not match.
  return unquoted(text).replace(
    /\\([^])/g,
    (both: string, escaped: string) => Object.hasOwn(ESCAPES, escaped) ? ESCAPES[escaped]! : both,
  );
}

/** `!include PATH` and `!includedir DIR`; other directives are ignored, as in the clients. */
function followDirective(
  reading: Reading,
  line: string,
  depth: number,
  at: Place,
): Refusal | null {
  const directive = line.slice(1).replace(LEADING_BLANKS, "");
  const [, keyword, rest] = /^(includedir|include)(?:$|[ \t\n\v\f\r])([^]*)$/.exec(directive) ?? [];
  if (keyword === undefined || rest === undefined) return null;
  const target = trimEnd(rest.replace(LEADING_BLANKS, ""));
  if (target === "") {
    return badFile(
      `Wrong '!${keyword}' directive in option file ${place(at)}: it names no path; ` +
        `expected !${keyword} PATH`,
      `Complete or remove line ${at.line} of ${shown(at.file)}`,
      commentOut(at),
    );
  }
  if (depth >= MAX_INCLUDE_DEPTH) {
    reading.warnings.push({
      reason: "include-ignored",
      text: `Option file ${place(at)}: !${keyword} ${shown(target)} is skipped, ` +
        `includes are nested ${MAX_INCLUDE_DEPTH} deep already`,
      remedy: commentOut(at),
    });
    return null;
  }
  return keyword === "include"
    ? readOne(reading, target, depth + 1, at, true)
    : includeDirectory(reading, target, depth, at);
}

function includeDirectory(
  reading: Reading,
  dir: string,
  depth: number,
  at: Place,
): Refusal | null {
  const listed = reading.reader.list(dir);
  switch (listed.kind) {
    case "missing":
      return badFile(
        `Option file ${place(at)}: !includedir ${
          shown(dir)
        } names no directory; expected one that exists`,
        `Create it (mkdir ${shown(dir)}) or remove line ${at.line} of ${shown(at.file)}`,
        commentOut(at),
      );
    case "denied":
      return unreadableInclude(reading, at, dir, listed.why, `${dir}/`);
    case "names":
      break;
    default:
      listed satisfies never;
  }
  const prefix = dir.endsWith("/") ? dir : `${dir}/`;
  for (const name of listed.names.filter((name) => name.endsWith(".cnf")).sort()) {
    const stopped = readOne(reading, prefix + name, depth + 1, at, false);
    if (stopped !== null) return stopped;
  }
  return null;
}

/** @param holder the file, or the folder with a slash at its end, that holds the options */
function unreadableInclude(
  reading: Reading,
  at: Place,
  path: string,
  why: string,
  holder = path,
): Refusal {
  return badFile(
    `Option file ${place(at)} includes ${shown(path)}, which cannot be read: ${shown(why)}`,
    `Put the options of ${shown(path)} into ${shown(reading.top)} itself ` +
      `and remove line ${at.line} of ${shown(at.file)}`,
    inPlaceOf(holder, at, at.group ?? null),
  );
}

/** What an include brings stays what it is to every client, in the place of the line. */
function inPlaceOf(path: string, at: Place, group: string | null): string {
  const from = path.endsWith("/") ? `${shellWord(path)}*.cnf` : shellWord(path);
  return `chmod 0600 ${shellWord(at.file)} && (LC_ALL=C; awk 1 ${from}) | ${
    editCommand(at.file, [
      `${at.line}r /dev/stdin`,
      `${at.line}s/^/# /`,
      ...(group === null ? [] : [`${at.line}a [${group}]`]),
    ])
  }`;
}

/** Who writes it decides what is frozen, and to whom the password is sent. */
function untrusted(path: string, part: LoosePart, from: Place | null): Refusal {
  const word = shellWord(part.path);
  const remedy = `chown root ${word} && chmod go-w ${word}`;
  const what = part.path === path ? "it" : shown(part.path);
  const why = part.why === "owner"
    ? `${what} belongs to the user ${part.uid}; expected root`
    : `${what} has mode ${part.mode.toString(8).padStart(4, "0")}; expected only root to write it`;
  return refusal(
    EXIT.badSetup,
    `option-file-${part.why}`,
    `Option file ${shown(path)}${
      from === null ? "" : `, included at ${place(from)},`
    } is not read: ${why}`,
    `Look at what it says, then: ${remedy}`,
    remedy,
  );
}

/** Repeats nothing of the line: an option without a group may well be the password. */
function optionWithoutGroup(line: string, at: Place): Refusal {
  if (line.startsWith("\u{feff}")) {
    return badFile(
      `Option file ${place(at)} starts with a UTF-8 byte order mark; expected none, ` +
        "the clients take it for an option without a group",
      `Remove it: ${withoutByteOrderMark(at.file)}`,
      withoutByteOrderMark(at.file),
    );
  }
  return badFile(
    `Found option without preceding group in option file ${
      place(at)
    }; expected a [client] line before`,
    `Put a line with [client] above line ${at.line} of ${shown(at.file)}`,
    groupAbove(at, "client"),
  );
}

function withoutByteOrderMark(file: string): string {
  return `sed -i --follow-symlinks '1s/^\\xEF\\xBB\\xBF//' ${shellWord(file)}`;
}

/** Without a remedy: a file that is no text at all, or files that include each other in a tangle. */
function badFile(summary: string, hint: string, remedy: string | null = null): Refusal {
  return refusal(EXIT.badSetup, "bad-option-file", summary, hint, remedy);
}
