/**
 * The receipt: what install changed, so that uninstall leaves the guest as it was and check sees
 * what became of it. Pure.
 */
import {
  _default,
  array,
  boolean,
  literal,
  nullable,
  number,
  object,
  safeParse,
  string,
} from "zod/mini";
import { CALLERS } from "../callers/table.ts";

/** Format of {@linkcode Receipt}. */
const SCHEMA_VERSION = 1;

const FILE = object({
  path: string(),
  /** Of the text that was written. */
  sha256: string(),
  /** Of what of ours was there before: it still is where the installation was cut short. */
  previous_sha256: nullable(string()),
  mode: number(),
  /** Where the file that was there before waits; null: there was none. */
  kept: nullable(string()),
  /** The key that was set, where it is a caller's configuration and not a file of ours. */
  edit: nullable(object({
    section: string(),
    key: string(),
    value: string(),
    previous: nullable(string()),
  })),
  /** A log: others write to it, and it goes whatever is in it. */
  is_log: boolean(),
});

const SCHEMA = object({
  schema_version: literal(SCHEMA_VERSION),
  /** Directories of our own that were not there before the first install. */
  own_directories: array(string()),
  /** The file for Prometheus, which every window writes anew; receipts of earlier versions have none. */
  metrics: _default(
    nullable(object({ file: string(), version: string(), installed_at: string() })),
    null,
  ),
  installs: array(object({
    caller: literal(CALLERS),
    form: string(),
    /** The option of install that chose the form. */
    option: nullable(string()),
    version: string(),
    program: string(),
    installed_at: string(),
    files: array(FILE),
    /** Directories that were made for it, outermost first. */
    directories: array(string()),
  })),
});

/** What install changed. Kept at `/var/lib/locktables/receipt.json`. */
export type Receipt = ReturnType<typeof SCHEMA.parse>;

/** The hooks of one caller. */
export type Install = Receipt["installs"][number];

/** One file of an {@linkcode Install}. */
export type InstalledFile = Install["files"][number];

/** Whether a file is as it was installed, without an edit since. */
export function isUntouched(file: InstalledFile, sha256: string): boolean {
  return sha256 === file.sha256 || sha256 === file.previous_sha256;
}

/** A receipt without any install. `ownDirectories`: ours that are not there yet. */
export function emptyReceipt(ownDirectories: readonly string[]): Receipt {
  return {
    schema_version: SCHEMA_VERSION,
    own_directories: [...ownDirectories],
    metrics: null,
    installs: [],
  };
}

/** A receipt from its text; null where it is not one, damaged or of a later format. */
export function parseReceipt(text: string): Receipt | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = safeParse(SCHEMA, value);
  return parsed.success ? parsed.data : null;
}
