/**
 * The operator's own program: mail, chat, a ping service. It gets one JSON object on stdin, and is
 * root's alone, because it runs as root.
 */
import { atMost } from "../base/at_most.ts";
import { modeOf, ROOT } from "../base/look.ts";
import { loosePart } from "../base/owned_path.ts";
import { NOTIFY, NOTIFY_PROGRAM } from "../base/paths.ts";
import { plainJson } from "../base/plain_text.ts";
import { octal } from "../base/mode.ts";
import type { Notice } from "./notice.ts";

/** How long it may take: a mail server's greeting, a request with retries. Then it is killed. */
const NOTIFY_LIMIT_MS = 30_000;

/** The bits of a mode that let a program be started. */
const RUNNABLE = 0o111;

/** Where its programs are; of the caller's environment it gets nothing. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** How starting it went. */
export type Notified =
  | { readonly kind: "done" }
  /** There is no such program: the operator has not asked for notices. */
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly why: string };

/** Starts it and waits for its end, within its limit. */
export async function notify(notice: Notice): Promise<Notified> {
  const info = await Deno.stat(ROOT + NOTIFY).catch(() => null);
  if (info === null) return { kind: "none" };
  const unfit = unfitness(info);
  if (unfit !== null) return { kind: "failed", why: unfit };
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(NOTIFY_PROGRAM, {
      stdin: "piped",
      stdout: "null",
      stderr: "null",
      clearEnv: true,
      env: { PATH },
      cwd: "/",
    }).spawn();
  } catch (error) {
    return { kind: "failed", why: `${NOTIFY} cannot be started: ${(error as Error).message}` };
  }
  // Not awaited: it may end without reading, or read late.
  const stdin = child.stdin.getWriter();
  stdin.write(new TextEncoder().encode(`${plainJson(notice)}\n`)).then(() => stdin.close()).catch(
    () => {},
  );
  const ended = await atMost(child.status, NOTIFY_LIMIT_MS, null);
  if (ended === null) {
    child.kill("SIGKILL");
    return {
      kind: "failed",
      why: `${NOTIFY} did not end within ${NOTIFY_LIMIT_MS} ms, and was killed`,
    };
  }
  if (ended.success) return { kind: "done" };
  const how = ended.signal ?? `exit ${ended.code}`;
  return {
    kind: "failed",
    why: `${NOTIFY} failed (${how}). Run it by hand: locktables check --notify`,
  };
}

/** Why it is not started; null where it may be. */
function unfitness(info: Deno.FileInfo): string | null {
  if (!info.isFile) return `${NOTIFY} is not a file, and was not started`;
  if ((modeOf(info) & RUNNABLE) === 0) {
    return `${NOTIFY} has mode ${
      octal(modeOf(info))
    } and was not started. Run: chmod 0755 ${NOTIFY}`;
  }
  const loose = loosePart(NOTIFY);
  if (loose === null) return null;
  return `${NOTIFY} was not started, because ${loose.path} is not root's alone. ` +
    `Run: chown root:root ${loose.path} && chmod go-w ${loose.path}`;
}
