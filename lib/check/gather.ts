/**
 * Everything that check looks at: facts, all at once and each for a limited time. What they mean is
 * decided in the files of findings.
 */
import { type Instant } from "../base/clock.ts";
import { effectiveUser } from "../base/look.ts";
import { OPTION_FILE } from "../base/paths.ts";
import { isRefusal } from "../base/refusal.ts";
import { readWindowState } from "../locker/read_status.ts";
import { readOptionFile } from "../options/option_file.ts";
import { optionFileReader } from "../options/reader.ts";
import { settingsFrom } from "../options/settings.ts";
import { finding } from "./finding.ts";
import {
  gatherDirectories,
  gatherHooks,
  gatherOptionFile,
  gatherSync,
  gatherWindow,
} from "./gather_guest.ts";
import { gatherOutlets } from "./gather_outlets.ts";
import { type Context, type Gathered, LOCKER_LIMIT_MS, type OptionFileRead } from "./gathering.ts";
import { gatherServers } from "./gather_servers.ts";

/**
 * Longest time for everything, in milliseconds. A person at a terminal or a monitor's
 * probe is answered within 10 s; the rest is for starting and printing.
 */
const GATHER_LIMIT_MS = 8_000;

/** Everything that is looked at, all at the same time. A new subject is one more entry. */
const GATHERERS: readonly ((context: Context) => Promise<Gathered>)[] = [
  gatherSync,
  gatherOptionFile,
  gatherServers,
  gatherWindow,
  gatherOutlets,
  gatherDirectories,
  gatherHooks,
];

/** All that there is to say, unsorted. */
export async function gatherAll(now: Instant): Promise<Gathered[]> {
  const user = effectiveUser();
  if (user !== 0) {
    // Nothing else can even be looked at.
    const title = `locktables runs as the user ${user}; expected root, as the hooks run`;
    return [{ findings: [finding("not-root", title, { remedy: "sudo locktables check" })] }];
  }
  const context: Context = {
    now,
    deadlineMs: performance.now() + GATHER_LIMIT_MS,
    optionFile: readOptions(),
    window: readWindowState(now, LOCKER_LIMIT_MS),
  };
  return await Promise.all(GATHERERS.map((gather) => gather(context)));
}

function readOptions(): OptionFileRead {
  const file = readOptionFile(optionFileReader, OPTION_FILE);
  return isRefusal(file)
    ? { options: [], read: file }
    : { options: file.options, read: settingsFrom(file) };
}
