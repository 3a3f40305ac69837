/** Findings: making them, leaving out what others make meaningless, and what they come to. */
import { plainLine } from "../base/plain_text.ts";
import { EXIT, type ExitCode, type Refusal } from "../base/refusal.ts";
import { CATALOGUE, entryOf, type FindingCode, isFindingCode, type Severity } from "./catalogue.ts";

/** One result of `check`. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** One line: what, where, current value then wanted value. */
  readonly title: string;
  /** A shell command that can be run as it stands and ends the finding; null where none can. */
  readonly remedy: string | null;
  /** Which server it is about; null for the guest. */
  readonly instance: string | null;
}

/**
 * Makes a finding. Names of tables and texts of statements may hold anything, and a title is one
 * line on a terminal.
 */
export function finding(
  code: FindingCode,
  title: string,
  { remedy = null, instance = null }: Partial<Pick<Finding, "remedy" | "instance">> = {},
): Finding {
  const line = plainLine(title);
  return { code, severity: entryOf(code).severity, title: line, remedy, instance };
}

/** What pre-freeze would refuse tonight, as a finding. */
export function fromRefusal(refusal: Refusal, instance: string | null = null): Finding {
  const { reason, summary, hint, remedy } = refusal;
  if (!isFindingCode(reason)) throw new Error(`No finding for the refusal ${reason}: ${summary}`);
  // A remedy says what the hint says, and more shortly.
  const title = remedy === undefined ? `${summary}. ${hint}` : summary;
  return finding(reason, title, { instance, remedy: remedy ?? null });
}

/** The order of the catalogue. */
const RANK = new Map(Object.keys(CATALOGUE).map((code, rank) => [code, rank]));

const SEVERITIES: readonly Severity[] = ["error", "warning", "note"];

/** What is left when each finding has hidden what it makes meaningless; most severe first. */
export function reported(findings: readonly Finding[]): Finding[] {
  const rank = ({ code, severity }: Finding) =>
    SEVERITIES.indexOf(severity) * RANK.size + (RANK.get(code) ?? 0);
  // A hidden finding does not hide others. The catalogue has no cycles (tested), so the recursion ends.
  const isHidden = (one: Finding): boolean =>
    findings.some((other) => hides(other, one) && !isHidden(other));
  return findings.filter((one) => !isHidden(one)).sort((a, b) => rank(a) - rank(b));
}

function hides(by: Finding, one: Finding): boolean {
  const hidden = entryOf(by.code).hides ?? [];
  const isThere = by.instance === null || by.instance === one.instance;
  return isThere && (hidden.includes(one.code) || hidden.includes(entryOf(one.code).theme));
}

/** How many there are of each severity. */
export function countOf(findings: readonly Finding[]): Readonly<Record<Severity, number>> {
  const count = (severity: Severity) => findings.filter((one) => one.severity === severity).length;
  return { error: count("error"), warning: count("warning"), note: count("note") };
}

/** What `check` exits with: the code of the first error. */
export function exitCodeOf(findings: readonly Finding[]): ExitCode {
  const [first] = findings.filter(({ severity }) => severity === "error");
  return first === undefined ? EXIT.ok : entryOf(first.code).exit ?? EXIT.defect;
}
