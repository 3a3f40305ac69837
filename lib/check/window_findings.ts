/** Findings about the window now, the last one, and what other methods have left behind. */
import { octal, OTHERS } from "../base/mode.ts";
import type { WindowState } from "../locker/read_status.ts";
import type { Refusal } from "../base/refusal.ts";
import type { Instant } from "../base/clock.ts";
import type { FileLook } from "../base/look.ts";
import type { WindowRecord } from "../window/record.ts";
import { type Finding, finding, fromRefusal } from "./finding.ts";

/** Where QEMU's sample hook `mysql-flush.sh` keeps its lock (`docs/comparison.md`). */
export const MYSQL_FLUSH_FIFO = "/run/mysql-flush.fifo";

/**
 * What VeeamHub's `mysqlfreezepre.sh` makes when it has locked, or pretends to
 * (`docs/comparison.md`).
 */
export const VEEAMHUB_FLAG = "/tmp/mysql_tables_read_lock";

/** The longest that any caller waits (VMware's 15 min): an older window is never closed by its caller. */
const STALE_MS = 15 * 60_000;

/** What is known of the window and of the paths around it. */
export interface WindowFacts {
  readonly state: WindowState;
  /** Lock files and sockets that are there, by path. */
  readonly lockFiles: readonly string[];
  /** Traces of other methods that are there, by path. */
  readonly traces: ReadonlyMap<string, FileLook>;
}

/** A directory of ours. */
export interface DirectoryFacts {
  readonly path: string;
  /** Null where there is none yet; the first window makes it. */
  readonly look: FileLook | null;
  /** Why it cannot be written; null where it can, or was not tried. */
  readonly refusal: Refusal | null;
}

/** Says what is known of windows. */
export function windowFindings(facts: WindowFacts, now: Instant): Finding[] {
  return [...openFindings(facts), ...lastFindings(facts), ...traceFindings(facts, now)];
}

function openFindings({ state, lockFiles }: WindowFacts): Finding[] {
  const { locker, window, left } = state;
  switch (locker) {
    case "no-answer":
      return [finding(
        "locker-silent",
        "The locker of a window does not answer: it is stopped or starved, and may hold its lock",
        {
          remedy: left === null
            ? "locktables post-thaw"
            : `locktables post-thaw; kill -9 ${left.locker_pid}`,
        },
      )];
    case "running":
      return window === null ? [] : [finding("window-open", openTitle(window), {
        remedy: "locktables post-thaw",
      })];
    case "no-locker":
      return left !== null || lockFiles.length === 0 ? [] : [finding(
        "run-leftovers",
        `${lockFiles.join(" and ")}: left behind, no window is open`,
        { remedy: "locktables post-thaw" },
      )];
    default:
      return locker satisfies never;
  }
}

function openTitle({ phase, opened_at, caller, deadline }: WindowRecord): string {
  const by = caller === null ? "" : `, opened by ${caller}`;
  const until = deadline === null ? "" : `; it releases the lock automatically at ${deadline}`;
  return `A window is open (${phase}) since ${opened_at}${by}${until}`;
}

function lastFindings({ state: { locker, last, left } }: WindowFacts): Finding[] {
  if (locker === "no-locker" && left !== null && left.outcome === null) {
    return [finding(
      "locker-died",
      `The locker of the window opened at ${left.opened_at} (pid ${left.locker_pid}) died without closing that window`,
      { remedy: "locktables post-thaw" },
    )];
  }
  if (last === null || last.verdict === "application-consistent") return [];
  if (last.outcome === null) {
    return [finding(
      "window-never-closed",
      `The window opened at ${last.opened_at} was never closed on this disk: this is an image taken inside it, or the machine went down in it`,
      { remedy: "locktables rehearse" },
    )];
  }
  const detail = last.detail === null ? "" : `: ${last.detail}`;
  return [finding(
    "last-window-bad",
    `The last window, opened at ${last.opened_at}, was ${last.verdict}; expected application-consistent. It was ${last.outcome} (${last.reason})${detail}`,
    { remedy: "locktables rehearse" },
  )];
}

function traceFindings({ traces }: WindowFacts, now: Instant): Finding[] {
  const stale = (path: string) => {
    const look = traces.get(path);
    return look !== undefined && now.wallMs - look.changedMs >= STALE_MS ? look : null;
  };
  const fifo = stale(MYSQL_FLUSH_FIFO);
  const flag = stale(VEEAMHUB_FLAG);
  return [
    ...(fifo?.kind !== "fifo" ? [] : [finding(
      "mysql-flush-fifo",
      `${MYSQL_FLUSH_FIFO} is of ${
        timeOf(fifo)
      }: a leftover of QEMU's hook mysql-flush.sh. It no longer locks anything, but it can hang the agent at the next thaw`,
      { remedy: `rm ${MYSQL_FLUSH_FIFO}` },
    )]),
    ...(flag === null ? [] : [finding(
      "veeamhub-flag",
      `${VEEAMHUB_FLAG} is of ${
        timeOf(flag)
      }: VeeamHub's mysqlfreezepre.sh left it, and takes it for a lock the next time`,
      { remedy: `rm ${VEEAMHUB_FLAG}` },
    )]),
  ];
}

function timeOf({ changedMs }: FileLook): string {
  return new Date(changedMs).toISOString();
}

/** Says what is wrong with a directory of ours. */
export function directoryFindings({ path, look, refusal }: DirectoryFacts): Finding[] {
  if (refusal !== null) return [fromRefusal(refusal)];
  if (look === null || (look.uid === 0 && (look.mode & OTHERS) === 0)) return [];
  return [finding(
    "directory-not-private",
    `${path} has mode ${
      octal(look.mode)
    } and belongs to the user ${look.uid}; expected 0700 and root: who writes there decides what becomes of a lock`,
    { remedy: `chown root:root ${path} && chmod 0700 ${path}` },
  )];
}
