/** errand: what another command of ours must not wait for itself. Started by it, never by people. */
import { writeAll } from "../base/lines.ts";
import { exists } from "../base/files.ts";
import { sleep } from "../base/sleep.ts";
import { complain } from "../base/print.ts";
import { atMost } from "../base/at_most.ts";
import { diskAnswered, readFromDisk } from "../base/disk.ts";
import { EXIT, type ExitCode } from "../base/refusal.ts";
import { errandInput, type ErrandName } from "../base/errand.ts";
import { ROOT } from "../base/look.ts";
import { RECORD_FILE, RUN_DIR, STATE_DIR, WRITE_PROBE_NAME } from "../base/paths.ts";
import { isBelieved, STATE_DIRECTORY } from "../base/private_directory.ts";
import type { Notice } from "../outlets/notice.ts";
import type { WindowRecord } from "../window/record.ts";
import type { Report } from "../window/report.ts";

/** How long the process of a check that was stopped may wait for its disk, and how often to look. */
const PROBE_LIMIT_MS = 10 * 60_000;
const PROBE_PAUSE_MS = 100;

/** How long a path may take to answer that is asked what it is, in milliseconds. */
const TOUCH_LIMIT_MS = 600;

const ERRANDS: Readonly<Record<ErrandName, (input: unknown) => Promise<unknown>>> = {
  async "read-record"() {
    return isBelieved(STATE_DIRECTORY) ? await readFromDisk(RECORD_FILE) : null;
  },
  async "close-record"(input) {
    const { closeRecord, discard } = await import("../locker/record_file.ts");
    // Of a locker that was killed; first, while the sender still keeps others from opening.
    await discard();
    return await closeRecord(input as WindowRecord);
  },
  async "discard-reserved"() {
    const { discard } = await import("../locker/record_file.ts");
    await discard();
    return null;
  },
  async "remove-probe"(input) {
    // Its making may still be under way: it ends with the process that was killed.
    const since = performance.now();
    while (exists(`${ROOT}/proc/${Number(input)}`) && performance.now() - since < PROBE_LIMIT_MS) {
      await sleep(PROBE_PAUSE_MS);
    }
    for (const directory of [RUN_DIR, STATE_DIR]) {
      await Deno.remove(`${directory}/${WRITE_PROBE_NAME}`).catch(() => {}); // it may never have come to be
    }
    return null;
  },
  async "kill-sessions"(input) {
    const { killSessions } = await import("../locker/kill_sessions.ts");
    return await killSessions(input as WindowRecord);
  },
  async report(input) {
    const { deliver } = await import("../outlets/deliver.ts");
    await deliver(input as Report);
    return null;
  },
  async "try-notify"(input) {
    const { notify } = await import("../outlets/notify.ts");
    return await notify(input as Notice);
  },
  touch: (input) => touch(input as readonly string[]),
};

/** Does one errand: its input comes on stdin, what it brings goes to stdout. */
export async function errand(name: string | undefined): Promise<ExitCode> {
  if (!isErrand(name) || Deno.stdin.isTerminal()) {
    await complain("errand is a part of other commands. Run: locktables --help");
    return EXIT.usage;
  }
  // Files of ours are root's alone, whatever umask the caller has.
  Deno.umask(0o077);
  const result = await ERRANDS[name](await errandInput());
  await writeAll(Deno.stdout, new TextEncoder().encode(`${JSON.stringify(result)}\n`));
  return EXIT.ok;
}

function isErrand(name: string | undefined): name is ErrandName {
  return name !== undefined && Object.hasOwn(ERRANDS, name);
}

/** Those paths whose filesystem does not answer to a look and to the beginning of a write. */
async function touch(paths: readonly string[]): Promise<readonly string[]> {
  const silent = new Set(paths);
  const touching = paths.map(async (path) => {
    const isOurs = Deno.permissions.querySync({ name: "write", path }).state === "granted";
    try {
      const info = await Deno.stat(ROOT + path);
      // Both fail on what is there, and change nothing; on a frozen filesystem they wait first.
      if (isOurs && info.isDirectory) await diskAnswered(path);
      else if (isOurs) await Deno.mkdir(path);
    } catch {
      // An answer, too.
    }
    silent.delete(path);
  });
  await atMost(Promise.all(touching), TOUCH_LIMIT_MS, null);
  return [...silent];
}
