/** Root's shell on a guest's console: what the lab types there, and what it reads. */
import { Buffer } from "node:buffer";
import { chunksOf, writeAll } from "../../lib/base/lines.ts";
import { type RunResult, ScriptError, tail } from "../../scripts/shell.ts";
import { connectWithin } from "./json_socket.ts";

/** A console on which root is logged in. */
export interface GuestConsole {
  /** Waits for the login of a boot and for a shell that answers; after a reboot once more. */
  login(limitMs: number): Promise<void>;
  /** Runs a script of sh; its exit code is a value, no end within the limit is an error. */
  run(script: string, limitMs?: number): Promise<RunResult>;
  close(): void;
}

/**
 * A command that takes this long hangs: those of the lab take seconds of the guest, which on a busy
 * host are minutes.
 */
const RUN_LIMIT_MS = 600_000;

/** Where scripts and their output lie in the guest: in memory, because the disk may be frozen. */
const PLACE = "/run/lab-console";

/** bash's prompt: root is logged in. */
const PROMPT = /root@lab:[^\n]*# $/;

/** A terminal breaks longer lines. */
const BASE64_LINE = /.{1,76}/g;

/** Connects to the socket of the console. */
export async function connectConsole(path: string, limitMs: number): Promise<GuestConsole> {
  const connection = await connectWithin(path, limitMs);
  let text = "";
  let onText = () => {};
  const read = async (): Promise<void> => {
    const next = chunksOf(connection);
    const decoder = new TextDecoder();
    for (let chunk = await next(); chunk !== null; chunk = await next()) {
      text += decoder.decode(chunk, { stream: true });
      onText();
    }
  };
  // Closed by us, or by a machine that has ended: who waits for a text has a limit.
  read().catch(() => {});

  /** Takes the text up to and with what is looked for. */
  const until = (wanted: RegExp, limit: number, what: string) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const timer = setTimeout(() => {
        onText = () => {};
        reject(new ScriptError(`${what} did not end within ${limit / 1000} s:\n${tail(text, 5)}`));
      }, limit);
      onText = () => {
        const found = wanted.exec(text);
        if (found === null) return;
        clearTimeout(timer);
        onText = () => {};
        text = text.slice(found.index + found[0].length);
        resolve(found);
      };
      onText();
    });
  const type = (line: string) => writeAll(connection, new TextEncoder().encode(`${line}\n`));

  let count = 0;
  return {
    async login(limit) {
      text = "";
      await until(PROMPT, limit, "The boot");
      // Without echo and prompts; a shell that edits no lines.
      await type("stty -echo -onlcr; exec env PS1= PS2= sh");
      await type(`umask 077; mkdir -p ${PLACE}; umask 022; echo "@@"shell`);
      await until(/@@shell\n/, RUN_LIMIT_MS, "The shell's start");
    },
    async run(script, limit = RUN_LIMIT_MS) {
      const file = `${PLACE}/${++count}`;
      const lines = Buffer.from(script).toString("base64").match(BASE64_LINE) ?? [];
      await type([
        `base64 -d >${file} <<'END'`,
        ...lines,
        "END",
        `sh ${file} </dev/null >${file}.out 2>${file}.err; c=$?`,
        `printf '\\n@@${count} %s %s %s @@\\n' $c "$(base64 -w0 <${file}.out)" "$(base64 -w0 <${file}.err)"; rm -f ${file}*`,
      ].join("\n"));
      const pattern = new RegExp(`@@${count} (\\d+) (\\S*) (\\S*) @@\n`);
      const [, code, stdout, stderr] = await until(pattern, limit, `In the guest, ${script}`);
      const decode = (base64 = "") => Buffer.from(base64, "base64").toString();
      return { code: Number(code), signal: null, stdout: decode(stdout), stderr: decode(stderr) };
    },
    close: () => connection.close(),
  };
}
