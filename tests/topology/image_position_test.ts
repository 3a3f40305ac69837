/**
 * A claim about an image is proven by booting the image: a few windows on parallel replicas under
 * load, their disks copied while the lock is held, and a second server started on each copy. The
 * long form, with hundreds of windows: deno task replica-images -- --windows=200 --boot=50
 */
import assert from "node:assert/strict";
import { repositoryRoot, run } from "../../scripts/shell.ts";
import { ask, openNodeGuest } from "../support/node_guest.ts";
import { startReplica, startSource } from "../support/replica.ts";
import { discard } from "../support/server.ts";

const CASES: readonly (readonly [sentence: string, args: readonly string[], expected: RegExp])[] = [
  [
    "MariaDB with parallel appliers takes the exact method",
    ["--server=mariadb", "--windows=3"],
    /method=auto \(ftwrl\), .* 3 booted: 3 exact, 0 said to be inexact, 0 wrong/,
  ],
  [
    "MariaDB under method=backup-stage says when its position lies behind",
    ["--server=mariadb", "--windows=4", "--method=backup-stage"],
    /\(backup-stage\), .* 4 booted: .* 0 wrong/,
  ],
  [
    "MySQL says that its position does, and its GTIDs are exact",
    ["--server=mysql", "--windows=2"],
    /\(ftwrl\), .* 2 booted: 0 exact, 2 said to be inexact, 0 wrong/,
  ],
];

for (const [sentence, args, expected] of CASES) {
  Deno.test(`what is recorded of a replica is what its image says: ${sentence}`, async () => {
    const proof = await run(
      [Deno.execPath(), "run", "-A", `${repositoryRoot()}/scripts/replica_images.ts`, ...args],
      { timeoutMs: 120_000 },
    );
    assert.equal(proof.code, 0, proof.stdout + proof.stderr);
    assert.match(proof.stdout, expected);
  });
}

Deno.test("a replica that has applied nothing yet is seen without SLAVE MONITOR, a primary is not taken for one", async () => {
  const source = await startSource("mariadb");
  try {
    for (const server of [source, await startReplica("mariadb", source, {}, ["--log-bin=OFF"])]) {
      const isReplica = server !== source;
      // Nothing applied: its place is the start of a source that has written nothing since.
      if (isReplica) {
        await ask(server, "STOP SLAVE");
        await ask(server, "SET GLOBAL gtid_slave_pos=''");
      }
      await ask(server, "CREATE OR REPLACE USER quiesce@localhost IDENTIFIED BY 'secret'");
      await ask(server, "GRANT RELOAD, BINLOG MONITOR, PROCESS ON *.* TO quiesce@localhost");
      const guest = await openNodeGuest(server);
      try {
        await guest.sandbox.writeFile(
          "/root/.my.cnf",
          "[client]\nuser=quiesce\npassword=secret\n",
          0o600,
        );
        // Stopped, and then at work.
        for (const start of isReplica ? [null, "START SLAVE"] : [null]) {
          if (start !== null) await ask(server, start);
          const frozen = await guest.locktables("pre-freeze");
          assert.equal(frozen.code, 0, frozen.stderr);
          assert.equal(/GRANT SLAVE MONITOR/.test(frozen.stderr), isReplica, frozen.stderr);
          assert.equal((await guest.locktables("post-thaw")).code, 0);
        }
      } finally {
        await guest.close();
        if (isReplica) await discard(server);
      }
    }
  } finally {
    await discard(source);
  }
});
