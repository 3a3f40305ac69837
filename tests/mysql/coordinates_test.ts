import assert from "node:assert/strict";

import { coordinatesFrom, describePosition, isSamePosition } from "../../lib/mysql/coordinates.ts";

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
    log_bin: true,
    file: "mysqld-bin.000001",
    position: 330,
    gtid: { gtid_binlog_pos: "0-118-45569" },
  });
});

Deno.test("no row means that the binlog is off, which is no error", () => {
  assert.deepEqual(coordinatesFrom([], { gtid_binlog_pos: "" }), {
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

Deno.test("a place in the binlog is described as the servers' tools write it", () => {
  assert.equal(describePosition(HERE), "binlog.000002:1234");
  assert.equal(describePosition({ file: null, position: null }), "no binlog");
});
