/** What verify makes of facts: who the server is, up to where it goes, what its tables say. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { identityFindings, isOtherServer } from "../../lib/verify/identity_findings.ts";
import { markFindings, volumeFindings } from "../../lib/verify/mark_findings.ts";
import { momentFindings } from "../../lib/verify/moment_findings.ts";
import { positionFindings } from "../../lib/verify/position_findings.ts";
import { recordFindings } from "../../lib/verify/record_findings.ts";
import { freezeOf, sourceVerdict } from "../../lib/verify/source_findings.ts";
import { conditionOf } from "../../lib/verify/table_findings.ts";
import { imageVerdict, type VerifyFinding } from "../../lib/verify/verdict.ts";
import type { ImageServer } from "../../lib/verify/facts.ts";
import type { ImageMarks } from "../../lib/window/image_marks.ts";
import type { InstanceRecord, WindowRecord } from "../../lib/window/record.ts";
import type { ReplicaPosition } from "../../lib/window/coordinates.ts";
import { coordinates, imageServer, LOCKED_AT, recordedServer, recordInImage } from "./records.ts";

const NO_OTHER = { isBinlogProven: false, isHoldProven: false };

const UUID = "aaaaaaaa-0000-4000-8000-000000000001";
const MYSQL_GTID = { gtid_mode: "ON", gtid_executed: `${UUID}:1-7`, gtid_purged: "" };

const NO_BINLOG = { log_bin: false, file: null, position: null, gtid: {} };

const REPLICA: ReplicaPosition = {
  channel: "",
  source_host: "source",
  source_port: 3306,
  relay_source_log_file: "binlog.000009",
  exec_source_log_pos: 777,
  gtid: { auto_position: "0" },
  io_running: "No",
  sql_running: "No",
  seconds_behind: null,
};

const WSREP = {
  cluster_state_uuid: UUID,
  last_committed: 40,
  cluster_size: 3,
  cluster_status: "Primary",
  local_state_comment: "Synced",
  ready: true,
};

interface PositionCase {
  readonly sentence: string;
  readonly recorded?: Partial<InstanceRecord>;
  readonly server?: Partial<ImageServer>;
  readonly codes: readonly string[];
}

const at = (file: string, position: number) => coordinates({ file, position });

const POSITIONS: readonly PositionCase[] = [
  { sentence: "everything as recorded", codes: [] },
  {
    sentence: "what the server wrote after its start is no difference of the image",
    server: { coordinates: coordinates({ gtid: { gtid_binlog_pos: "0-1-9" } }) },
    codes: ["written-since-start"],
  },
  {
    sentence: "the recorded file goes on after the lock",
    server: {
      binlogs: [{ name: "binlog.000002", bytes: 1_300, isEncrypted: false }],
      coordinates: coordinates({ gtid: { gtid_binlog_pos: "0-1-8" } }),
    },
    codes: ["binlog-long", "transactions-more"],
  },
  {
    sentence: "the recorded file ends before the lock",
    server: {
      binlogs: [{ name: "binlog.000002", bytes: 1_200, isEncrypted: false }],
      coordinates: coordinates({ gtid: { gtid_binlog_pos: "0-1-6" } }),
    },
    codes: ["binlog-short", "transactions-missing"],
  },
  {
    sentence: "the recorded file is not there yet",
    server: { binlogs: [{ name: "binlog.000001", bytes: 5_000, isEncrypted: false }] },
    codes: ["binlog-lost"],
  },
  {
    sentence: "the recorded file is not there any more",
    server: { binlogs: [{ name: "binlog.000004", bytes: 5_000, isEncrypted: false }] },
    codes: ["binlog-purged"],
  },
  {
    sentence: "the server writes a binlog of another name",
    server: { binlogs: [{ name: "mysql-bin.000001", bytes: 5_000, isEncrypted: false }] },
    codes: ["binlog-off"],
  },
  {
    sentence: "the server was started without its binlog",
    server: { logBin: false, binlogs: [] },
    codes: ["binlog-off", "nothing-to-compare"],
  },
  {
    sentence: "the account may not see the files, and GTIDs say the same",
    server: { binlogs: null },
    codes: ["binlog-unasked"],
  },
  {
    sentence: "the account may not see the files, and GTIDs say more",
    server: { binlogs: null, coordinates: coordinates({ gtid: { gtid_binlog_pos: "0-1-8" } }) },
    codes: ["binlog-unasked", "transactions-more"],
  },
  {
    sentence: "the file is encrypted, with a header that no position counts",
    server: { binlogs: [{ name: "binlog.000002", bytes: 1_746, isEncrypted: true }] },
    codes: [],
  },
  {
    sentence: "the file is encrypted, and goes on after the lock",
    server: { binlogs: [{ name: "binlog.000002", bytes: 1_747, isEncrypted: true }] },
    codes: ["binlog-long"],
  },
  {
    sentence: "another history has the same numbers",
    server: { coordinates: coordinates({ gtid: { gtid_binlog_pos: "0-2-7" } }) },
    codes: ["history-differs"],
  },
  {
    sentence: "the window had no binlog",
    recorded: { coordinates: coordinates(NO_BINLOG) },
    server: { logBin: false, binlogs: [] },
    codes: ["nothing-to-compare"],
  },
  {
    sentence: "the window had no binlog, and MySQL's GTIDs stand still without one",
    recorded: {
      coordinates: coordinates({ ...NO_BINLOG, gtid: MYSQL_GTID }),
    },
    server: {
      flavor: "mysql",
      logBin: false,
      binlogs: [],
      coordinates: coordinates({ gtid: MYSQL_GTID }),
    },
    codes: ["nothing-to-compare"],
  },
  {
    sentence: "the window had no binlog, on a MariaDB that was a replica once",
    recorded: {
      coordinates: coordinates({ ...NO_BINLOG, gtid: { gtid_slave_pos: "0-1-7" } }),
    },
    server: {
      logBin: false,
      binlogs: [],
      coordinates: coordinates({ ...NO_BINLOG, gtid: { gtid_slave_pos: "0-1-7" } }),
    },
    codes: ["nothing-to-compare"],
  },
  {
    sentence: "the window had no binlog, on a replica that stands where it stood",
    recorded: { coordinates: coordinates({ ...NO_BINLOG, replicas: [REPLICA] }) },
    server: {
      logBin: false,
      binlogs: [],
      coordinates: coordinates({ ...NO_BINLOG, replicas: [REPLICA] }),
    },
    codes: [],
  },
  {
    sentence: "the window had no binlog, on a node that was started alone",
    recorded: { coordinates: coordinates({ ...NO_BINLOG, wsrep: WSREP }) },
    server: { logBin: false, binlogs: [], coordinates: coordinates(NO_BINLOG) },
    codes: ["cluster-unseen", "nothing-to-compare"],
  },
  {
    sentence: "MySQL's set has lost one, though the binlog is whole",
    recorded: { coordinates: coordinates({ gtid: MYSQL_GTID }) },
    server: {
      flavor: "mysql",
      coordinates: coordinates({ gtid: { ...MYSQL_GTID, gtid_executed: `${UUID}:1-6` } }),
    },
    codes: ["transactions-missing"],
  },
  {
    sentence: "a replica goes on from where it was",
    recorded: { coordinates: coordinates({ replicas: [REPLICA] }) },
    server: { coordinates: coordinates({ replicas: [REPLICA] }) },
    codes: [],
  },
  {
    sentence: "a replica goes on from before",
    recorded: { coordinates: coordinates({ replicas: [REPLICA] }) },
    server: {
      coordinates: coordinates({ replicas: [{ ...REPLICA, exec_source_log_pos: 700 }] }),
    },
    codes: ["replica-behind"],
  },
  {
    sentence: "a replica goes on from a later file",
    recorded: { coordinates: coordinates({ replicas: [REPLICA] }) },
    server: {
      coordinates: coordinates({
        replicas: [{
          ...REPLICA,
          relay_source_log_file: "binlog.000010",
          exec_source_log_pos: 4,
        }],
      }),
    },
    codes: ["replica-ahead"],
  },
  {
    sentence: "a replica has begun to apply again",
    recorded: { coordinates: coordinates({ replicas: [REPLICA] }) },
    server: {
      coordinates: coordinates({
        replicas: [{ ...REPLICA, exec_source_log_pos: 900, sql_running: "Yes" }],
      }),
    },
    codes: [],
  },
  {
    sentence: "a position that was recorded as inexact",
    recorded: {
      coordinates: coordinates({
        replicas: [REPLICA],
        inexact: { fields: ["exec_source_log_pos"], why: "workers", exact_instead: null },
      }),
    },
    server: {
      coordinates: coordinates({ replicas: [{ ...REPLICA, exec_source_log_pos: 900 }] }),
    },
    codes: ["position-inexact"],
  },
  {
    sentence: "a replica that is not configured any more",
    recorded: { coordinates: coordinates({ replicas: [REPLICA] }) },
    codes: ["replica-unseen"],
  },
  {
    sentence: "a node in its cluster, at its place",
    recorded: { coordinates: coordinates({ wsrep: WSREP }) },
    server: { coordinates: coordinates({ wsrep: WSREP }) },
    codes: [],
  },
  {
    sentence: "a node in its cluster, behind its place",
    recorded: { coordinates: coordinates({ wsrep: WSREP }) },
    server: { coordinates: coordinates({ wsrep: { ...WSREP, last_committed: 39 } }) },
    codes: ["cluster-behind"],
  },
  {
    sentence: "a node in another cluster",
    recorded: { coordinates: coordinates({ wsrep: WSREP }) },
    server: {
      coordinates: coordinates({ wsrep: { ...WSREP, cluster_state_uuid: "other" } }),
    },
    codes: ["cluster-differs"],
  },
  {
    sentence: "a node that was started alone",
    recorded: { coordinates: coordinates({ wsrep: WSREP }) },
    codes: ["cluster-unseen"],
  },
  { sentence: "no coordinates", recorded: { coordinates: null }, codes: ["coordinates-missing"] },
];

Deno.test("a server's position is judged by its binlog, GTIDs, replicas and cluster", () => {
  for (const { sentence, recorded, server, codes } of POSITIONS) {
    const found = positionFindings(
      recordedServer({ coordinates: at("binlog.000002", 1_234), ...recorded }),
      imageServer(server),
      NO_OTHER,
    );
    assert.deepEqual(found.map(({ code }) => code), codes, sentence);
  }
});

Deno.test("other evidence stands in for a binlog that the server does not show", () => {
  const without = imageServer({ logBin: false, binlogs: [] });
  const recorded = recordedServer({ coordinates: at("binlog.000002", 1_234) });
  const judged = (evidence: typeof NO_OTHER) =>
    positionFindings(recorded, without, evidence).map(({ code }) => code);
  assert.deepEqual(judged({ ...NO_OTHER, isBinlogProven: true }), []);
  assert.deepEqual(judged({ ...NO_OTHER, isHoldProven: true }), ["binlog-off"]);
});

Deno.test("without a binlog the source's word is about files on the record's filesystem alone", () => {
  const server = imageServer({ logBin: false, binlogs: [], coordinates: coordinates(NO_BINLOG) });
  const place = (path: string, device: string) => ({ path, mount_point: path, device });
  const cases: readonly (readonly [Partial<InstanceRecord>, readonly string[]])[] = [
    [{ record_device: "8:1", volumes: [place("/var/lib/mysql", "8:1")] }, []],
    [
      { record_device: "8:1", volumes: [place("/var/lib/mysql", "8:17")] },
      ["nothing-to-compare"],
    ],
    [{ record_device: "8:1", volumes: [] }, ["nothing-to-compare"]],
    [{ record_device: null, volumes: [] }, ["nothing-to-compare"]],
  ];
  for (const [change, codes] of cases) {
    const found = positionFindings(
      recordedServer({ coordinates: coordinates(NO_BINLOG), ...change }),
      server,
      { ...NO_OTHER, isHoldProven: true },
    );
    assert.deepEqual(found.map(({ code }) => code), codes, JSON.stringify(change));
  }
});

const IDENTITIES: readonly (readonly [
  sentence: string,
  server: Partial<ImageServer>,
  codes: readonly string[],
])[] = [
  ["the same", {}, []],
  ["another family", { flavor: "mysql" }, ["record-of-other-server"]],
  ["another host", { hostname: "drill" }, ["hostname-differs"]],
  ["another version", { version: "11.8.1-MariaDB" }, ["version-differs"]],
  [
    "a server that ran before the window",
    { startedMs: Date.parse(LOCKED_AT) - 60_000 },
    ["not-from-image"],
  ],
  ["a recovery that goes on", { recovering: 2 }, ["recovery-running"]],
  ["a log that is not shown", { innodbErrors: null }, ["innodb-errors-unseen"]],
  ["errors of InnoDB", { innodbErrors: ["a", "b"] }, ["innodb-error", "innodb-error"]],
  ["repair", { repairs: ["myisam_recover_options=BACKUP"] }, ["repair-on"]],
];

Deno.test("a server is known by what lies in its image", () => {
  for (const [sentence, server, codes] of IDENTITIES) {
    const found = identityFindings(recordInImage(), recordedServer(), imageServer(server));
    assert.deepEqual(found.map(({ code }) => code), codes, sentence);
  }
  const other = identityFindings(
    recordInImage(),
    recordedServer({ server_uuid: UUID, flavor: "mysql" }),
    imageServer({ flavor: "mysql", serverUuid: UUID.replace("1", "2") }),
  );
  assert.deepEqual(other.map(({ code }) => code), ["record-of-other-server"]);
});

const ANSWERS: readonly (readonly [
  condition: string,
  rows: readonly (readonly [type: string, text: string])[],
])[] = [
  ["good", [["status", "OK"]]],
  ["good", [["status", "Table is already up to date"]]],
  ["good", [["error", "Table 'shop.gone' doesn't exist"], ["status", "Operation failed"]]],
  ["damaged", [["error", "Table 'shop.t' doesn't exist in engine"]]],
  [
    "not-closed",
    [
      ["warning", "1 client is using or hasn't closed the table properly"],
      ["status", "OK"],
    ],
  ],
  [
    "not-closed",
    [
      ["warning", "2 clients are using or haven't closed the table properly"],
      ["status", "OK"],
    ],
  ],
  ["damaged", [["warning", "Table is marked as crashed"], ["status", "OK"]]],
  ["damaged", [["error", "Found key at page 1024 that points to record outside datafile"]]],
  ["damaged", [["error", "Corrupt"]]],
  ["damaged", [["status", "Operation failed"]]],
  ["unchecked", [["note", "The storage engine for the table doesn't support check"]]],
  ["unchecked", [["error", "SELECT command denied to user 'a'@'b' for table 't'"]]],
  ["unchecked", [["error", "Lock wait timeout exceeded; try restarting transaction"]]],
];

Deno.test("CHECK TABLE's answers mean that a table is good, open, damaged or not looked at", () => {
  for (const [condition, rows] of ANSWERS) {
    const { is } = conditionOf(rows.map(([type, text]) => ({ type, text })));
    assert.equal(is, condition, JSON.stringify(rows));
  }
});

const RECORDS: readonly (readonly [
  sentence: string,
  change: Partial<WindowRecord>,
  codes: readonly string[],
])[] = [
  ["written under the lock", {}, []],
  ["before the answer", { phase: "answering" }, []],
  ["the window is over", { phase: "closed", outcome: "released" }, ["window-closed"]],
  ["it ends", { phase: "releasing" }, ["window-closed"]],
  [
    "never locked",
    { phase: "closed", outcome: "refused", was_held: false },
    ["window-not-held"],
  ],
  ["not locked yet", { phase: "locking", was_held: false }, ["window-not-held"]],
  ["of no server", { instances: [] }, ["no-instances"]],
];

Deno.test("a record in an image shows a window that is held", () => {
  for (const [sentence, change, codes] of RECORDS) {
    const text = JSON.stringify({ ...recordInImage(), ...change });
    const { findings } = recordFindings({ kind: "text", text }, "record.json");
    assert.deepEqual(findings.map(({ code }) => code), codes, sentence);
  }
});

Deno.test("no record, and what is none, is one line and a doubt", () => {
  const whole = JSON.stringify(recordInImage());
  const reads = [
    { kind: "missing" },
    { kind: "too-long", bytes: 5_000_000 },
    { kind: "unreadable", why: "os error 5" },
    ...["", "{}", "[]", "null", whole.slice(0, -20), whole.replace('"held"', '"asleep"')].map((
      text,
    ) => ({ kind: "text", text } as const)),
  ] as const;
  for (const read of reads) {
    const { record, findings } = recordFindings(read, "record.json");
    assert.equal(record, null);
    assert.equal(findings.length, 1);
    assert.equal(imageVerdict(findings), "unknown");
  }
});

Deno.test("10,000 records that were damaged or made up end in a verdict and in nothing else", () => {
  const whole = JSON.stringify(recordInImage({
    coordinates: coordinates({ replicas: [REPLICA], wsrep: WSREP }),
  }));
  const value = fc.jsonValue({ maxDepth: 3 });
  const text = fc.oneof(
    fc.nat({ max: whole.length }).map((end) => whole.slice(0, end)),
    fc.tuple(fc.nat({ max: whole.length - 1 }), fc.string({ maxLength: 3 })).map((
      [cut, other],
    ) => whole.slice(0, cut) + other + whole.slice(cut + 1)),
    fc.tuple(fc.constantFrom("gtid", "replicas", "wsrep", "file", "position", "inexact"), value)
      .map(([name, other]) => {
        const record = JSON.parse(whole);
        record.instances[0].coordinates[name] = other;
        return JSON.stringify(record);
      }),
    fc.json(),
  );
  fc.assert(
    fc.property(text, (one) => {
      const { record, findings } = recordFindings({ kind: "text", text: one }, "record.json");
      assert.ok(record !== null || findings.length === 1);
      for (const instance of record?.instances ?? []) {
        const all: VerifyFinding[] = [
          ...identityFindings(recordInImage(), instance, imageServer()),
          ...positionFindings(instance, imageServer(), NO_OTHER),
        ];
        for (const { title } of all) assert.doesNotMatch(title, /\n/);
      }
    }),
    { numRuns: 10_000 },
  );
});

Deno.test("the source tells how the window of this image ended, and of no other", () => {
  const image = recordInImage();
  const end = (change: Partial<WindowRecord>) => ({
    ...image,
    phase: "closed",
    outcome: "released",
    reason: "thaw",
    verdict: "application-consistent",
    ...change,
  });
  const cases: readonly (readonly [text: string | null, code: string])[] = [
    [null, "source-verdict-unknown"],
    ["", "source-unreadable"],
    ["{}", "source-unreadable"],
    [JSON.stringify({ window: null, last: end({}) }), "source-verdict"],
    [JSON.stringify(end({})), "source-verdict"],
    [
      JSON.stringify({ last: end({ outcome: "expired", verdict: "crash-consistent" }) }),
      "lock-not-held",
    ],
    [JSON.stringify({ window: image, last: null }), "source-window-open"],
    [JSON.stringify({ last: end({ window_id: "another" }) }), "source-other-window"],
  ];
  for (const [text, code] of cases) {
    assert.deepEqual(
      sourceVerdict(text, image).findings.map((one) => one.code),
      [code],
      text ?? "",
    );
  }
});

Deno.test("where the filesystems were frozen is told by the source alone", () => {
  const at = (seconds: number) => `2026-11-28T01:00:0${seconds}.000Z`;
  const closed = (frozen: number | null, thawed: number | null) => ({
    ...recordInImage(),
    phase: "closed" as const,
    released_at: at(5),
    filesystems_frozen_at: frozen === null ? null : at(frozen),
    filesystems_thawed_at: thawed === null ? null : at(thawed),
  });
  const cases: readonly (readonly [WindowRecord | null, string])[] = [
    [null, "unknown"],
    [recordInImage(), "unknown"],
    [closed(null, null), "not-seen"],
    [closed(1, 4), "inside-lock"],
    // Released at the thaw.
    [closed(1, 5), "inside-lock"],
    [closed(1, null), "not-inside-lock"],
    [closed(1, 6), "not-inside-lock"],
    [closed(6, 7), "not-inside-lock"],
  ];
  for (const [record, freeze] of cases) assert.equal(freezeOf(record), freeze);
  const last = { ...closed(1, 4), outcome: "released", verdict: "application-consistent" };
  const [finding] = sourceVerdict(JSON.stringify({ last }), recordInImage()).findings;
  assert.match(finding?.title ?? "", /frozen at .*, inside of the lock$/);
});

Deno.test("what the server had before the lock is in the image", () => {
  const closed = (...bytes: readonly number[]) =>
    bytes.map((count, index) => ({ name: `binlog.00000${index + 1}`, bytes: count }));
  const files = (...bytes: readonly (number | null)[]) =>
    bytes.flatMap((count, index) =>
      count === null ? [] : [{ name: `binlog.00000${index + 1}`, bytes: count, isEncrypted: false }]
    );
  const database = (name: string, tables: number) => ({ name, tables, without_transactions: 0 });
  const marks = (change: Partial<ImageMarks>): ImageMarks => ({
    closed_binlogs: null,
    databases: null,
    system_tables_made_at: null,
    ...change,
  });
  const many = (count: number, tables: number) =>
    Array.from({ length: count }, (_one, index) => database(`d${index}`, tables));
  const was = marks({ closed_binlogs: closed(10, 20, 30) });
  const had = marks({ databases: [database("shop", 5), database("farm", 1)] });
  const cases: readonly (readonly [
    ImageMarks | null,
    Partial<ImageServer>,
    readonly string[],
  ])[] = [
    [null, {}, []],
    [was, { binlogs: files(10, 20, 30, 1_234) }, []],
    [was, { binlogs: null }, []],
    // Purged from the oldest on.
    [was, { binlogs: files(null, null, 30, 1_234) }, []],
    [was, { binlogs: files(10, null, 30, 1_234) }, ["binlog-lost"]],
    [was, { binlogs: files(10, 19, 30, 1_234) }, ["binlog-broken"]],
    [was, { binlogs: files(11, 21, 29, 1_234) }, ["history-differs"]],
    [had, { marks: had }, []],
    [had, { marks: marks({}) }, []],
    [had, { marks: marks({ databases: [database("shop", 5)] }) }, ["database-missing"]],
    [had, { marks: marks({ databases: [database("shop", 5)] }), seesTables: false }, []],
    [had, { marks: marks({ databases: [database("shop", 4), database("farm", 1)] }) }, [
      "tables-fewer",
    ]],
    // A list that is full has no room for a small one.
    [had, { marks: marks({ databases: many(50, 3) }) }, ["database-missing"]],
    [marks({ databases: [database("farm", 1)] }), { marks: marks({ databases: many(50, 3) }) }, []],
  ];
  for (const [recorded, server, codes] of cases) {
    const found = markFindings(recordedServer({ marks: recorded }), imageServer(server));
    assert.deepEqual(found.map(({ code }) => code), codes, JSON.stringify([recorded, server]));
  }
});

Deno.test("a MariaDB whose system tables were made at another time is another server", () => {
  const made = (system_tables_made_at: string | null) => ({
    closed_binlogs: null,
    databases: null,
    system_tables_made_at,
  });
  const cases: readonly (readonly [Partial<ImageServer>, boolean])[] = [
    [{ marks: made(LOCKED_AT) }, false],
    [{ marks: made(null) }, false],
    [{ marks: made("2026-01-01T00:00:00.000Z") }, true],
    // An upgrade makes them anew.
    [{ marks: made("2026-01-01T00:00:00.000Z"), version: "11.8.2-MariaDB" }, false],
  ];
  for (const [server, is] of cases) {
    const recorded = recordedServer({ marks: made(LOCKED_AT) });
    assert.equal(isOtherServer(recorded, imageServer(server)), is, JSON.stringify(server));
  }
});

Deno.test("files on several filesystems have to be of one snapshot, which is said", () => {
  const place = (path: string, device: string) => ({ path, mount_point: path, device });
  const one = recordedServer({ volumes: [place("/data", "8:1"), place("/log", "8:1")] });
  const two = recordedServer({ volumes: [place("/data", "8:1"), place("/log", "8:17")] });
  assert.deepEqual(volumeFindings(one), []);
  assert.match(volumeFindings(two)[0]?.title ?? "", /\/data \(8:1\); \/log on \/log \(8:17\)/);
});

Deno.test("damage counts before doubt, and doubt before a difference", () => {
  const of = (...weights: VerifyFinding["weight"][]) =>
    imageVerdict(weights.map((weight) => ({
      code: "repair-on",
      weight,
      title: "",
      remedy: null,
      instance: null,
    })));
  assert.equal(of(), "as-promised");
  assert.equal(of("note"), "as-promised");
  assert.equal(of("note", "difference"), "recoverable");
  assert.equal(of("difference", "doubt"), "unknown");
  assert.equal(of("difference", "doubt", "damage"), "damaged");
});

Deno.test("volumes of two moments give themselves away", () => {
  const mysql = (gtid: Readonly<Record<string, string>>) =>
    ({ flavor: "mysql", coordinates: coordinates({ gtid }) }) as const;
  const recorded = { ...mysql(MYSQL_GTID), innodb_lsn: 5_000_000 };
  const cases: readonly (readonly [Partial<ImageServer>, readonly string[]])[] = [
    [{ ...mysql(MYSQL_GTID), redoPosition: 4_999_000 }, []],
    [{ ...mysql(MYSQL_GTID), redoPosition: null }, []],
    [{ ...mysql(MYSQL_GTID), redoPosition: 3_000_000 }, ["volume-older"]],
    // Purged by the recorded server itself.
    [mysql({ ...MYSQL_GTID, gtid_purged: `${UUID}:1-3` }), []],
    [mysql({ ...MYSQL_GTID, gtid_purged: `${UUID}:8` }), ["volume-newer"]],
    [{ ...mysql({ ...MYSQL_GTID, gtid_purged: `${UUID}:8` }), binlogs: null }, []],
  ];
  for (const [server, codes] of cases) {
    const found = momentFindings(recordedServer(recorded), imageServer(server));
    assert.deepEqual(found.map(({ code }) => code), codes, JSON.stringify(server));
  }
});
