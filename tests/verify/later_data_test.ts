/** When InnoDB's transaction numbers show that the data of an image are later than its binlog. */
import assert from "node:assert/strict";
import { laterDataFindings } from "../../lib/verify/later_data.ts";
import type { ImageServer } from "../../lib/verify/facts.ts";
import type { InstanceRecord } from "../../lib/window/record.ts";
import { INSTANCE } from "../window/record_fixtures.ts";
import { coordinates, imageServer, recordedServer } from "./records.ts";

type Case = readonly [
  says: string,
  recorded: Partial<InstanceRecord>,
  server: Partial<ImageServer>,
  codes: readonly string[],
];

const place = (path: string, device: string) => ({ path, mount_point: path, device });
/** So that what is not seen is said. */
const TWO_VOLUMES = { volumes: [place("/data", "8:1"), place("/log", "8:17")] };
const under = (next_id: number, open = 0, clients_most = 100) => ({
  ...TWO_VOLUMES,
  method: "ftwrl",
  coordinates: coordinates(),
  transactions: { next_id, open, clients_most },
});
const now = (nextId: number, takenMost = 0, statisticsWritten: number | null = 0) => ({
  transactions: { nextId, takenMost, statisticsWritten },
});
const SEEN = ["volume-seems-newer"];
const UNSEEN = ["volume-newer-unseen"];

const MYSQL = coordinates({ gtid: { gtid_mode: "OFF", gtid_executed: "" } });
const underMysql = (next_id: number, open = 0) => ({
  ...under(next_id, open),
  coordinates: MYSQL,
});
const nowMysql = (nextId: number, takenMost = 0, statistics = 0): Partial<ImageServer> => ({
  ...now(nextId, takenMost, statistics),
  flavor: "mysql",
  coordinates: MYSQL,
});
const file = (name: string, bytes: number) => ({ name, bytes, isEncrypted: false });
const BINLOGS = [file("binlog.000002", 1_234), file("binlog.000003", 339)];

const CASES: readonly Case[] = [
  ["what a start of MariaDB takes is no later data", under(1_000), now(1_004), UNSEEN],
  ["nor a few more", under(1_000), now(1_012), UNSEEN],
  ["but more is", under(1_000), now(1_013), SEEN],
  ["nor what the statistics of tables take", under(1_000), now(1_172, 0, 40), UNSEEN],
  ["and more than that is", under(1_000), now(1_173, 0, 40), SEEN],
  ["statistics that are not seen", under(1_000), now(9_000, 0, null), UNSEEN],
  ["statistics of MySQL", underMysql(1_100), nowMysql(1_700, 0, 45), UNSEEN],
  ["less than under the lock is not", under(1_000), now(900), UNSEEN],
  ["recovery takes a number for what was not committed", under(1_000, 30), now(1_042), UNSEEN],
  ["and no more", under(1_000, 30), now(1_043), SEEN],
  [
    "under BACKUP STAGE each client may begin a transaction",
    { ...under(1_000), method: "backup-stage" },
    now(1_212),
    UNSEEN,
  ],
  ["and no more than that", { ...under(1_000), method: "backup-stage" }, now(1_213), SEEN],
  ["others may have taken some since the start", under(1_000), now(1_030, 20), UNSEEN],
  ["and no more than that", under(1_000), now(1_033, 20), SEEN],
  ["what a start of MySQL takes is no later data", underMysql(1_100), nowMysql(1_548), UNSEEN],
  ["nor what is taken before the next number on disk", underMysql(1_100), nowMysql(1_712), UNSEEN],
  ["but a further number on disk is", underMysql(1_100), nowMysql(1_713), SEEN],
  ["which MySQL may write by itself", underMysql(1_275), nowMysql(1_800), UNSEEN],
  ["others may have taken some on MySQL, too", underMysql(1_100), nowMysql(1_852, 140), UNSEEN],
  [
    "GTIDs in the data say it exactly",
    { ...underMysql(1_100), coordinates: coordinates({ gtid: { gtid_mode: "ON" } }) },
    nowMysql(9_000),
    [],
  ],
  [
    "without a binlog there is nothing to be later than",
    {
      ...under(1_000),
      coordinates: coordinates({ log_bin: false, file: null, position: null }),
    },
    now(9_000),
    [],
  ],
  ["a binlog that is later itself is another finding", under(1_000), {
    ...now(9_000),
    binlogs: [file("binlog.000002", 1_300), file("binlog.000003", 339)],
  }, []],
  ["a record without numbers", { ...under(1_000), transactions: null }, now(9_000), UNSEEN],
  ["an account that may not see them", under(1_000), { transactions: null }, UNSEEN],
  ["an account that may not see binlogs", under(1_000), { ...now(9_000), binlogs: null }, UNSEEN],
  ["another version", under(1_000), { ...now(9_000), version: "11.8.2-MariaDB" }, UNSEEN],
  ["recovery that is not over", under(1_000), { ...now(9_000), recovering: 1 }, UNSEEN],
  ["recovery that is not shown", under(1_000), { ...now(9_000), recovering: null }, UNSEEN],
  ["a second start", under(1_000), {
    ...now(9_000),
    binlogs: [...BINLOGS, file("binlog.000004", 339)],
  }, UNSEEN],
  ["a server without its binlog", under(1_000), { ...now(9_000), logBin: false }, UNSEEN],
  ["a MariaDB that has written since its start", under(1_000), {
    ...now(9_000),
    coordinates: coordinates({ gtid: { gtid_binlog_pos: "0-1-8", gtid_slave_pos: "" } }),
  }, UNSEEN],
  ["a MySQL that has written since its start", underMysql(1_100), {
    ...nowMysql(9_000),
    binlogs: [file("binlog.000002", 1_234), file("binlog.000003", 900)],
  }, UNSEEN],
  ["a new file that begins with many GTIDs", underMysql(1_100), {
    ...nowMysql(9_000),
    coordinates: coordinates({ gtid: { gtid_mode: "OFF", gtid_executed: "x".repeat(400) } }),
    binlogs: [file("binlog.000002", 1_234), file("binlog.000003", 900)],
  }, SEEN],
  [
    "what is of one filesystem is of one moment",
    { ...under(1_000), volumes: INSTANCE.volumes },
    now(1_002),
    [],
  ],
  ["and is looked at all the same", { ...under(1_000), volumes: [] }, now(9_000), SEEN],
  [
    "but on MySQL temporary tables of clients take numbers as well",
    { ...underMysql(1_100), volumes: INSTANCE.volumes },
    nowMysql(9_000),
    UNSEEN,
  ],
];

for (const [says, recorded, server, codes] of CASES) {
  Deno.test(`transaction numbers: ${says}`, () => {
    const found = laterDataFindings(recordedServer(recorded), imageServer(server));
    assert.deepEqual(found.map(({ code }) => code), codes, JSON.stringify(found));
  });
}

Deno.test("how many later transactions would not be seen is said", () => {
  const cases: readonly (readonly [Partial<InstanceRecord>, Partial<ImageServer>, number])[] = [
    [under(1_000), now(1_002), 6],
    [{ ...under(1_000), method: "backup-stage" }, now(1_002), 106],
    [underMysql(1_100), nowMysql(1_548), 179],
    [underMysql(1_270), nowMysql(1_548), 265],
  ];
  for (const [recorded, server, most] of cases) {
    const [found] = laterDataFindings(recordedServer(recorded), imageServer(server));
    assert.match(found?.title ?? "", new RegExp(`up to ${most} transactions of a later moment`));
  }
});

Deno.test("MariaDB's own line about its data is named, and where it must not be after", () => {
  const cases: readonly (readonly [Partial<InstanceRecord>, Partial<ImageServer>, boolean])[] = [
    [under(1_000), now(1_002), true],
    [under(1_000), now(9_000), true],
    [under(1_000), { transactions: null }, true],
    // Later versions of MySQL do not say it.
    [underMysql(1_100), nowMysql(9_000), false],
  ];
  for (const [recorded, server, isNamed] of cases) {
    const [found] = laterDataFindings(recordedServer(recorded), imageServer(server));
    const isSaid = /'Last binlog file'.*must not be after binlog\.000002:1234$/.test(
      found?.title ?? "",
    );
    assert.equal(isSaid, isNamed, found?.title);
    assert.equal(found?.remedy ?? null, isNamed ? REMEDY : null);
  }
});

const REMEDY = 'journalctl -u mariadb --grep="Last binlog file"';
