import assert from "node:assert/strict";

import { coordinatesFrom } from "../../lib/mysql/coordinates_from.ts";
import {
  ALONE,
  type Coordinates,
  describePosition,
  isSameHistory,
  isSamePosition,
} from "../../lib/window/coordinates.ts";

Deno.test("MySQL's coordinates lose the line feeds of a long GTID set", () => {
  const row = {
    File: "binlog.000008",
    Position: 1918,
    Binlog_Do_DB: "",
    Binlog_Ignore_DB: "",
    Executed_Gtid_Set: "a:1-5,\nb:1-2",
  };
  const gtid = { gtid_mode: "ON", gtid_executed: "a:1-5,\nb:1-2,\nc:1", gtid_purged: "" };
  assert.deepEqual(coordinatesFrom([row], gtid), {
    ...ALONE,
    inexact: null,
    log_bin: true,
    file: "binlog.000008",
    position: 1918,
    gtid: { gtid_mode: "ON", gtid_executed: "a:1-5,b:1-2,c:1", gtid_purged: "" },
  });
});

Deno.test("MariaDB's coordinates have no GTID column and need none", () => {
  const row = {
    File: "mysqld-bin.000001",
    Position: 330,
    Binlog_Do_DB: "",
    Binlog_Ignore_DB: "",
  };
  assert.deepEqual(coordinatesFrom([row], { gtid_binlog_pos: "0-118-45569" }), {
    ...ALONE,
    inexact: null,
    log_bin: true,
    file: "mysqld-bin.000001",
    position: 330,
    gtid: { gtid_binlog_pos: "0-118-45569" },
  });
});

Deno.test("no row means that the binlog is off, which is no error", () => {
  assert.deepEqual(coordinatesFrom([], { gtid_binlog_pos: "" }), {
    ...ALONE,
    inexact: null,
    log_bin: false,
    file: null,
    position: null,
    gtid: { gtid_binlog_pos: "" },
  });
});

Deno.test("a position beyond 4 GiB is exact, as a number or as the text of a big one", () => {
  for (const position of [9_178_648_000, "9178648000"]) {
    assert.equal(
      coordinatesFrom([{ File: "b.1", Position: position }], {}).position,
      9_178_648_000,
    );
  }
});

const HERE = { file: "binlog.000002", position: 1234 };

const COMPARED: readonly (readonly [sentence: string, typeof HERE | NoBinlog, boolean])[] = [
  ["the same place is the same", { ...HERE }, true],
  ["a later position is not", { ...HERE, position: 1235 }, false],
  // FLUSH BINARY LOGS is free under the lock; the new file may have the very same size.
  ["another file is not, at an equal position", { ...HERE, file: "binlog.000003" }, false],
  ["a binlog that is gone is not", { file: null, position: null }, false],
];

interface NoBinlog {
  readonly file: null;
  readonly position: null;
}

for (const [sentence, there, expected] of COMPARED) {
  Deno.test(`coordinates: ${sentence}`, () => {
    assert.equal(isSamePosition(HERE, there), expected);
    assert.equal(isSamePosition(there, HERE), expected);
  });
}

Deno.test("coordinates: without a binlog there is nothing that could have moved", () => {
  const none = { file: null, position: null };
  assert.equal(isSamePosition(none, none), true);
});

Deno.test("coordinates: an answer that cannot be read proves nothing", () => {
  const unreadable = coordinatesFrom([{}], {});
  assert.equal(isSamePosition(unreadable, unreadable), false);
});

type Gtid = Coordinates["gtid"];

const MARIADB: Gtid = {
  gtid_binlog_pos: "0-1-7,1-2-30",
  gtid_slave_pos: "1-2-30",
  gtid_current_pos: "0-1-7,1-2-30",
  gtid_binlog_state: "0-1-7,1-2-30",
};
const MYSQL: Gtid = { gtid_mode: "ON", gtid_executed: "a:1-5,b:1-2", gtid_purged: "a:1-2" };

/** GTIDs at the lock and at the release, and whether they prove that nothing was committed. */
const HISTORIES: readonly (readonly [sentence: string, held: Gtid, now: Gtid, isSame: boolean])[] =
  [
    ["MariaDB with the same GTIDs has the same history", MARIADB, { ...MARIADB }, true],
    ["MariaDB with one transaction more has not", MARIADB, {
      ...MARIADB,
      gtid_binlog_pos: "0-1-8,1-2-30",
    }, false],
    ["MariaDB with one more in a second domain has not", MARIADB, {
      ...MARIADB,
      gtid_binlog_pos: "0-1-7,1-2-31",
    }, false],
    ["MariaDB with a new domain has not", MARIADB, {
      ...MARIADB,
      gtid_binlog_pos: "0-1-7,1-2-30,5-1-1",
    }, false],
    [
      "a MariaDB replica that applied something has not, even where it writes no binlog of it",
      MARIADB,
      {
        ...MARIADB,
        gtid_slave_pos: "1-2-31",
        gtid_current_pos: "0-1-7,1-2-31",
      },
      false,
    ],
    ["a MariaDB that has never committed has the same history", { gtid_binlog_pos: "" }, {
      gtid_binlog_pos: "",
    }, true],
    ["a MariaDB whose first commit came in between has not", { gtid_binlog_pos: "" }, {
      gtid_binlog_pos: "0-1-1",
    }, false],
    ["a MariaDB that does not say it again proves nothing", MARIADB, {}, false],
    ["MySQL with the same GTIDs has the same history", MYSQL, { ...MYSQL }, true],
    ["MySQL with one transaction more has not", MYSQL, {
      ...MYSQL,
      gtid_executed: "a:1-6,b:1-2",
    }, false],
    ["MySQL with a new source has not", MYSQL, {
      ...MYSQL,
      gtid_executed: "a:1-5,b:1-2,c:1",
    }, false],
    ["MySQL that only purged old logs has the same history", MYSQL, {
      ...MYSQL,
      gtid_purged: "a:1-3",
    }, true],
    ["MySQL that does not say it again proves nothing", MYSQL, { gtid_mode: "ON" }, false],
    // Without a GTID of its own a transaction leaves the set as it is.
    ...["OFF", "OFF_PERMISSIVE", "ON_PERMISSIVE"].flatMap((gtid_mode) =>
      [
        [`MySQL with gtid_mode=${gtid_mode} proves nothing`, { ...MYSQL, gtid_mode }, {
          ...MYSQL,
          gtid_mode,
        }, false],
        [`MySQL that was set to gtid_mode=${gtid_mode} in between proves nothing`, MYSQL, {
          ...MYSQL,
          gtid_mode,
        }, false],
      ] as const
    ),
    ["a server without GTIDs proves nothing", {}, {}, false],
  ];

for (const [sentence, held, now, isSame] of HISTORIES) {
  Deno.test(`history: ${sentence}`, () => {
    const alone = { ...ALONE, inexact: null, log_bin: true };
    const before = { ...alone, file: "binlog.000002", position: 1234, gtid: held };
    const rotated = { ...alone, file: "binlog.000003", position: 4, gtid: now };
    assert.equal(isSameHistory(before, rotated), isSame);
    // Where the binlog ends is the other question.
    assert.equal(isSameHistory(before, { ...before, gtid: now }), isSame);
  });
}

Deno.test("history: a rotation by somebody else moves the position, and the GTIDs tell it from a commit", () => {
  const row = (file: string, position: number) => ({ File: file, Position: position });
  // A long set comes in lines, and not always in the same ones.
  const held = coordinatesFrom([row("b.000002", 1234)], {
    ...MYSQL,
    gtid_executed: "a:1-5,\nb:1-2",
  });
  const rotated = coordinatesFrom([row("b.000003", 197)], MYSQL);
  assert.equal(isSamePosition(held, rotated), false);
  assert.equal(isSameHistory(held, rotated), true);
});

Deno.test("a place in the binlog is described as the servers' tools write it", () => {
  assert.equal(describePosition(HERE), "binlog.000002:1234");
  assert.equal(describePosition({ file: null, position: null }), "no binlog");
});
