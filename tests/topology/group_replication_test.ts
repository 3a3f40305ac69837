/** A window on a real member of a replication group. */
import assert from "node:assert/strict";
import { groupMember } from "../../lib/mysql/topology.ts";
import { startGroupMember } from "../support/group_replication.ts";
import { ask, globalVariables, makeTable, openNodeGuest } from "../support/node_guest.ts";
import { discard } from "../support/server.ts";

Deno.test("a member of a replication group is recognised, and is ONLINE after the window", async () => {
  const member = await startGroupMember();
  try {
    await makeTable(member);
    const before = await globalVariables(member);
    const guest = await openNodeGuest(member);
    try {
      const { coordinates } = await guest.freeze();
      const { group } = coordinates;
      assert.deepEqual([group?.member_state, group?.member_role], ["ONLINE", "PRIMARY"]);
      assert.match(group?.view_id ?? "", /^\d+:\d+$/);
      assert.match(coordinates.gtid["gtid_executed"] ?? "", /:1-/, "the group's own GTIDs");
      await guest.thaw();
    } finally {
      await guest.close();
    }
    const rows = await ask(member, "SELECT * FROM performance_schema.replication_group_members");
    assert.equal(groupMember(rows)?.member_state, "ONLINE");
    assert.deepEqual(await globalVariables(member), before);
  } finally {
    await discard(member);
  }
});
