/**
 * The hooks under VMware Tools, beside scripts of others, in everything that can happen to a
 * quiesced snapshot: locked or cleanly refused, and nothing left behind.
 */
import assert from "node:assert/strict";
import { openBlocker } from "../support/blocker.ts";
import { type Guest, openGuest, sleep, type StatusRecord, until } from "../support/guest.ts";
import { placeHooks } from "../support/hooks.ts";
import { isStarved } from "../support/load.ts";
import type { Flavor } from "../support/server.ts";
import {
  JOURNAL,
  type VmwareTools,
  vmwareTools,
  type VmwareToolsOptions,
} from "../support/vmware_tools.ts";

/**
 * The two ways of installing, and links to the program in their places. Each on one server: what
 * VMware Tools do has nothing to do with the server's family, and either sees every case.
 */
interface Placing {
  readonly name: string;
  readonly flavor: Flavor;
  readonly isLink: boolean;
  readonly place: (guest: Guest) => Promise<unknown>;
  /** What our script is called when it freezes, and when it thaws. */
  readonly freeze: string;
  readonly thaw: string;
  /** Whether the others' first script comes before it. */
  readonly isAfterEarly: boolean;
}

const DIRECTORY = {
  isLink: false,
  freeze: "99-locktables",
  thaw: "99-locktables",
  isAfterEarly: true,
};
const LEGACY = {
  isLink: false,
  freeze: "pre-freeze-script",
  thaw: "post-thaw-script",
  isAfterEarly: false,
};

const link = (paths: readonly string[]) => async ({ sandbox }: Guest) => {
  for (const path of paths) {
    const made = await sandbox.sh(
      `mkdir -p "$(dirname ${path})" && ln -s ${sandbox.binary} ${path}`,
    );
    assert.equal(made.code, 0, made.stderr);
  }
};

const PLACINGS: readonly Placing[] = [
  {
    ...DIRECTORY,
    name: "the directory",
    flavor: "mysql",
    place: ({ sandbox }) => placeHooks(sandbox, "vmware"),
  },
  {
    ...LEGACY,
    name: "the legacy pair",
    flavor: "mariadb",
    place: ({ sandbox }) => placeHooks(sandbox, "vmware", "--legacy"),
  },
  {
    ...DIRECTORY,
    name: "a link in the directory",
    flavor: "mariadb",
    isLink: true,
    place: link(["/etc/vmware-tools/backupScripts.d/99-locktables"]),
  },
  {
    ...LEGACY,
    name: "links as the legacy pair",
    flavor: "mysql",
    isLink: true,
    place: link(["/usr/sbin/pre-freeze-script", "/usr/sbin/post-thaw-script"]),
  },
];

/** Others' scripts: one hidden, one before ours and one after. */
const OTHERS = [".hidden", "10-early", "zz-late"] as const;

/** Logs its calls; fails or dawdles where a file says so. */
const OTHER_SCRIPT = `#!/bin/sh
name=\${0##*/}
echo "$name $*" >> /run/others
if [ -e "/run/slow-$name-$1" ]; then exec sleep 30; fi
[ ! -e "/run/fail-$name-$1" ]
`;

async function placeOthers({ sandbox }: Guest): Promise<void> {
  const dir = "/etc/vmware-tools/backupScripts.d";
  await sandbox.sh(`mkdir -p ${dir}/a-directory`);
  for (const name of OTHERS) await sandbox.writeFile(`${dir}/${name}`, OTHER_SCRIPT, 0o755);
}

/** What is expected of a whole snapshot, ours with the given exit codes. */
function wholeLog(placing: Placing, freeze: number, thaw: number, verb = "thaw"): string[] {
  const before = [".hidden", "10-early"];
  const frozen = placing.isAfterEarly
    ? [...before.map((name) => `${name} freeze 0`), `${placing.freeze} freeze ${freeze}`]
    : [`${placing.freeze} freeze ${freeze}`, ...before.map((name) => `${name} freeze 0`)];
  const thawed = placing.isAfterEarly
    ? [`${placing.thaw} ${verb} ${thaw}`, `10-early ${verb} 0`, `.hidden ${verb} 0`]
    : [`10-early ${verb} 0`, `.hidden ${verb} 0`, `${placing.thaw} ${verb} ${thaw}`];
  return [...frozen, "zz-late freeze 0", `zz-late ${verb} 0`, ...thawed];
}

/** What is expected when our script ends the freeze: only those before it hear of that. */
function refusedLog(placing: Placing, code: number): string[] {
  const ours = `${placing.freeze} freeze ${code}`;
  return placing.isAfterEarly
    ? [
      ".hidden freeze 0",
      "10-early freeze 0",
      ours,
      "10-early freezeFail 0",
      ".hidden freezeFail 0",
    ]
    : [ours];
}

async function assertLocked(guest: Guest): Promise<void> {
  const { window } = await guest.status();
  assert.deepEqual([window?.phase, window?.outcome], ["held", null]);
  const write = await guest.write();
  await sleep(100);
  assert.equal(write.isDone(), false);
}

/** No descriptor of the locker's is the pipe that vmtoolsd left to our script. */
async function assertPipeClosed(
  guest: Guest,
  tools: VmwareTools,
  { freeze }: Placing,
): Promise<void> {
  const pipe = tools.calls.find(({ name }) => name === freeze)?.pipe ?? "";
  assert.match(pipe, /^pipe:\[\d+\]$/);
  const pid = await guest.lockerPid();
  const open: string[] = [];
  for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
    open.push(await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "closed meanwhile"));
  }
  assert.ok(open.includes("/dev/null"), JSON.stringify(open));
  assert.equal(open.includes(pipe), false, JSON.stringify(open));
}

const endOf = (record: StatusRecord | null) => [record?.outcome, record?.verdict];
const GOOD = ["released", "application-consistent"];
const ABORTED = ["aborted", "not-quiesced"];

interface Case {
  readonly name: string;
  /** Also run with links to the program in place of the hooks. */
  readonly isBasic?: boolean;
  readonly run: (guest: Guest, placing: Placing) => Promise<void>;
}

const CASES: readonly Case[] = [
  {
    name: "a snapshot",
    async run(guest, placing) {
      const tools = vmwareTools(guest.sandbox);
      assert.equal(await tools.start(), true);
      await assertLocked(guest);
      assert.equal(await tools.snapshotDone(), true);
      assert.deepEqual(tools.log(), wholeLog(placing, 0, 0));
      assert.deepEqual(endOf((await guest.status()).last), GOOD);
      const journal = await guest.sandbox.read(JOURNAL);
      assert.match(journal, /^Frozen: main .*$/m);
      assert.match(journal, /^Thawed: held .*application-consistent.*$/m);
    },
  },
  {
    name: "a snapshot with a scriptArg",
    isBasic: true,
    async run(guest, placing) {
      const tools = vmwareTools(guest.sandbox, { scriptArg: "--help me $HOME 'x" });
      assert.equal(await tools.start(), true);
      await assertLocked(guest);
      assert.equal(await tools.snapshotDone(), true);
      assert.deepEqual(tools.log(), wholeLog(placing, 0, 0));
      assert.deepEqual(endOf((await guest.status()).last), GOOD);
    },
  },
  {
    name: "a server that is down vetoes",
    async run(guest, placing) {
      await guest.server.kill9();
      const tools = vmwareTools(guest.sandbox);
      assert.equal(await tools.start(), false);
      assert.deepEqual(tools.log(), refusedLog(placing, 20));
      await guest.server.restart();
    },
  },
  {
    name: "a blocker that stays vetoes",
    isBasic: true,
    async run(guest, placing) {
      const blocker = await openBlocker(guest, "freeze_timeout=1s\n");
      const tools = vmwareTools(guest.sandbox);
      assert.equal(await tools.start(), false);
      assert.deepEqual(tools.log(), refusedLog(placing, 10));
      assert.match(
        await guest.sandbox.read(JOURNAL),
        new RegExp(`^locktables: .*id ${blocker.id} .*KILL QUERY`, "m"),
      );
      await blocker.end();
    },
  },
  {
    name: "a later script that fails ends the window as aborted",
    async run(guest, placing) {
      await guest.sandbox.sh(": > /run/fail-zz-late-freeze");
      const tools = vmwareTools(guest.sandbox);
      assert.equal(await tools.start(), false);
      await guest.sandbox.sh("rm /run/fail-zz-late-freeze");
      const whole = wholeLog(placing, 0, 0, "freezeFail");
      const expected = whole.filter((line) => line !== "zz-late freezeFail 0")
        .map((line) => line.replace("zz-late freeze 0", "zz-late freeze 1"));
      assert.deepEqual(tools.log(), expected);
      assert.deepEqual(endOf((await guest.status()).last), ABORTED);
    },
  },
  {
    name: "filesystems that cannot be frozen end the window as aborted",
    async run(guest, placing) {
      const tools = vmwareTools(guest.sandbox, { isFreezeFailing: true });
      assert.equal(await tools.start(), false);
      assert.deepEqual(tools.log(), wholeLog(placing, 0, 0, "freezeFail"));
      assert.deepEqual(endOf((await guest.status()).last), ABORTED);
    },
  },
  {
    name: "an abort while frozen ends the window as aborted",
    isBasic: true,
    async run(guest, placing) {
      const tools = vmwareTools(guest.sandbox);
      assert.equal(await tools.start(), true);
      await assertLocked(guest);
      await tools.abort();
      assert.deepEqual(tools.log(), wholeLog(placing, 0, 0, "freezeFail"));
      assert.deepEqual(endOf((await guest.status()).last), ABORTED);
    },
  },
  {
    name: "an abort while our freeze waits cancels it",
    isBasic: true,
    async run(guest, placing) {
      const blocker = await openBlocker(guest);
      const tools = vmwareTools(guest.sandbox);
      const starting = tools.start();
      await untilWaiting(guest);
      await tools.abort();
      assert.equal(await starting, false);
      assert.deepEqual(tools.log(), refusedLog(placing, 10));
      assert.match(await guest.sandbox.read(JOURNAL), /^locktables: Cancelled: /m);
      await blocker.end();
    },
  },
  {
    name: "an abort while our freeze waits for a locker that is stuck kills both",
    async run(guest, placing) {
      const blocker = await openBlocker(guest);
      const tools = vmwareTools(guest.sandbox);
      const starting = tools.start();
      await untilWaiting(guest);
      Deno.kill(await guest.lockerPid(), "SIGSTOP");
      await tools.abort();
      assert.equal(await starting, false);
      // Its own exit code: it was done before the KILL. A busy machine has the KILL come first, and
      // VMware take the end of a killed script for a 0.
      const code = isStarved() && tools.log().includes(`${placing.freeze} freeze 0`) ? 0 : 10;
      assert.deepEqual(tools.log(), refusedLog(placing, code));
      await blocker.end();
    },
  },
  {
    name: "an abort while a later script runs ends the window as aborted",
    async run(guest, placing) {
      await guest.sandbox.sh(": > /run/slow-zz-late-freeze");
      const tools = vmwareTools(guest.sandbox);
      const starting = tools.start();
      await until("the last script runs", 10_000, () => tools.calls.at(-1)?.name === "zz-late");
      await assertLocked(guest);
      await tools.abort();
      assert.equal(await starting, false);
      await guest.sandbox.sh("rm /run/slow-zz-late-freeze");
      const whole = wholeLog(placing, 0, 0, "freezeFail");
      assert.deepEqual(tools.log(), whole.filter((line) => line !== "zz-late freezeFail 0"));
      assert.deepEqual(endOf((await guest.status()).last), ABORTED);
    },
  },
  {
    name: "a thaw script of another that fails takes nothing from ours",
    async run(guest, placing) {
      await guest.sandbox.sh(": > /run/fail-zz-late-thaw");
      const tools = vmwareTools(guest.sandbox);
      assert.equal(await tools.start(), true);
      assert.equal(await tools.snapshotDone(), false);
      await guest.sandbox.sh("rm /run/fail-zz-late-thaw");
      assert.deepEqual(
        tools.log(),
        wholeLog(placing, 0, 0).map((line) => line.replace("zz-late thaw 0", "zz-late thaw 1")),
      );
      assert.deepEqual(endOf((await guest.status()).last), GOOD);
    },
  },
  {
    name: "an abort while a later script thaws: ours is not called, and hold_timeout ends the lock",
    async run(guest) {
      await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=2s\n");
      await guest.sandbox.sh(": > /run/slow-zz-late-thaw");
      const tools = vmwareTools(guest.sandbox);
      assert.equal(await tools.start(), true);
      const thawing = tools.snapshotDone();
      await until("it thaws", 5_000, () => tools.calls.at(-1)?.verb === "thaw");
      await tools.abort();
      assert.equal(await thawing, false);
      await guest.sandbox.sh("rm /run/slow-zz-late-thaw");
      const thaws = tools.calls.filter(({ verb }) => verb !== "freeze");
      assert.deepEqual(thaws.map(({ name }) => name), ["zz-late"]);
      const write = await guest.write();
      await write.finished(4_000);
      await until("it is over", 2_000, async () => (await guest.status()).window === null);
      await guest.sandbox.sh("rm /root/.my.cnf");
      assert.deepEqual(endOf((await guest.status()).last), ["expired", "crash-consistent"]);
      // Nobody has been told; the next snapshot is not kept from being good.
      await assertGoodSnapshot(guest);
    },
  },
  {
    name: "a lock that was lost is an error of the thaw",
    isBasic: true,
    async run(guest, placing) {
      const tools = vmwareTools(guest.sandbox);
      assert.equal(await tools.start(), true);
      Deno.kill(await guest.lockerPid(), "SIGKILL");
      assert.equal(await tools.snapshotDone(), false);
      assert.deepEqual(tools.log(), wholeLog(placing, 0, 12));
      assert.deepEqual(endOf((await guest.status()).last), ["lost", "crash-consistent"]);
    },
  },
  {
    name: "a lock that expired is an error of the thaw",
    async run(guest, placing) {
      await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=1s\n");
      const tools = vmwareTools(guest.sandbox);
      assert.equal(await tools.start(), true);
      await until("it expires", 3_000, async () => (await guest.status()).window === null);
      assert.equal(await tools.snapshotDone(), false);
      assert.deepEqual(tools.log(), wholeLog(placing, 0, 12));
      await guest.sandbox.sh("rm /root/.my.cnf");
    },
  },
  {
    name: "a lock that was lost is no error of a snapshot that failed anyway",
    async run(guest, placing) {
      const tools = vmwareTools(guest.sandbox);
      assert.equal(await tools.start(), true);
      await guest.server.restart();
      await tools.abort();
      assert.equal(tools.calls.filter(({ verb }) => verb === "freezeFail").length, 4);
      assert.equal(tools.calls.find(isOursThaw(placing))?.verb, "freezeFail");
      assert.notEqual((await guest.status()).last?.verdict, "application-consistent");
    },
  },
  {
    name: "a service that is stopped while frozen: the lock goes, and the next snapshot is good",
    async run(guest) {
      const tools = vmwareTools(guest.sandbox);
      assert.equal(await tools.start(), true);
      const write = await guest.write();
      await tools.stopService();
      await write.finished(1_000);
      assert.deepEqual(endOf((await guest.status()).last), ["lost", "crash-consistent"]);
      await assertGoodSnapshot(guest);
    },
  },
  {
    name: "a service that is stopped while our freeze waits",
    async run(guest) {
      const blocker = await openBlocker(guest);
      const tools = vmwareTools(guest.sandbox);
      const starting = tools.start();
      await untilWaiting(guest);
      await tools.stopService();
      await starting;
      await blocker.end();
      await guest.assertNothingLeft();
      await assertGoodSnapshot(guest);
    },
  },
  {
    name:
      "a freeze that is killed outright counts as done: nothing is locked, and the thaw says so",
    async run(guest, placing) {
      const blocker = await openBlocker(guest);
      const tools = vmwareTools(guest.sandbox);
      const starting = tools.start();
      await untilWaiting(guest);
      Deno.kill(tools.runningPid(), "SIGKILL");
      assert.equal(await starting, true);
      await until("no locker", 3_000, async () => (await guest.status()).locker === "no-locker");
      await blocker.end();
      await guest.assertNothingLeft();
      assert.equal(await tools.snapshotDone(), false);
      assert.deepEqual(tools.log(), wholeLog(placing, 0, 12));
      assert.match(
        await guest.sandbox.read(JOURNAL),
        /^locktables: The snapshot is not quiesced: .*killed.*$/m,
      );
      assert.deepEqual(endOf((await guest.status()).last), ABORTED);
    },
  },
  {
    name: "on_failure=proceed goes on without a lock, and the thaw is no error",
    async run(guest, placing) {
      await guest.sandbox.writeFile(
        "/root/.my.cnf",
        "[client]\nsocket=/run/mysqld/other.sock\n[locktables]\non_failure=proceed\n",
      );
      const tools = vmwareTools(guest.sandbox);
      assert.equal(await tools.start(), true);
      assert.equal((await guest.status()).locker, "no-locker");
      assert.equal(await tools.snapshotDone(), true);
      assert.deepEqual(tools.log(), wholeLog(placing, 0, 0));
      assert.match(await guest.sandbox.read(JOURNAL), /GOING ON WITHOUT A LOCK/);
      await guest.sandbox.sh("rm /root/.my.cnf");
    },
  },
];

function isOursThaw({ thaw }: Placing) {
  return ({ name, verb }: { name: string; verb: string }) => name === thaw && verb !== "freeze";
}

async function untilWaiting(guest: Guest): Promise<void> {
  await until("pre-freeze waits", 10_000, async () => (await guest.status()).window !== null);
}

async function assertGoodSnapshot(guest: Guest): Promise<void> {
  const tools = vmwareTools(guest.sandbox);
  assert.equal(await tools.start(), true);
  await assertLocked(guest);
  assert.equal(await tools.snapshotDone(), true);
  assert.deepEqual(endOf((await guest.status()).last), GOOD);
}

/** Runs a test in a guest with the placing's server. */
function testOnItsServer(
  name: string,
  placing: Placing,
  test: (guest: Guest, step: Deno.TestContext) => Promise<void>,
): void {
  Deno.test(`${name} (${placing.flavor})`, async (step) => {
    const guest = await openGuest(placing.flavor);
    try {
      await test(guest, step);
    } finally {
      await guest.close();
    }
  });
}

for (const placing of PLACINGS) {
  testOnItsServer(`VMware Tools with ${placing.name}`, placing, async (guest, step) => {
    await placeOthers(guest);
    await placing.place(guest);
    for (const { name, isBasic, run } of CASES) {
      if (placing.isLink && isBasic !== true) continue;
      await step.step(name, async () => {
        await guest.sandbox.sh(`rm -f ${JOURNAL}`);
        try {
          await run(guest, placing);
        } catch (error) {
          console.log(await guest.sandbox.read(JOURNAL)); // why is in there
          throw error;
        }
        await guest.assertNothingLeft();
      });
    }
  });
}

interface SurroundingsCase {
  readonly name: string;
  /** A shell command that makes them, and one that ends them. */
  readonly prepare?: string;
  readonly undo?: string;
  readonly options: VmwareToolsOptions;
}

/** What /bin/sh may be, with a descriptor that dash can name and two that it cannot. */
const SURROUNDINGS: readonly SurroundingsCase[] = [
  ...["dash", "bash", "busybox"].flatMap((shell) =>
    [4, 12, 200].map((leakedFd) => ({
      name: `${shell} as /bin/sh, with the pipe at ${leakedFd}`,
      ...(shell === "dash"
        ? {}
        : { prepare: `mount --bind /usr/bin/${shell} /bin/sh`, undo: "umount /bin/sh" }),
      options: { leakedFd },
    }))
  ),
  {
    name: "no bash, and dash as /bin/sh",
    prepare: "mount --bind /dev/null /usr/bin/bash",
    undo: "umount /usr/bin/bash",
    options: { shell: "/bin/sh", leakedFd: 4 },
  },
  {
    name: "no bash, and busybox as /bin/sh",
    prepare: "mount --bind /usr/bin/busybox /bin/sh; mount --bind /dev/null /usr/bin/bash",
    undo: "umount /usr/bin/bash; umount /bin/sh",
    options: { shell: "/bin/sh", leakedFd: 12 },
  },
  { name: "an empty environment", options: { env: {} } },
  {
    name: "an environment that misleads",
    options: {
      env: {
        PATH: "/nonexistent",
        HOME: "/nonexistent",
        IFS: "/",
        LD_LIBRARY_PATH: "/nonexistent",
        BASH_ENV: "/nonexistent",
        ENV: "/nonexistent",
        DENO_DIR: "/nonexistent",
        LC_ALL: "xx_XX",
      },
    },
  },
  { name: "another directory", options: { cwd: "/var/lib/mysql" } },
];

for (const placing of PLACINGS.filter(({ isLink }) => !isLink)) {
  testOnItsServer(`VMware Tools start ${placing.name} in`, placing, async (guest, step) => {
    await placing.place(guest);
    for (const { name, prepare, undo, options } of SURROUNDINGS) {
      await step.step(name, async () => {
        if (prepare !== undefined) assert.equal((await guest.sandbox.sh(prepare)).code, 0, prepare);
        const tools = vmwareTools(guest.sandbox, options);
        assert.equal(await tools.start(), true, JSON.stringify(tools.log()));
        await assertLocked(guest);
        await assertPipeClosed(guest, tools, placing);
        assert.equal(await tools.snapshotDone(), true);
        if (undo !== undefined) assert.equal((await guest.sandbox.sh(undo)).code, 0, undo);
        assert.deepEqual(endOf((await guest.status()).last), GOOD);
        await guest.assertNothingLeft();
      });
    }
  });
}
