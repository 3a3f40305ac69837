/** The main path, on real servers with the real program. */
import { growOld } from "../support/aged.ts";
import assert from "node:assert/strict";
import { type Guest, openGuest, sleep, testOnEachServer, until } from "../support/guest.ts";
import { underLoad } from "../support/load.ts";
import { connect } from "../support/server.ts";

testOnEachServer("a window stops writes, proves itself, and lets them go on", async (guest) => {
  const before = await guest.status();
  assert.deepEqual([before.locker, before.window, before.last], ["no-locker", null, null]);

  const frozen = await guest.locktables("pre-freeze", "--caller", "vmware");
  assert.equal(frozen.code, 0, frozen.stderr);
  assert.equal(frozen.stderr, "");
  assert.match(frozen.stdout, /^Frozen: main \((MariaDB|MySQL) [\d.]+, [a-z-]+, binlog\.\d+:\d+\)/);

  const write = await guest.write();
  await sleep(300);
  assert.equal(write.isDone(), false, "a write waits while the window is open");
  const { locker, window } = await guest.status();
  assert.equal(locker, "running");
  assert.equal(window?.phase, "held");
  assert.equal(window?.caller, "vmware");
  assert.equal(window?.outcome, null);
  const coordinates = window?.instances[0]?.coordinates;
  assert.deepEqual(
    await binlogPosition(guest),
    [coordinates?.file, coordinates?.position],
    "the recorded coordinates are the server's",
  );

  const thawed = await guest.locktables("post-thaw");
  assert.equal(thawed.code, 0, thawed.stderr);
  assert.match(thawed.stdout, /^Thawed: held [\d.]+ ms without a gap, application-consistent/);
  await write.finished(1_000);
  const after = await guest.status();
  assert.equal(after.locker, "no-locker");
  assert.equal(after.window, null);
  assert.equal(after.last?.outcome, "released");
  assert.equal(after.last?.verdict, "application-consistent");
  assert.equal(after.last?.is_rehearsal, false);
  assert.ok((after.last?.held_ms ?? 0) >= 300, "held for as long as it was open");
  await guest.assertNothingLeft();
});

testOnEachServer("ten windows in a row under write load leave nothing behind", async (guest) => {
  const load = writeLoad(guest);
  for (let round = 0; round < 10; round += 1) {
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 0, frozen.stderr);
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    assert.match(thawed.stdout, /application-consistent/);
  }
  assert.ok(await load.stop() > 10, "the load did write");
  await guest.assertNothingLeft();
  const left = await guest.sandbox.sh(
    "ls /var/lib/locktables; wc -l < /var/lib/locktables/history.jsonl",
  );
  assert.equal(left.stdout, "freeze-sensor\nhistory.jsonl\nrecord.json\ntotals.json\n10\n");
});

Deno.test("of many windows the newest stay in the history, and older ones are shelved", async () => {
  const guest = await openGuest("mariadb");
  try {
    const window = async () => {
      assert.equal((await guest.locktables("pre-freeze")).code, 0);
      assert.equal((await guest.locktables("post-thaw")).code, 0);
      await guest.assertNothingLeft();
    };
    const counts = async () =>
      (await guest.sandbox.sh(
        "cd /var/lib/locktables; cat history.jsonl | wc -l; cat history-older.jsonl | wc -l",
      )).stdout.trim().split("\n").map(Number);
    await window();
    // Those of a guest whose hooks run every minute, and a line that was cut off.
    const given = await guest.sandbox.sh(
      `cd /var/lib/locktables; line=$(cat history.jsonl)
      for at in $(seq 127); do
        echo "$line" | sed 's/"window_id":"[^"]*/"window_id":"before-'$at'/'
      done > history.jsonl; printf '{"cut' >> history.jsonl`,
    );
    assert.equal(given.stderr, "");
    await window();
    assert.deepEqual(await counts(), [64, 65]);
    await window();
    assert.deepEqual(await counts(), [65, 65]);
    const shown = await guest.locktables("history", "--json");
    const { windows, complete_since } = JSON.parse(shown.stdout);
    assert.deepEqual([windows.length, windows[0].window_id], [129, "before-1"]);
    assert.equal(complete_since, null);
  } finally {
    await guest.close();
  }
});

testOnEachServer("both methods that the server has lock it", async (guest) => {
  for (const method of guest.flavor === "mariadb" ? ["ftwrl", "backup-stage"] : ["ftwrl"]) {
    await guest.sandbox.writeFile("/root/.my.cnf", `[locktables]\nmethod=${method}\n`);
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 0, frozen.stderr);
    assert.equal((await guest.status()).window?.instances[0]?.method, method);
    const write = await guest.write();
    await sleep(200);
    assert.equal(write.isDone(), false, `${method} stops a write`);
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    await write.finished(1_000);
  }
  await guest.assertNothingLeft();
});

testOnEachServer("a failed snapshot is an aborted window and no error", async (guest) => {
  await guest.locktables("pre-freeze");
  const thawed = await guest.locktables("freezeFail");
  assert.equal(thawed.code, 0, thawed.stderr);
  const { last } = await guest.status();
  assert.deepEqual([last?.outcome, last?.verdict], ["aborted", "not-quiesced"]);
  await guest.assertNothingLeft();
});

testOnEachServer("post-thaw without a window says so and is no error", async (guest) => {
  for (const _ of [1, 2]) {
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 0);
    assert.match(thawed.stdout, /^Nothing to thaw: no window is open$/m);
  }
});

testOnEachServer("a post-thaw while pre-freeze still works cancels it", async (guest) => {
  // Something to wait for: the guard does not lock while this runs.
  const busy = await connect(guest.server);
  const [write] = guest.flavor === "mariadb"
    ? ["UPDATE shop.orders SET id = id WHERE SLEEP(60) = 0"]
    : ["SELECT SLEEP(60) FROM shop.orders"];
  await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nmethod=ftwrl\n");
  await busy.query("INSERT INTO shop.orders VALUES ()");
  const long = busy.query(write ?? "").catch(() => {});
  await growOld(busy);
  const freezing = guest.locktables("pre-freeze");
  await until("the locker runs", 2_000, async () => (await guest.status()).window !== null);
  const thawed = await guest.locktables("post-thaw");
  assert.equal(thawed.code, 0, thawed.stderr);
  assert.match(thawed.stdout, /cancelled/);
  const frozen = await freezing;
  assert.equal(frozen.code, 10);
  assert.match(frozen.stderr, /Cancelled: post-thaw came/);
  const killer = await connect(guest.server);
  await killer.query(`KILL ${busy.id}`);
  await killer.close();
  await long;
  await busy.close();
  await guest.assertNothingLeft();
});

testOnEachServer("a post-thaw at any moment of pre-freeze leaves no lock", async (guest) => {
  for (let delayMs = 0; delayMs <= 150; delayMs += 10) {
    const freezing = guest.locktables("pre-freeze");
    await sleep(delayMs);
    const thawed = await guest.locktables("post-thaw");
    const frozen = await freezing;
    assert.equal(thawed.code, 0, thawed.stderr);
    // Either the thaw cancelled or closed the window, or it came before there was any.
    if (frozen.code === 0 && /no window/.test(thawed.stdout)) {
      assert.equal((await guest.locktables("post-thaw")).code, 0);
    } else assert.ok(frozen.code === 0 || frozen.code === 10, frozen.stderr);
    await guest.assertNothingLeft();
  }
});

testOnEachServer("rehearse tells what a window costs", async (guest) => {
  const load = writeLoad(guest);
  const told = await guest.locktables("rehearse", "--hold", "500ms", "--json");
  await load.stop();
  assert.equal(told.code, 0, told.stderr);
  const { record, stall_ms, most_waiting } = JSON.parse(told.stdout);
  assert.equal(record.verdict, "application-consistent");
  assert.ok(stall_ms >= 500, `${stall_ms}`);
  assert.ok(most_waiting >= 1, `${most_waiting}`);
  assert.equal(record.is_rehearsal, true);
  await guest.assertNothingLeft();
});

testOnEachServer("rehearse counts the writers that gave up while they waited", async (guest) => {
  const writer = await connect(guest.server);
  await writer.query("SET SESSION lock_wait_timeout=1");
  let isOver = false;
  let refused = 0;
  const writing = (async () => {
    while (!isOver) {
      await writer.query("INSERT INTO shop.orders VALUES ()").catch(() => refused += 1);
      // Long enough for a look to see that it does not wait.
      await sleep(underLoad(300));
    }
  })();
  const rehearsed = await guest.locktables("rehearse", "--hold", "4s", "--json");
  isOver = true;
  await writing;
  await writer.close();
  assert.equal(rehearsed.code, 0, rehearsed.stderr);
  const { gave_up } = JSON.parse(rehearsed.stdout);
  assert.ok(gave_up >= 1 && gave_up <= refused, `${gave_up} of ${refused}`);
  await guest.assertNothingLeft();
});

async function binlogPosition({ server, flavor }: Guest) {
  const session = await connect(server);
  const [row] = await session.query(
    flavor === "mariadb" ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS",
  );
  await session.close();
  return [row?.["File"], row?.["Position"]];
}

/** Writes as fast as the server takes it; `stop` resolves to how many rows were acknowledged. */
function writeLoad({ server }: Guest): { stop(): Promise<number> } {
  let isOver = false;
  const run = async () => {
    const session = await connect(server);
    let count = 0;
    while (!isOver) {
      await session.query("INSERT INTO shop.orders VALUES ()");
      count += 1;
    }
    await session.close();
    return count;
  };
  const running = Promise.all([run(), run(), run()]);
  return {
    async stop() {
      isOver = true;
      return (await running).reduce((sum, count) => sum + count, 0);
    },
  };
}
