/**
 * The hooks under the real QEMU guest agents of three Debian releases, which really freeze the disk
 * that the server's data and our record are on.
 */
import assert from "node:assert/strict";
import { QEMU_AGENT_SUITES, type QemuAgentSuite } from "../../scripts/provision.ts";
import { openBlocker } from "../support/blocker.ts";
import { type DiskGuest, testOnEachDisk } from "../support/disk_guest.ts";
import { assertFrozenInsideLock, sleep, until } from "../support/guest.ts";
import { placeHooks } from "../support/hooks.ts";
import {
  type AgentReply,
  placeDispatcher,
  type QemuAgent,
  startQemuAgent,
} from "../support/qemu_agent.ts";
import { connect } from "../support/server.ts";

const LOG = "/var/log/qga-fsfreeze-hook.log";

const BROKEN_DISK = "/run/broken";

/** A disk whose storage is full, with something left to be written: FIFREEZE of it fails. */
const BROKEN_DISK_SCRIPT = `set -e
mkdir -p /run/small ${BROKEN_DISK}
mount -t tmpfs -o size=2m none /run/small
truncate -s 32M /run/small/disk.img
mkfs.ext4 -q -b 1024 /run/small/disk.img
mount -o loop,noatime /run/small/disk.img ${BROKEN_DISK}
dd if=/dev/zero of=/run/small/rest bs=1k 2>/dev/null || :
dd if=/dev/urandom of=${BROKEN_DISK}/dirty bs=64k count=16 2>/dev/null
`;

/** An agent of its own for one case; the guest may be in any state that the case before left. */
interface Case {
  readonly name: string;
  readonly run: (guest: DiskGuest, agent: QemuAgent) => Promise<void>;
  /** Also run on an agent that differs from the one before only by its age. */
  readonly isBasic?: boolean;
  /** Default: every agent. */
  readonly isFor?: (suite: QemuAgentSuite) => boolean;
}

/** The newest: what is the same there as in the release before is not shown again. */
const NEWEST: QemuAgentSuite = "sid";

/** What a host gets when a hook fails; older agents keep what it said to themselves. */
function assertHookFailed(agent: QemuAgent, reply: AgentReply, code: number, line: RegExp): void {
  assert.equal(reply.error?.class, "GenericError", JSON.stringify(reply));
  const told = reply.error?.desc ?? "";
  if (!agent.readsOutput) {
    assert.equal(told, `fsfreeze hook has failed with status ${code}`);
    return;
  }
  const said = /^child process has failed to execute fsfreeze hook: (.*)$/s.exec(told)?.[1] ?? "";
  assert.match(said, line);
  assert.match(said, /^locktables: [^\n]+\n$/, "one line, ours");
}

/** Frozen by FIFREEZE, and locked before: all that can be seen of it from inside. */
async function assertFrozenUnderLock(guest: DiskGuest, agent: QemuAgent, reply: AgentReply) {
  assert.deepEqual(reply, { return: 1 }, "one filesystem");
  assert.equal(await agent.status(), "frozen");
  const { window } = await guest.status();
  assert.deepEqual([window?.phase, window?.caller], ["held", "qemu"]);
  // Nothing could be written to the disk since the freeze: this was on it before.
  const record = JSON.parse(await guest.sandbox.read("/var/lib/locktables/record.json"));
  assert.equal(record.window_id, window?.window_id);
  assert.equal(record.locked_at, window?.locked_at);
  assert.deepEqual(record.instances[0].coordinates, window?.instances[0]?.coordinates);
}

/** A whole snapshot, with a writer to the database and one to the disk. */
async function assertWholeCycle(guest: DiskGuest, agent: QemuAgent): Promise<void> {
  const reply = await agent.freeze();
  await assertFrozenUnderLock(guest, agent, reply);
  const [write, file] = [await guest.write(), guest.disk.write()];
  await sleep(300);
  assert.deepEqual([write.isDone(), file.isDone()], [false, false], "locked, and frozen");
  assert.deepEqual(await agent.thaw(), { return: 1 });
  assert.equal(await agent.status(), "thawed");
  // The agent answers when the hook is done: by then the window is closed.
  const { window, last } = await guest.status();
  assert.equal(window, null);
  assert.deepEqual([last?.outcome, last?.verdict], ["released", "application-consistent"]);
  assert.ok((last?.held_ms ?? 0) >= 300);
  assertFrozenInsideLock(last, 300);
  assert.deepEqual(last?.warnings, []);
  await write.finished(2_000);
  await file.done;
  await guest.assertNothingLeft();
}

async function assertOpen(guest: DiskGuest, agent: QemuAgent): Promise<void> {
  assert.equal(await agent.status(), "thawed");
  await guest.disk.write().done;
  assert.equal((await guest.status()).window, null);
  await guest.assertNothingLeft();
}

/** In the dispatcher's place a failing hook keeps the agent from freezing. */
const DIRECT: readonly Case[] = [
  { name: "a snapshot", isBasic: true, run: assertWholeCycle },
  {
    name: "a server that is down keeps the disk from being frozen",
    isBasic: true,
    async run(guest, agent) {
      await guest.server.kill9();
      const reply = await agent.freeze();
      assertHookFailed(agent, reply, 20, /Cannot log in as root at .*Start the server/);
      await guest.server.restart();
      await assertOpen(guest, agent);
    },
  },
  {
    name: "a blocker that stays keeps the disk from being frozen",
    async run(guest, agent) {
      const blocker = await openBlocker(guest, "freeze_timeout=1s\n");
      const reply = await agent.freeze();
      assertHookFailed(agent, reply, 10, new RegExp(`id ${blocker.id} .*KILL QUERY`));
      await blocker.end();
      await assertOpen(guest, agent);
    },
  },
  {
    name: "nothing is frozen while pre-freeze waits, and the agent answers when it is done",
    async run(guest, agent) {
      const blocker = await openBlocker(guest);
      let answered: AgentReply | null = null;
      const freezing = agent.freeze();
      freezing.then((reply) => answered = reply, () => {});
      await until("pre-freeze waits", 5_000, async () => (await guest.status()).window !== null);
      // libvirt and Proxmox ask for this while they wait.
      const ping = agent.execute("guest-ping");
      await sleep(300);
      await guest.disk.write().done;
      assert.equal(answered, null);
      await blocker.end();
      await assertFrozenUnderLock(guest, agent, await freezing);
      assert.deepEqual(await ping, { return: {} });
      assert.deepEqual(await agent.thaw(), { return: 1 });
      assert.equal((await guest.status()).last?.verdict, "application-consistent");
      await assertOpen(guest, agent);
    },
  },
  {
    name: "where nothing can be frozen nobody thaws: the locker lets go by itself",
    isBasic: true,
    async run(guest, agent) {
      await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=1s\n");
      const reply = await agent.execute("guest-fsfreeze-freeze-list", {
        mountpoints: ["/no/mount"],
      });
      assert.deepEqual(reply, { return: 0 });
      const write = await guest.write();
      await write.finished(3_000);
      await until("it is over", 2_000, async () => (await guest.status()).window === null);
      const { last } = await guest.status();
      assert.deepEqual([last?.outcome, last?.was_held], ["expired", true], "it was locked");
      assertHookFailed(agent, await agent.thaw(), 12, /only crash-consistent: the lock expired at/);
      await guest.sandbox.sh("rm /root/.my.cnf");
      await assertOpen(guest, agent);
    },
  },
  {
    name: "a thaw without a freeze, and a second one, are no error",
    async run(guest, agent) {
      assert.deepEqual(await agent.thaw(), { return: 0 });
      await assertWholeCycle(guest, agent);
      assert.deepEqual(await agent.thaw(), { return: 0 });
      assert.equal((await guest.status()).last?.outcome, "released");
      await assertOpen(guest, agent);
    },
  },
  {
    name: "a disk that cannot be frozen: the agent itself thaws, and the lock goes",
    isBasic: true,
    async run(guest, agent) {
      const made = await guest.sandbox.sh(BROKEN_DISK_SCRIPT);
      assert.equal(made.code, 0, made.stderr);
      await guest.disk.assertOwn(agent.pid, BROKEN_DISK);
      const reply = await agent.execute("guest-fsfreeze-freeze-list", {
        mountpoints: [BROKEN_DISK],
      });
      assert.match(reply.error?.desc ?? "", /^failed to freeze \/run\/broken: /);
      await guest.sandbox.sh("umount /run/broken; umount /run/small");
      const { last } = await guest.status();
      assert.equal(last?.outcome, "released");
      await assertOpen(guest, agent);
    },
  },
  {
    name: "an agent that is killed while frozen: the next one thaws",
    isBasic: true,
    async run(guest, agent) {
      await assertFrozenUnderLock(guest, agent, await agent.freeze());
      await agent.kill();
      const next = await startQemuAgent(guest, agent.suite);
      assert.equal(await next.status(), "frozen", "told by a file of the agent's");
      assert.equal((await guest.status()).window?.phase, "held");
      // It knows of no filesystem of its own, and thaws what it sees.
      assert.equal((await next.thaw()).error, undefined);
      assert.equal((await guest.status()).last?.verdict, "application-consistent");
      await assertOpen(guest, next);
      await next.kill();
    },
  },
  {
    name: "a service that is restarted while frozen loses the lock, and the thaw says so",
    isBasic: true,
    async run(guest, agent) {
      await assertFrozenUnderLock(guest, agent, await agent.freeze());
      // As systemd ends a unit: TERM to all in its control group, and the locker is; the agent does
      // not end for that while it is frozen, and gets a KILL 90 s later.
      Deno.kill(await guest.lockerPid(), "SIGTERM");
      Deno.kill(agent.pid, "SIGTERM");
      assert.equal(await agent.status(), "frozen");
      await agent.kill();
      const next = await startQemuAgent(guest, agent.suite);
      assertHookFailed(next, await next.thaw(), 12, /the lock was lost by .*: signal/);
      assert.equal((await guest.status()).last?.verdict, "crash-consistent");
      await assertOpen(guest, next);
      await next.kill();
    },
  },
  {
    name: "hold_timeout ends the lock while the disk is frozen",
    async run(guest, agent) {
      await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=3s\n");
      assert.deepEqual(await agent.freeze(), { return: 1 });
      const id = (await guest.status()).window?.instances[0]?.connection_id;
      assert.notEqual(id, undefined);
      const admin = await connect(guest.server);
      await until("the lock's session is gone", 6_000, async () => {
        const sessions = await admin.query("SHOW PROCESSLIST");
        return !sessions.some((row) => Number(row["Id"]) === id);
      });
      await admin.close();
      assert.equal(await agent.status(), "frozen");
      assertHookFailed(agent, await agent.thaw(), 12, /only crash-consistent: the lock expired at/);
      await guest.sandbox.sh("rm /root/.my.cnf");
      await assertOpen(guest, agent);
    },
  },
  {
    name: "on_failure=proceed freezes without a lock",
    async run(guest, agent) {
      await guest.sandbox.writeFile(
        "/root/.my.cnf",
        "[client]\nsocket=/run/mysqld/other.sock\n[locktables]\non_failure=proceed\n",
      );
      assert.deepEqual(await agent.freeze(), { return: 1 });
      assert.deepEqual((await guest.status()).locker, "no-locker");
      assert.deepEqual(await agent.thaw(), { return: 1 });
      assert.equal((await guest.status()).last?.verdict, "not-quiesced");
      await guest.sandbox.sh("rm /root/.my.cnf");
      await assertOpen(guest, agent);
    },
  },
];

/**
 * What the dispatcher of January 2025 (QEMU commit 85978df) does where it cannot write its log; the
 * releases here have it repaired. dash knows no PIPESTATUS.
 */
const DISPATCHER_OF_BASH = `#!/bin/sh
for file in "$(dirname -- "$0")/fsfreeze-hook.d"/*; do
  [ -x "$file" ] || continue
  "$file" "$@" 2>&1 | logger -t qemu-ga-freeze-hook
  STATUS=\${PIPESTATUS[0]}
done
exit 0
`;

/** Below the dispatcher a failing hook is a line in its log, and the snapshot is taken. */
const BELOW_DISPATCHER: readonly Case[] = [
  {
    name: "a snapshot",
    isBasic: true,
    async run(guest, agent) {
      await assertWholeCycle(guest, agent);
      const log = await guest.sandbox.read(LOG);
      assert.match(log, /^Frozen: main .*$/m);
      assert.match(log, /^Thawed: held .*application-consistent.*$/m);
    },
  },
  {
    name: "a server that is down: logged, and frozen without a lock",
    async run(guest, agent) {
      await guest.server.kill9();
      assert.deepEqual(await agent.freeze(), { return: 1 });
      assert.equal(await agent.status(), "frozen");
      assert.equal((await guest.status()).locker, "no-locker");
      assert.deepEqual(await agent.thaw(), { return: 1 });
      const log = await guest.sandbox.read(LOG);
      assert.match(log, /^locktables: Cannot log in as root at .*$/m);
      assert.match(log, /99-locktables finished with status=20$/m);
      await guest.server.restart();
      await assertOpen(guest, agent);
    },
  },
  {
    name: "a blocker that stays: logged, and frozen without a lock",
    async run(guest, agent) {
      const blocker = await openBlocker(guest, "freeze_timeout=1s\n");
      assert.deepEqual(await agent.freeze(), { return: 1 });
      assert.equal((await guest.status()).locker, "no-locker");
      assert.deepEqual(await agent.thaw(), { return: 1 });
      assert.match(
        await guest.sandbox.read(LOG),
        new RegExp(`^locktables: .*id ${blocker.id} `, "m"),
      );
      assert.match(await guest.sandbox.read(LOG), /99-locktables finished with status=10$/m);
      await blocker.end();
      await assertOpen(guest, agent);
    },
  },
  {
    name:
      "a log that cannot be written: the output goes to syslog, and nobody waits for the locker",
    isBasic: true,
    isFor: (suite) => suite !== "bookworm", // it does not run hooks then
    async run(guest, agent) {
      const { sandbox } = guest;
      // What a logger does: it reads until nobody has the other end any more.
      await sandbox.writeFile(
        "/run/logger",
        '#!/bin/sh\nshift 2\nif [ $# -gt 0 ]; then echo "$*"; else cat; fi >> /run/syslog\n',
        0o755,
      );
      const prepared = await sandbox.sh(
        "mount -t tmpfs -o ro none /var/log && mount --bind /run/logger /usr/bin/logger",
      );
      assert.equal(prepared.code, 0, prepared.stderr);
      await assertWholeCycle(guest, agent);
      const syslog = await sandbox.read("/run/syslog");
      assert.match(syslog, /^Frozen: main .*$/m);
      assert.match(syslog, /^Thawed: held .*application-consistent.*$/m);

      await guest.server.kill9();
      assert.deepEqual(await agent.freeze(), { return: 1 });
      assert.deepEqual(await agent.thaw(), { return: 1 });
      assert.match(await sandbox.read("/run/syslog"), /99-locktables finished with status=20$/m);
      await guest.server.restart();

      // No syslog runs in the sandbox: the real logger has nobody to tell.
      await sandbox.sh("while umount /usr/bin/logger 2>/dev/null; do :; done");
      await assertWholeCycle(guest, agent);
      assert.equal((await sandbox.sh("umount /var/log")).code, 0);
      await assertOpen(guest, agent);
    },
  },
  {
    name: "a dispatcher that fails after the hook has locked: the locker lets go by itself",
    isFor: (suite) => suite === "trixie", // of the same year
    async run(guest, agent) {
      await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=1s\n");
      await guest.sandbox.writeFile("/etc/qemu/fsfreeze-hook", DISPATCHER_OF_BASH, 0o755);
      const reply = await agent.freeze();
      assert.match(reply.error?.desc ?? "", /Bad substitution/);
      assert.equal(await agent.status(), "thawed");
      const write = await guest.write();
      await write.finished(3_000);
      await until("it is over", 2_000, async () => (await guest.status()).window === null);
      const { last } = await guest.status();
      assert.deepEqual([last?.outcome, last?.was_held], ["expired", true], "it was locked");
      await guest.sandbox.sh("rm /root/.my.cnf");
      await placeDispatcher(guest, agent.suite);
      assert.deepEqual(await agent.thaw(), { return: 0 });
      assert.match(await guest.sandbox.read(LOG), /99-locktables finished with status=12$/m);
      await assertOpen(guest, agent);
    },
  },
];

async function runCases(
  cases: readonly Case[],
  guest: DiskGuest,
  step: Deno.TestContext,
  prepare: (suite: QemuAgentSuite) => Promise<void>,
): Promise<void> {
  for (const suite of QEMU_AGENT_SUITES) {
    await prepare(suite);
    for (const { name, run, isBasic = false, isFor = () => true } of cases) {
      if (!isFor(suite) || (suite === NEWEST && !isBasic)) continue;
      await step.step(`${suite}: ${name}`, async () => {
        // What the case before has logged must not count for this one.
        await guest.sandbox.sh(`: > ${LOG}`);
        const agent = await startQemuAgent(guest, suite);
        try {
          await run(guest, agent);
        } finally {
          await agent.kill();
        }
      });
    }
  }
}

/** The agent's switches as `install` sets them. */
async function setSwitches({ sandbox }: DiskGuest, form: Awaited<ReturnType<typeof placeHooks>>) {
  for (const { path, section, key, value, mode } of form.switches) {
    await sandbox.writeFile(path, `[${section}]\n${key}=${value}\n`, mode);
  }
}

testOnEachDisk(
  "qemu-ga with the hook in the dispatcher's place",
  { mariadb: "ext4", mysql: "xfs" },
  async (guest, step) => {
    await placeDispatcher(guest, "bookworm");
    await setSwitches(guest, await placeHooks(guest.sandbox, "qemu", "--direct"));
    await runCases(DIRECT, guest, step, () => Promise.resolve());
  },
);

testOnEachDisk(
  "qemu-ga with the hook below the dispatcher",
  { mariadb: "xfs", mysql: "ext4" },
  async (guest, step) => {
    await placeDispatcher(guest, "bookworm");
    await setSwitches(guest, await placeHooks(guest.sandbox, "qemu"));
    await runCases(BELOW_DISPATCHER, guest, step, (suite) => placeDispatcher(guest, suite));
  },
);

testOnEachDisk(
  "without the switch no agent runs a hook, so that an install without it would be in vain",
  { mariadb: "ext4", mysql: "ext4" },
  async (guest) => {
    await placeHooks(guest.sandbox, "qemu", "--direct");
    await guest.sandbox.sh("rm -f /etc/qemu/qemu-ga.conf");
    for (const suite of QEMU_AGENT_SUITES) {
      const agent = await startQemuAgent(guest, suite);
      assert.deepEqual(await agent.freeze(), { return: 1 });
      assert.equal((await guest.status()).locker, "no-locker");
      assert.deepEqual(await agent.thaw(), { return: 1 });
      await agent.kill();
    }
    assert.equal((await guest.status()).last, null);
  },
);
