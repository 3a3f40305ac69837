/** What is committed before the lock is in the image, however lazily the server writes. */
import assert from "node:assert/strict";
import { testOnEachServer } from "../support/guest.ts";
import { connect } from "../support/server.ts";

testOnEachServer(
  "a log that the server keeps in memory is in its file when pre-freeze returns",
  async (guest) => {
    const session = await connect(guest.server);
    for (let row = 0; row < 200; row += 1) await session.query("INSERT INTO shop.orders VALUES ()");
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 0, frozen.stderr);
    // As good as a copy of its files at this moment: what is only in its memory is gone.
    await guest.server.kill9();
    await session.close();
    await guest.server.restart();
    const survivor = await connect(guest.server);
    const [row] = await survivor.query("SELECT COUNT(*) AS rows_left FROM shop.orders");
    assert.equal(row?.["rows_left"], 200);
    await survivor.close();
    assert.equal((await guest.locktables("post-thaw")).code, 12, "the server was killed");
  },
  ["--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0"],
);
