/**
 * Journal and syslog, by util-linux' `logger`: a program of its own, so that a daemon that takes no
 * more lines, or a disk that hangs, hangs that program alone, and it can be killed.
 */
import { atMost } from "../base/at_most.ts";
import { ROOT } from "../base/look.ts";
import { LOGGER } from "../base/paths.ts";
import { oneLine, plainLine } from "../base/plain_text.ts";
import { type JournalEntry, journalText, TAG } from "./journal_entry.ts";

/** Where systemd's journal listens: without it `logger --journald` logs nothing, and says nothing. */
const JOURNAL_SOCKET = "/run/systemd/journal/socket";

/** Where a log daemon listens: systemd's journal, and any other one. */
export const LOG_SOCKETS: readonly string[] = [
  JOURNAL_SOCKET,
  "/run/systemd/journal/dev-log",
  "/dev/log",
];

/** Longest time for one `logger`: it sends a datagram. */
const LOGGER_LIMIT_MS = 3_000;

/** What syslog takes of one line, in bytes; logger's own limit would be 1 KiB. */
const LINE_LIMIT_BYTES = 2_048;

/** Logs an entry; null, or what failed and what to do. */
export async function toJournal(entry: JournalEntry): Promise<string | null> {
  const hasJournal = await Deno.stat(ROOT + JOURNAL_SOCKET).then(() => true, () => false);
  // A logger that was built without the journal goes on with syslog.
  if (hasJournal && await runLogger(["--journald"], journalText(entry)) === null) return null;
  return await runLogger([
    `--tag=${TAG}`,
    `--priority=daemon.${entry.priority}`,
    `--size=${LINE_LIMIT_BYTES}`,
    // Else a missing socket is no error.
    "--socket-errors=on",
    "--",
    plainLine(entry.message),
  ], "");
}

async function runLogger(args: readonly string[], input: string): Promise<string | null> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(LOGGER, {
      args: [...args],
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
      clearEnv: true,
      cwd: "/",
    }).spawn();
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound
      ? "there is no such program"
      : (error as Error).message;
    return `${LOGGER} cannot be started: ${why}. It is part of util-linux; or set log=off in [locktables]`;
  }
  const work = async () => {
    const stdin = child.stdin.getWriter();
    // One that ends without reading says why by its exit code.
    await stdin.write(new TextEncoder().encode(input)).catch(() => {});
    await stdin.close().catch(() => {});
    return await child.output();
  };
  const ended = await atMost(work(), LOGGER_LIMIT_MS, null);
  if (ended === null) {
    child.kill("SIGKILL");
    return `${LOGGER} did not end within ${LOGGER_LIMIT_MS} ms and was killed. See: systemctl status systemd-journald`;
  }
  if (ended.success) return null;
  const said = oneLine(new TextDecoder().decode(ended.stderr).trim());
  return `${LOGGER} failed (exit ${ended.code})${said === "" ? "" : `: ${said}`}. ` +
    "See whether a log daemon runs; or set log=off in [locktables]";
}
