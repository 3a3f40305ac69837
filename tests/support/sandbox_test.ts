import assert from "node:assert/strict";
import { pathExists, run } from "../../scripts/shell.ts";
import { openSandbox, processesOf, type Sandbox } from "./sandbox.ts";
import { startServer } from "./server.ts";

// Any program does: these tests are about the guest, not about what runs in it.
const binary = "/bin/sh";

async function inSandbox(test: (sandbox: Sandbox) => Promise<void>): Promise<void> {
  const sandbox = await openSandbox({ binary });
  try {
    await test(sandbox);
  } finally {
    await sandbox.close();
  }
}

/** Polls until the condition holds; fails after 5 s. */
async function eventually(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!await condition()) {
    assert.ok(performance.now() < deadline, `Not within 5 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test("a sandbox has the program, the guest's directories, and an empty environment", async () => {
  await inSandbox(async (sandbox) => {
    const hello = await sandbox.run([sandbox.binary, "-c", "/usr/bin/env; pwd; exit 7"]);
    assert.deepEqual(
      { code: hello.code, signal: hello.signal, stdout: hello.stdout, stderr: hello.stderr },
      { code: 7, signal: null, stdout: "PWD=/\n/\n", stderr: "" },
    );
    const modes = await sandbox.sh("stat -c '%a %n' /run /root /var/lib/locktables; ls /run /root");
    assert.match(modes.stdout, /^755 \/run\n700 \/root\n700 \/var\/lib\/locktables\n/);
  });
});

Deno.test("what is written in a sandbox is not on the machine", async () => {
  await inSandbox(async (sandbox) => {
    const files = [
      "/run/lt-sandbox-test",
      "/root/lt-sandbox-test",
      "/etc/lt-sandbox-test",
      "/usr/sbin/lt-sandbox-test",
      "/usr/local/sbin/lt-sandbox-test",
      "/var/lib/lt-sandbox-test",
      "/var/run/lt-sandbox-test-too",
    ];
    for (const file of files) {
      await sandbox.writeFile(file, "text\n");
      assert.equal(await sandbox.read(file), "text\n");
      assert.equal(await pathExists(file), false, `${file} leaked`);
    }
    assert.equal(await sandbox.exists("/root/other"), false);
    const refused = await sandbox.sh("touch /usr/lt-sandbox-test");
    assert.match(refused.stderr, /Read-only file system/);
  });
});

Deno.test("a sandbox shows a server, and its own processes alone", async () => {
  const server = await startServer("mariadb");
  try {
    await inSandbox(async (sandbox) => {
      await sandbox.bindServer(server);
      const asked = await sandbox.sh(
        "mariadb --socket=/run/mysqld/mysqld.sock -uroot -Ne 'SELECT 6*7'",
      );
      assert.equal(asked.stdout, "42\n");

      assert.deepEqual(await processesOf(sandbox), []);
      const child = sandbox.spawn(["/bin/sleep", "60"], { stdout: "null", stderr: "null" });
      await eventually("sleep is seen", async () => {
        const [only] = await processesOf(sandbox);
        return only?.pid === child.pid && only.cmdline === "/bin/sleep 60";
      });
      child.kill("SIGKILL");
      await child.status;
      assert.deepEqual(await processesOf(sandbox), []);
    });
  } finally {
    await server.stop();
  }
});

Deno.test("a command that does not end in time fails, also when a child holds its output", async () => {
  await inSandbox(async (sandbox) => {
    await assert.rejects(
      sandbox.run(["/bin/sh", "-c", "sleep 60 & exit 0"], { timeoutMs: 200 }),
      /did not end within 200 ms/,
    );
  });
});

Deno.test("nothing of a sandbox outlives a test process that is killed", async () => {
  const script = `
    import { openSandbox } from ${JSON.stringify(new URL("sandbox.ts", import.meta.url).href)};
    import { startServer } from ${JSON.stringify(new URL("server.ts", import.meta.url).href)};
    const server = await startServer("mariadb");
    const sandbox = await openSandbox({ binary: ${JSON.stringify(binary)} });
    const sleeper = await sandbox.sh("setsid sleep 60 </dev/null >/dev/null 2>&1 & echo $!");
    console.log(server.pid, sandbox.keeperPid, sleeper.stdout.trim());
    Deno.kill(Deno.pid, "SIGKILL");
  `;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--config", new URL("../../deno.json", import.meta.url).pathname, script],
  }).output();
  const pids = new TextDecoder().decode(stdout).trim().split(/\s+/);
  assert.equal(pids.length, 3);
  for (const pid of pids) {
    // A zombie that init has not fetched yet has no executable any more.
    await eventually(`process ${pid} is gone`, async () => !await hasProgram(pid));
  }
});

async function hasProgram(pid: string): Promise<boolean> {
  try {
    await Deno.readLink(`/proc/${pid}/exe`);
    return true;
  } catch {
    return false;
  }
}

/** Says what a sandbox has of a dirty machine, and what its own server is. */
const DIRT_PROBE = `
import { openSandbox } from "${new URL("./sandbox.ts", import.meta.url)}";
const sandbox = await openSandbox({ binary: "/bin/sh" });
try {
  const { stdout } = await sandbox.sh(\`ls -d /etc/my.cnf /etc/mysql /root/.my.cnf /etc/qemu \\
    /etc/vmware-tools /etc/google /etc/azure /etc/locktables /run/veeam /run/mysqld \\
    /etc/tmpfiles.d/locktables.conf /etc/default/instance_configs.cfg \\
    /usr/lib/systemd/system/qemu-guest-agent.service /etc/systemd/system/qemu-guest-agent.service.d/* \\
    /usr/sbin/pre-freeze-script /usr/local/sbin/* /usr/local/nutanix/* /var/log/qga-* \\
    /usr/bin/vmtoolsd /usr/sbin/qemu-ga /usr/bin/amazon-ssm-agent /usr/sbin/waagent \\
    /usr/bin/google_guest_agent /var/lib/locktables/* 2>/dev/null\`);
  const written = await sandbox.sh("(touch /usr/bin/x || touch /usr/local/x) 2>/dev/null && echo writable");
  const rest = (await sandbox.sh("date +%Z; stat -c %a:%g /usr/local")).stdout.trim();
  console.log(JSON.stringify({ seen: stdout.trim().split("\\n"), written: written.stdout, rest }));
} finally {
  await sandbox.close();
}
`;

Deno.test("a guest has no agent, hook, option file, server or window of the machine's", async () => {
  const dirty = new URL("./dirty_machine.sh", import.meta.url).pathname;
  const { stdout, stderr } = await run([
    dirty,
    "/bin/sh",
    "-c",
    // Where everything is seen: the dirt is really there.
    `test -e /usr/sbin/qemu-ga -a -S /run/mysqld/mysqld.sock -o ! -x /usr/sbin/mariadbd || exit 1
     exec "$0" eval "$1"`,
    Deno.execPath(),
    DIRT_PROBE,
  ], { timeoutMs: 60_000 });
  assert.notEqual(stdout, "", stderr);
  assert.deepEqual(JSON.parse(stdout), {
    seen: ["/usr/local/sbin/locktables"],
    written: "",
    rest: "UTC\n755:0",
  });
});
