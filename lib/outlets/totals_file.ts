/** The totals on disk. */
import { diskAnswered, readFromDisk, replaceOnDisk, silentDisk } from "../base/disk.ts";
import { isAt } from "../base/directory_lock.ts";
import { atMost } from "../base/at_most.ts";
import { exists, readIfThere, unusable } from "../base/files.ts";
import { STATE_DIR, TOTALS_FILE, TOTALS_TEMPORARY } from "../base/paths.ts";
import { isBelieved, makePrivate, STATE_DIRECTORY } from "../base/private_directory.ts";
import { plainJson } from "../base/plain_text.ts";
import type { Refusal } from "../base/refusal.ts";
import type { Report } from "../window/report.ts";
import { historyBackwards } from "./history.ts";
import { parseTotals, type Totals, totalsOf, withReport } from "./totals.ts";

/** How long a disk that is frozen for a snapshot is waited for: as long as the locker waits. */
const FROZEN_DISK_MS = 60_000;

/** The totals with one more report, and why they could not be put on disk. */
export interface Counted {
  readonly totals: Totals;
  readonly unwritten: Refusal | null;
}

/** Counts a report; a refusal where not even the totals so far can be read; null: there is nothing left to count for: uninstall has removed it. */
export async function count(report: Report): Promise<Counted | Refusal | null> {
  // A refusal comes before the first window, which makes the directory; its own record was in there.
  if (report.kind === "refusal") {
    await Deno.mkdir(STATE_DIR, { recursive: true, mode: 0o700 }).catch(() => {}); // seen below
  }
  const answered = diskAnswered(STATE_DIR).then(() => true);
  if (!await atMost(answered, FROZEN_DISK_MS, false)) return silentDisk(STATE_DIR, FROZEN_DISK_MS);
  if (report.kind === "window" && !exists(STATE_DIR)) return null;
  const refused = makePrivate(STATE_DIRECTORY);
  if (refused !== null) return refused;
  let totals: Totals | null = null;
  try {
    using directory = await Deno.open(STATE_DIR, { read: true });
    // The same lock as for the record: one report after the other.
    await directory.lock(true);
    // uninstall, which takes the same lock, has removed the directory meanwhile.
    if (!isAt(STATE_DIR, directory)) return null;
    totals = withReport(parseTotals(await readFromDisk(TOTALS_FILE)) ?? counted(), report);
    const text = `${plainJson(totals, 2)}\n`;
    await replaceOnDisk(TOTALS_FILE, TOTALS_TEMPORARY, new TextEncoder().encode(text));
    return { totals, unwritten: null };
  } catch (error) {
    const unwritten = unusable(TOTALS_FILE, "write", error);
    return totals === null ? unwritten : { totals, unwritten };
  }
}

/** The totals as they are. Only looks. */
export function readTotals(): Totals {
  const text = isBelieved(STATE_DIRECTORY) ? readIfThere(TOTALS_FILE) : null;
  return parseTotals(text) ?? counted();
}

/** What the history has, where there are no totals: an earlier version kept none. */
function counted(): Totals {
  return totalsOf([...historyBackwards()].reverse());
}
