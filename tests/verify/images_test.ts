/**
 * Real images and what verify says of them: copies of a server's files taken under the lock and at
 * other moments, whole and damaged, each with a server started on it.
 */
import assert from "node:assert/strict";
import { openGuest, sleep, until } from "../support/guest.ts";
import type { Guest } from "../support/guest.ts";
import {
  copyImage,
  type Image,
  removeImage,
  restore,
  takeImage,
  withBinlogOf,
  withRecordOf,
} from "../support/image.ts";
import { ask } from "../support/node_guest.ts";
import { connect, type Connection, type Flavor } from "../support/server.ts";

/** The images of one server that the cases are made from. */
interface Images {
  readonly flavor: Flavor;
  /** Of an earlier window. */
  readonly earlier: Image;
  /** Under the lock. */
  readonly locked: Image;
  /** After the release and one more transaction. */
  readonly later: Image;
  /** After a lock that had expired. */
  readonly expired: Image;
  /** Of another server of the same kind, in a window of its own. */
  readonly foreign: Image;
}

interface Case {
  readonly name: string;
  readonly flavors?: readonly Flavor[];
  /** Makes the image, in a copy of its own. */
  make(images: Images): Promise<Image>;
  /** The arguments of each look at it; default: one without any. */
  readonly runs?: readonly (readonly string[])[];
  readonly verdict: string;
  readonly codes: readonly string[];
  /** What is in a line of it. */
  readonly titles?: readonly RegExp[];
}

/** The log is written every second. */
const COMMIT_ON_DISK_MS = 2_500;

const KEYS = "shop.words";

const CASES: readonly Case[] = [
  {
    name: "an image of the window is as promised, and with all tables checked",
    make: ({ locked }) => copyImage(locked),
    runs: [[], ["--full"]],
    verdict: "as-promised",
    codes: ["source-verdict-unknown"],
  },
  {
    name: "a copy that was taken after the release is not",
    make: ({ later }) => copyImage(later),
    verdict: "recoverable",
    codes: ["window-closed", "binlog-long", "transactions-more", "table-not-closed"],
  },
  {
    name: "a copy that was taken after the lock had expired is not",
    make: ({ expired }) => copyImage(expired),
    verdict: "recoverable",
    codes: ["window-closed"],
  },
  {
    name: "nor with the record of the lock in it",
    make: ({ later, locked }) => withRecordOf(later, locked),
    verdict: "recoverable",
    codes: ["binlog-long", "transactions-more"],
  },
  {
    name: "an image that is older than its record lacks transactions",
    make: ({ earlier, locked }) => withRecordOf(earlier, locked),
    verdict: "damaged",
    codes: ["binlog-short", "transactions-missing"],
  },
  {
    name: "a binlog that is cut by one byte is damage",
    make: ({ locked }) => withCutBinlog(locked, () => 1),
    verdict: "damaged",
    codes: ["binlog-short"],
  },
  {
    name: "a binlog that is cut by one event is damage",
    make: ({ locked }) => withCutBinlog(locked, lastEventBytes),
    verdict: "damaged",
    codes: ["binlog-short"],
  },
  {
    name: "a page of a MyISAM index and rows of a MyISAM table that were overwritten are damage",
    make: async ({ locked }) => {
      const once = await overwritten(locked, "shop/words.MYI", (bytes) => bytes - 4_096, 512);
      const twice = await overwritten(once, "farm/cows.MYD", () => 2_000, 2_000);
      await removeImage(once);
      return twice;
    },
    verdict: "damaged",
    codes: ["table-damaged"],
    titles: [/`shop`\.`words` .* is damaged/, /`farm`\.`cows` .* is damaged/],
  },
  {
    name: "a page of InnoDB that was overwritten is damage, which only --full sees",
    make: ({ locked }) => overwritten(locked, "shop/pages.ibd", () => 5 * 16_384 + 100, 8_000),
    runs: [["--full"]],
    verdict: "damaged",
    codes: [],
  },
  {
    name: "a tablespace that is missing is damage, which --full sees",
    make: async ({ locked }) => {
      const image = await copyImage(locked);
      await Deno.remove(`${image.datadir}/shop/pages.ibd`);
      return image;
    },
    runs: [["--full"]],
    verdict: "damaged",
    codes: [],
  },
  {
    name: "data of an earlier moment than the binlog are damage",
    make: ({ earlier, locked }) => withBinlogOf(earlier, locked),
    verdict: "damaged",
    codes: ["volume-older"],
  },
  {
    name: "data of a later moment than the binlog are damage",
    flavors: ["mysql"],
    make: ({ locked, later }) => withBinlogOf(later, locked),
    verdict: "damaged",
    codes: ["volume-newer"],
  },
  {
    name: "data of a later moment than the binlog are seen by InnoDB's transaction numbers",
    flavors: ["mariadb"],
    make: ({ locked, later }) => withBinlogOf(later, locked),
    // A second look is no better than the first.
    runs: [[], ["--quick"]],
    verdict: "unknown",
    codes: ["volume-seems-newer"],
    titles: [/Last binlog file/],
  },
  {
    name: "the record of another server is not believed",
    make: ({ locked, foreign }) => withRecordOf(locked, foreign),
    verdict: "unknown",
    codes: ["record-of-other-server"],
  },
  {
    name: "the record of another window is not that of the image",
    make: ({ locked, expired }) => withRecordOf(locked, expired),
    verdict: "damaged",
    codes: ["window-closed", "transactions-missing"],
  },
  {
    name: "a database whose volume is not in the image leaves no trace but in the record",
    flavors: ["mariadb"],
    make: withoutFarm,
    verdict: "unknown",
    codes: ["database-missing"],
  },
  {
    name: "a database whose volume is not in the image is damage where the server has a dictionary",
    flavors: ["mysql"],
    make: withoutFarm,
    verdict: "damaged",
    codes: ["table-damaged"],
  },
  {
    name: "a binlog file of before the lock that is cut is damage",
    make: async ({ locked }) => {
      const copy = await copyImage(locked);
      const path = `${copy.datadir}/binlog.000001`;
      await Deno.truncate(path, (await Deno.stat(path)).size - 1);
      return copy;
    },
    verdict: "damaged",
    codes: ["binlog-broken"],
  },
  {
    name: "without a record nothing can be said",
    make: async ({ locked }) => {
      const image = await copyImage(locked);
      await Deno.remove(image.record);
      return image;
    },
    verdict: "unknown",
    codes: ["record-missing"],
  },
];

for (const flavor of ["mariadb", "mysql"] as const) {
  Deno.test(`verify of real images (${flavor})`, async (step) => {
    const images = await makeImages(flavor);
    try {
      for (const one of CASES) {
        if (one.flavors !== undefined && !one.flavors.includes(flavor)) continue;
        await step.step(one.name, async () => {
          const image = await one.make(images);
          try {
            const restored = await restore(flavor, image);
            try {
              for (const args of one.runs ?? [[]]) {
                const verified = await restored.verified(...args);
                const found = JSON.stringify(verified.findings, null, 1);
                assert.equal(verified.verdict, one.verdict, found);
                const codes = verified.findings.map(({ code }) => code);
                for (const code of one.codes) assert.ok(codes.includes(code), `${code}: ${found}`);
                for (const title of one.titles ?? []) assert.match(found, title);
              }
            } finally {
              await restored.close();
            }
          } finally {
            await removeImage(image);
          }
        });
      }
    } finally {
      for (
        const image of [images.earlier, images.locked, images.later, images.expired, images.foreign]
      ) {
        await removeImage(image);
      }
    }
  });
}

async function makeImages(flavor: Flavor): Promise<Images> {
  const guest = await openGuest(flavor);
  await fillPages(guest);
  const session = await connect(guest.server);
  try {
    await fill(session, 50);
    await session.query("CREATE DATABASE farm");
    await session.query("CREATE TABLE farm.cows (name VARCHAR(200)) ENGINE=MyISAM");
    for (let cow = 0; cow < 50; cow += 1) {
      await session.query(`INSERT INTO farm.cows VALUES (REPEAT('${cow}x', 40))`);
    }
    await session.query("FLUSH BINARY LOGS");
    const earlier = await window(guest);
    // More than one change of InnoDB can have: the redo logs of the two windows differ.
    await session.query("CREATE TABLE shop.blobs (id INT PRIMARY KEY, content LONGBLOB)");
    for (let id = 0; id < 8; id += 1) {
      await session.query(`INSERT INTO shop.blobs VALUES (${id}, REPEAT('${id}', 500000))`);
    }
    await fill(session, 200);
    const locked = await window(guest);
    await session.query(`INSERT INTO ${KEYS} VALUES (100000, 'after the release')`);
    // More than clients may have begun under BACKUP STAGE: max_connections is 151.
    for (let at = 0; at < 300; at += 1) await session.query("INSERT INTO shop.orders VALUES ()");
    // Until InnoDB has the commit on disk, too, which the binlog alone has at first.
    await sleep(COMMIT_ON_DISK_MS);
    const later = await takeImage(guest.server, guest.sandbox);
    await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=1s\n", 0o600);
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    await until(
      "the lock has expired",
      10_000,
      async () => (await guest.status()).last?.outcome === "expired",
    );
    const expired = await takeImage(guest.server, guest.sandbox);
    const other = await openGuest(flavor);
    try {
      // The servers of tests are copies of one directory.
      if (flavor === "mariadb") await ask(other.server, "ALTER TABLE mysql.db FORCE");
      return { flavor, earlier, locked, later, expired, foreign: await window(other) };
    } finally {
      await other.close();
    }
  } finally {
    await session.close();
    await guest.close();
  }
}

/** A window in which an image is taken. */
async function window(guest: Guest): Promise<Image> {
  const frozen = await guest.locktables("pre-freeze");
  assert.equal(frozen.code, 0, frozen.stderr);
  const image = await takeImage(guest.server, guest.sandbox);
  const thawed = await guest.locktables("post-thaw");
  assert.equal(thawed.code, 0, thawed.stderr);
  return image;
}

async function fill(session: Connection, rows: number): Promise<void> {
  await session.query(
    `CREATE TABLE IF NOT EXISTS ${KEYS} (id INT PRIMARY KEY, word VARCHAR(200), KEY (word)) ENGINE=MyISAM`,
  );
  for (let id = 0; id < rows; id += 1) {
    await session.query(`REPLACE INTO ${KEYS} VALUES (${id}, REPEAT('${id}x', 20))`);
  }
  await session.query("INSERT INTO shop.orders VALUES ()");
}

/** A table of InnoDB of many pages, which lie on disk: no log of the recovery has them any more. */
async function fillPages(guest: Guest): Promise<void> {
  const session = await connect(guest.server);
  await session.query("CREATE TABLE shop.pages (id INT PRIMARY KEY, word VARCHAR(2000))");
  for (let id = 0; id < 60; id += 1) {
    await session.query(`INSERT INTO shop.pages VALUES (${id}, REPEAT('${id}x', 500))`);
  }
  await session.close();
  await guest.server.restart();
}

async function withoutFarm({ locked }: Images): Promise<Image> {
  const copy = await copyImage(locked);
  await Deno.remove(`${copy.datadir}/farm`, { recursive: true });
  return copy;
}

async function overwritten(
  image: Image,
  name: string,
  at: (bytes: number) => number,
  length: number,
): Promise<Image> {
  const copy = await copyImage(image);
  const path = `${copy.datadir}/${name}`;
  const { size } = await Deno.stat(path);
  using file = await Deno.open(path, { write: true });
  await file.seek(at(size), Deno.SeekMode.Start);
  await file.write(new Uint8Array(length).fill(0xa5));
  return copy;
}

async function withCutBinlog(
  image: Image,
  bytes: (file: Uint8Array) => number,
): Promise<Image> {
  const copy = await copyImage(image);
  const record = JSON.parse(await Deno.readTextFile(copy.record));
  const path = `${copy.datadir}/${record.instances[0].coordinates.file}`;
  const content = await Deno.readFile(path);
  await Deno.truncate(path, content.length - bytes(content));
  return copy;
}

/** The length of the last event of a binlog: from 4 on, each has its length at 9. */
function lastEventBytes(file: Uint8Array): number {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let last = 0;
  for (let at = 4; at < file.length; at += last) last = view.getUint32(at + 9, true);
  return last;
}
