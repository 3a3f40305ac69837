/** The file that node_exporter's textfile collector reads. */
import { atMost } from "../base/at_most.ts";
import { silentDisk } from "../base/disk.ts";
import { unusable } from "../base/files.ts";
import { writeAllSync } from "../base/lines.ts";
import { ROOT } from "../base/look.ts";
import { METRICS_FILES, parentOf } from "../base/paths.ts";
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import type { OutletSettings } from "../options/own_settings.ts";

/** How long a disk that is frozen for a snapshot is waited for: as long as the locker waits. */
const FROZEN_DISK_MS = 60_000;

/** Readable for the exporter, which is not root. */
const MODE = 0o644;

/** Where the file is written; null where no collector is found, or none is wanted. */
export async function metricsFile(
  { metricsFile: setting }: Pick<OutletSettings, "metricsFile">,
): Promise<string | null> {
  if (setting === "off") return null;
  if (setting !== "found") return setting.path;
  for (const path of METRICS_FILES) {
    const info = await Deno.stat(ROOT + parentOf(path)).catch(() => null); // not there
    if (info?.isDirectory === true) return path;
  }
  return null;
}

/** Replaces the file in one step: the collector never reads half of one. */
export async function writeMetricsFile(path: string, text: string): Promise<Refusal | null> {
  const temporary = `${path}.tmp`;
  // On the pool, and only as long as the disk is frozen; of what an earlier one left, it is no change.
  const answered = Deno.rename(temporary, temporary).then(() => true, () => true);
  if (!await atMost(answered, FROZEN_DISK_MS, false)) {
    return silentDisk(parentOf(path), FROZEN_DISK_MS);
  }
  const umask = Deno.umask(0o777 & ~MODE);
  try {
    await Deno.remove(temporary).catch(() => {}); // of one that was cut off; mostly not there
    // Always a new file: another user may write in that directory, and a link is never followed.
    const file = Deno.openSync(temporary, { write: true, createNew: true, mode: MODE });
    try {
      writeAllSync(file, new TextEncoder().encode(text));
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
    return null;
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // the error before is the one to report
    return error instanceof Deno.errors.NotFound
      ? refusal(
        EXIT.badSetup,
        "directory-missing",
        `Cannot write ${path}: ${parentOf(path)} is not there`,
        `Make it: mkdir -p ${parentOf(path)}`,
      )
      : unusable(path, "write", error);
  } finally {
    Deno.umask(umask);
  }
}
