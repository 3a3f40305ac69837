/** What `check` found, for people. Pure. */
import type { Severity } from "./catalogue.ts";
import { countOf, type Finding } from "./finding.ts";

const HEADINGS: Readonly<Record<Severity, string>> = {
  error: "Errors",
  warning: "Warnings",
  note: "Notes",
};

/** Findings by severity, each with its remedy on a line of its own, and what they come to. */
export function checkText(findings: readonly Finding[]): string {
  const groups = (Object.keys(HEADINGS) as Severity[]).flatMap((severity) => {
    const members = findings.filter((one) => one.severity === severity);
    return members.length === 0 ? [] : [[`${HEADINGS[severity]}:`, ...members.map(findingText)]];
  });
  return [...groups.map((lines) => `${lines.join("\n")}\n`), verdictLine(findings)].join("\n");
}

function findingText({ code, title, remedy }: Finding): string {
  const line = `  ${title} [${code}]`;
  // Nothing before the command but blanks, nothing behind it: it can be copied.
  return remedy === null ? line : `${line}\n      ${remedy}`;
}

function verdictLine(findings: readonly Finding[]): string {
  const { error, warning } = countOf(findings);
  const counts = [
    ...(error === 0 ? [] : [plural(error, "error")]),
    ...(warning === 0 ? [] : [plural(warning, "warning")]),
  ].join(", ");
  if (error > 0) return `${counts}: tonight's freeze would fail.`;
  return warning > 0
    ? `Ready, with ${counts}.`
    : "Ready: nothing was found that would make tonight's freeze fail.";
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
