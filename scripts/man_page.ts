/**
 * The manual page, made of the help that the program prints: what it does not say there, nobody has
 * to keep in step here. The language is man(7) (https://man7.org/linux/man-pages/man7/man.7.html).
 */

/** One command's page of the help. */
export interface HelpPage {
  readonly name: string;
  readonly text: string;
}

/** What a manual page is made of. */
export interface ManPageInput {
  readonly version: string;
  readonly date: Date;
  /** What `locktables help` prints. */
  readonly overview: string;
  /** What `locktables help COMMAND` prints, for each command of the overview. */
  readonly pages: readonly HelpPage[];
}

/** The width that the help is broken at: a line that ends earlier ends on purpose. */
const HELP_WIDTH = 80;

/** The heading of the list of commands; in the manual each has a section with all of its help. */
const COMMANDS_HEADING = "Commands:";

/** The commands that an overview lists, in its order. */
export function commandsOf(overview: string): string[] {
  const block = blocksOf(overview).find(([first]) => first === COMMANDS_HEADING) ?? [];
  return block.slice(1).flatMap((line) => {
    const name = rowOf(line)?.left;
    return name === undefined ? [] : [name];
  });
}

/** The source of the manual page. */
export function manPage(input: ManPageInput): string {
  const [title, usage, ...sections] = blocksOf(input.overview);
  const summary = (title?.[0] ?? "").replace(/^.*?: /, "");
  const date = input.date.toISOString().slice(0, 10);
  return [
    `.TH LOCKTABLES 8 ${date} "locktables ${input.version}" "System Administration"`,
    // No hyphens of the reader's: options and paths are copied from the page.
    ".nh",
    ".ad l",
    ".SH NAME",
    `locktables \\- ${escape(summary)}`,
    ".SH SYNOPSIS",
    bold((usage?.[0] ?? "").replace(/^Usage: /, "")),
    ...sections.flatMap((block) => sectionOf(block, input.pages)),
    "",
  ].join("\n");
}

/** A part of the overview: its first line is the heading, and may explain itself in brackets. */
function sectionOf([first = "", ...rest]: readonly string[], pages: readonly HelpPage[]): string[] {
  const [, heading = "", aside = ""] = /^(.*?)(?: \((.*)\))?:$/.exec(first) ?? [];
  const isCommands = first === COMMANDS_HEADING;
  return [
    `.SH ${escape(heading.toUpperCase())}`,
    ...(aside === "" ? [] : [escape(`${aside[0]?.toUpperCase()}${aside.slice(1)}.`)]),
    ...textOf(isCommands ? rest.filter((line) => rowOf(line) === undefined) : rest),
    ...(isCommands ? pages.flatMap(subsectionOf) : []),
  ];
}

function subsectionOf({ name, text }: HelpPage): string[] {
  return [
    `.SS ${escape(name)}`,
    // A tagged paragraph brings its own distance.
    ...blocksOf(text).flatMap((block, index) => [
      ...(index === 0 || rowOf(block[0] ?? "") !== undefined ? [] : [".PP"]),
      ...textOf(block),
    ]),
  ];
}

/** Lines as paragraphs and tagged ones; a break that the help made for its width is not kept. */
function textOf(lines: readonly string[]): string[] {
  const out: string[] = [];
  let isInRow = false;
  let previous: string | undefined;
  for (const line of lines) {
    const row = rowOf(line);
    const usage = /^Usage: (.*)$/.exec(line)?.[1];
    if (row !== undefined) {
      out.push(".TP", bold(row.left), escape(row.right));
    } else if (isInRow && /^ {4}/.test(line)) {
      out.push(escape(line.trim()));
      continue;
    } else if (usage !== undefined) {
      out.push(bold(usage));
    } else {
      if (isInRow) out.push(".PP");
      else if (previous !== undefined && wasBrokenOnPurpose(previous, line)) out.push(".br");
      out.push(escape(line.trim()));
    }
    isInRow = row !== undefined;
    previous = line;
  }
  return out;
}

/** Whether the next line's first word would still have had room. */
function wasBrokenOnPurpose(line: string, next: string): boolean {
  const [word = ""] = next.trim().split(" ");
  return line.length + 1 + word.length <= HELP_WIDTH;
}

/** An indented line of two columns. */
function rowOf(line: string): { left: string; right: string } | undefined {
  const [, left, right] = /^ {2,}(\S+(?: \S+)*) {2,}(\S.*)$/.exec(line) ?? [];
  return left === undefined || right === undefined ? undefined : { left, right };
}

/** Paragraphs, as lines. */
function blocksOf(text: string): string[][] {
  return text.trim().split(/\n{2,}/).map((block) => block.split("\n"));
}

function bold(text: string): string {
  return `\\fB${escape(text)}\\fR`;
}

/** Text as it is: ASCII that can be copied from the page, and no line that reads like a request. */
function escape(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("'", "\\(aq")
    .replaceAll("`", "\\(ga").replaceAll("^", "\\(ha").replaceAll("~", "\\(ti")
    .replace(/^\./, "\\&.");
}
