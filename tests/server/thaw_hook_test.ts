/** Who released the lock: the thaw hook, or somebody with rm. */
import assert from "node:assert/strict";
import { WAIT_FOR_SNAPSHOT } from "../../lib/base/paths.ts";
import { CALLER_TABLE } from "../../lib/callers/table.ts";
import { hookText } from "../../lib/hooks/hook_text.ts";
import { assertOneLine, type Guest, openGuest, sleep, until } from "../support/guest.ts";

const LOCK_FILE = "/run/veeam/waitforsnapshot";

interface Thaw {
  readonly name: string;
  /** What the caller runs for the thaw. */
  readonly script: string;
  readonly code: number;
  readonly reason: string;
}

const CASES: readonly Thaw[] = [
  { name: "our hook", script: "/run/hook thaw", code: 0, reason: "thaw" },
  {
    name: "the hook's own word, and post-thaw a moment later",
    script: `echo thaw >${LOCK_FILE} && rm ${LOCK_FILE}; sleep 0.5; locktables post-thaw`,
    code: 0,
    reason: "thaw",
  },
  { name: "post-thaw alone", script: "locktables post-thaw", code: 0, reason: "thaw" },
  {
    name: "post-thaw that is asked before the file is removed",
    script: `locktables post-thaw & sleep 2; rm -f ${LOCK_FILE}; wait $!`,
    code: 0,
    reason: "thaw",
  },
  {
    name: "rm, and post-thaw at once",
    script: `rm ${LOCK_FILE}; locktables post-thaw`,
    code: 12,
    reason: "lock-file-removed",
  },
  {
    name: "rm, and post-thaw 300 ms later",
    script: `rm ${LOCK_FILE}; sleep 0.3; locktables post-thaw`,
    code: 12,
    reason: "lock-file-removed",
  },
  {
    name: "rm, and then our hook",
    script: `rm ${LOCK_FILE}; sleep 0.1; /run/hook thaw`,
    code: 12,
    reason: "lock-file-removed",
  },
  {
    name: "a hook of 0.1.0, which removed the file without a word",
    script: `rm -f ${LOCK_FILE}; exec locktables thaw --caller qemu`,
    code: 12,
    reason: "lock-file-removed",
  },
  {
    name: "our hook's word in a file of the same name that is not this window's",
    script:
      `mv ${LOCK_FILE} /run/aside; echo thaw >${LOCK_FILE}; rm -f ${LOCK_FILE}; sleep 0.2; locktables post-thaw`,
    code: 12,
    reason: "lock-file-removed",
  },
  {
    name: "our hook after the locker was released by freezeFail",
    script: "/run/hook freezeFail",
    code: 0,
    reason: "freeze-failed",
  },
];

Deno.test("only the hook's own thaw is a thaw; a removed file is a lost lock", async (test) => {
  const guest = await openGuest("mariadb");
  try {
    await guest.sandbox.writeFile("/run/hook", qemuHook(guest), 0o755);
    for (const { name, script, code, reason } of CASES) {
      await test.step(name, async () => {
        const frozen = await guest.locktables("pre-freeze");
        assert.equal(frozen.code, 0, frozen.stderr);
        await sleep(100);
        const thawed = await guest.sandbox.sh(script);
        assert.equal(thawed.code, code, thawed.stdout + thawed.stderr);
        if (code === 12) assertOneLine(thawed, /only crash-consistent: .* by hand or by a hook/);
        const { last } = await guest.status();
        assert.equal(last?.reason, reason);
        await guest.assertNothingLeft();
      });
    }
  } finally {
    await guest.close();
  }
});

Deno.test("a hook whose pre-freeze was refused leaves the window of another caller open", async (test) => {
  const guest = await openGuest("mariadb");
  const { sandbox } = guest;
  try {
    await sandbox.writeFile("/run/hook", qemuHook(guest), 0o755);
    const open = async () => {
      assert.equal((await guest.locktables("pre-freeze", "--caller", "run")).code, 0);
      // As the dispatcher does: refused, and thawed nevertheless.
      assert.equal((await sandbox.sh("/run/hook freeze")).code, 11);
      const thawed = await sandbox.sh("/run/hook thaw");
      assert.equal(thawed.code, 0, thawed.stderr);
      assert.match(
        thawed.stdout,
        /^Nothing to thaw for qemu: .* opened by run, and is left open$/m,
      );
      await until("its lock file is there again", 2_000, () => sandbox.exists(LOCK_FILE));
    };
    await test.step("and its own hook thaws it", async () => {
      await open();
      assert.match((await sandbox.sh("/run/hook thaw")).stdout, /left open/);
      const write = await guest.write();
      await sleep(100);
      assert.equal(write.isDone(), false, "the lock is held");
      const thawed = await guest.locktables("post-thaw", "--caller", "run");
      assert.equal(thawed.code, 0, thawed.stderr);
      await write.finished(1_000);
      assert.equal((await guest.status()).last?.reason, "thaw");
      await guest.assertNothingLeft();
    });
    await test.step("and its own word does, too", async () => {
      await open();
      const thawed = await sandbox.sh(
        `echo thaw run >${LOCK_FILE} && rm ${LOCK_FILE}; locktables post-thaw --caller run`,
      );
      assert.equal(thawed.code, 0, thawed.stderr);
      await guest.assertNothingLeft();
    });
    await test.step("and who removes the file releases the lock, as ever", async () => {
      await open();
      await sandbox.sh(`rm ${LOCK_FILE}`);
      assert.equal((await guest.locktables("post-thaw", "--caller", "run")).code, 12);
      assert.equal((await guest.status()).last?.reason, "lock-file-removed");
      await guest.assertNothingLeft();
    });
    await test.step("and a word of nobody that is known releases it", async () => {
      await open();
      const thawed = await sandbox.sh(
        `echo thaw now >${LOCK_FILE} && rm ${LOCK_FILE}; locktables post-thaw`,
      );
      assert.equal(thawed.code, 0, thawed.stderr);
      await guest.assertNothingLeft();
    });
    await test.step("but one that was opened by hand is thawed", async () => {
      assert.equal((await guest.locktables("pre-freeze")).code, 0);
      assert.equal((await sandbox.sh("/run/hook thaw")).code, 0);
      assert.equal((await guest.status()).last?.reason, "thaw");
      await guest.assertNothingLeft();
    });
  } finally {
    await guest.close();
  }
});

Deno.test("a pre-freeze that is still at work is cancelled by the hook's word", async () => {
  const guest = await openGuest("mariadb");
  try {
    await guest.sandbox.writeFile("/run/hook", qemuHook(guest), 0o755);
    await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nmethod=ftwrl\n");
    const thawed = await guest.sandbox.sh(
      `locktables pre-freeze &
      until [ -e ${WAIT_FOR_SNAPSHOT} ]; do sleep 0.01; done
      /run/hook thaw; first=$?; wait $!; echo $first $?`,
    );
    const [thaw, freeze] = (thawed.stdout.trim().split("\n").at(-1) ?? "").split(" ").map(Number);
    // Either the thaw came first and cancelled it, or it was held and thawed: never half of both.
    assert.ok((thaw === 0 && freeze === 10) || (thaw === 0 && freeze === 0), thawed.stdout);
    await guest.assertNothingLeft();
  } finally {
    await guest.close();
  }
});

Deno.test("post-thaw believes no file that it cannot read, and waits for a right that is taken", async (test) => {
  const guest = await openGuest("mariadb");
  const { sandbox } = guest;
  try {
    await test.step("a pre-freeze that ends without a locker while post-thaw waits", async () => {
      const thawed = await sandbox.sh(
        "mkdir -p -m 0700 /run/veeam; flock /run/veeam sleep 1.2 & sleep 0.1; locktables post-thaw",
      );
      assert.equal(thawed.code, 0, thawed.stderr);
      assert.match(thawed.stdout, /Nothing to thaw/);
    });

    for (
      const [name, text] of [
        ["garbage", "not a record"],
        ["nothing but a version", '{"schema_version":1}'],
        ["a record of a newer version", '{"schema_version":2,"phase":"thawing"}'],
      ] as const
    ) {
      await test.step(`${name} in window.json is no good end`, async () => {
        await sandbox.writeFile("/run/veeam/window.json", text, 0o600);
        const thawed = await guest.locktables("post-thaw");
        assert.equal(thawed.code, 12, thawed.stdout + thawed.stderr);
        assertOneLine(thawed, /only crash-consistent: .*window\.json.* cannot be read/);
        assert.equal((await guest.locktables("post-thaw")).code, 0, "reported once");
        await guest.assertNothingLeft();
      });
    }

    await test.step("a caller that this version does not know, and a locker that is silent", async () => {
      const frozen = await guest.locktables("pre-freeze", "--caller", "qemu");
      assert.equal(frozen.code, 0, frozen.stderr);
      const pid = await guest.lockerPid();
      await sandbox.sh(
        `kill -STOP ${pid}; sed -i 's/"caller":"qemu"/"caller":"hyperv"/' /run/veeam/window.json`,
      );
      const thawed = await guest.locktables("post-thaw");
      await sandbox.sh(`kill -CONT ${pid}`);
      assert.equal(thawed.code, 12, thawed.stdout + thawed.stderr);
      assertOneLine(thawed, /Its session on main has been killed/);
      await until("it ends", 3_000, async () => (await guest.status()).locker === "no-locker");
      assert.equal((await guest.locktables("post-thaw")).code, 12, "the locker's own last word");
      await guest.assertNothingLeft();
    });
  } finally {
    await guest.close();
  }
});

function qemuHook({ sandbox }: Guest): string {
  const form = CALLER_TABLE.qemu.forms[0];
  const file = form?.files.find(({ role }) => role === "by-verb");
  assert.ok(form !== undefined && file !== undefined);
  return hookText({ caller: "qemu", form, file, program: sandbox.binary, version: "1.2.3" });
}
