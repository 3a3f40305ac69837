/** Clients pile up behind the lock: it is let go before the server refuses the next one. */
import assert from "node:assert/strict";
import { assertOneLine, type Guest, sleep, testOnEachServer, until } from "../support/guest.ts";
import { isStarved, underLoad } from "../support/load.ts";
import { connect } from "../support/server.ts";

const MAX_CONNECTIONS = 20;

/** 90 % of them. */
const MARK = 18;

/** A new client every so often, each with one write; less often where the locker looks later, too. */
const ARRIVAL_MS = 100;

/** ER_CON_COUNT_ERROR, Too many connections. */
const TOO_MANY = 1040;

/** Clients without privileges that come one after the other and stay until their write is done. */
interface Crowd {
  /** How many were refused with error 1040. */
  refused(): number;
  /** How many wrote. */
  served(): number;
  /** Most that were there at one moment. */
  most(): number;
  stop(): Promise<void>;
}

function startCrowd({ server }: Guest, arrivalMs = underLoad(ARRIVAL_MS)): Crowd {
  let isOver = false;
  let [refused, served, present, most] = [0, 0, 0, 0];
  const clients: Promise<void>[] = [];
  const visit = async () => {
    let session: Awaited<ReturnType<typeof connect>>;
    try {
      session = await connect(server, { user: "app" });
    } catch (error) {
      assert.equal((error as { errno?: number }).errno, TOO_MANY);
      refused += 1;
      return;
    }
    present += 1;
    most = Math.max(most, present);
    await session.query("INSERT INTO shop.orders VALUES ()");
    await session.close();
    present -= 1;
    served += 1;
  };
  const arriving = (async () => {
    while (!isOver) {
      clients.push(visit());
      await sleep(arrivalMs);
    }
  })();
  return {
    refused: () => refused,
    served: () => served,
    most: () => most,
    async stop() {
      isOver = true;
      await arriving;
      await Promise.all(clients);
    },
  };
}

async function createAccount({ server }: Guest): Promise<void> {
  const admin = await connect(server);
  await admin.query("CREATE USER app@localhost");
  await admin.query("GRANT INSERT ON shop.* TO app@localhost");
  await admin.close();
}

const ARGS = [`--max-connections=${MAX_CONNECTIONS}`];

testOnEachServer("the lock is released before a client is refused", async (guest) => {
  await createAccount(guest);
  const frozen = await guest.locktables("pre-freeze");
  assert.equal(frozen.code, 0, frozen.stderr);
  const crowd = startCrowd(guest);
  await until("the window is over", 6_000, async () => (await guest.status()).window === null);
  await until("those who waited are served", 2_000, () => crowd.served() >= 10);
  const { last } = await guest.status();
  assert.deepEqual(
    [last?.outcome, last?.reason, last?.verdict],
    ["expired", "connections-near-limit", "crash-consistent"],
  );
  const thawed = await guest.locktables("post-thaw");
  assert.equal(thawed.code, 12, thawed.stdout);
  assertOneLine(
    thawed,
    new RegExp(
      `before the server would have refused clients \\(main: \\d+ of max_connections ${MAX_CONNECTIONS} are in use, connection_mark is ${MARK}\\)`,
    ),
  );
  await crowd.stop();
  assert.equal(crowd.refused(), 0, "nobody got error 1040");
  assert.ok(crowd.most() >= MARK - 4, `${crowd.most()} waited, and not only a few`);
  await guest.assertNothingLeft();
}, ARGS);

testOnEachServer("a rush is seen coming", async (guest) => {
  await createAccount(guest);
  // One look in three would come between the mark and the limit.
  for (let round = 0; round < 4; round += 1) {
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    // On a busy machine the locker looks later than every 250 ms.
    const crowd = startCrowd(guest, underLoad(10));
    await until("the window is over", 4_000, async () => (await guest.status()).window === null);
    await until("those who waited are served", 2_000, () => crowd.served() >= 10);
    await crowd.stop();
    assert.ok(crowd.refused() === 0 || isStarved(), "nobody got error 1040");
    assert.equal((await guest.locktables("post-thaw")).code, 12);
  }
  await guest.assertNothingLeft();
}, ["--max-connections=60"]);

testOnEachServer("with a lower connection_mark it is let go sooner", async (guest) => {
  await createAccount(guest);
  await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nconnection_mark=50%\n");
  assert.equal((await guest.locktables("pre-freeze")).code, 0);
  const crowd = startCrowd(guest);
  await until("the window is over", 4_000, async () => (await guest.status()).window === null);
  await crowd.stop();
  assert.ok(crowd.most() <= MAX_CONNECTIONS / 2 + 4, `${crowd.most()} waited`);
  assert.equal((await guest.locktables("post-thaw")).code, 12);
  await guest.assertNothingLeft();
}, ARGS);

testOnEachServer(
  "with connection_mark=off it is held, and clients are refused",
  async (guest) => {
    await createAccount(guest);
    await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nconnection_mark=off\n");
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    const crowd = startCrowd(guest);
    await until("somebody is refused", 6_000, () => crowd.refused() > 0);
    assert.equal((await guest.status()).window?.phase, "held");
    const thawed = await guest.locktables("post-thaw");
    assert.equal(thawed.code, 0, thawed.stderr);
    await crowd.stop();
    await guest.assertNothingLeft();
  },
  ARGS,
);

testOnEachServer("a server that is full already is not locked", async (guest) => {
  await createAccount(guest);
  const crowd = await Promise.all(
    Array.from(
      { length: MARK - 1 },
      () => connect(guest.server, { user: "app" }),
    ),
  );
  await guest.sandbox.writeFile(
    "/root/.my.cnf",
    "[locktables]\nfreeze_timeout=3s\nlock_wait_timeout=1s\n",
  );
  const frozen = await guest.locktables("pre-freeze");
  assert.equal(frozen.code, 10, frozen.stderr);
  assertOneLine(frozen, /of max_connections 20 are in use, connection_mark is 18/);
  assert.equal((await guest.status()).last?.verdict, "not-quiesced");
  for (const session of crowd) await session.close();
  assert.equal((await guest.locktables("pre-freeze")).code, 0);
  assert.equal((await guest.locktables("post-thaw")).code, 0);
  await guest.assertNothingLeft();
}, ARGS);
