/** What `check` found, for people. Pure. */
import { type Line, type Style, styled } from "../base/styled.ts";
import type { Severity } from "./catalogue.ts";
import { countOf, type Finding } from "./finding.ts";

const HEADINGS: Readonly<Record<Severity, { readonly text: string; readonly as: Style }>> = {
  error: { text: "Errors:", as: "error" },
  warning: { text: "Warnings:", as: "warning" },
  note: { text: "Notes:", as: "heading" },
};

/** Findings by severity, each with its remedy on a line of its own, and what they come to. */
export function checkText(findings: readonly Finding[]): Line[] {
  const groups = (Object.keys(HEADINGS) as Severity[]).flatMap((severity) => {
    const members = findings.filter((one) => one.severity === severity);
    return members.length === 0 ? [] : [[HEADINGS[severity]], ...members.flatMap(findingLines), []];
  });
  return [...groups, [verdictPart(findings)]];
}

function findingLines({ code, title, remedy }: Finding): Line[] {
  const line: Line = [`  ${title} `, styled("aside", `[${code}]`)];
  // Nothing before the command but blanks, nothing behind it: it can be copied.
  return remedy === null ? [line] : [line, ["      ", styled("command", remedy)]];
}

function verdictPart(findings: readonly Finding[]) {
  const { error, warning } = countOf(findings);
  const counts = [
    ...(error === 0 ? [] : [plural(error, "error")]),
    ...(warning === 0 ? [] : [plural(warning, "warning")]),
  ].join(", ");
  if (error > 0) return styled("error", `${counts}: tonight's freeze would fail.`);
  return warning > 0
    ? styled("warning", `Ready, with ${counts}.`)
    : styled("good", "Ready: nothing was found that would make tonight's freeze fail.");
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
