/** The closed windows on disk. Only looks. */
import { readIfThere } from "../base/files.ts";
import { HISTORY_FILE, OLDER_HISTORY_FILE } from "../base/paths.ts";
import { isBelieved, STATE_DIRECTORY } from "../base/private_directory.ts";
import { parseRecord } from "../window/parse_record.ts";
import type { WindowRecord } from "../window/record.ts";
import { completeSince, OLDER_ROOM } from "../window/thinning.ts";

/**
 * Closed windows, the newest first. A line that is cut off, or of a version that this one does not
 * know, is left out.
 */
export function* historyBackwards(): Generator<WindowRecord> {
  const newest = new Set<string>();
  for (const record of backwards(HISTORY_FILE)) {
    newest.add(record.window_id);
    yield record;
  }
  for (const record of backwards(OLDER_HISTORY_FILE)) {
    // A machine that went down between two writes has left it in both.
    if (!newest.has(record.window_id)) yield record;
  }
}

/** Since when all windows are in the history; null where nothing was thinned. */
export function historyCompleteSince(): string | null {
  // One more than are complete says that some were thinned; thousands need not be read for that.
  return completeSince([...backwards(OLDER_HISTORY_FILE).take(OLDER_ROOM.complete + 1)].reverse());
}

function* backwards(path: string): Generator<WindowRecord> {
  const text = isBelieved(STATE_DIRECTORY) ? readIfThere(path) : null;
  for (const line of (text ?? "").split("\n").reverse()) {
    const record = parseRecord(line);
    if (record !== null) yield record;
  }
}
