/** What the findings about an image come to. Pure. */
import { plainLine } from "../base/plain_text.ts";
import { EXIT, type ExitCode } from "../base/refusal.ts";

/** What an image is worth, from best to worst. */
export type ImageVerdict = "as-promised" | "recoverable" | "unknown" | "damaged";

/**
 * What a finding takes from the image: `note` nothing; `difference` the promise, not the soundness;
 * `doubt` that anything can be said; `damage` both.
 */
export type Weight = "note" | "difference" | "doubt" | "damage";

/** Everything that can be found, and what it weighs. */
export const WEIGHTS = {
  // Which snapshot this is.
  "record-missing": "doubt",
  "record-unreadable": "doubt",
  "record-of-other-server": "doubt",
  "window-not-held": "doubt",
  "window-closed": "difference",
  "not-from-image": "doubt",
  "no-instances": "doubt",
  "instance-unknown": "doubt",

  // What the window ended as, which the source knows.
  "source-verdict-unknown": "note",
  "source-verdict": "note",
  "source-window-open": "note",
  "source-other-window": "doubt",
  "source-unreadable": "doubt",
  "lock-not-held": "difference",

  // The server on the image.
  "server-unreachable": "doubt",
  "server-not-asked": "doubt",
  "recovery-running": "doubt",
  "hostname-differs": "note",
  "version-differs": "note",
  "innodb-error": "damage",
  "volume-older": "damage",
  "volume-newer": "damage",
  "volume-seems-newer": "doubt",
  "volume-newer-unseen": "note",
  "several-volumes": "note",
  "database-missing": "doubt",
  "tables-fewer": "note",
  "innodb-errors-unseen": "note",

  // Up to which transaction.
  "coordinates-missing": "doubt",
  "binlog-short": "damage",
  "binlog-long": "difference",
  "binlog-lost": "damage",
  "binlog-purged": "doubt",
  "binlog-broken": "damage",
  "binlog-proven": "note",
  "redo-missing": "doubt",
  "binlog-off": "doubt",
  "binlog-unread": "doubt",
  "binlog-sealed": "doubt",
  "binlog-unasked": "note",
  "nothing-to-compare": "doubt",
  "transactions-missing": "damage",
  "transactions-more": "difference",
  "history-differs": "doubt",
  "written-since-start": "note",
  "position-inexact": "note",
  "replica-behind": "damage",
  "replica-ahead": "difference",
  "replica-unseen": "note",
  "cluster-differs": "doubt",
  "cluster-behind": "damage",
  "cluster-ahead": "note",
  "cluster-unseen": "note",

  // The tables.
  "table-damaged": "damage",
  "table-not-closed": "difference",
  "server-ended": "damage",
  "tables-unseen": "doubt",
  "tables-unchecked": "doubt",
  "contents-unchecked": "note",
  "repair-on": "note",
  "interrupted": "doubt",
} as const satisfies Readonly<Record<string, Weight>>;

/** What can be found. */
export type VerifyCode = keyof typeof WEIGHTS;

/** One thing that was found. */
export interface VerifyFinding {
  readonly code: VerifyCode;
  readonly weight: Weight;
  /** One line: what, where, current value then expected value. */
  readonly title: string;
  /** What to do about it: a shell command or a statement; null where a person must choose. */
  readonly remedy: string | null;
  /** Which server it is about; null for the image. */
  readonly instance: string | null;
}

/** Makes a finding; names of tables may hold anything, and a title is one line. */
export function found(
  code: VerifyCode,
  title: string,
  { remedy = null, instance = null }: Partial<Pick<VerifyFinding, "remedy" | "instance">> = {},
): VerifyFinding {
  return { code, weight: WEIGHTS[code], title: plainLine(title), remedy, instance };
}

/**
 * The verdict. Damage is certain whatever else is not known; a doubt keeps the better two words from
 * being said.
 */
export function imageVerdict(findings: readonly VerifyFinding[]): ImageVerdict {
  const has = (weight: Weight) => findings.some((one) => one.weight === weight);
  if (has("damage")) return "damaged";
  if (has("doubt")) return "unknown";
  return has("difference") ? "recoverable" : "as-promised";
}

/** What `verify` exits with. */
export const VERDICT_EXIT: Readonly<Record<ImageVerdict, ExitCode>> = {
  "as-promised": EXIT.ok,
  "recoverable": EXIT.notAsPromised,
  "damaged": EXIT.damaged,
  "unknown": EXIT.cannotTell,
};
