/** Callers run hooks in odd places; the hooks work there all the same. */
import assert from "node:assert/strict";
import { FLAVORS, type Guest, sleep, testOnEachServer } from "../support/guest.ts";
import { underLoad } from "../support/load.ts";

interface EnvironmentCase {
  readonly name: string;
  /** A shell command; $1 is the verb or its program name's direction. */
  readonly command: string;
  readonly prepare?: string;
  readonly undo?: string;
}

const CASES: readonly EnvironmentCase[] = [
  { name: "an empty environment", command: "env -i /usr/local/sbin/locktables $1" },
  { name: "no HOME", command: "unset HOME; locktables $1" },
  { name: "another HOME", command: "HOME=/nonexistent locktables $1" },
  {
    name: "LD_* variables in the environment",
    command: "LD_LIBRARY_PATH=/x LD_DEBUG= locktables $1",
  },
  { name: "stdin closed", command: "locktables $1 <&-" },
  { name: "stdout closed", command: "locktables $1 >&-" },
  { name: "stderr closed", command: "locktables $1 2>&-" },
  { name: "all three closed", command: "locktables $1 <&- >&- 2>&-" },
  { name: "a full device as stdout", command: "locktables $1 >/dev/full" },
  {
    name: "a stdout whose reader is gone",
    command: "{ locktables $1; echo $? > /run/code; } | true; sleep 0.5; exit $(cat /run/code)",
  },
  {
    name: "a full pipe as stdout that nobody reads",
    command:
      "mkfifo /run/pipe; exec 9<>/run/pipe; dd if=/dev/zero bs=64k count=1 >&9 2>/dev/null; locktables $1 >&9; code=$?; exec 9>&-; rm /run/pipe; exit $code",
  },
  {
    name: "a directory that was removed",
    command: "mkdir /run/gone; cd /run/gone; rmdir /run/gone; cd / && locktables $1",
  },
  { name: "umask 0", command: "umask 0; locktables $1" },
  { name: "a relative path", command: "cd /usr/local; ./sbin/locktables $1" },
  {
    name: "a read-only root filesystem",
    prepare: "mount -o remount,ro /usr/local/sbin; ! touch /x 2>/dev/null",
    undo: "mount -o remount,rw /usr/local/sbin",
    command: "locktables $1",
  },
  {
    name: "a symlink named as VMware's legacy pair, with VMware's verb",
    prepare:
      "ln -sf /usr/local/sbin/locktables /usr/sbin/pre-freeze-script; ln -sf /usr/local/sbin/locktables /usr/sbin/post-thaw-script",
    command:
      'case $1 in pre-freeze) bash -c \'"/usr/sbin/pre-freeze-script" freeze\';; *) bash -c \'"/usr/sbin/post-thaw-script" thaw "scriptArg"\';; esac',
  },
  {
    name: "a symlink in backupScripts.d with VMware's verbs",
    prepare: "ln -sf /usr/local/sbin/locktables /run/99-locktables",
    command:
      'case $1 in pre-freeze) /run/99-locktables freeze "x y";; *) /run/99-locktables thaw "x y";; esac',
  },
  {
    name: "a symlink named as Google's pair, with a disk list",
    prepare:
      "ln -sf /usr/local/sbin/locktables /run/pre.sh; ln -sf /usr/local/sbin/locktables /run/post.sh",
    command: "case $1 in pre-freeze) /run/pre.sh sda,sdb;; *) /run/post.sh sda,sdb;; esac",
  },
];

testOnEachServer("the hooks work in", async (guest, step) => {
  // Where a hook is started has nothing to do with the server: every other case on either.
  const first = FLAVORS.indexOf(guest.flavor);
  for (const [at, { name, command, prepare, undo }] of CASES.entries()) {
    if (at % FLAVORS.length !== first) continue;
    await step.step(name, async () => {
      if (prepare !== undefined) assert.equal((await guest.sandbox.sh(prepare)).code, 0, prepare);
      const hook = (verb: string) => guest.sandbox.sh(`set -- ${verb}; ${command}`);
      const frozen = await hook("pre-freeze");
      assert.equal(frozen.code, 0, frozen.stderr);
      const write = await guest.write();
      await sleep(50);
      assert.equal(write.isDone(), false, "locked");
      const thawed = await hook("post-thaw");
      assert.equal(thawed.code, 0, thawed.stderr);
      await write.finished(1_000);
      assert.ok(Math.max(frozen.ms, thawed.ms) < underLoad(5_000), "and in good time");
      if (undo !== undefined) assert.equal((await guest.sandbox.sh(undo)).code, 0, undo);
      const { last } = await guest.status();
      assert.deepEqual([last?.outcome, last?.verdict], ["released", "application-consistent"]);
      await guest.assertNothingLeft();
    });
  }
});

testOnEachServer(
  "a caller that reads the hook's output to its end is not kept waiting",
  async (guest) => {
    const { code, stdout, ms } = await guest.sandbox.sh(
      'out=$(locktables pre-freeze 2>&1); echo "got: $out"',
    );
    assert.equal(code, 0);
    assert.match(stdout, /^got: Frozen: /);
    assert.ok(ms < underLoad(5_000), `${ms} ms, and the locker lives on`);
    assert.equal((await guest.status()).locker, "running");
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    await guest.assertNothingLeft();
  },
);

testOnEachServer(
  "the locker has a session of its own and nothing of its caller's",
  async (guest) => {
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    const pid = await guest.lockerPid();
    const { stdout } = await guest.sandbox.sh(
      `cut -d' ' -f1,5,6,7 /proc/${pid}/stat; readlink /proc/${pid}/cwd; tr '\\0' ' ' < /proc/${pid}/environ; ls -l /proc/${pid}/fd | grep -c tty`,
    );
    const [ids, cwd, ...rest] = stdout.trim().split("\n");
    assert.equal(
      ids,
      `${pid} ${pid} ${pid} 0`,
      "pid, process group and session are one; no terminal",
    );
    assert.equal(cwd, "/");
    assert.deepEqual(rest, ["0"], "no environment, no terminal");
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    await guest.assertNothingLeft();
  },
);

testOnEachServer("a window touches the files of the contract and no network", async (guest) => {
  const traced = (verb: string) =>
    guest.sandbox.sh(
      `strace -f -qq -e trace=file,network,process -o /tmp/lt-strace-${guest.server.pid}-${verb} locktables ${verb}`,
    );
  // What follows is the whole truth only with coreutils' own.
  assert.equal((await guest.sandbox.sh("umount /usr/bin/sync /usr/bin/logger")).code, 0);
  try {
    // -f follows the locker too, so strace of pre-freeze ends only with the window.
    const freezing = traced("pre-freeze");
    await untilHeld(guest);
    const thawed = await traced("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    assert.equal((await freezing).code, 0);
    for (const verb of ["pre-freeze", "post-thaw"]) {
      const lines = (await guest.sandbox.read(`/tmp/lt-strace-${guest.server.pid}-${verb}`)).split(
        "\n",
      );
      const opened = lines.flatMap((line) => {
        const path =
          /\b(?:open|openat|creat|connect|bind|rename|unlink|mkdir|execve)\((?:AT_FDCWD, )?.*?"([^"]+)"/
            .exec(line);
        return path?.[1] !== undefined && !line.includes("ENOENT") ? [path[1]] : [];
      });
      assert.ok(opened.length > 10, "the trace has seen something");
      const foreign = opened.filter((path) => !ALLOWED.some((allowed) => allowed.test(path)));
      assert.deepEqual([...new Set(foreign)], []);
      const network = lines.filter((line) => /\bsocket\((?!AF_UNIX|AF_LOCAL)/.test(line));
      assert.deepEqual(network, []);
    }
  } finally {
    await guest.sandbox.sh(`rm -f /tmp/lt-strace-${guest.server.pid}-*`);
  }
  await guest.assertNothingLeft();
});

/**
 * `docs/security.md#files-and-rights`, and the runtime's own start-up files
 * (`docs/runtime.md#start-up-files`).
 */
const ALLOWED: readonly RegExp[] = [
  /^\/run\/veeam(\/|$)/,
  /^\/var\/lib\/locktables(\/|$)/,
  /^\/root\/\.my\.cnf$/,
  /^\/run\/mysqld\/mysqld\.sock$/,
  // The programs we run, and what the loader and they read.
  /^\/usr\/local\/sbin\/locktables$/,
  /^\/proc\/self\/(exe|maps|cgroup)$/,
  /^\/usr\/bin\/sync$/,
  /^\/usr\/bin\/logger$/,
  /^\/etc\/ld\.so\.(cache|preload)$/,
  /^\/(usr\/)?lib(64|\/x86_64-linux-gnu)?\//,
  /^\/usr\/share\/locale\//,
  /^\/usr\/lib\/locale\//,
  // The runtime's start-up.
  /^\/sys\/fs\/cgroup\//,
  /^\/proc\/(meminfo|cpuinfo|stat|version_signature|sys\/vm\/overcommit_memory|mounts|self\/mountinfo)$/,
  /^\/sys\/devices\/system\/cpu/,
  /^\/dev\/(null|urandom)$/,
  /^\/etc\/localtime$/,
  // What sync is told to flush: the servers' directories.
  /^\/tmp\/lt-\d+-/,
];

async function untilHeld(guest: Guest): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if ((await guest.status()).window?.phase === "held") return;
    await sleep(50);
  }
  assert.fail("no window");
}
