/** The real QEMU guest agent of a Debian release in a guest, and a host that talks to it. */
import assert from "node:assert/strict";
import { chunksOf, linesOf } from "../../lib/base/lines.ts";
import { atMost } from "../../lib/base/at_most.ts";
import { type QemuAgentSuite, qemuAgentTreePath } from "../../scripts/provision.ts";
import { killChild, pathExists } from "../../scripts/shell.ts";
import type { DiskGuest } from "./disk_guest.ts";
import { until } from "./guest.ts";

/** What the agent answers. */
export interface AgentReply {
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
}

/** A running agent and the host's connection to it. */
export interface QemuAgent {
  readonly suite: QemuAgentSuite;
  readonly version: string;
  /** Whether it reads what a hook says, to its end, and passes it on when the hook fails. */
  readonly readsOutput: boolean;
  readonly pid: number;
  /** Sends a command; the answer comes when those before are answered. */
  execute(command: string, args?: Record<string, unknown>): Promise<AgentReply>;
  /** Freezes the guest's disk and nothing else. */
  freeze(): Promise<AgentReply>;
  thaw(): Promise<AgentReply>;
  /** `frozen` or `thawed`. */
  status(): Promise<unknown>;
  /** Ends it, as a crash does; nothing happens where that is done. While frozen it ignores TERM. */
  kill(): Promise<void>;
}

/** Longest wait for an answer: a hook may wait for a blocker and for a silent locker. */
const REPLY_LIMIT_MS = 30_000;

/** Longest wait for a start. */
const START_LIMIT_MS = 5_000;

/**
 * Commands that must not reach the machine: freezing all that the agent sees freezes its disk too,
 * because the sandbox sees that disk.
 */
const BLOCKED = ["guest-fsfreeze-freeze", "guest-shutdown", "guest-set-time", "guest-fstrim"];

/**
 * Starts the agent as Debian's unit does, without -F: whether there is a hook is up to
 * /etc/qemu/qemu-ga.conf. Its files in /run and its configuration are where they always are.
 */
export async function startQemuAgent(guest: DiskGuest, suite: QemuAgentSuite): Promise<QemuAgent> {
  const command = await agentCommand(suite);
  const told = await guest.sandbox.run([...command, "--version"]);
  const version = /(\d+)\.\d+\.\d+/.exec(told.stdout);
  assert.ok(version, told.stdout + told.stderr);
  const socket = `${guest.dir}/qemu-ga.sock`;
  await Deno.remove(socket).catch(() => {}); // a killed agent leaves it
  const child = guest.sandbox.spawn(
    [...command, "-m", "unix-listen", "-p", socket, "-b", BLOCKED.join(",")],
    {
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        LANG: "C.UTF-8",
      },
      stdout: "null",
      stderr: "null",
    },
  );
  guest.expectedPids.add(child.pid);
  let connection: Deno.UnixConn | undefined;
  await until("the agent listens", START_LIMIT_MS, async () => {
    connection = await Deno.connect({ transport: "unix", path: socket }).catch(() => undefined);
    return connection !== undefined;
  });
  const execute = talk(connection as Deno.UnixConn);
  // What libvirt begins with: the answer to this very request, marked by a byte that no JSON has.
  const synced = await execute("guest-sync-delimited", { id: 4711 });
  assert.deepEqual(synced, { return: 4711 });
  const kill = async () => {
    killChild(child, "SIGKILL");
    await child.status;
    guest.expectedPids.delete(child.pid);
    connection?.close();
    connection = undefined;
  };
  return {
    suite,
    version: version[0],
    readsOutput: Number(version[1]) >= 9,
    pid: child.pid,
    execute,
    async freeze() {
      await guest.disk.assertOwn(child.pid);
      await guest.disk.keepFromStayingFrozen();
      return await execute("guest-fsfreeze-freeze-list", { mountpoints: [guest.disk.path] });
    },
    thaw: () => execute("guest-fsfreeze-thaw"),
    status: async () => (await execute("guest-fsfreeze-status")).return,
    kill,
  };
}

/** The package's own dispatcher, as the package puts it in its place. */
export async function placeDispatcher(guest: DiskGuest, suite: QemuAgentSuite): Promise<void> {
  const text = await Deno.readTextFile(`${await qemuAgentTreePath(suite)}/etc/qemu/fsfreeze-hook`);
  await guest.sandbox.sh("mkdir -p /etc/qemu/fsfreeze-hook.d");
  await guest.sandbox.writeFile("/etc/qemu/fsfreeze-hook", text, 0o755);
}

/** Through the tree's own dynamic loader, like the servers of other releases. */
async function agentCommand(suite: QemuAgentSuite): Promise<string[]> {
  const root = await qemuAgentTreePath(suite);
  const dirs = [`${root}/usr/lib/x86_64-linux-gnu`, `${root}/lib/x86_64-linux-gnu`];
  for (const dir of dirs) {
    const loader = `${dir}/ld-linux-x86-64.so.2`;
    if (!await pathExists(loader)) continue;
    return [loader, "--library-path", dirs.join(":"), `${root}/usr/sbin/qemu-ga`];
  }
  return assert.fail(`No agent of ${suite}: deno run -A scripts/provision.ts`);
}

function talk(connection: Deno.UnixConn): QemuAgent["execute"] {
  const lines = linesOf(chunksOf(connection));
  let before: Promise<unknown> = Promise.resolve();
  const ask = async (command: string, args?: Record<string, unknown>): Promise<AgentReply> => {
    const request = { execute: command, ...(args === undefined ? {} : { arguments: args }) };
    await connection.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    const line = before.then(() => lines.next());
    before = line;
    const answer = await atMost(line, REPLY_LIMIT_MS, null);
    if (answer === null) assert.fail(`the agent did not answer ${command}`);
    // The delimiter, a byte that is no text.
    return JSON.parse(answer.replace(/^\uFFFD/, ""));
  };
  return (command, args) => {
    const answer = ask(command, args);
    answer.catch(() => {}); // told to who awaits it, which may come to nothing when a test fails
    return answer;
  };
}
