/** The closed windows on disk. Only looks. */
import { readIfThere } from "../base/files.ts";
import { HISTORY_FILE } from "../base/paths.ts";
import { isBelieved, STATE_DIRECTORY } from "../base/private_directory.ts";
import { parseRecord } from "../window/parse_record.ts";
import type { WindowRecord } from "../window/record.ts";

/**
 * Closed windows, the newest first. A line that is cut off, or of a version that this one does not
 * know, is left out.
 */
export function* historyBackwards(): Generator<WindowRecord> {
  const text = isBelieved(STATE_DIRECTORY) ? readIfThere(HISTORY_FILE) : null;
  for (const line of (text ?? "").split("\n").reverse()) {
    const record = parseRecord(line);
    if (record !== null) yield record;
  }
}
