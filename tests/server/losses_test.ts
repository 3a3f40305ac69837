/** Every way a lock ends before post-thaw: the writers go on in time, and post-thaw says 12. */
import { growOld } from "../support/aged.ts";
import assert from "node:assert/strict";
import { assertOneLine, type Guest, sleep, testOnEachServer, until } from "../support/guest.ts";
import { connect } from "../support/server.ts";

interface LossCase {
  readonly name: string;
  /** Contents of [locktables]. */
  readonly options?: string;
  readonly happens: (guest: Guest) => Promise<void>;
  /** Longest time until a waiting write is done, in milliseconds. */
  readonly freeWithinMs: number;
  readonly outcome: "expired" | "lost";
  readonly line: RegExp;
}

const kill = async (guest: Guest, signal: Deno.Signal) =>
  Deno.kill(await guest.lockerPid(), signal);

const CASES: readonly LossCase[] = [
  {
    name: "no post-thaw within hold_timeout",
    options: "hold_timeout=2s",
    happens: () => Promise.resolve(),
    freeWithinMs: 3_000,
    outcome: "expired",
    line: /the lock expired at .*, hold_timeout \(2000 ms\) after it was taken/,
  },
  {
    name: "the locker killed with -9",
    happens: (guest) => kill(guest, "SIGKILL"),
    freeWithinMs: 1_000,
    outcome: "lost",
    line: /locker-died/,
  },
  {
    name: "SIGTERM to the locker",
    happens: (guest) => kill(guest, "SIGTERM"),
    freeWithinMs: 1_000,
    outcome: "lost",
    line: /the lock was lost by .*: signal \(got SIGTERM\)/,
  },
  {
    name: "its session killed on the server",
    happens: async ({ server, status }) => {
      const id = (await status()).window?.instances[0]?.connection_id;
      const admin = await connect(server);
      await admin.query(`KILL ${id}`);
      await admin.close();
    },
    freeWithinMs: 1_000,
    outcome: "lost",
    line: /session-lost/,
  },
  {
    name: "waitforsnapshot removed by hand",
    happens: async ({ sandbox }) => {
      // Not waited for: a post-thaw that follows at once makes a bare removal no better.
      await sandbox.sh("rm /run/veeam/waitforsnapshot");
    },
    freeWithinMs: 1_000,
    outcome: "lost",
    line:
      /was released at .*, because \/run\/veeam\/waitforsnapshot was removed by hand or by a hook of another version/,
  },
];

testOnEachServer("a lock that ends early is never called consistent", async (guest, step) => {
  for (const { name, options, happens, freeWithinMs, outcome, line } of CASES) {
    await step.step(name, async () => {
      await guest.sandbox.writeFile("/root/.my.cnf", `[locktables]\n${options ?? ""}\n`);
      const frozen = await guest.locktables("pre-freeze");
      assert.equal(frozen.code, 0, frozen.stderr);
      const write = await guest.write();
      await sleep(100);
      assert.equal(write.isDone(), false);
      const happening = happens(guest);
      await write.finished(freeWithinMs);
      await happening;
      await until("the window is over", 1_000, async () => (await guest.status()).window === null);
      const { last } = await guest.status();
      assert.deepEqual([last?.outcome, last?.verdict], [outcome, "crash-consistent"]);

      const thawed = await guest.locktables("post-thaw");
      assert.equal(thawed.code, 12, thawed.stdout + thawed.stderr);
      assert.equal(thawed.stdout, "");
      assertOneLine(thawed, line);
      const again = await guest.locktables("post-thaw");
      assert.equal(again.code, 0, "told once; a repeated thaw is no error");
      assert.equal((await guest.status()).last?.outcome, outcome, "and remembered");
      await guest.assertNothingLeft();
    });
  }

  await step.step("a locker that is stopped, and a post-thaw that comes", async () => {
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 0, frozen.stderr);
    await kill(guest, "SIGSTOP");
    const write = await guest.write();
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 12);
    assertOneLine(
      thawed,
      /the locker does not answer\. Its session on main has been killed, writers go on/,
    );
    await write.finished(500);
    await kill(guest, "SIGCONT");
    await until("it ends", 3_000, async () => (await guest.status()).locker === "no-locker");
    const { last } = await guest.status();
    assert.deepEqual([last?.outcome, last?.verdict], ["lost", "crash-consistent"]);
    assert.equal((await guest.locktables("post-thaw")).code, 12);
    await guest.assertNothingLeft();
  });

  await step.step("a locker that is stopped, and nobody comes: the server lets go", async () => {
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 0, frozen.stderr);
    await kill(guest, "SIGSTOP");
    const write = await guest.write();
    await write.finished(12_000); // wait_timeout is 10 s
    await kill(guest, "SIGCONT");
    await until("it ends", 3_000, async () => (await guest.status()).locker === "no-locker");
    assert.equal((await guest.locktables("post-thaw")).code, 12);
    await guest.assertNothingLeft();
  });

  await step.step("the server restarted", async () => {
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 0, frozen.stderr);
    await guest.server.restart();
    const write = await guest.write();
    await write.finished(1_000);
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 12);
    assertOneLine(thawed, /session-lost/);
    await guest.assertNothingLeft();
  });

  await step.step("the server killed", async () => {
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 0, frozen.stderr);
    await guest.server.kill9();
    await guest.server.restart();
    assert.equal((await guest.locktables("post-thaw")).code, 12);
    await guest.assertNothingLeft();
  });
});

testOnEachServer("a binlog that starts anew under the lock is seen at the thaw", async (guest) => {
  const admin = await connect(guest.server);
  await admin.query("INSERT INTO shop.orders VALUES ()");
  assert.equal((await guest.locktables("pre-freeze")).code, 0);
  // Goes through every lock, and takes the coordinates away that the image was recorded with.
  await admin.query(
    guest.flavor === "mariadb" ? "RESET MASTER" : "RESET BINARY LOGS AND GTIDS",
  );
  await admin.close();
  const thawed = await guest.locktables("post-thaw");
  assert.equal(thawed.code, 12);
  assertOneLine(thawed, /did not hold: the binlog moved from binlog\.\d+:\d+ to binlog\.\d+:\d+/);
  await guest.assertNothingLeft();
});

testOnEachServer("pre-freeze that dies before its answer leaves no lock", async (guest, step) => {
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    for (const delayMs of [30, 60, 90, 120]) {
      await step.step(`${signal} after ${delayMs} ms`, async () => {
        const { binary } = guest.sandbox;
        const hook = guest.sandbox.spawn([binary, "pre-freeze"]);
        await sleep(delayMs);
        try {
          hook.kill(signal);
        } catch {
          // It was quicker.
        }
        const { code, stderr } = await hook.output();
        if (code === 0) {
          assert.equal((await guest.locktables("post-thaw")).code, 0);
        } else if (signal === "SIGTERM" && stderr.length > 0) {
          assert.match(new TextDecoder().decode(stderr), /Cancelled: /);
        }
        await guest.assertNothingLeft();
      });
    }
  }
});

testOnEachServer(
  "a cancelled pre-freeze is no success, whatever on_failure says, even if its locker is silent",
  async (guest) => {
    const busy = await connect(guest.server);
    await busy.query("INSERT INTO shop.orders VALUES ()");
    const long = busy.query("SELECT id, SLEEP(30) FROM shop.orders FOR UPDATE");
    long.catch(() => {}); // it is killed below
    await guest.sandbox.writeFile(
      "/root/.my.cnf",
      "[locktables]\nmethod=ftwrl\non_failure=proceed\n",
    );
    await growOld(busy);
    const hook = guest.sandbox.spawn([guest.sandbox.binary, "pre-freeze"]);
    await until("the locker works", 3_000, async () => (await guest.status()).window !== null);
    await kill(guest, "SIGSTOP");
    hook.kill("SIGTERM");
    const { code, stderr } = await hook.output();
    assert.notEqual(code, 0, new TextDecoder().decode(stderr));
    const admin = await connect(guest.server);
    await admin.query(`KILL ${busy.id}`);
    await admin.close();
    await busy.close();
    await guest.assertNothingLeft();
  },
);

testOnEachServer(
  "writers that wait are freed when pre-freeze is killed in the wait",
  async (guest) => {
    // Something that the guard does not see, or is told not to mind.
    const busy = await connect(guest.server);
    await busy.query("INSERT INTO shop.orders VALUES ()");
    const long = guest.flavor === "mariadb"
      ? busy.query("LOCK TABLES shop.orders WRITE")
      : busy.query("SELECT SLEEP(30) FROM shop.orders");
    long.catch(() => {}); // it is killed below
    await guest.sandbox.writeFile(
      "/root/.my.cnf",
      "[locktables]\nmethod=ftwrl\nlock_wait_timeout=30s\nlong_query_guard=15m\n",
    );
    const hook = guest.sandbox.spawn([guest.sandbox.binary, "pre-freeze"]);
    const admin = await connect(guest.server);
    const waiting = async () =>
      (await admin.query("SHOW PROCESSLIST")).some((row) =>
        String(row["Info"] ?? "").includes("WITH READ LOCK")
      );
    await until("the lock statement waits", 5_000, waiting);
    hook.kill("SIGKILL");
    await hook.output();
    await until("no lock statement is left on the server", 3_000, async () => !await waiting());
    await admin.query(`KILL ${busy.id}`);
    await busy.close();
    await admin.close();
    await guest.assertNothingLeft();
  },
);
