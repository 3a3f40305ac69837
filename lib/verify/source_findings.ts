/** What the source says of the window's end, which the image cannot know. Pure. */
import { recordFrom } from "../window/parse_record.ts";
import type { WindowRecord } from "../window/record.ts";
import { found, type VerifyFinding } from "./verdict.ts";

/** Longest text of `--verdict` that is read, in bytes: `status --json` has two records. */
export const SOURCE_LIMIT_BYTES = 4 * 1024 * 1024;

/** The end of a window, as its source reports it. */
export interface SourceVerdict {
  readonly record: WindowRecord | null;
  readonly findings: readonly VerifyFinding[];
}

/**
 * What `--verdict` brings: the text of `status --json`, of a record, or of `rehearse --json`.
 * @param text null where the option was not given
 */
export function sourceVerdict(text: string | null, image: WindowRecord): SourceVerdict {
  if (text === null) {
    return {
      record: null,
      findings: [
        found(
          "source-verdict-unknown",
          "The record was written under the lock, before the filesystems are frozen: whether they were frozen, and the lock held until the snapshot was taken, is known on the source",
          { remedy: "locktables status --json | ssh RESTORED locktables verify --verdict -" },
        ),
      ],
    };
  }
  const records = recordsIn(text);
  if (records.length === 0) {
    return {
      record: null,
      findings: [
        found(
          "source-unreadable",
          "What --verdict names is no output of locktables status --json, and no record",
        ),
      ],
    };
  }
  const record = records.find(({ window_id }) => window_id === image.window_id);
  if (record === undefined) {
    return {
      record: null,
      findings: [
        found(
          "source-other-window",
          `What --verdict names is about window ${
            records.map(({ window_id }) => window_id).join(" and ")
          }; expected ${image.window_id}`,
        ),
      ],
    };
  }
  return { record, findings: [endOf(record)] };
}

function endOf(record: WindowRecord): VerifyFinding {
  if (record.verdict === null) {
    return found("source-window-open", "On the source the window was still open when it was asked");
  }
  return record.verdict === "application-consistent"
    ? found(
      "source-verdict",
      `The source says that the lock held until ${
        record.released_at ?? "the thaw"
      }: ${record.verdict}; ${FREEZE_TEXT[freezeOf(record)](record)}`,
    )
    : found(
      "lock-not-held",
      `The source says that the lock did not hold until the thaw: ${record.verdict} (${record.outcome}, ${record.reason})`,
    );
}

/** Where the freeze of the filesystems was, against the lock. */
export type FreezePlace = "inside-lock" | "not-inside-lock" | "not-seen" | "unknown";

/** The image itself cannot know it: its record was written before the freeze. */
export function freezeOf(source: WindowRecord | null): FreezePlace {
  // Records of earlier versions do not have these times.
  const { filesystems_frozen_at: frozen = null, filesystems_thawed_at: thawed = null } = source ??
    {};
  if (source === null || source.phase !== "closed") return "unknown";
  if (frozen === null) return "not-seen";
  const { locked_at: locked, released_at: released } = source;
  if (locked === null || released === null || frozen < locked || frozen > released) {
    return "not-inside-lock";
  }
  // A release that waits for the thaw follows it, and a thaw hook comes after it.
  return thawed !== null && thawed <= released ? "inside-lock" : "not-inside-lock";
}

const FREEZE_TEXT: Readonly<Record<FreezePlace, (record: WindowRecord) => string>> = {
  "inside-lock": ({ filesystems_frozen_at, filesystems_thawed_at }) =>
    `the filesystems were frozen at ${filesystems_frozen_at} and thawed at ${filesystems_thawed_at}, inside of the lock`,
  "not-inside-lock": ({ filesystems_frozen_at, filesystems_thawed_at }) =>
    `the filesystems were frozen at ${filesystems_frozen_at} and ${
      filesystems_thawed_at === null
        ? "not seen to be thawed"
        : `thawed at ${filesystems_thawed_at}`
    }, not inside of the lock`,
  "not-seen": () => "no freeze of the filesystems was seen",
  "unknown": () => "whether the filesystems were frozen is not known",
};

/** Every record in the text. */
function recordsIn(text: string): WindowRecord[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return []; // said by the caller
  }
  if (typeof value !== "object" || value === null) return [];
  const { window, last, record } = value as Readonly<Record<string, unknown>>;
  return [value, window, last, record].flatMap((one) => recordFrom(one) ?? []);
}
