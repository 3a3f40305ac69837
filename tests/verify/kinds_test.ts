/**
 * Images of every kind of server: with and without binlog and GTIDs, replicas, a Galera node. What was
 * taken in a window is as promised; what was taken after it never is.
 */
import assert from "node:assert/strict";
import { serverTreePath } from "../../scripts/provision.ts";
import { runOrFail } from "../../scripts/shell.ts";
import { incrementalTransfer, startCluster, synced, wsrepStatus } from "../support/galera.ts";
import { guestOf } from "../support/guest.ts";
import {
  copyImage,
  type Image,
  IMAGE_PLACE,
  removeImage,
  restore,
  showImage,
  takeImage,
  withBinlogOf,
} from "../support/image.ts";
import { mariadbPlugins } from "../support/mariadb_plugins.ts";
import { ask, openNodeGuest } from "../support/node_guest.ts";
import { caughtUp, startReplica, startSource } from "../support/replica.ts";
import { openSandbox, type Sandbox } from "../support/sandbox.ts";
import { connect, discard, type Server, type ServerKind, startServer } from "../support/server.ts";

interface Kind {
  readonly name: string;
  readonly kind: ServerKind;
  readonly args?: readonly string[];
  /** Whether only the source's verdict makes an image more than unknown. */
  readonly needsVerdict?: boolean;
  /** Whether data that are later than their binlog are looked at, too. */
  readonly hasLaterData?: boolean;
}

const KINDS: readonly Kind[] = [
  { name: "MariaDB 10.5", kind: "mariadb-10.5" },
  { name: "MariaDB 11.8", kind: "mariadb-11.8" },
  { name: "MySQL 5.6", kind: "mysql-5.6" },
  {
    name: "MySQL without GTIDs",
    kind: "mysql",
    args: ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"],
    hasLaterData: true,
  },
  {
    name: "MariaDB without a binlog",
    kind: "mariadb",
    args: ["--skip-log-bin"],
    needsVerdict: true,
  },
  { name: "MySQL without a binlog", kind: "mysql", args: ["--skip-log-bin"], needsVerdict: true },
];

/** On MySQL later data are told from clients' temporary tables only where there can be later data. */
async function recordSecondVolume(path: string): Promise<void> {
  const record = JSON.parse(await Deno.readTextFile(path));
  const [first] = record.instances[0].volumes;
  record.instances[0].volumes.push({ ...first, path: "/var/log/mysql", device: "8:99" });
  await Deno.writeTextFile(path, JSON.stringify(record));
}

for (const { name, kind, args = [], needsVerdict = false, hasLaterData = false } of KINDS) {
  Deno.test(`an image of ${name} is as promised, and a later copy is not`, async () => {
    const server = await startServer(kind, { args });
    const guest = await guestOf(server, await openSandbox());
    if (needsVerdict) await putRecordBeside(server, guest.sandbox);
    await fill(server);
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    const image = await takeImage(server, guest.sandbox);
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    const { stdout: status } = await guest.locktables("status", "--json");
    await fill(server);
    if (hasLaterData) await fillMuch(server);
    const later = await takeImage(server, guest.sandbox);
    await guest.close();
    const { marks, transactions } = JSON.parse(await Deno.readTextFile(image.record)).instances[0];
    const shop = marks.databases?.find((one: { name: string }) => one.name === "shop") ?? null;
    // 5.6 cannot bound the question.
    const tables = { name: "shop", tables: 2, without_transactions: 1 };
    assert.deepEqual(shop, kind === "mysql-5.6" ? null : tables, JSON.stringify(marks));
    assert.equal(marks.system_tables_made_at === null, server.flavor === "mysql");
    assert.deepEqual(marks.closed_binlogs, []);
    assert.ok(transactions.next_id > 0 && transactions.clients_most > 0);
    assert.equal(transactions.open, 0);
    try {
      await expectVerdict(kind, image, args, {
        status: needsVerdict ? status : null,
        verdict: "as-promised",
        without: needsVerdict ? ["unknown", "nothing-to-compare"] : null,
      });
      // With the record of the lock and the source's good word: still not.
      await Deno.copyFile(image.record, later.record);
      await expectVerdict(kind, later, args, { status, verdict: "recoverable" });
      if (!hasLaterData) return;
      const mixed = await withBinlogOf(later, image);
      await recordSecondVolume(mixed.record);
      await expectVerdict(kind, mixed, args, {
        status: null,
        verdict: "unknown",
        codes: ["volume-seems-newer"],
      });
      await removeImage(mixed);
    } finally {
      await removeImage(image);
      await removeImage(later);
    }
  });
}

/** On one filesystem, as in a guest with one disk. */
async function putRecordBeside(server: Server, sandbox: Sandbox): Promise<void> {
  const { code, stderr } = await sandbox.sh(
    `mkdir -m 0700 ${server.dir}/state && mount --bind ${server.dir}/state /var/lib/locktables`,
  );
  assert.equal(code, 0, stderr);
}

/** A server whose binlog is not written as it comes. */
interface Written {
  readonly name: string;
  readonly kind: "mariadb" | "mysql";
  /** `dir`: for keys, and for what a server looks for beside its program. */
  readonly start: (dir: string) => Promise<{
    readonly args: readonly string[];
    readonly program?: string;
  }>;
  /** What its file alone shows: a code, and words of its line. */
  readonly offline: readonly [code: string, words: RegExp];
}

const WRITTEN: readonly Written[] = [
  {
    name: "MariaDB with compressed events, that mends nothing",
    kind: "mariadb",
    start: () =>
      Promise.resolve({
        args: [
          "--log-bin-compress=ON",
          "--log-bin-compress-min-len=10",
          "--myisam-recover-options=OFF",
          "--aria-recover-options=OFF",
        ],
      }),
    offline: ["binlog-proven", /some are compressed/],
  },
  {
    name: "MySQL with compressed transactions",
    kind: "mysql",
    start: () => Promise.resolve({ args: ["--binlog-transaction-compression=ON"] }),
    offline: ["binlog-proven", /some are compressed/],
  },
  {
    name: "MariaDB with an encrypted binlog",
    kind: "mariadb",
    async start(dir) {
      await Deno.writeTextFile(`${dir}/keys`, `1;${"0123456789abcdef".repeat(4)}\n`);
      return {
        args: [
          `--plugin-dir=${await mariadbPlugins()}`,
          "--plugin-load-add=file_key_management",
          `--file-key-management-filename=${dir}/keys`,
          "--encrypt-binlog=ON",
        ],
      };
    },
    offline: ["binlog-sealed", /as long as recorded/],
  },
  {
    name: "MySQL with an encrypted binlog",
    kind: "mysql",
    async start(dir) {
      // The manifest of a keyring lies beside the program, its settings beside the component.
      const usr = `${await serverTreePath("mysql-sid")}/usr`;
      await Deno.symlink(`${usr}/sbin/mysqld`, `${dir}/mysqld`);
      await Deno.writeTextFile(
        `${dir}/mysqld.my`,
        JSON.stringify({ components: "file://component_keyring_file" }),
      );
      await Deno.mkdir(`${dir}/plugin`);
      for await (const { name } of Deno.readDir(`${usr}/lib/mysql/plugin`)) {
        await Deno.symlink(`${usr}/lib/mysql/plugin/${name}`, `${dir}/plugin/${name}`);
      }
      await Deno.writeTextFile(
        `${dir}/plugin/component_keyring_file.cnf`,
        JSON.stringify({ path: `${dir}/keyring`, read_only: false }),
      );
      return {
        args: [`--plugin-dir=${dir}/plugin`, "--binlog-encryption=ON"],
        program: `${dir}/mysqld`,
      };
    },
    offline: ["binlog-sealed", /as long as recorded/],
  },
];

for (const { name, kind, start, offline: [code, words] } of WRITTEN) {
  Deno.test(`an image of ${name} is as promised, and its file is said to be so`, async () => {
    const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "written-" });
    const { args, program } = await start(dir);
    const other = program === undefined ? {} : { program };
    const server = await startServer(kind, { args, ...other });
    const guest = await guestOf(server, await openSandbox());
    await fill(server);
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    const image = await takeImage(server, guest.sandbox);
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    await guest.close();
    await expectOffline(image, code, words);
    await expectVerdict(kind, image, args, { status: null, verdict: "as-promised", ...other });
    // One byte less: damage, whoever may read it.
    const record = JSON.parse(await Deno.readTextFile(image.record));
    const path = `${image.datadir}/${record.instances[0].coordinates.file}`;
    await Deno.truncate(path, (await Deno.stat(path)).size - 1);
    await expectOffline(image, "binlog-short", /recorded/);
    await removeImage(image);
    await Deno.remove(dir, { recursive: true });
  });
}

/** What the files of an image show before a server runs on them. */
async function expectOffline(image: Image, code: string, words: RegExp): Promise<void> {
  const sandbox = await openSandbox();
  await showImage(sandbox, image);
  const { stdout } = await sandbox.run(
    [sandbox.binary, "verify", "--json", "--datadir", `${IMAGE_PLACE}/mysql`],
  );
  await sandbox.close();
  const { findings } = JSON.parse(stdout);
  const said = findings.find((one: { code: string }) => one.code === code);
  assert.match(said?.title ?? "", words, JSON.stringify(findings, null, 1));
}

interface Expected {
  readonly status: string | null;
  readonly verdict: string;
  readonly codes?: readonly string[];
  /** The verdict without the source's word, and a code of it; null: not asked. */
  readonly without?: readonly [verdict: string, code: string] | null;
  readonly program?: string;
}

async function expectVerdict(
  kind: ServerKind,
  image: Image,
  args: readonly string[],
  { status, verdict, codes = [], without = null, program }: Expected,
): Promise<void> {
  // A copy: CHECK TABLE itself takes the mark of a table that was left open.
  const copy = await copyImage(image);
  const restored = await restore(kind, copy, args, program === undefined ? {} : { program });
  try {
    if (without !== null) {
      const alone = await restored.verified("--quick");
      assert.equal(alone.verdict, without[0]);
      assert.ok(alone.findings.some(({ code }) => code === without[1]));
    }
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

/** MySQL has every 256th number of a transaction on disk, and each of these takes one. */
async function fillMuch(server: Server): Promise<void> {
  const session = await connect(server);
  for (let at = 0; at < 320; at += 1) await session.query("INSERT INTO shop.orders VALUES ()");
  await session.close();
}

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

Deno.test("an image of a Galera node is as promised, and goes on in its cluster as verify prints", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "transfer-" });
  const transfer = await incrementalTransfer(dir);
  const cluster = await startCluster();
  let image: Image;
  let then: string;
  try {
    const [node, second] = cluster.nodes;
    await ask(node, "CREATE DATABASE IF NOT EXISTS shop");
    await ask(node, `CREATE TABLE IF NOT EXISTS ${ORDERS} (id INT AUTO_INCREMENT PRIMARY KEY)`);
    for (let at = 0; at < 20; at += 1) await ask(node, `INSERT INTO ${ORDERS} VALUES ()`);
    const guest = await openNodeGuest(node);
    await guest.freeze();
    image = await takeImage(node, guest.sandbox);
    await guest.thaw();
    await guest.close();
    then = await ordersOf(node);
    for (let at = 0; at < 20; at += 1) await ask(second, `INSERT INTO ${ORDERS} VALUES ()`);
    const now = await ordersOf(second);
    // Its image takes its place.
    await node.stop();
    const copy = await copyImage(image);
    await pasteFor(copy, "On as a node of its cluster");
    const restored = await restore("mariadb", copy, [...cluster.arguments[0] ?? [], transfer]);
    await synced(restored.server);
    assert.equal(await ordersOf(restored.server), now);
    await restored.close();
    await removeImage(copy);
  } finally {
    await cluster.stop();
  }
  await expectVerdict("mariadb", image, [], {
    status: null,
    verdict: "as-promised",
    codes: ["cluster-unseen"],
  });
  // All nodes are lost: the cluster goes on from the image.
  const recorded = JSON.parse(await Deno.readTextFile(image.record)).instances[0];
  const { cluster_state_uuid, last_committed } = recorded.coordinates.wsrep;
  await pasteFor(image, "On as the first node of its cluster");
  const args = [...cluster.arguments[0] ?? [], "--wsrep-new-cluster"];
  const restored = await restore("mariadb", image, args);
  try {
    await synced(restored.server, 1);
    const status = await wsrepStatus(restored.server);
    assert.equal(status["wsrep_cluster_state_uuid"], cluster_state_uuid);
    assert.ok(Number(status["wsrep_last_committed"]) >= last_committed);
    assert.equal(await ordersOf(restored.server), then);
    const verified = await restored.verified("--quick");
    assert.equal(verified.verdict, "as-promised", JSON.stringify(verified.findings, null, 1));
  } finally {
    await restored.close();
    await removeImage(image);
  }
});

const ORDERS = "shop.orders";

async function ordersOf(server: Server): Promise<string> {
  return JSON.stringify(await ask(server, `SELECT * FROM ${ORDERS} ORDER BY id`));
}

/**
 * Pastes one way on, as `verify --commands` prints it in a guest with the image's record. The test starts
 * the server itself: the lines that would start one do nothing here.
 */
async function pasteFor(image: Image, title: string): Promise<void> {
  const sandbox = await openSandbox();
  const { code, stderr } = await sandbox.sh(
    `cp -a ${image.dir}/locktables/. /var/lib/locktables/`,
  );
  assert.equal(code, 0, stderr);
  const { stdout } = await sandbox.run([sandbox.binary, "verify", "--commands"]);
  await sandbox.close();
  const all = stdout.split("\n");
  const from = all.findIndex((line) => line.startsWith("## ") && line.includes(title));
  assert.ok(from >= 0, stdout);
  const record = JSON.parse(await Deno.readTextFile(image.record));
  const lines = all.slice(from + 1, all.indexOf("", from)).map((line) =>
    line.replaceAll(record.instances[0].data_directories[0], image.datadir)
  );
  const nothing = "systemctl() { :; }\ngalera_new_cluster() { :; }";
  await runOrFail("Pasting", ["/bin/sh", "-e", "-c", [nothing, ...lines].join("\n")]);
}
