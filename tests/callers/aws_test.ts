/** Amazon Data Lifecycle Manager through Systems Manager: its rules, on real servers. */
import assert from "node:assert/strict";
import { openBlocker } from "../support/blocker.ts";
import { type Guest, sleep, testOnEachServer, until } from "../support/guest.ts";
import { placeHooks } from "../support/hooks.ts";
import { connect } from "../support/server.ts";
import {
  loadDocument,
  runCommand,
  type SsmCommand,
  takeSnapshot,
  writeScript,
} from "../support/ssm_agent.ts";

/** Shortest limit that a good pre-script surely meets on a busy machine. */
const SHORT_LIMIT_MS = 4_000;

async function documentIn(guest: Guest) {
  await placeHooks(guest.sandbox, "aws");
  return await loadDocument(guest.sandbox);
}

testOnEachServer("a snapshot is taken under the lock and tagged as good", async (guest) => {
  const document = await documentIn(guest);
  const result = await takeSnapshot(
    guest.sandbox,
    document,
    { retries: 3, snapshotAnyway: true },
    async () => {
      assert.equal((await guest.status()).window?.caller, "aws");
      const write = await guest.write();
      await sleep(200);
      assert.equal(write.isDone(), false, "a write waits");
    },
  );
  assert.deepEqual(result, {
    snapshots: 1,
    pre: "SUCCESS",
    post: "SUCCESS",
    commands: [["pre-script", 0], ["post-script", 0]],
  });
  const { last } = await guest.status();
  assert.deepEqual([last?.caller, last?.verdict], ["aws", "application-consistent"]);
  await guest.assertNothingLeft();
});

interface CodeCase {
  readonly name: string;
  readonly options?: string;
  readonly given?: (guest: Guest, run: (command: SsmCommand) => Promise<unknown>) => Promise<void>;
  readonly command: SsmCommand;
  readonly code: number;
  readonly says: RegExp;
}

const CODES: readonly CodeCase[] = [
  {
    name: "a pre-script while a window is open is 204",
    given: async (_, run) => void await run("pre-script"),
    command: "pre-script",
    code: 204,
    says: /A window of aws is already open/,
  },
  {
    name: "a post-script with nothing open is 205",
    command: "post-script",
    code: 205,
    says: /^Nothing to thaw/,
  },
  {
    name: "a post-script after the lock has expired is 203",
    options: "hold_timeout=1s",
    given: async (guest, run) => {
      await run("pre-script");
      await until("it expires", 5_000, async () => (await guest.status()).window === null);
    },
    command: "post-script",
    code: 203,
    says: /only crash-consistent: the lock expired/,
  },
  {
    name: "a post-script after the lock was lost is 203",
    given: async (guest, run) => {
      await run("pre-script");
      Deno.kill(await guest.lockerPid(), "SIGKILL");
    },
    command: "post-script",
    code: 203,
    says: /only crash-consistent: the lock was lost/,
  },
  {
    name: "a server that cannot be reached is 206",
    options: "socket=/run/mysqld/other.sock",
    command: "pre-script",
    code: 206,
    says: /ENOENT/,
  },
  {
    name: "a missing privilege is 201",
    options: "user=poor\npassword=secret",
    command: "pre-script",
    code: 201,
    says: /GRANT .* TO 'poor'@'localhost'/,
  },
  {
    name: "a bad option file is 201",
    options: "hold_timout=1s",
    command: "pre-script",
    code: 201,
    says: /hold_timeout/,
  },
];

testOnEachServer("the codes are those that Amazon documents", async (guest, step) => {
  const document = await documentIn(guest);
  const admin = await connect(guest.server);
  await admin.query("CREATE USER poor@localhost IDENTIFIED BY 'secret'");
  await admin.close();
  for (const { name, options, given, command, code, says } of CODES) {
    await step.step(name, async () => {
      await guest.sandbox.writeFile("/root/.my.cnf", `[locktables]\n${options ?? ""}\n`);
      await given?.(guest, (command) => runCommand(guest.sandbox, document, command));
      const result = await runCommand(guest.sandbox, document, command);
      assert.equal(result.code, code, result.output);
      assert.match(result.output, says);
      await guest.sandbox.sh("rm -f /root/.my.cnf");
      await guest.locktables("post-thaw");
      await guest.assertNothingLeft();
    });
  }
});

testOnEachServer(
  "a post-script that is repeated never turns a bad snapshot good",
  async (guest) => {
    const document = await documentIn(guest);
    await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=1s\n");
    const result = await takeSnapshot(
      guest.sandbox,
      document,
      { retries: 3, snapshotAnyway: true },
      async () => {
        await until("it expires", 5_000, async () => (await guest.status()).window === null);
      },
    );
    assert.deepEqual(result, {
      snapshots: 1,
      pre: "SUCCESS",
      post: "FAILED",
      commands: [
        ["pre-script", 0],
        ["post-script", 203],
        ["post-script", 205],
        ["post-script", 205],
        ["post-script", 205],
      ],
    });
    await guest.assertNothingLeft();
  },
);

testOnEachServer(
  "a pre-script that is repeated succeeds once the blocker is gone",
  async (guest) => {
    const document = await documentIn(guest);
    const blocker = await openBlocker(guest, "freeze_timeout=1s");
    const taking = takeSnapshot(
      guest.sandbox,
      document,
      { retries: 3, snapshotAnyway: false },
      async () => {
        const write = await guest.write();
        await sleep(200);
        assert.equal(write.isDone(), false, "a write waits");
      },
    );
    await until(
      "the first pre-script has failed",
      SHORT_LIMIT_MS,
      async () => (await guest.status()).last?.outcome === "refused",
    );
    await blocker.end();
    const { commands, ...result } = await taking;
    assert.deepEqual(result, { snapshots: 1, pre: "SUCCESS", post: "SUCCESS" });
    assert.deepEqual(commands[0], ["pre-script", 201]);
    await guest.assertNothingLeft();
  },
);

testOnEachServer(
  "pre-scripts that fail leave nothing, whatever the policy does then",
  async (guest) => {
    const document = await documentIn(guest);
    const blocker = await openBlocker(guest, "freeze_timeout=1s");
    for (const snapshotAnyway of [true, false]) {
      const result = await takeSnapshot(
        guest.sandbox,
        document,
        { retries: 1, snapshotAnyway },
        async () => {
          assert.equal((await guest.status()).window, null);
          await (await guest.write()).finished(1_000);
        },
      );
      assert.deepEqual(result, {
        snapshots: snapshotAnyway ? 1 : 0,
        pre: "FAILED",
        post: null,
        commands: [["pre-script", 201], ["pre-script", 201]],
      });
    }
    await blocker.end();
    await guest.assertNothingLeft();
  },
);

testOnEachServer(
  "with every default a refusal comes before Amazon's 10 s are over",
  async (guest) => {
    const document = await documentIn(guest);
    const blocker = await openBlocker(guest);
    const { code, output } = await runCommand(guest.sandbox, document, "pre-script");
    assert.equal(code, 201, output);
    assert.match(output, new RegExp(`id ${blocker.id} \\(.*KILL QUERY ${blocker.id}`));
    await blocker.end();
    await guest.assertNothingLeft();
  },
);

testOnEachServer(
  "a pre-script killed with its group while it waits leaves no lock",
  async (guest) => {
    const document = await documentIn(guest);
    const blocker = await openBlocker(guest);
    const killing = runCommand(guest.sandbox, document, "pre-script", SHORT_LIMIT_MS);
    await until(
      "the locker works",
      SHORT_LIMIT_MS,
      async () => (await guest.status()).window?.phase === "preparing",
    );
    assert.equal((await killing).code, 137);
    await until(
      "the locker is gone",
      2_000,
      async () => (await guest.status()).locker === "no-locker",
    );
    await (await guest.write()).finished(1_000);
    await blocker.end();
    await guest.assertNothingLeft();
    assert.equal((await runCommand(guest.sandbox, document, "post-script")).code, 205);
  },
);

testOnEachServer(
  "a restart of the agent, which ends the agent alone, costs no lock",
  async (guest) => {
    // KillMode=process of its unit.
    const document = await documentIn(guest);
    const script = await writeScript(guest.sandbox, document, "pre-script");
    const agent = guest.sandbox.spawn(
      ["/bin/sh", "-c", 'sh -c "$1"; exec sleep 60', "agent", script],
      { stdout: "null", stderr: "null" },
    );
    await until("it is frozen", 5_000, async () => (await guest.status()).window?.phase === "held");
    agent.kill("SIGTERM");
    await agent.status;
    const write = await guest.write();
    await sleep(200);
    assert.equal(write.isDone(), false, "still locked");
    assert.equal((await runCommand(guest.sandbox, document, "post-script")).code, 0);
    await write.finished(1_000);
    assert.equal((await guest.status()).last?.verdict, "application-consistent");
    await guest.assertNothingLeft();
  },
);
