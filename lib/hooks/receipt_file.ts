/** The receipt on disk. */
import { emptyReceipt, parseReceipt, type Receipt } from "./receipt.ts";
import { EXIT, isRefusal, type Refusal, refusal } from "../base/refusal.ts";
import { exists, readIfThere, removeIfThere, replaceFileOnDisk, unusable } from "../base/files.ts";
import {
  FREEZE_SENSOR_DIR,
  HISTORY_FILE,
  METRICS_FILES,
  OLDER_HISTORY_FILE,
  RECEIPT_FILE,
  RECORD_FILE,
  RESERVED_FILE,
  RUN_DIR,
  STATE_DIR,
  TOTALS_FILE,
  UNREPORTED_FILE,
} from "../base/paths.ts";
import { makePrivate, privacyNow, STATE_DIRECTORY } from "../base/private_directory.ts";

/** Those of our directories that are not there: to be removed again with the last hook. */
export function missingDirectories(): readonly string[] {
  return [STATE_DIR, RUN_DIR].filter((path) => !exists(path));
}

/**
 * What install changed so far; an empty receipt where it changed nothing.
 * @param missing of our directories, before anything was installed
 */
export function readReceipt(missing = missingDirectories()): Receipt | Refusal {
  // By a forged receipt uninstall would remove any file.
  const privacy = privacyNow(STATE_DIRECTORY);
  if (isRefusal(privacy)) return privacy;
  let text: string | null;
  try {
    text = privacy === "spoilt" ? null : readIfThere(RECEIPT_FILE);
  } catch (error) {
    return unusable(RECEIPT_FILE, "read", error);
  }
  if (text === null) return emptyReceipt(missing);
  return parseReceipt(text) ?? refusal(
    EXIT.badSetup,
    "receipt-damaged",
    `${RECEIPT_FILE} is damaged or of a later version`,
    `Move it away, then install again what was installed: mv ${RECEIPT_FILE} ${RECEIPT_FILE}.damaged`,
    `mv ${RECEIPT_FILE} ${RECEIPT_FILE}.damaged`,
  );
}

/** Writes the receipt, on disk when it returns. */
export function writeReceipt(receipt: Receipt): Refusal | null {
  const refused = makePrivate(STATE_DIRECTORY);
  if (refused !== null) return refused;
  try {
    replaceFileOnDisk(
      RECEIPT_FILE,
      `${RECEIPT_FILE}.tmp`,
      `${JSON.stringify(receipt, null, 2)}\n`,
      0o600,
    );
    return null;
  } catch (error) {
    return unusable(RECEIPT_FILE, "write", error);
  }
}

/** Puts back the receipt of before a change that failed. */
export function restoreReceipt(before: Receipt, attempted: Receipt): Refusal | null {
  if (before.installs.length > 0 || before.metrics !== null) return writeReceipt(before);
  removeReceipt(attempted);
  return null;
}

/**
 * The last hook is gone: takes away the receipt, and the directories of ours that were not there
 * before the first install, with what windows left in them. Returns what was removed.
 * Under the lock of {@linkcode STATE_DIR}: a report that is being counted has ended, and one that
 * comes later finds the directory gone.
 */
export function removeReceipt(receipt: Receipt): readonly string[] {
  const files = [
    RECEIPT_FILE,
    UNREPORTED_FILE,
    // Else the age of the last image would grow for ever in somebody's alerts.
    ...METRICS_FILES,
    ...(receipt.own_directories.includes(STATE_DIR)
      ? [
        RECORD_FILE,
        RESERVED_FILE,
        HISTORY_FILE,
        OLDER_HISTORY_FILE,
        TOTALS_FILE,
        FREEZE_SENSOR_DIR,
      ]
      : []),
  ].filter(exists);
  for (const path of files) removeIfThere(path);
  const directories = receipt.own_directories.filter((path) => {
    try {
      Deno.removeSync(path);
      return true;
    } catch {
      // Not there, or something else is kept in it: then it is not ours to remove.
      return false;
    }
  });
  return [...files.filter((path) => path !== RECEIPT_FILE), ...directories];
}
