/**
 * Callers that snapshot chosen volumes: Debian's own sanoid and snapper, and zrepl, zfs_autobackup,
 * vzdump, Velero and Cloud Assistant by the rules of their sources. Recipes come from their pages.
 */
import assert from "node:assert/strict";
import { repositoryRoot } from "../../scripts/shell.ts";
import { CALLER_TABLE } from "../../lib/callers/table.ts";
import { openBlocker } from "../support/blocker.ts";
import { openDiskGuest } from "../support/disk_guest.ts";
import { type Guest, openGuest, until } from "../support/guest.ts";
import { placeHooks } from "../support/hooks.ts";
import { installSanoid, runSanoid, snapshotsTaken } from "../support/sanoid.ts";
import { prepareSnapper } from "../support/snapper.ts";

/** What a block of a page says; those that people copy are marked as recipes. */
async function recipeOf(page: string, language: "sh" | "yaml"): Promise<string> {
  const text = await Deno.readTextFile(`${repositoryRoot()}/docs/callers/${page}.md`);
  const found = new RegExp(`^\`\`\`${language} recipe\\n([^]*?)^\`\`\``, "m").exec(text);
  return found?.[1] ?? assert.fail(`No recipe on the page ${page}`);
}

/** The last window was this caller's and good, and nothing is left. */
async function assertGood(guest: Guest, caller: string): Promise<void> {
  await guest.assertNothingLeft();
  const { last } = await guest.status();
  assert.deepEqual([last?.caller, last?.verdict], [caller, "application-consistent"]);
}

/** Another caller has a window open meanwhile, and it is open afterwards. */
async function besideAnother(guest: Guest, use: () => Promise<void>): Promise<void> {
  assert.equal((await guest.locktables("pre-freeze", "--caller", "vmware")).code, 0);
  await use();
  const { window } = await guest.status();
  assert.deepEqual([window?.caller, window?.phase], ["vmware", "held"]);
  assert.equal((await guest.locktables("post-thaw", "--caller", "vmware")).code, 0);
}

/** On a busy machine a lock may take longer than these callers wait. */
const PATIENT = "[locktables]\nfreeze_timeout=60s\n";

const HELD = /"phase": ?"held"/;

type Test = (guest: Guest, step: Deno.TestContext) => Promise<void>;

const sanoid: Test = async (guest, step) => {
  const { sandbox } = guest;
  const form = await placeHooks(sandbox, "sanoid");
  // What install says is what sanoid understands.
  const named = /pre_snapshot_script.*/.exec(form.told.join("\n"))?.[0].split(", ") ?? [];
  await step.step("its snapshot is taken under the lock", async () => {
    await installSanoid(sandbox, named);
    await sandbox.writeFile("/root/.my.cnf", PATIENT);
    const { stderr } = await runSanoid(sandbox);
    await sandbox.sh("rm /root/.my.cnf");
    assert.doesNotMatch(stderr, /WARN/);
    const [taken = "", ...more] = await snapshotsTaken(sandbox);
    assert.match(taken, /^snapshot tank\/mysql@autosnap_/);
    assert.match(taken, HELD);
    assert.deepEqual(more, []);
    await assertGood(guest, "sanoid");
  });
  await step.step(
    "pre-freeze keeps to sanoid's limit, and without a lock there is no snapshot",
    async () => {
      await installSanoid(sandbox, named);
      const blocker = await openBlocker(guest, "");
      const { stderr } = await runSanoid(sandbox);
      await blocker.end();
      assert.match(stderr, /pre_snapshot_script failed/);
      assert.deepEqual(await snapshotsTaken(sandbox), []);
      const { last } = JSON.parse((await guest.locktables("status", "--json")).stdout);
      assert.deepEqual([last.caller, last.freeze_timeout_ms], ["sanoid", 4_000]);
      await guest.assertNothingLeft();
    },
  );
  await step.step("a post script that is forced leaves another's window open", async () => {
    await installSanoid(sandbox, named.filter((line) => !line.startsWith("no_inconsistent")));
    await besideAnother(guest, async () => {
      assert.match((await runSanoid(sandbox)).stderr, /pre_snapshot_script failed/);
      assert.equal((await snapshotsTaken(sandbox)).length, 1);
    });
    await guest.assertNothingLeft();
  });
};

/** internal/daemon/hooks/hook_type_command.go: no words, Wait() until the output's end, KILL. */
const zrepl: Test = async (guest, step) => {
  const { sandbox } = guest;
  const [file] = (await placeHooks(sandbox, "zrepl")).files;
  const env = (type: string, dryRun = "") => ({
    ZREPL_HOOKTYPE: type,
    ZREPL_DRYRUN: dryRun,
    ZREPL_FS: "tank/mysql",
    ZREPL_SNAPNAME: "zrepl_20261128_080000_000",
    ZREPL_TIMEOUT: "30",
    PATH: "/usr/bin:/bin",
  });
  const hook = (type: string, dryRun?: string) =>
    sandbox.run([file?.path ?? ""], { env: env(type, dryRun) });
  await step.step("its output ends with the hook, and the lock is held between both", async () => {
    assert.equal((await hook("pre_snapshot")).code, 0);
    assert.equal((await guest.status()).window?.phase, "held");
    assert.equal((await hook("post_snapshot")).code, 0);
    await assertGood(guest, "zrepl");
  });
  await step.step("a dry run locks nothing", async () => {
    const before = (await guest.status()).last?.window_id;
    assert.equal((await hook("pre_snapshot", "true")).code, 0);
    assert.equal((await hook("post_snapshot", "true")).code, 0);
    const { window, last } = await guest.status();
    assert.deepEqual([window, last?.window_id], [null, before]);
  });
  await step.step("killed at its limit, it leaves no lock", async () => {
    const blocker = await openBlocker(guest, "");
    const child = sandbox.spawn([file?.path ?? ""], { env: env("pre_snapshot") });
    await until("the locker runs", 5_000, async () => (await guest.status()).window !== null);
    child.kill("SIGKILL");
    assert.equal((await child.output()).success, false);
    await blocker.end();
    await guest.assertNothingLeft();
  });
};

/** ZfsNode.py consistent_snapshot: shlex.split, then sh -c of the quoted words; post in `finally`. */
const zfsAutobackup: Test = async (guest, step) => {
  const recipe = await recipeOf("zfs-autobackup", "sh");
  const [pre = "", post = ""] = [...recipe.matchAll(/-cmd '([^']+)'/g)].map(([, words]) =>
    words?.split(" ").map((word) => `'${word}'`).join(" ")
  );
  const take = async (snapshot: () => Promise<void>): Promise<boolean> => {
    try {
      if ((await guest.sandbox.sh(pre)).code !== 0) return false;
      await snapshot();
      return true;
    } finally {
      await guest.sandbox.sh(post);
    }
  };
  await step.step("its snapshot is taken under the lock", async () => {
    assert.ok(
      await take(async () => assert.equal((await guest.status()).window?.phase, "held")),
    );
    await assertGood(guest, "zfs-autobackup");
  });
  await step.step(
    "without a lock there is none, and another's window stays open",
    () =>
      besideAnother(guest, async () => {
        assert.equal(await take(() => assert.fail("no snapshot")), false);
      }),
  );
};

/** PVE/VZDump.pm run_hook_script: PHASE MODE VMID, an environment without PATH, a failure is fatal. */
const vzdump: Test = async (guest, step) => {
  const { sandbox } = guest;
  const script = (await recipeOf("vzdump", "sh")).replace("'101 102'", "'101'");
  await sandbox.writeFile("/run/locktables-vzdump", script, 0o755);
  // The guest is host and container in one.
  await sandbox.writeFile(
    "/usr/sbin/pct",
    `#!/bin/sh\n[ "$1 $2 $3" = 'exec 101 --' ] || exit 9\nshift 3\necho "$*" >>/run/pct-calls\nexec "$@"\n`,
    0o755,
  );
  const phase = async (name: string, mode: string, vmid: string, type = "lxc") =>
    (await sandbox.run([
      "/usr/bin/env",
      "-i",
      `VMTYPE=${type}`,
      "STOREID=local",
      "HOSTNAME=db",
      "/run/locktables-vzdump",
      name,
      ...(mode === "" ? [] : [mode, vmid]),
    ])).code;
  const snapshot = async (mode: string, vmid: string, type?: string) => {
    const codes: number[] = [await phase("job-init", "", ""), await phase("job-start", "", "")];
    for (const name of ["backup-start", "pre-stop", "pre-restart", "post-restart", "backup-end"]) {
      codes.push(await phase(name, mode, vmid, type));
      if (name === "pre-restart" && vmid === "101" && mode === "snapshot" && type === undefined) {
        assert.equal((await guest.status()).window?.phase, "held", "while it is still suspended");
      }
    }
    assert.deepEqual(codes, [0, 0, 0, 0, 0, 0, 0]);
  };
  await step.step("the lock is held from pre-stop to post-restart", async () => {
    await snapshot("snapshot", "101");
    await assertGood(guest, "vzdump");
  });
  await step.step(
    "other guests, virtual machines and stopped containers are left alone",
    async () => {
      await sandbox.sh("rm /run/pct-calls");
      await snapshot("snapshot", "102");
      await snapshot("snapshot", "101", "qemu");
      await snapshot("stop", "101");
      assert.equal(await sandbox.exists("/run/pct-calls"), false);
    },
  );
  await step.step("a backup that is given up releases the lock", async () => {
    assert.equal(await phase("pre-stop", "snapshot", "101"), 0);
    assert.equal(await phase("backup-abort", "snapshot", "101"), 0);
    await assertGood(guest, "vzdump");
  });
  await step.step(
    "without a lock the backup fails, and another's window stays open",
    () =>
      besideAnother(guest, async () => {
        assert.equal(await phase("pre-stop", "snapshot", "101"), 11);
        assert.equal(await phase("backup-abort", "snapshot", "101"), 0);
      }),
  );
};

/** pkg/podexec: an array without a shell, the stream's end is waited for, 30 s. */
const velero: Test = async (guest, step) => {
  const recipe = await recipeOf("velero", "yaml");
  const value = (name: string) =>
    new RegExp(`^ +${name.replaceAll(".", "\\.")}: (.*)$`, "m").exec(recipe)?.[1] ?? "";
  const exec = (edge: "pre" | "post") => {
    const words: string[] = JSON.parse(
      value(`${edge}.hook.backup.velero.io/command`).slice(1, -1),
    );
    return guest.sandbox.run(words, { env: { HOSTNAME: "mysql-0" } });
  };
  await guest.sandbox.sh(
    "mkdir -p /opt/locktables; ln -s /usr/local/sbin/locktables /opt/locktables/locktables",
  );
  await step.step("the limits of the recipe leave pre-freeze its time", () => {
    for (const edge of ["pre", "post"] as const) {
      const [, seconds] = /^(\d+)s$/.exec(value(`${edge}.hook.backup.velero.io/timeout`)) ?? [];
      assert.ok(Number(seconds) * 1_000 > CALLER_TABLE.velero.freezeTimeoutMs);
      assert.equal(value(`${edge}.hook.backup.velero.io/on-error`), "Fail");
    }
  });
  await step.step("the lock is held between both commands", async () => {
    const frozen = await exec("pre");
    assert.equal(frozen.code, 0, frozen.stderr);
    assert.equal((await guest.status()).window?.phase, "held");
    assert.equal((await exec("post")).code, 0);
    await assertGood(guest, "velero");
  });
};

/** Cloud Assistant runs two paths as root, if they are root's and 0700. */
const alibaba: Test = async (guest, step) => {
  const { sandbox } = guest;
  const { told } = await placeHooks(sandbox, "alibaba");
  await step.step(
    "systemd copies the scripts to /tmp by the commands that install prints",
    async () => {
      for (const command of told) {
        const { code, stderr } = await sandbox.sh(command);
        assert.equal(code, 0, stderr);
      }
      const { stdout } = await sandbox.sh(
        "stat -c '%U %a %F' /tmp/prescript.sh /tmp/postscript.sh",
      );
      assert.equal(stdout, "root 700 regular file\n".repeat(2));
    },
  );
  await step.step("the lock is held between both scripts", async () => {
    assert.equal((await sandbox.run(["/tmp/prescript.sh"])).code, 0);
    assert.equal((await guest.status()).window?.phase, "held");
    assert.equal((await sandbox.run(["/tmp/postscript.sh"])).code, 0);
    await assertGood(guest, "alibaba");
    await sandbox.sh("rm /tmp/prescript.sh /tmp/postscript.sh");
  });
};

Deno.test("callers of chosen volumes hold the lock while they take their snapshot, and thaw only their own window", async (step) => {
  const guest = await openGuest("mariadb");
  try {
    const tests = { sanoid, zrepl, zfsAutobackup, vzdump, velero, alibaba };
    for (const [name, test] of Object.entries(tests)) {
      await step.step(name, (inner) => test(guest, inner));
    }
  } finally {
    await guest.close();
  }
});

Deno.test("Debian's snapper takes its snapshots of the servers' subvolume under the lock, and others without one", async () => {
  const guest = await openDiskGuest("mariadb", "btrfs");
  const { sandbox, disk } = guest;
  try {
    const snapper = await prepareSnapper(sandbox, disk.path);
    await placeHooks(sandbox, "snapper");
    await sandbox.writeFile("/root/.my.cnf", PATIENT);
    await snapper.create("servers");
    assert.equal((await guest.status()).last, null, "the data are elsewhere, as far as it knows");
    await sandbox.sh(
      `mkdir -p /etc/locktables; echo ${disk.path}/data >/etc/locktables/snapper-directories`,
    );
    await snapper.create("servers");
    await assertGood(guest, "snapper");
    const { last } = await guest.status();
    await snapper.create("others");
    assert.equal((await guest.status()).last?.window_id, last?.window_id);
    // It cannot be stopped: without a lock the snapshot is taken, and another's window stays open.
    await besideAnother(guest, () => snapper.create("servers"));
    assert.equal(await snapper.count("servers"), 3);
  } finally {
    await guest.close();
  }
});
