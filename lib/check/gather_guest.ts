/** Facts about the guest: option file, directories, windows, hooks, and the one program that is started. */
import { atMost } from "../base/at_most.ts";
import { silentDisk } from "../base/disk.ts";
import type { FileLook } from "../base/look.ts";
import { LOCKER_SOCKET, OPTION_FILE, WAIT_FOR_LOCK, WAIT_FOR_SNAPSHOT } from "../base/paths.ts";
import { privacyNow, RUN_DIRECTORY, STATE_DIRECTORY } from "../base/private_directory.ts";
import { isRefusal } from "../base/refusal.ts";
import { VERSION } from "../base/version.ts";
import { filesIn, guestTree, unsafeProgram } from "../hooks/guest_tree.ts";
import { readReceipt } from "../hooks/receipt_file.ts";
import { noSync, SYNC_PROGRAMS } from "../locker/flush.ts";
import { RESERVED_BYTES } from "../locker/record_file.ts";
import { optionFileReader } from "../options/reader.ts";
import { callerLimitFindings } from "./caller_limit_findings.ts";
import { fromRefusal } from "./finding.ts";
import { type Context, type Gathered, type OptionFileRead, seen } from "./gathering.ts";
import { HOOK_DIRECTORIES, hookFindings } from "./hook_findings.ts";
import { optionFileFindings } from "./option_file_findings.ts";
import {
  directoryFindings,
  MYSQL_FLUSH_FIFO,
  VEEAMHUB_FLAG,
  windowFindings,
} from "./window_findings.ts";
import { probeWrite } from "./write_probe.ts";

/** Longest wait for a disk of ours to take a small file. */
const WRITE_PROBE_LIMIT_MS = 3_000;

/** How many lines a tool that manages a file says so in. */
const HEAD_LINES = 10;

/** The bits of a mode that let a program be started. */
const RUNNABLE = 0o111;

/** What a file in the run directory needs: one block. */
const RUN_DIR_BYTES = 4096;

export async function gatherOptionFile({ optionFile }: Context): Promise<Gathered> {
  const paths = [...new Set([OPTION_FILE, ...optionFile.options.map(({ file }) => file)])];
  const files = await Promise.all(paths.map(async (path) => {
    const look = await seen(path, true);
    return look?.kind === "file" ? [{ path, look, head: headOf(path) }] : [];
  }));
  return { findings: optionFileFindings({ read: optionFile.read, files: files.flat() }) };
}

/** The one program that a window starts; looked at, and not started. */
export async function gatherSync(): Promise<Gathered> {
  const looks = await Promise.all(SYNC_PROGRAMS.map((path) => seen(path, true)));
  const isRunnable = (look: FileLook | null) =>
    look?.kind === "file" && (look.mode & RUNNABLE) !== 0;
  if (looks.some(isRunnable)) return { findings: [] };
  const why = looks.every((look) => look === null)
    ? "there is no such program"
    : "it is not executable";
  return { findings: [fromRefusal(noSync(SYNC_PROGRAMS[0] ?? "sync", why))] };
}

/** The first lines of an option file; none where it is not to be read. */
function headOf(path: string): readonly string[] {
  const read = optionFileReader.read(path);
  return read.kind === "text" ? read.text.split("\n", HEAD_LINES) : [];
}

export async function gatherDirectories(context: Context): Promise<Gathered> {
  const { locker } = await context.window;
  const isOpening = await seen(WAIT_FOR_LOCK) !== null;
  const found = await Promise.all([
    { directory: RUN_DIRECTORY, bytes: RUN_DIR_BYTES, mayTry: true },
    // A disk that is frozen for a snapshot would keep us until it thaws.
    {
      directory: STATE_DIRECTORY,
      bytes: RESERVED_BYTES,
      mayTry: locker === "no-locker" && !isOpening,
    },
  ].map(async ({ directory, bytes, mayTry }) => {
    const { path } = directory;
    const privacy = privacyNow(directory);
    return directoryFindings({
      path,
      look: await seen(path, true),
      refusal: isRefusal(privacy) ? privacy : mayTry
        ? await atMost(
          probeWrite(path, bytes),
          WRITE_PROBE_LIMIT_MS,
          silentDisk(path, WRITE_PROBE_LIMIT_MS),
        )
        : null,
    });
  }));
  return { findings: found.flat() };
}

export function gatherHooks({ optionFile }: Context): Promise<Gathered> {
  const receipt = readReceipt();
  // Said of the directory already, and without a receipt nothing is known of hooks.
  if (isRefusal(receipt) && receipt.reason === "directory-untrusted") {
    return Promise.resolve({ findings: [] });
  }
  const program = Deno.execPath();
  const callers = isRefusal(receipt) ? [] : receipt.installs.map(({ caller }) => caller);
  return Promise.resolve({
    findings: [
      ...callerLimitFindings(callers, freezeTimeoutOf(optionFile)),
      ...hookFindings({
        tree: guestTree,
        receipt,
        inDirectories: HOOK_DIRECTORIES.flatMap(filesIn),
        program,
        version: VERSION,
        unsafe: unsafeProgram(program),
      }),
    ],
  });
}

/** What the option file says, or null. */
function freezeTimeoutOf({ options, read }: OptionFileRead): number | null {
  return !isRefusal(read) && options.some(({ key }) => key === "freeze-timeout")
    ? read.settings.freezeTimeoutMs
    : null;
}

export async function gatherWindow({ now, window }: Context): Promise<Gathered> {
  const isThere = async (path: string) => (await seen(path)) === null ? [] : [path];
  const lockFiles = await Promise.all(
    [WAIT_FOR_LOCK, WAIT_FOR_SNAPSHOT, LOCKER_SOCKET].map(isThere),
  );
  const traces = await Promise.all(
    [MYSQL_FLUSH_FIFO, VEEAMHUB_FLAG].map(async (path) => {
      const look = await seen(path);
      return look === null ? [] : [[path, look] as const];
    }),
  );
  const facts = {
    state: await window,
    lockFiles: lockFiles.flat(),
    traces: new Map(traces.flat()),
  };
  return { findings: windowFindings(facts, now) };
}
