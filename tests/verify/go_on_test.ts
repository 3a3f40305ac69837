/**
 * What `verify --commands` prints, pasted into a shell: a restored copy is brought to where its source
 * is now, and made a replica of it.
 */
import assert from "node:assert/strict";
import { type WayOn, waysOn } from "../../lib/verify/go_on.ts";
import { serverTreePath } from "../../scripts/provision.ts";
import { run } from "../../scripts/shell.ts";
import { guestOf } from "../support/guest.ts";
import { copyImage, removeImage, restore, type Restored, takeImage } from "../support/image.ts";
import { ask, askOne } from "../support/node_guest.ts";
import { caughtUp, startSource } from "../support/replica.ts";
import { openSandbox } from "../support/sandbox.ts";
import { type Flavor, LOOPBACK, type Server } from "../support/server.ts";
import { coordinates, recordedServer } from "./records.ts";

/** Bound of pasted commands. */
const PASTE_TIMEOUT_MS = 60_000;

/** Tables that are compared row by row. */
const TABLES = ["shop.orders", "shop.lines", "shop.words"];

for (const flavor of ["mariadb", "mysql"] as const) {
  Deno.test(`what verify prints leads on from a restored image (${flavor})`, async (step) => {
    const source = await startSource(flavor);
    const guest = await guestOf(source, await openSandbox());
    try {
      await write(source, 0);
      const frozen = await guest.locktables("pre-freeze");
      assert.equal(frozen.code, 0, frozen.stderr);
      const image = await takeImage(source, guest.sandbox);
      assert.equal((await guest.locktables("post-thaw")).code, 0);
      // Into the recorded binlog file and into later ones.
      await write(source, 100);
      await ask(source, "FLUSH BINARY LOGS");
      await write(source, 200);
      await ask(source, "CREATE USER replica@127.0.0.1");
      await ask(source, "GRANT REPLICATION SLAVE ON *.* TO replica@127.0.0.1");
      const expected = await rowsOf(source);
      for (
        const title of [
          "Point-in-time recovery by position",
          "Point-in-time recovery by GTID",
          "A replica of the source by position",
          "A replica of the source by GTID",
        ]
      ) {
        await step.step(title, async () => {
          const copy = await copyImage(image);
          const restored = await restore(flavor, copy);
          try {
            const verified = await restored.verified("--quick");
            assert.equal(verified.verdict, "as-promised", JSON.stringify(verified.findings));
            const ways = verified.instances[0]?.commands ?? [];
            const way = ways.find((one) => one.title === title);
            assert.ok(way !== undefined, JSON.stringify(ways));
            assert.notDeepEqual(await rowsOf(restored.server), expected, "the image is older");
            const { stdout } = await restored.verify("--commands");
            for (const line of way.lines) assert.ok(stdout.split("\n").includes(line), line);
            await goOn(way, restored, source);
            assert.deepEqual(await rowsOf(restored.server), expected);
          } finally {
            await restored.close();
            await removeImage(copy);
          }
        });
      }
      await removeImage(image);
    } finally {
      await guest.close();
    }
  });
}

async function write(server: Server, from: number): Promise<void> {
  await ask(
    server,
    "CREATE TABLE IF NOT EXISTS shop.lines (id INT PRIMARY KEY, word TEXT) ENGINE=InnoDB",
  );
  await ask(
    server,
    "CREATE TABLE IF NOT EXISTS shop.words (id INT PRIMARY KEY, word BLOB) ENGINE=MyISAM",
  );
  for (let id = from; id < from + 40; id += 1) {
    await ask(server, `INSERT INTO shop.lines VALUES (${id}, 'line ${id}')`);
    await ask(server, `INSERT INTO shop.words VALUES (${id}, CONCAT(X'00FF0A0D1A', '${id}'))`);
    await ask(server, `UPDATE shop.lines SET word = CONCAT(word, ' ${id}') WHERE id < 5`);
  }
  await ask(server, "INSERT INTO shop.orders VALUES (), ()");
}

/** Every row, in order. */
async function rowsOf(server: Server): Promise<string> {
  const tables = await Promise.all(
    TABLES.map((table) => ask(server, `SELECT * FROM ${table} ORDER BY id`)),
  );
  return JSON.stringify(tables);
}

/** Pastes the lines, with what a person fills in filled in. */
async function goOn(way: WayOn, restored: Restored, source: Server): Promise<void> {
  const port = Number(await askOne(source, "SELECT @@port"));
  // MySQL 9.7 asks for TLS, for which the servers of tests have no keys.
  const tls = source.flavor === "mysql" ? ", $1_SSL=0" : "";
  const lines = way.lines.map((line) =>
    line
      .replace(/(SOURCE|MASTER)_HOST='[^']*'/, `$1_HOST='${LOOPBACK}', $1_PORT=${port}${tls}`)
      .replace("'PASSWORD'", "''")
      .replaceAll(source.datadir, restored.server.datadir)
  );
  const isRestart = (line: string) => line.startsWith("systemctl ");
  const programs = await programsFor(restored.server);
  const paste = async (some: readonly string[]) => {
    const pasted = await run(["/bin/sh", "-c", some.join("\n")], {
      cwd: source.datadir,
      env: { PATH: `${programs}:/usr/bin:/bin` },
      timeoutMs: PASTE_TIMEOUT_MS,
    });
    assert.equal(pasted.code, 0, pasted.stderr);
    assert.doesNotMatch(pasted.stderr, /error/i);
  };
  // systemctl does nothing here: the server that it restarts is restarted beside it.
  const restarts = lines.filter(isRestart);
  if (restarts.length > 0) {
    await paste(restarts);
    await restored.server.restart();
  }
  await paste(lines.filter((line) => !isRestart(line)));
  await Deno.remove(programs, { recursive: true });
  if (way.title.startsWith("A replica")) await caughtUp(restored.server, source);
}

/** The programs that the commands call, which find the restored server as an option file would have it. */
async function programsFor(server: Server): Promise<string> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "programs-" });
  const program = (name: string, script: string) =>
    Deno.writeTextFile(`${dir}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const client = `exec /usr/bin/mariadb --no-defaults --socket=${server.socket} "$@"`;
  await program("mariadb", client);
  await program("mysql", client);
  await program("systemctl", "exit 0");
  if (server.flavor === "mysql") {
    const root = await serverTreePath("mysql-sid");
    const libraries = `${root}/usr/lib/x86_64-linux-gnu`;
    await program(
      "mysqlbinlog",
      `exec ${libraries}/ld-linux-x86-64.so.2 --library-path ${libraries} ${root}/usr/bin/mysqlbinlog "$@"`,
    );
  }
  return dir;
}

const FLAVORS: readonly (readonly [flavor: Flavor, version: string, words: RegExp])[] = [
  ["mariadb", "10.5.23-MariaDB", /CHANGE MASTER TO MASTER_HOST=/],
  ["mysql", "5.7.44", /CHANGE MASTER TO MASTER_HOST=.*\nSTART SLAVE;/],
  ["mysql", "8.4.2", /CHANGE REPLICATION SOURCE TO SOURCE_HOST=.*\nSTART REPLICA;/],
];

Deno.test("each version gets its own words, and what a record says stays a value", () => {
  for (const [flavor, version, words] of FLAVORS) {
    const ways = waysOn(recordedServer({ flavor, version, label: version }));
    assert.match(ways.flatMap(({ lines }) => lines).join("\n"), words);
  }
  const hostile = "x'; DROP TABLE t; --\nSQL\nrm -rf /\n$(reboot)`reboot`";
  const lines = waysOn(recordedServer({
    hostname: hostile,
    data_directories: [`/var/lib/$(reboot)'`],
    server_uuid: hostile,
    coordinates: coordinates({
      file: "binlog.1$(reboot)",
      gtid: { gtid_binlog_pos: "0-1-7'; DROP", gtid_slave_pos: hostile },
      replicas: [{
        channel: hostile,
        source_host: hostile,
        source_port: 3306,
        relay_source_log_file: hostile,
        exec_source_log_pos: 4,
        gtid: { using_gtid: "No" },
        io_running: "No",
        sql_running: "No",
        seconds_behind: null,
      }],
    }),
  })).flatMap((way) => way.lines);
  assert.ok(lines.length > 0);
  for (const line of lines) {
    assert.doesNotMatch(line, /\n/);
    assert.notEqual(line, "rm -rf /");
    // Every quote of the text is doubled, so that it ends no value.
    assert.doesNotMatch(line.replaceAll("''", ""), /'[^']*'; DROP/);
  }
});
