/** Every way pre-freeze says no: the code, one clear line, in time, and nothing left behind. */
import { growOld } from "../support/aged.ts";
import assert from "node:assert/strict";
import { assertOneLine, type Guest, testOnEachServer } from "../support/guest.ts";
import { connect } from "../support/server.ts";
import { underLoad } from "../support/load.ts";

interface RefusalCase {
  readonly name: string;
  /** Makes the trouble. Returns how to end it, where it would disturb the next case. */
  readonly given: (guest: Guest) => Promise<(() => Promise<void>) | void>;
  readonly code: number;
  readonly line: RegExp;
  /** Longest time the answer may take, in milliseconds. */
  readonly withinMs: number;
}

const option = (text: string) => async ({ sandbox }: Guest) =>
  await sandbox.writeFile("/root/.my.cnf", text);

const CASES: readonly RefusalCase[] = [
  {
    name: "a socket that is not there",
    given: option("[client]\nsocket=/run/mysqld/other.sock\n"),
    code: 20,
    line: /Cannot log in as root at \/run\/mysqld\/other\.sock: .*ENOENT.*socket=/,
    withinMs: 5_000,
  },
  {
    name: "a wrong password",
    given: option("[client]\nuser=alice\npassword=wrong\n"),
    code: 21,
    line: /Cannot log in as alice at .*: error 1045: Access denied.*\/root\/\.my\.cnf/,
    withinMs: 5_000,
  },
  {
    name: "an account that may log in only as another system user",
    given: option("[client]\nuser=carol\n"),
    code: 21,
    line: /error 1698: .*Run as the system user/,
    withinMs: 5_000,
  },
  {
    name: "no privilege to lock",
    given: option("[client]\nuser=bob\npassword=secret\n"),
    code: 21,
    line:
      /lacks (RELOAD|FLUSH_TABLES) \(to lock\)\..*GRANT (RELOAD|FLUSH_TABLES), PROCESS ON \*\.\* TO 'bob'@'localhost'/,
    withinMs: 5_000,
  },
  {
    name: "no privilege to see the binlog coordinates",
    given: option("[client]\nuser=dave\npassword=secret\n"),
    code: 21,
    line:
      /lacks (BINLOG MONITOR|REPLICATION CLIENT) .*GRANT (BINLOG MONITOR|REPLICATION CLIENT), PROCESS ON \*\.\* TO 'dave'@'localhost'/,
    withinMs: 5_000,
  },
  {
    name: "garbage in the option file",
    given: option("\u0001\u0002 what is this\n[client]\n"),
    code: 22,
    line: /\/root\/\.my\.cnf:1/,
    withinMs: 5_000,
  },
  {
    name: "an unknown option of ours, with the nearest known name",
    given: option("[client]\nuser=root\n[locktables]\nhold_timout=5s\n"),
    code: 22,
    line: /\/root\/\.my\.cnf:4: .*hold.timout.*hold_timeout/,
    withinMs: 5_000,
  },
  {
    name: "a duration without a unit",
    given: option("[locktables]\nhold_timeout=60\n"),
    code: 22,
    line: /\/root\/\.my\.cnf:2: .*60/,
    withinMs: 5_000,
  },
  {
    name: "a server elsewhere on the network",
    given: option("[client]\nhost=db.example\n"),
    code: 22,
    line: /\/root\/\.my\.cnf:2: .*db\.example.*localhost/,
    withinMs: 5_000,
  },
  {
    name: "a state directory that cannot be written",
    given: async ({ sandbox }) => {
      await sandbox.sh(
        "mount --bind /var/lib/locktables /var/lib/locktables; mount -o remount,bind,ro /var/lib/locktables",
      );
      return async () => void await sandbox.sh("umount /var/lib/locktables");
    },
    code: 22,
    line: /Cannot create \/var\/lib\/locktables\/.*Read-only file system/,
    withinMs: 5_000,
  },
  {
    name: "a full disk",
    given: async ({ sandbox }) => {
      await sandbox.sh(
        "mount -t tmpfs -o size=16k none /var/lib/locktables; dd if=/dev/zero of=/var/lib/locktables/big bs=4k; true",
      );
      return async () => void await sandbox.sh("umount /var/lib/locktables");
    },
    code: 22,
    line: /\/var\/lib\/locktables.*No space left.*df -h/,
    withinMs: 5_000,
  },
  {
    name: "a run directory that cannot be written",
    given: async ({ sandbox }) => {
      await sandbox.sh(
        "mkdir -p /run/veeam; mount --bind /run/veeam /run/veeam; mount -o remount,bind,ro /run/veeam",
      );
      return async () => void await sandbox.sh("umount /run/veeam");
    },
    code: 22,
    line: /Cannot make the lock files in \/run\/veeam/,
    withinMs: 5_000,
  },
  {
    name: "a full server",
    given: async ({ server, sandbox }) => {
      const admin = await connect(server);
      await admin.query("SET GLOBAL max_connections=10");
      const crowd = await Promise.all(
        Array.from(
          { length: 12 },
          () => connect(server, { user: "bob", password: "secret" }).catch(() => null),
        ),
      );
      await sandbox.writeFile("/root/.my.cnf", "[client]\nuser=bob\npassword=secret\n");
      return async () => {
        await admin.query("SET GLOBAL max_connections=151");
        for (const session of crowd) await session?.close();
        await admin.close();
      };
    },
    code: 20,
    line: /error 1040: Too many connections.*max_connections/,
    withinMs: 5_000,
  },
];

testOnEachServer("pre-freeze refuses", async (guest, step) => {
  const admin = await connect(guest.server);
  const plugin = guest.flavor === "mariadb" ? "unix_socket" : "auth_socket";
  for (
    const sql of [
      "CREATE USER alice@localhost IDENTIFIED BY 'right'",
      "CREATE USER bob@localhost IDENTIFIED BY 'secret'",
      `GRANT ${
        guest.flavor === "mariadb" ? "BINLOG MONITOR" : "REPLICATION CLIENT"
      } ON *.* TO bob@localhost`,
      `CREATE USER carol@localhost IDENTIFIED WITH ${plugin}`,
      "CREATE USER dave@localhost IDENTIFIED BY 'secret'",
      "GRANT RELOAD ON *.* TO dave@localhost",
    ]
  ) await admin.query(sql);
  await admin.close();

  for (const { name, given, code, line, withinMs } of CASES) {
    await step.step(name, async () => {
      await guest.sandbox.sh("rm -f /root/.my.cnf");
      const undo = await given(guest);
      const frozen = await guest.locktables("pre-freeze");
      const status = await guest.status().catch(() => null);
      await undo?.();
      assertOneLine(frozen, line);
      assert.equal(frozen.code, code, frozen.stderr);
      assert.equal(frozen.stdout, "");
      assert.ok(frozen.ms < underLoad(withinMs), `${frozen.ms} ms`);
      assert.equal(status?.window ?? null, null);
      await guest.assertNothingLeft();
    });
  }

  await step.step("afterwards, with the trouble gone, a window is good", async () => {
    await guest.sandbox.sh("rm -f /root/.my.cnf");
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    await guest.assertNothingLeft();
  });

  await step.step("a second pre-freeze, which changes nothing", async () => {
    assert.equal((await guest.locktables("pre-freeze", "--caller", "qemu")).code, 0);
    const before = (await guest.status()).window;
    const second = await guest.locktables("pre-freeze");
    assert.equal(second.code, 11);
    assertOneLine(
      second,
      /A window of qemu is already open, since \d{4}-.*Z, until \d{4}-.*Z at the latest/,
    );
    assert.deepEqual((await guest.status()).window, before);
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    await guest.assertNothingLeft();
  });

  await step.step("a server that is down", async () => {
    await guest.server.kill9();
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 20);
    assertOneLine(frozen, /Cannot log in as root at .*ECONNREFUSED.*Start the server/);
    assert.ok(frozen.ms < underLoad(5_000));
    await guest.server.restart();
    await guest.assertNothingLeft();
  });
});

testOnEachServer(
  "on_failure=proceed lets the caller go on, loudly, without a lock",
  async (guest) => {
    await guest.sandbox.writeFile(
      "/root/.my.cnf",
      "[client]\nsocket=/run/mysqld/other.sock\n[locktables]\non_failure=proceed\n",
    );
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 0);
    assert.match(frozen.stderr, /ENOENT/);
    assert.match(frozen.stderr, /GOING ON WITHOUT A LOCK/);
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    const { last } = await guest.status();
    assert.deepEqual([last?.outcome, last?.verdict], ["refused", "not-quiesced"]);
    await guest.assertNothingLeft();
  },
);

testOnEachServer(
  "a long statement is waited for, named, and never queued behind",
  async (guest) => {
    const busy = await connect(guest.server);
    await busy.query("INSERT INTO shop.orders VALUES ()");
    const long = busy.query(
      guest.flavor === "mariadb"
        ? "UPDATE shop.orders SET id = id WHERE SLEEP(20) = 0"
        : "SELECT SLEEP(20) FROM shop.orders",
    ).catch(() => {});
    await guest.sandbox.writeFile(
      "/root/.my.cnf",
      "[locktables]\nmethod=ftwrl\nfreeze_timeout=5s\nlock_wait_timeout=1s\nlong_query_guard=500ms\n",
    );
    await growOld(busy);
    const freezing = guest.locktables("pre-freeze");
    const write = await guest.write();
    await write.finished(3_000);
    const frozen = await freezing;
    assert.equal(frozen.code, 10, frozen.stderr);
    assertOneLine(
      frozen,
      new RegExp(`id ${busy.id} \\(root, \\d+ s, .*\\): (UPDATE|SELECT).*KILL QUERY ${busy.id}`),
    );
    assert.ok(frozen.ms < underLoad(7_000), `${frozen.ms} ms`);
    const killer = await connect(guest.server);
    await killer.query(`KILL ${busy.id}`);
    await killer.close();
    await long;
    await busy.close();
    await guest.assertNothingLeft();
  },
);

testOnEachServer(
  "a lock that is not granted is given up in time and nobody keeps waiting",
  async (guest) => {
    // An idle session; MySQL shows it to the guard, MariaDB does not, and the lock is tried.
    const idle = await connect(guest.server);
    await idle.query("LOCK TABLES shop.orders WRITE");
    await guest.sandbox.writeFile(
      "/root/.my.cnf",
      "[locktables]\nlock_wait_timeout=1s\nfreeze_timeout=9s\n",
    );
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 10, frozen.stderr);
    assertOneLine(
      frozen,
      guest.flavor === "mariadb"
        ? /was not granted within lock_wait_timeout \(1000 ms\)/
        : new RegExp(`Nothing was locked.*id ${idle.id} .*holds shop\\.orders by LOCK TABLES`),
    );
    assert.ok(frozen.ms < underLoad(11_000), `${frozen.ms} ms`);
    await idle.query("UNLOCK TABLES");
    await idle.close();
    await guest.assertNothingLeft();
  },
);
