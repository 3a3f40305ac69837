/** install → freeze and thaw through the installed hook → uninstall, with the compiled program. */
import assert from "node:assert/strict";
import { RECEIPT_FILE } from "../../lib/base/paths.ts";
import {
  type Caller,
  CALLER_TABLE,
  CALLERS,
  type Form,
  INSTALLABLE,
} from "../../lib/callers/table.ts";
import { assertOneLine, type Guest, openGuest, until } from "../support/guest.ts";
import { openSandbox, processesOf, type Sandbox } from "../support/sandbox.ts";

/** Everything that an installation could change; the program itself is mounted there by the test. */
const WATCHED = "/etc /opt /usr/sbin /usr/lib/snapper /usr/local/sbin /var/lib /var/log /root /run";

/** Where also the contents are compared; elsewhere size and time tell. */
const READ_WHOLE = "/etc /usr/local/sbin /var/lib /root /run";

/** Names, modes, owners, link targets and contents; times of files, as a restored one has its own. */
async function treeOf(sandbox: Sandbox): Promise<string[]> {
  const script = `find ${WATCHED} \\( -path /run/mysqld -o -type s \\) -prune -o \\
    \\( -type d -printf '%y %m %U:%G %p\\n' \\) -o \\
    \\( -type l -printf '%y %p -> %l\\n' \\) -o \\
    -printf '%y %m %U:%G %s %T@ %p\\n'
    find ${READ_WHOLE} -path /usr/local/sbin/locktables -prune -o -path /run/mysqld -prune -o \\
    -type f -exec sha256sum {} +`;
  const { stdout, code, stderr } = await sandbox.sh(script);
  assert.equal(code, 0, stderr);
  return stdout.trim().split("\n").sort();
}

/** How each caller starts its hook; $1 is the file, $2 what it is for. */
const CALLS: Readonly<
  Partial<Record<Caller, (path: string, isFreeze: boolean) => string[]>>
> = {
  vmware: (path, isFreeze) => ["bash", "-c", `"${path}" ${isFreeze ? "freeze" : "thaw"} "arg"`],
  qemu: (path, isFreeze) => [path, isFreeze ? "freeze" : "thaw"],
  veeam: (path) => ["/bin/sh", path],
  nutanix: (path) => [path],
  aws: (path, isFreeze) => [
    "/bin/sh",
    "-c",
    // What the agent does with the document: the lines to a file, the parameter in its place.
    `perl -MJSON::PP -0777 -ne 'print join "\\n", @{decode_json($_)->{mainSteps}[0]{inputs}{runCommand}}' ${path} |
      sed 's/{{ command }}/${isFreeze ? "pre-script" : "post-script"}/' >/run/_script.sh
    chmod 700 /run/_script.sh; sh -c /run/_script.sh; code=$?; rm /run/_script.sh; exit $code`,
  ],
  azure: (path) => ["/usr/bin/sh", path],
  google: (path) => [path, "disk-1,disk-2"],
  snapper: (path, isFreeze) => [
    path,
    `create-snapshot-${isFreeze ? "pre" : "post"}`,
    "/var/lib/mysql",
    "btrfs",
    "7",
  ],
  // Called once, with the command that is run between; see freezeAndThaw.
  run: (path) => [path, "/usr/local/sbin/locktables", "status", "--json"],
};

function hookOf(form: Form, isFreeze: boolean): string {
  const role = isFreeze ? "pre" : "post";
  const file = form.files.find((one) => one.role === role) ?? form.files[0];
  return file?.path ?? "";
}

/** What the package of the agent brings. */
const QEMU_PACKAGE = `mkdir -p /etc/qemu/fsfreeze-hook.d
printf '#!/bin/sh\\n# stock\\n' >/etc/qemu/fsfreeze-hook && chmod 755 /etc/qemu/fsfreeze-hook
printf '[general]\\nverbose=1\\n' >/etc/qemu/qemu-ga.conf`;

/** Files of somebody else's where ours go, for a second round. */
async function putForeign(sandbox: Sandbox, form: Form): Promise<void> {
  for (const { path } of form.files) {
    await sandbox.sh(`mkdir -p "$(dirname ${path})"`);
    await sandbox.writeFile(path, "#!/bin/sh\necho theirs\n", 0o744);
    await sandbox.sh(`touch -d 2020-01-02 ${path}`);
  }
}

/** Installed as veeam's are, and run in volumes_test.ts. */
const ALIKE: readonly Caller[] = ["alibaba", "sanoid", "zrepl"];

const forms = CALLERS.filter((caller) => !ALIKE.includes(caller)).flatMap((caller) =>
  CALLER_TABLE[caller].forms
    .filter(({ files }) => !files.some(({ path }) => path.startsWith("/etc/qemu-ga")))
    .map((form) => ({ caller, form }))
);

async function freezeAndThaw(guest: Guest, caller: Caller, form: Form): Promise<void> {
  if (form.files.some(({ role }) => role === "around")) {
    const done = await guest.sandbox.run(CALLS[caller]?.(hookOf(form, true), true) ?? [], {
      env: { PATH: "/usr/bin:/bin" },
    });
    assert.equal(done.code, 0, done.stderr);
    assert.equal(JSON.parse(done.stdout).window.caller, caller);
    assert.equal((await guest.status()).last?.verdict, "application-consistent");
    return;
  }
  const frozen = await guest.sandbox.run(CALLS[caller]?.(hookOf(form, true), true) ?? [], {
    env: { PATH: "/usr/bin:/bin" },
  });
  assert.equal(frozen.code, 0, frozen.stderr);
  const { window } = await guest.status();
  assert.equal(window?.phase, "held");
  assert.equal(window.caller, caller);
  const thawed = await guest.sandbox.run(CALLS[caller]?.(hookOf(form, false), false) ?? [], {
    env: { PATH: "/usr/bin:/bin" },
  });
  assert.equal(thawed.code, 0, thawed.stderr);
  assert.equal((await guest.status()).last?.verdict, "application-consistent");
}

Deno.test("hooks of every caller: installed, used, uninstalled, and the guest is as it was", async (step) => {
  const guest = await openGuest("mariadb");
  const { sandbox } = guest;
  const install = (...args: string[]) => guest.locktables("install", ...args);
  try {
    await sandbox.sh("rm -rf /var/lib/locktables; mkdir /usr/lib/snapper");
    for (const { caller, form } of forms) {
      const words = form.option === null ? [caller] : [caller, form.option];
      await step.step(`${words.join(" ")}: nothing there before`, async () => {
        if (caller === "qemu") {
          await sandbox.sh(`mkdir -p /etc/qemu; ${form.name === "direct" ? "" : QEMU_PACKAGE}`);
        }
        const before = await treeOf(sandbox);
        const dry = await install(...words, "--dry-run");
        assert.equal(dry.code, 0, dry.stderr);
        assert.deepEqual(await treeOf(sandbox), before, "--dry-run changed something");
        const done = await install(...words);
        assert.equal(done.code, 0, done.stderr);
        for (const { path, mode } of form.files) {
          const { stdout } = await sandbox.sh(`stat -c '%a %u' ${path}`);
          assert.equal(stdout.trim(), `${mode.toString(8)} 0`, path);
          assert.ok(dry.stdout.includes(path), "--dry-run does not name it");
        }
        const tree = await treeOf(sandbox);
        const again = await install(...words);
        assert.equal(again.code, 0, again.stderr);
        assert.match(again.stdout, /^Nothing to do/);
        const isReceipt = (line: string) => line.includes("/var/lib/locktables/receipt.json");
        const others = (lines: string[]) => lines.filter((line) => !isReceipt(line));
        assert.deepEqual(others(await treeOf(sandbox)), others(tree));
        const checked = await guest.locktables("check");
        assert.equal(checked.code, 0, checked.stdout);
        await freezeAndThaw(guest, caller, form);
        await guest.assertNothingLeft();
        const gone = await guest.locktables("uninstall", caller);
        assert.equal(gone.code, 0, gone.stderr);
        assert.deepEqual(await treeOf(sandbox), before);
        if (caller === "qemu") await sandbox.sh("rm -rf /etc/qemu");
      });
      await step.step(`${words.join(" ")}: files of somebody else's there before`, async () => {
        if (caller === "qemu") await sandbox.sh(QEMU_PACKAGE);
        await putForeign(sandbox, form);
        const before = await treeOf(sandbox);
        const refused = await install(...words);
        assert.equal(refused.code, 22);
        assertOneLine(refused, /is not ours/);
        assert.ok(refused.stderr.includes(form.files[0]?.path ?? "?"), refused.stderr);
        assert.deepEqual(await treeOf(sandbox), before, "a refusal changed something");
        const replaced = await install(...words, "--replace");
        assert.equal(replaced.code, 0, replaced.stderr);
        await freezeAndThaw(guest, caller, form);
        await guest.assertNothingLeft();
        const gone = await guest.locktables("uninstall");
        assert.equal(gone.code, 0, gone.stderr);
        assert.deepEqual(await treeOf(sandbox), before);
        for (const { path } of form.files) await sandbox.sh(`rm ${path}`);
        if (caller === "qemu") await sandbox.sh("rm -rf /etc/qemu");
      });
    }
    await step.step("all callers at once, and one after the other away", async () => {
      await sandbox.sh(QEMU_PACKAGE);
      const before = await treeOf(sandbox);
      const done = await install(...INSTALLABLE);
      assert.equal(done.code, 0, done.stderr);
      for (const caller of INSTALLABLE) {
        const gone = await guest.locktables("uninstall", caller);
        assert.equal(gone.code, 0, gone.stderr);
      }
      assert.deepEqual(await treeOf(sandbox), before);
    });
  } finally {
    await guest.close();
  }
});

Deno.test("a hook by link works, is left by install, and is no reason for a second", async () => {
  const guest = await openGuest("mariadb");
  const { sandbox } = guest;
  try {
    await sandbox.sh("mkdir -p /etc/vmware-tools/backupScripts.d");
    const links = [
      "/usr/sbin/pre-freeze-script",
      "/usr/sbin/post-thaw-script",
      "/etc/vmware-tools/backupScripts.d/99-locktables",
    ];
    for (const link of links) await sandbox.sh(`ln -s ${sandbox.binary} ${link}`);
    for (const [freeze, thaw] of [[links[0], links[1]], [links[2], links[2]]]) {
      assert.equal((await sandbox.run([freeze ?? "", "freeze"])).code, 0);
      assert.equal((await guest.status()).window?.phase, "held");
      assert.equal((await sandbox.run([thaw ?? "", "thaw"])).code, 0);
    }
    const done = await guest.locktables("install", "vmware");
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, /link to the program already/);
    assert.equal((await guest.locktables("uninstall")).code, 0);
    assert.ok(await sandbox.exists(links[2] ?? ""), "a link that we did not make is not ours");
  } finally {
    await guest.close();
  }
});

Deno.test("uninstall waits for no window: it is refused while one is open", async () => {
  const guest = await openGuest("mariadb");
  try {
    assert.equal((await guest.locktables("install", "vmware")).code, 0);
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    const refused = await guest.locktables("uninstall");
    assert.equal(refused.code, 11);
    assertOneLine(refused, /already open/);
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    // A package that goes takes its own hooks along, and none that call another program.
    const swap = (from: string, to: string) =>
      guest.sandbox.sh(`sed -i 's,"program": "${from}/,"program": "${to}/,' ${RECEIPT_FILE}`);
    await swap("/usr/local/sbin", "/usr/sbin");
    const own = await guest.locktables("uninstall", "--own");
    assert.deepEqual(
      [own.code, own.stdout],
      [0, "Nothing to do: no hooks call /usr/local/sbin/locktables.\n"],
    );
    await swap("/usr/sbin", "/usr/local/sbin");
    assert.equal((await guest.locktables("uninstall", "--own")).code, 0);
    assert.ok(!await guest.sandbox.exists(RECEIPT_FILE));
  } finally {
    await guest.close();
  }
});

Deno.test("records of windows from before the first install are kept", async () => {
  const guest = await openGuest("mariadb");
  try {
    await guest.locktables("rehearse", "--hold", "0s");
    assert.equal((await guest.locktables("install", "vmware")).code, 0);
    assert.equal((await guest.locktables("uninstall")).code, 0);
    assert.ok(await guest.sandbox.exists("/var/lib/locktables/record.json"));
    assert.ok(!await guest.sandbox.exists("/var/lib/locktables/receipt.json"));
  } finally {
    await guest.close();
  }
});

Deno.test("hooks and the locker have given back the rights to the paths of hooks", async () => {
  const guest = await openGuest("mariadb");
  const { sandbox } = guest;
  try {
    // With the right to use it, this socket would do.
    await sandbox.sh("mkdir -p /etc/locktables/run");
    await sandbox.bindServer(guest.server, "/etc/locktables/run");
    await sandbox.writeFile("/root/.my.cnf", "[client]\nsocket=/etc/locktables/run/mysqld.sock\n");
    for (const command of [["pre-freeze"], ["freeze"], ["rehearse"]]) {
      const refused = await guest.locktables(...command);
      assert.equal(refused.code, 22, refused.stderr);
      assert.match(refused.stderr, /may not use sockets there/);
    }
    await sandbox.sh("echo '[client]' >/etc/locktables/x.cnf");
    await sandbox.writeFile("/root/.my.cnf", "!include /etc/locktables/x.cnf\n");
    const refused = await guest.locktables("pre-freeze");
    assert.equal(refused.code, 22, refused.stderr);
    assert.match(refused.stderr, /\/etc\/locktables\/x\.cnf/);
  } finally {
    await guest.close();
  }
});

interface RefusalCase {
  readonly name: string;
  readonly before: string;
  readonly command: string;
  readonly says: RegExp;
  readonly code?: number;
}

const REFUSALS: readonly RefusalCase[] = [
  {
    name: "somebody who is not root",
    before: "",
    command: "setpriv --reuid=65534 --clear-groups locktables install vmware",
    says: /install runs as the user 65534; expected root, .*sudo locktables install/,
  },
  {
    name: "uninstall by somebody who is not root",
    before: "",
    command: "setpriv --reuid=65534 --clear-groups locktables uninstall",
    says: /uninstall runs as the user 65534; expected root, .*sudo locktables uninstall/,
  },
  {
    name: "a program that others can change",
    before: "mkdir -m 777 /opt/open; cp /usr/local/sbin/locktables /opt/open/lt",
    command: "/opt/open/lt install vmware",
    says: /\/opt\/open can be written to by others.*chmod go-w \/opt\/open\.$/m,
  },
  {
    name: "a program in a directory for everybody, which is right as it is",
    before: "mkdir -m 1777 /opt/all; cp /usr/local/sbin/locktables /opt/all/lt",
    command: "/opt/all/lt install vmware",
    says:
      /\/opt\/all can be written to.*install -m 0755 \/opt\/all\/lt \/usr\/local\/sbin\/locktables\.$/m,
  },
  {
    name: "a program of somebody else's",
    before: "cp /usr/local/sbin/locktables /opt/lt; chown 65534 /opt/lt",
    command: "/opt/lt install vmware",
    says: /\/opt\/lt does not belong to root/,
  },
  {
    name: "a damaged receipt",
    before: "echo '{' >/var/lib/locktables/receipt.json",
    command: "locktables install vmware",
    says: /receipt\.json is damaged.*mv /,
  },
  {
    name: "a directory of hooks that cannot be written to",
    before: "mkdir -p /etc/vmware-tools && mount -t tmpfs -o ro tmpfs /etc/vmware-tools",
    command: "locktables install vmware",
    says: /Cannot change \/etc\/vmware-tools\/backupScripts\.d/,
  },
  {
    name: "a state directory that is full",
    before:
      "mount -t tmpfs -o size=4k,mode=0700 tmpfs /var/lib/locktables; head -c 4096 /dev/zero >/var/lib/locktables/full",
    command: "locktables install vmware",
    says: /receipt\.json.*Free some space/,
  },
  {
    name: "a caller that is none",
    before: "",
    command: "locktables install vmwre",
    says: /CALLER is "vmwre".*Did you mean vmware\?/,
    code: 2,
  },
  {
    name: "no caller at all",
    before: "",
    command: "locktables install",
    says: /No CALLER: vmware, qemu/,
    code: 2,
  },
  {
    name: "an option of another caller",
    before: "",
    command: "locktables install veeam --direct",
    says: /--direct is not for veeam/,
    code: 2,
  },
];
for (const { name, before, command, says, code = 22 } of REFUSALS) {
  Deno.test(`refused with one line, and nothing is changed: ${name}`, async () => {
    const sandbox = await openSandbox();
    try {
      await sandbox.sh(before);
      const tree = await treeOf(sandbox);
      const refused = await sandbox.sh(command);
      assert.equal(refused.code, code, refused.stderr);
      assertOneLine(refused, says);
      assert.deepEqual(await treeOf(sandbox), tree);
    } finally {
      await sandbox.close();
    }
  });
}

Deno.test("an installation that fails half-way is undone", async () => {
  const sandbox = await openSandbox();
  try {
    // The second caller's directory cannot be written to, the first one's can.
    await sandbox.sh("mkdir /etc/google && mount -t tmpfs -o ro tmpfs /etc/google");
    const before = await treeOf(sandbox);
    const refused = await sandbox.sh("locktables install vmware google");
    assert.equal(refused.code, 22);
    assertOneLine(refused, /Cannot change \/etc\/google/);
    assert.deepEqual(await treeOf(sandbox), before);
  } finally {
    await sandbox.close();
  }
});

Deno.test("an installation that is killed at any moment can be uninstalled", async () => {
  const sandbox = await openSandbox();
  try {
    await sandbox.sh("mkdir -p /usr/sbin /etc/google/snapshots; rm -rf /var/lib/locktables");
    await sandbox.writeFile("/etc/google/snapshots/pre.sh", "#!/bin/sh\n# theirs\n", 0o755);
    const before = await treeOf(sandbox);
    let killed = 0;
    for (let ms = 20; ms <= 120; ms += 4) {
      const child = sandbox.spawn([
        sandbox.binary,
        "install",
        "google",
        "vmware",
        "veeam",
        "--replace",
      ]);
      await new Promise((resolve) => setTimeout(resolve, ms));
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      if ((await child.output()).signal === "SIGKILL") killed++;
      const gone = await sandbox.sh("locktables uninstall");
      assert.equal(gone.code, 0, gone.stderr);
      // What the killed one had begun sees it at its next step, and ends.
      await until("all have ended", 10_000, async () => (await processesOf(sandbox)).length === 0);
      const left = (await treeOf(sandbox)).filter((line) => !before.includes(line));
      // What was being written has a name of its own, which the next installation takes.
      assert.deepEqual(
        left.filter((line) => !/receipt\.json\.tmp|\/var\/lib\/locktables$/.test(line)),
        [],
        `after ${ms} ms`,
      );
    }
    assert.ok(killed > 0, "none was killed in time");
    assert.deepEqual(await processesOf(sandbox), []);
  } finally {
    await sandbox.close();
  }
});

Deno.test("hooks are changed by one command after the other", async () => {
  const sandbox = await openSandbox();
  const whileLocked = (command: string) =>
    sandbox.sh(`exec 9</var/lib/locktables; flock 9; ${command} 9<&-`);
  const untilUnlocked = (command: string) =>
    sandbox.sh(`(flock 9; echo locked >/run/locked; sleep 1) 9</var/lib/locktables &
      until [ -s /run/locked ]; do sleep 0.01; done
      ${command}; code=$?; wait; rm /run/locked; exit $code`);
  try {
    await sandbox.sh("mkdir -p /usr/sbin; mkdir -p -m 700 /var/lib/locktables");
    const installed = await untilUnlocked("locktables install vmware");
    assert.equal(installed.code, 0, installed.stderr);
    const tree = await treeOf(sandbox);
    const refused = await whileLocked("locktables uninstall");
    assert.equal(refused.code, 22);
    assertOneLine(refused, /\/var\/lib\/locktables locked for 3000 ms/);
    assert.deepEqual(await treeOf(sandbox), tree);
    const dry = await whileLocked("locktables install veeam --dry-run");
    assert.equal(dry.code, 0, "who only looks waits for nobody");
    const gone = await untilUnlocked("locktables uninstall");
    assert.equal(gone.code, 0, gone.stderr);
  } finally {
    await sandbox.close();
  }
});

Deno.test("install --list shows every caller with its paths, also to those who are not root", async () => {
  const sandbox = await openSandbox();
  try {
    await sandbox.sh("locktables install vmware");
    const { stdout, code } = await sandbox.sh("locktables install --list");
    assert.equal(code, 0);
    for (const { form } of forms) {
      for (const { path } of form.files) assert.ok(stdout.includes(path), path);
    }
    assert.match(stdout, /^vmware: .*\[installed: directory, version /m);
    const other = await sandbox.sh(
      "setpriv --reuid=65534 --clear-groups locktables install --list",
    );
    assert.equal(other.code, 0);
    assert.ok(other.stdout.includes("/etc/google/snapshots/pre.sh"));
  } finally {
    await sandbox.close();
  }
});
