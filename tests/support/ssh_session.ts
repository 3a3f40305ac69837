/**
 * What Veeam Backup & Replication does in a guest: it uploads a script and runs it over SSH,
 * without a terminal, elevated by sudo; the session ends with it.
 * helpcenter.veeam.com: Pre-Freeze and Post-Thaw Scripts.
 */
import { killChild } from "../../scripts/shell.ts";
import type { Sandbox, SandboxResult } from "./sandbox.ts";

/** What sudo leaves of an environment, and what it adds. */
const SUDO_ENV: Readonly<Record<string, string>> = {
  HOME: "/root",
  LANG: "C.UTF-8",
  LOGNAME: "root",
  MAIL: "/var/mail/root",
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  SHELL: "/bin/bash",
  SUDO_COMMAND: "/bin/sh",
  SUDO_GID: "1000",
  SUDO_UID: "1000",
  SUDO_USER: "backup",
  TERM: "dumb",
  USER: "root",
};

/** A command in a session of its own. */
export interface SshSession {
  /** sshd goes: everybody in the session is hung up on. */
  hangUp(): void;
  /**
   * Resolves once the command's output has ended, as sshd waits for it too, and after that the
   * session was hung up on; fails after `limitMs`.
   */
  ended(limitMs: number): Promise<SandboxResult>;
}

/** The session's leader: it ends when it is hung up on, and with the command's code. */
const LEADER = `trap 'gone=yes' HUP
gone=
"$@"
code=$?
exec >&- 2>&-
while [ -z "$gone" ]; do sleep 0.1; done
exit $code
`;

/** Starts a command as `ssh guest sudo COMMAND` does. */
export function openSession(sandbox: Sandbox, command: readonly string[]): SshSession {
  const child = sandbox.spawn(
    ["/usr/bin/setsid", "/bin/sh", "-c", LEADER, "sshd", ...command],
    { env: SUDO_ENV, cwd: "/root" },
  );
  const started = performance.now();
  let isOpen = true;
  const hangUp = () => {
    // Once only: afterwards the number may be somebody else's.
    if (isOpen) Deno.kill(-child.pid, "SIGHUP");
    isOpen = false;
  };
  return {
    hangUp,
    async ended(limitMs) {
      const timer = setTimeout(() => killChild(child, "SIGKILL"), limitMs);
      try {
        const [stdout, stderr] = await Promise.all([
          new Response(child.stdout).text(),
          new Response(child.stderr).text(),
        ]);
        hangUp();
        const { code, signal } = await child.status;
        return { code, signal, stdout, stderr, ms: performance.now() - started };
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
