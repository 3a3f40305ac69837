/**
 * Images of every kind of server: with and without binlog and GTIDs, replicas, a Galera node. What was
 * taken in a window is as promised; what was taken after it never is.
 */
import assert from "node:assert/strict";
import { startCluster } from "../support/galera.ts";
import { guestOf } from "../support/guest.ts";
import { copyImage, type Image, removeImage, restore, takeImage } from "../support/image.ts";
import { ask, openNodeGuest } from "../support/node_guest.ts";
import { caughtUp, startReplica, startSource } from "../support/replica.ts";
import { openSandbox } from "../support/sandbox.ts";
import { discard, type Server, type ServerKind, startServer } from "../support/server.ts";

interface Kind {
  readonly name: string;
  readonly kind: ServerKind;
  readonly args?: readonly string[];
  /** Whether only the source's verdict makes an image more than unknown. */
  readonly needsVerdict?: boolean;
}

const KINDS: readonly Kind[] = [
  { name: "MariaDB 10.5", kind: "mariadb-10.5" },
  { name: "MariaDB 11.8", kind: "mariadb-11.8" },
  { name: "MySQL 5.6", kind: "mysql-5.6" },
  {
    name: "MySQL without GTIDs",
    kind: "mysql",
    args: ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"],
  },
  {
    name: "MariaDB without a binlog",
    kind: "mariadb",
    args: ["--skip-log-bin"],
    needsVerdict: true,
  },
  { name: "MySQL without a binlog", kind: "mysql", args: ["--skip-log-bin"], needsVerdict: true },
  {
    name: "MariaDB that mends nothing",
    kind: "mariadb",
    args: [
      "--myisam-recover-options=OFF",
      "--aria-recover-options=OFF",
    ],
  },
];

for (const { name, kind, args = [], needsVerdict = false } of KINDS) {
  Deno.test(`an image of ${name} is as promised, and a later copy is not`, async () => {
    const server = await startServer(kind, { args });
    const guest = await guestOf(server, await openSandbox());
    await fill(server);
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    const image = await takeImage(server, guest.sandbox);
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    const { stdout: status } = await guest.locktables("status", "--json");
    await fill(server);
    const later = await takeImage(server, guest.sandbox);
    await guest.close();
    try {
      await expectVerdict(kind, image, args, {
        status: needsVerdict ? status : null,
        verdict: "as-promised",
      });
      await expectVerdict(kind, later, args, { status, verdict: "recoverable" });
      // With the record of the lock and the source's good word: still not.
      await Deno.copyFile(image.record, later.record);
      await expectVerdict(kind, later, args, { status, verdict: "recoverable" });
    } finally {
      await removeImage(image);
      await removeImage(later);
    }
  });
}

interface Expected {
  readonly status: string | null;
  readonly verdict: string;
  readonly codes?: readonly string[];
}

async function expectVerdict(
  kind: ServerKind,
  image: Image,
  args: readonly string[],
  { status, verdict, codes = [] }: Expected,
): Promise<void> {
  // A copy: CHECK TABLE itself takes the mark of a table that was left open.
  const copy = await copyImage(image);
  const restored = await restore(kind, copy, args);
  try {
    const { stdout, stderr } = await restored.sandbox.run(
      [
        restored.sandbox.binary,
        "verify",
        "--json",
        ...(status === null ? [] : ["--verdict", "-"]),
      ],
      status === null ? {} : { stdin: status },
    );
    const verified = JSON.parse(stdout);
    const said = stderr + JSON.stringify(verified.findings, null, 1);
    assert.equal(verified.verdict, verdict, said);
    const found = verified.findings.map(({ code }: { code: string }) => code);
    for (const code of codes) assert.ok(found.includes(code), said);
  } finally {
    await restored.close();
    await removeImage(copy);
  }
}

async function fill(server: Server): Promise<void> {
  await ask(
    server,
    "CREATE TABLE IF NOT EXISTS shop.words (id INT AUTO_INCREMENT PRIMARY KEY, word TEXT) ENGINE=MyISAM",
  );
  for (let at = 0; at < 20; at += 1) {
    await ask(server, "INSERT INTO shop.words (word) VALUES (REPEAT('word', 20))");
    await ask(server, "INSERT INTO shop.orders VALUES ()");
  }
}

Deno.test("without a binlog only the source's verdict makes an image as promised", async () => {
  const server = await startServer("mariadb", { args: ["--skip-log-bin"] });
  const guest = await guestOf(server, await openSandbox());
  assert.equal((await guest.locktables("pre-freeze")).code, 0);
  const image = await takeImage(server, guest.sandbox);
  assert.equal((await guest.locktables("post-thaw")).code, 0);
  await guest.close();
  const restored = await restore("mariadb", image, ["--skip-log-bin"]);
  const verified = await restored.verified();
  assert.equal(verified.verdict, "unknown");
  assert.ok(verified.findings.some(({ code }) => code === "nothing-to-compare"));
  await restored.close();
  await removeImage(image);
});

const REPLICAS: readonly (readonly [name: string, kind: "mariadb" | "mysql", gtid: boolean])[] = [
  ["MariaDB, by GTID", "mariadb", true],
  ["MariaDB, by position", "mariadb", false],
  ["MySQL, by GTID", "mysql", true],
  ["MySQL, by position", "mysql", false],
];

for (const [name, kind, gtid] of REPLICAS) {
  Deno.test(`an image of a replica is as promised (${name})`, async () => {
    const source = await startSource(kind);
    const replica = await startReplica(kind, source, { gtid });
    await ask(source, "CREATE DATABASE IF NOT EXISTS shop");
    await ask(source, "CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY)");
    for (let at = 0; at < 30; at += 1) await ask(source, "INSERT INTO shop.orders VALUES ()");
    await caughtUp(replica, source);
    const guest = await openNodeGuest(replica);
    let image: Image;
    try {
      await guest.freeze();
      image = await takeImage(replica, guest.sandbox);
      await guest.thaw();
    } finally {
      await guest.close();
      await discard(replica);
      await discard(source);
    }
    const stopped = [
      "--server-id=200",
      "--relay-log-recovery=ON",
      kind === "mysql" ? "--skip-replica-start" : "--skip-slave-start",
    ];
    await expectVerdict(kind, image, stopped, { status: null, verdict: "as-promised" });
    await removeImage(image);
  });
}

Deno.test("an image of a Galera node is as promised when it is started alone", async () => {
  const cluster = await startCluster();
  let image: Image;
  try {
    const [node] = cluster.nodes;
    assert.ok(node !== undefined);
    await ask(node, "CREATE DATABASE IF NOT EXISTS shop");
    await ask(node, "CREATE TABLE IF NOT EXISTS shop.orders (id INT AUTO_INCREMENT PRIMARY KEY)");
    for (let at = 0; at < 20; at += 1) await ask(node, "INSERT INTO shop.orders VALUES ()");
    const guest = await openNodeGuest(node);
    await guest.freeze();
    image = await takeImage(node, guest.sandbox);
    await guest.thaw();
    await guest.close();
  } finally {
    await cluster.stop();
  }
  await expectVerdict("mariadb", image, [], {
    status: null,
    verdict: "as-promised",
    codes: ["cluster-unseen"],
  });
  await removeImage(image);
});
