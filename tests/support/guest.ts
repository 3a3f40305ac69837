/** A guest with a real server in it, and the questions every test of a window asks. */
import assert from "node:assert/strict";
import { ATTENDED } from "../../lib/commands/attended.ts";
import { underLoad } from "./load.ts";
import { openSandbox, processesOf, type Sandbox, type SandboxResult } from "./sandbox.ts";
import {
  connect,
  type Connection,
  discard,
  type Flavor,
  type Server,
  type ServerKind,
  startServer,
} from "./server.ts";

/** The servers every behaviour is shown on. */
export const FLAVORS: readonly Flavor[] = ["mariadb", "mysql"];

/** A sandbox whose /run/mysqld is that of a running server with a table to write to. */
export interface Guest {
  readonly flavor: Flavor;
  readonly server: Server;
  readonly sandbox: Sandbox;
  /** Runs the compiled program. */
  locktables(...args: string[]): Promise<SandboxResult>;
  /** The object that `status --json` prints. */
  status(): Promise<Status>;
  /** Sends a write from a session of its own and returns at once. */
  write(): Promise<PendingWrite>;
  /**
   * Waits up to 2 s until no process, file, connection or lock of a window is left, and up to 30 s
   * for a `sync` whose locker is gone.
   */
  assertNothingLeft(): Promise<void>;
  /** Pid of the one locker. */
  lockerPid(): Promise<number>;
  close(): Promise<void>;
}

/** What tests look at in `status --json`. */
export interface Status {
  readonly locker: string;
  readonly window: StatusRecord | null;
  readonly last: StatusRecord | null;
  readonly unreported: readonly { readonly outlet: string; readonly why: string }[];
}

/** What tests look at in a record. */
export interface StatusRecord {
  readonly window_id: string;
  readonly phase: string;
  readonly outcome: string | null;
  readonly reason: string | null;
  readonly verdict: string | null;
  readonly caller: string | null;
  readonly is_rehearsal: boolean;
  readonly held_ms: number | null;
  readonly locked_at: string | null;
  readonly released_at: string | null;
  readonly released_by: string | null;
  readonly filesystems_frozen_at: string | null;
  readonly filesystems_thawed_at: string | null;
  readonly deadline: string | null;
  readonly timeline: readonly { readonly at_ms: number; readonly event: string }[];
  readonly warnings: readonly string[];
  readonly instances: readonly {
    readonly label: string;
    readonly method: string;
    readonly connection_id: number;
    readonly coordinates: {
      readonly file: string | null;
      readonly position: number;
      readonly replicas: readonly {
        readonly relay_source_log_file: string | null;
        readonly exec_source_log_pos: number;
      }[];
    } | null;
  }[];
  readonly was_held: boolean;
}

/** A write that may have to wait for the lock. */
export interface PendingWrite {
  /** Whether it is done by now. */
  isDone(): boolean;
  /** Resolves to how long it took, in milliseconds; fails after `limitMs`, or more under load. */
  finished(limitMs: number): Promise<number>;
}

/** Opens a guest. `args`: further arguments of the server. */
export async function openGuest(kind: ServerKind, args: readonly string[] = []): Promise<Guest> {
  const server = await startServer(kind, { args });
  return await guestOf(server, await openSandbox());
}

/**
 * The guest of a server and a sandbox. `expected`: pids of processes in the sandbox that are not a
 * window's, such as those of a server that runs inside.
 */
export async function guestOf(
  server: Server,
  sandbox: Sandbox,
  expected: () => readonly number[] = () => [],
): Promise<Guest> {
  await sandbox.bindServer(server);
  const admin = await connect(server);
  await admin.query("CREATE DATABASE IF NOT EXISTS shop");
  await admin.query("CREATE TABLE IF NOT EXISTS shop.orders (id INT AUTO_INCREMENT PRIMARY KEY)");
  await admin.close();
  const guest: Guest = {
    flavor: server.flavor,
    server,
    sandbox,
    locktables: (...args) => sandbox.run([sandbox.binary, ...args], { timeoutMs: 30_000 }),
    status: () => statusIn(sandbox),
    write: () => pendingWrite(server),
    async lockerPid() {
      return await onlyLocker(sandbox);
    },
    async assertNothingLeft() {
      await untilNothingLeft(() => whatIsLeft(guest, expected()));
      const write = await guest.write();
      await write.finished(2_000);
    },
    async close() {
      await sandbox.close();
      await discard(server);
    },
  };
  return guest;
}

/**
 * What `status --json` prints, without the process that attends it: tests ask thousands of times, and
 * its start is half of what an answer costs.
 */
export async function statusIn<S = Status>(sandbox: Sandbox): Promise<S> {
  const command = [sandbox.binary, ATTENDED, "0", "pipe", "status", "--json"];
  const { stdout, stderr } = await sandbox.run(command, { timeoutMs: 30_000 });
  const [text, code] = stdout.split("\0");
  assert.equal(code, "0\n", stderr);
  return JSON.parse(text ?? "");
}

/** Runs a test for each flavor in a guest of its own. */
export function testOnEachServer(
  name: string,
  test: (guest: Guest, step: Deno.TestContext) => Promise<void>,
  args: readonly string[] = [],
): void {
  for (const flavor of FLAVORS) {
    Deno.test(`${name} (${flavor})`, async (step) => {
      const guest = await openGuest(flavor, args);
      try {
        await test(guest, step);
      } finally {
        await guest.close();
      }
    });
  }
}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits, for a moment, until what is left of a window is nothing. */
export async function untilNothingLeft(look: () => Promise<readonly string[]>): Promise<void> {
  const since = performance.now();
  while (true) {
    const left = await look();
    if (left.length === 0) return;
    // It writes out what others have in memory, too.
    const isSync = left.every((one) => /\/sync(?:-of-the-machine)?(?: |$)/.test(one));
    if (performance.now() - since > underLoad(isSync ? 30_000 : 2_000)) {
      assert.fail(`left behind: ${left.join("; ")}`);
    }
    await sleep(20);
  }
}

/** Waits until something is so, for at most `limitMs`, or more under load. */
export async function until(
  what: string,
  limitMs: number,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const since = performance.now();
  while (!await isSo()) {
    if (performance.now() - since > underLoad(limitMs)) {
      assert.fail(`not within ${limitMs} ms: ${what}`);
    }
    await sleep(20);
  }
}

/** One line on stderr that begins with the program's name, says what and what to do. */
export function assertOneLine(result: SandboxResult, pattern: RegExp): void {
  assert.match(result.stderr, pattern);
  assert.equal(result.stderr.trimEnd().split("\n").length, 1, result.stderr);
  assert.ok(result.stderr.startsWith("locktables: "), result.stderr);
}

/** The record has a freeze that lay inside the lock and lasted at least so long. */
export function assertFrozenInsideLock(record: StatusRecord | null, atLeastMs: number): void {
  const moments = [
    record?.locked_at,
    record?.filesystems_frozen_at,
    record?.filesystems_thawed_at,
    record?.released_at,
  ].map((time) => Date.parse(time ?? ""));
  const [locked = NaN, frozen = NaN, thawed = NaN, released = NaN] = moments;
  // The thaw hook may be quicker than the call that waits for the thaw.
  const isInside = locked <= frozen && frozen + atLeastMs <= thawed &&
    thawed <= released + underLoad(5);
  assert.ok(isInside, JSON.stringify(record));
}

async function pendingWrite(server: Server): Promise<PendingWrite> {
  const connection = await connect(server);
  const started = performance.now();
  let tookMs: number | null = null;
  const done = connection.query("INSERT INTO shop.orders VALUES ()").then(() => {
    tookMs = performance.now() - started;
  }).finally(() => connection.close());
  done.catch(() => {}); // told by finished()
  return {
    isDone: () => tookMs !== null,
    async finished(limitMs) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_resolve, reject) => {
        const since = performance.now();
        const look = () => {
          const leftMs = underLoad(limitMs) - (performance.now() - since);
          if (leftMs > 0) timer = setTimeout(look, leftMs);
          else reject(new assert.AssertionError({ message: `a write waited ${limitMs} ms` }));
        };
        timer = setTimeout(look, limitMs);
      });
      try {
        await Promise.race([done, late]);
      } finally {
        clearTimeout(timer);
      }
      return tookMs ?? 0;
    },
  };
}

/** The locker, once that of the window before has reported and ended. */
export async function onlyLocker(sandbox: Sandbox): Promise<number> {
  let lockers = await lockersOf(sandbox);
  await until("there is one locker", 5_000, async () => {
    lockers = await lockersOf(sandbox);
    return lockers.length === 1;
  });
  return lockers[0]?.pid ?? 0;
}

async function lockersOf(sandbox: Sandbox) {
  return (await processesOf(sandbox)).filter(({ cmdline }) => cmdline.includes(" locker"));
}

async function whatIsLeft(
  { sandbox, server }: Guest,
  expected: readonly number[],
): Promise<string[]> {
  const processes = (await processesOf(sandbox)).filter(({ pid, cmdline }) =>
    cmdline !== "" && !expected.includes(pid)
  );
  const files = (await sandbox.sh(
    "ls -A -I unreported.json /run/veeam 2>/dev/null; ls /var/lib/locktables/*.tmp 2>/dev/null",
  ))
    .stdout.split("\n").filter((name) => name !== "");
  const connections = await otherSessions(server);
  return [
    ...processes.map(({ pid, cmdline }) => `process ${pid} ${cmdline}`),
    ...files.map((name) => `file ${name}`),
    ...connections.map((row) => `connection ${row}`),
  ];
}

/** Everybody's sessions but the asking one's and the server's own: id, user, what it does. */
async function otherSessions(server: Server): Promise<string[]> {
  let admin: Connection;
  try {
    admin = await connect(server);
  } catch {
    return []; // no server, no sessions
  }
  try {
    const rows = await admin.query("SHOW PROCESSLIST");
    return rows
      .filter((row) => !["event_scheduler", "system user"].includes(String(row["User"])))
      .filter((row) => row["Info"] !== "SHOW PROCESSLIST")
      .map((row) =>
        ["Id", "User", "Command", "Time", "State", "Info"].map((name) => row[name]).join(" ")
      );
  } finally {
    await admin.close();
  }
}
