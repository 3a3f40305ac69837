/**
 * Commands that look at disks, each done by a process of its own (`attended`) that the one people
 * and monitors wait for attends: where a disk is frozen or hangs, that process cannot be ended, and
 * who waited for it would wait too.
 */
import { complain, complainOf, printAsItIs, sayAll } from "../base/print.ts";
import type { CommandEnd } from "../base/plugin_state.ts";
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { atMost } from "../base/at_most.ts";
import { type Attendant, isForTerminal } from "../base/attendance.ts";
import { type Instant, systemClock } from "../base/clock.ts";
import { silentDisk } from "../base/disk.ts";
import { runErrand, silentPath } from "../base/errand.ts";
import { INSTALL_PATHS, UNIT_PATHS } from "../callers/install_paths.ts";
import { isPluginCall, sayUnknown } from "./plugin.ts";
import { KNOWN_SOCKETS, OPTION_FILE, STATE_DIR } from "../base/paths.ts";

/**
 * The first word of the process that does the work; the pid of who attends it and its kind of output
 * follow.
 */
export const ATTENDED = "attended";

/** The kind of output that shows colours; any other shows none. */
const TERMINAL = "terminal";

/** What the words after {@linkcode ATTENDED} say of the attendant, and the command. */
export function attendedCall(
  [pid, output, ...args]: readonly string[],
): { readonly by: Attendant; readonly args: readonly string[] } {
  return { by: { pid: Number(pid), isForTerminal: output === TERMINAL }, args };
}

/**
 * How long each may take, in milliseconds: check promises to answer within 10 s and takes 8 for
 * its questions; status and metrics wait up to 4 s for a locker; install and uninstall write some small files.
 */
const LIMITS_MS: Readonly<Record<string, number>> = {
  check: 8_700,
  status: 6_000,
  metrics: 6_000,
  history: 6_000,
  install: 10_000,
  uninstall: 10_000,
};

/** After the text on either stream; no text of ours has this character in it. */
const END = "\0";

/** Whether a command line is done by a process of its own. */
export function isAttended([name, ...rest]: readonly string[]): boolean {
  return name !== undefined && Object.hasOwn(LIMITS_MS, name) &&
    // What `--notify` starts has a limit of its own.
    !rest.some((arg) => ["--help", "-h", "--notify"].includes(arg));
}

/** The end of the process that does the work: its exit code, after all that it has printed. */
export function tellEnd(code: number): void {
  for (const output of [Deno.stderr, Deno.stdout]) {
    try {
      output.writeSync(new TextEncoder().encode(`${END}${code}\n`));
    } catch {
      // The attendant has gone.
    }
  }
}

/** Has a command done, and prints what it says; what did not answer, where it does not end. */
export async function attend(args: readonly string[]): Promise<CommandEnd> {
  const name = args[0] ?? "";
  const limitMs = LIMITS_MS[name] ?? 0;
  const began = systemClock.now();
  const child = new Deno.Command("/proc/self/exe", {
    args: [ATTENDED, String(Deno.pid), isForTerminal() ? TERMINAL : "pipe", ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    clearEnv: true,
    // The zone of the reader, who may have set it in this shell alone.
    env: { TZ: Intl.DateTimeFormat().resolvedOptions().timeZone },
  }).spawn();
  const outputs = Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  const ended = await atMost(outputs, limitMs, null);
  if (ended === null) {
    try {
      child.kill("SIGKILL"); // takes effect when its disk answers, before it can do more
    } catch {
      // It ended just now.
    }
    const why = await whyLate(name, limitMs);
    // It is not waited for: a file that was being made is made when the disk answers.
    if (name === "check") await runErrand("remove-probe", child.pid, 0, "goes-on");
    if (isPluginCall(args)) return await sayUnknown(`${why.summary}. ${why.hint}`);
    if (name === "check" && args.includes("--json")) return await reportStopped(began, why);
    return await complainOf(why);
  }
  const [stdout, stderr] = ended;
  await printAsItIs(stderr.text);
  // sayAll ends the line.
  if (stdout.text !== "") await sayAll(stdout.text.replace(/\n$/, ""));
  if (stdout.code !== null) return stdout.code;
  const { code, signal } = await child.status;
  const why = `${name} ended without a word (${signal ?? `exit ${code}`}). See: dmesg | tail`;
  if (isPluginCall(args)) return await sayUnknown(why);
  await complain(why);
  return EXIT.defect;
}

/** A stream up to {@linkcode END}: the end of the stream itself may only come with the thaw. */
async function textOf(
  stream: ReadableStream<Uint8Array>,
): Promise<{ readonly text: string; readonly code: CommandEnd | null }> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const end = text.lastIndexOf(END);
    if (end >= 0 && text.endsWith("\n")) {
      return { text: text.slice(0, end), code: Number(text.slice(end + 1)) as CommandEnd };
    }
  }
  return { text, code: null };
}

/** What a monitor reads of a check that was stopped. */
async function reportStopped(began: Instant, why: Refusal): Promise<CommandEnd> {
  const { fromRefusal } = await import("../check/finding.ts");
  const { jsonReport } = await import("../check/json_report.ts");
  const { plainJson } = await import("../base/plain_text.ts");
  await sayAll(plainJson(jsonReport(began, systemClock.now(), [fromRefusal(why)], []), 2));
  return why.code;
}

async function whyLate(name: string, limitMs: number): Promise<Refusal> {
  const path = await silentPath(
    ["status", "metrics", "history"].includes(name)
      ? [STATE_DIR]
      : [STATE_DIR, OPTION_FILE, ...KNOWN_SOCKETS, ...INSTALL_PATHS, ...UNIT_PATHS],
  );
  if (path === null) {
    return refusal(
      EXIT.badSetup,
      "too-slow",
      `${name} did not end within ${limitMs} ms and was stopped`,
      "Look at the load and the disks of the guest: dmesg | tail",
    );
  }
  const silent = silentDisk(path, limitMs);
  return { ...silent, summary: `${name} was stopped: ${silent.summary}` };
}
