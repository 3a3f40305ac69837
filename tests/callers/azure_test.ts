/** Azure Backup's script framework: its rules, on real servers. */
import assert from "node:assert/strict";
import { CALLER_TABLE } from "../../lib/callers/table.ts";
import { type AzureOptions, backUp, precheck } from "../support/azure_extension.ts";
import { openBlocker } from "../support/blocker.ts";
import { type Guest, sleep, testOnEachServer, until } from "../support/guest.ts";
import { placeHooks } from "../support/hooks.ts";
import { underLoad } from "../support/load.ts";
import { openSandbox, type Sandbox } from "../support/sandbox.ts";

const PRE = "/etc/locktables/azure-pre.sh";
const POST = "/etc/locktables/azure-post.sh";
const CONFIG = "/etc/azure/VMSnapshotScriptPluginConfig.json";

/** Quicker than the extension's 3 s; everything else is as it is there. */
const POLL_MS = 100;

/** The extension's own step. */
const STEP_MS = 3_000;

/** Longest time until the extension's scripts have ended, once they are told to. */
const END_LIMIT_MS = 10_000;

interface CheckCase {
  readonly name: string;
  readonly given: string;
  readonly obstacle: string;
}

/** That the extension's checks, as modelled, do refuse: else the first test could not fail. */
const CHECKS: readonly CheckCase[] = [
  {
    name: "a configuration that others may read",
    given: `chmod 644 ${CONFIG}`,
    obstacle: "FailedPrepostPluginConfigPermissionError",
  },
  {
    name: "a configuration that can be executed",
    given: `chmod 700 ${CONFIG}`,
    obstacle: "FailedPrepostPluginConfigPermissionError",
  },
  {
    name: "a pre script of somebody else's",
    given: `chown 1 ${PRE}`,
    obstacle: "FailedPrepostPreScriptPermissionError",
  },
  {
    name: "a pre script that the group may read",
    given: `chmod 740 ${PRE}`,
    obstacle: "FailedPrepostPreScriptPermissionError",
  },
  {
    name: "a post script that others may execute",
    given: `chmod 701 ${POST}`,
    obstacle: "FailedPrepostPostScriptPermissionError",
  },
  {
    name: "a post script that is missing",
    given: `rm ${POST}`,
    obstacle: "FailedPrepostPostScriptNotFound",
  },
];

Deno.test("the extension accepts the hooks' owner and modes, and would refuse others", async (step) => {
  const sandbox: Sandbox = await openSandbox();
  try {
    await placeHooks(sandbox, "azure");
    const { timeoutInSeconds } = JSON.parse(await sandbox.read(CONFIG));
    assert.ok(
      CALLER_TABLE.azure.freezeTimeoutMs + STEP_MS < timeoutInSeconds * 1000,
      "a refusal comes before the extension gives up",
    );
    for (const { name, given, obstacle } of CHECKS) {
      await step.step(name, async () => {
        await placeHooks(sandbox, "azure");
        await sandbox.sh(`chown root ${PRE}`);
        assert.equal(await precheck(sandbox), null);
        assert.equal((await sandbox.sh(given)).code, 0);
        assert.equal(await precheck(sandbox), obstacle);
      });
    }
  } finally {
    await sandbox.close();
  }
});

testOnEachServer("a backup under the lock is application-consistent", async (guest) => {
  await placeHooks(guest.sandbox, "azure");
  const backup = await backUp(guest.sandbox, {
    pollMs: POLL_MS,
    snapshot: async () => {
      assert.equal((await guest.status()).window?.caller, "azure");
      const write = await guest.write();
      await sleep(200);
      assert.equal(write.isDone(), false, "a write waits");
    },
  });
  await backup.close();
  assert.deepEqual(backup.result, {
    verdict: "application-consistent",
    wasSnapshotTaken: true,
    pre: "success",
    post: "success",
  });
  const { last } = await guest.status();
  assert.deepEqual([last?.caller, last?.verdict], ["azure", "application-consistent"]);
  await guest.assertNothingLeft();
});

interface FailureCase {
  readonly name: string;
  /** Of [locktables]. */
  readonly options: string;
  /** Of the plugin's configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly snapshot?: (guest: Guest) => Promise<void>;
  readonly expected: Readonly<Record<string, unknown>>;
}

const isUnlocked = async (guest: Guest) => await (await guest.write()).finished(1_000);

const FAILURES: readonly FailureCase[] = [
  {
    name: "a refused lock is file-system consistent, and post finds nothing to do",
    options: "socket=/run/mysqld/other.sock",
    snapshot: async (guest) => void await isUnlocked(guest),
    expected: {
      verdict: "file-system-consistent",
      wasSnapshotTaken: true,
      pre: "failed",
      post: "success",
    },
  },
  {
    name: "a refused lock fails a backup that must be consistent, and post runs all the same",
    options: "socket=/run/mysqld/other.sock",
    config: { continueBackupOnFailure: false },
    expected: { verdict: "failed", wasSnapshotTaken: false, pre: "failed", post: "success" },
  },
  {
    name: "a refused lock fails a backup without frozen filesystems",
    options: "socket=/run/mysqld/other.sock",
    config: { fsFreezeEnabled: false },
    expected: { verdict: "failed", wasSnapshotTaken: false, pre: "failed", post: "success" },
  },
  {
    name: "a lock that expired under the snapshot is not called application-consistent",
    options: "hold_timeout=1s",
    snapshot: (guest) =>
      until("it expires", 5_000, async () => (await guest.status()).window === null),
    expected: {
      verdict: "file-system-consistent",
      wasSnapshotTaken: true,
      pre: "success",
      post: "failed",
    },
  },
];

testOnEachServer("a backup that went wrong is called so", async (guest, step) => {
  for (const { name, options, config, snapshot, expected } of FAILURES) {
    await step.step(name, async () => {
      // The case before has edited the configuration, which an installation leaves as it is.
      await guest.locktables("uninstall", "azure", "--force");
      await placeHooks(guest.sandbox, "azure");
      const installed = JSON.parse(await guest.sandbox.read(CONFIG));
      await guest.sandbox.writeFile(CONFIG, JSON.stringify({ ...installed, ...config }), 0o600);
      await guest.sandbox.writeFile("/root/.my.cnf", `[locktables]\n${options}\n`);
      const settings: AzureOptions = {
        pollMs: POLL_MS,
        ...(snapshot === undefined ? {} : { snapshot: () => snapshot(guest) }),
      };
      const backup = await backUp(guest.sandbox, settings);
      await backup.close();
      assert.deepEqual(backup.result, expected);
      await guest.assertNothingLeft();
    });
  }
});

testOnEachServer("a pre script that is late never freezes after post has thawed", async (guest) => {
  await placeHooks(guest.sandbox, "azure");
  const blocker = await openBlocker(guest);
  const backup = await backUp(guest.sandbox, {
    pollMs: POLL_MS,
    timeoutMs: 3_000,
    snapshot: async () => {
      assert.equal((await guest.status()).window?.phase, "preparing", "pre still works");
      await isUnlocked(guest);
    },
  });
  assert.deepEqual(backup.result, {
    verdict: "file-system-consistent",
    wasSnapshotTaken: true,
    pre: "timed out",
    post: "success",
  });
  // Nothing is in the way any more, and pre must not take its chance.
  await blocker.end();
  assert.deepEqual(await within(END_LIMIT_MS, backup.codes), [10, 0]);
  await backup.close();
  assert.equal((await guest.status()).last?.verdict, "not-quiesced");
  await guest.assertNothingLeft();
});

testOnEachServer("a pre script whose extension has gone ends as well", async (guest) => {
  await placeHooks(guest.sandbox, "azure");
  // On a busy machine it takes longer until it works, and the blocker stays for 60 s.
  const timeoutS = Math.min(Math.ceil(underLoad(4)), 30);
  const blocker = await openBlocker(guest, `freeze_timeout=${timeoutS}s`);
  // Nobody reads what it says then, and the pipes are closed.
  const child = guest.sandbox.spawn(["/bin/sh", PRE]);
  await until("it works", 5_000, async () => (await guest.status()).window !== null);
  await child.stdout.cancel();
  await child.stderr.cancel();
  assert.equal((await within(END_LIMIT_MS + timeoutS * 1_000, child.status)).code, 10);
  await blocker.end();
  await guest.assertNothingLeft();
});

async function within<T>(limitMs: number, promise: Promise<T>): Promise<T> {
  let isOver = false;
  promise.finally(() => isOver = true).catch(() => {}); // told by whoever awaits it
  await until("it ends", limitMs, () => isOver);
  return await promise;
}
