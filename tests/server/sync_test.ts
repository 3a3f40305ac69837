/** `sync` that is missing, fails or hangs: never a promise, one true line, writers soon free. */
import assert from "node:assert/strict";
import { assertOneLine, type Guest, openGuest, sleep } from "../support/guest.ts";
import { underLoad } from "../support/load.ts";

/** What a case puts in the place of /usr/bin/sync; null: nothing, the file is empty. */
interface Broken {
  readonly name: string;
  readonly script: string | null;
  readonly mode: number;
  readonly code: number;
  readonly line: RegExp;
}

/** `stall_limit` of these cases, in milliseconds. */
const STALL_LIMIT_MS = 1_500;

/**
 * What a writer may wait beyond `stall_limit`: the look at the deadline every 100 ms, the release,
 * and a machine that is busy with other tests.
 */
const SLACK_MS = 2_000;

const SECONDS = (what: string) => `Locked, but ${what} took longer than stall_limit \\(1500 ms\\)`;

/** Works for so many calls, and then does `then`. */
const worksUntil = (calls: number, then: string) =>
  `#!/bin/sh
echo call >>/run/sync-calls
if [ "$(wc -l </run/sync-calls)" -le ${calls} ]; then exit 0; fi
${then}
`;

const CASES: readonly Broken[] = [
  {
    name: "is not executable",
    script: "",
    mode: 0o644,
    code: 22,
    line: /\/usr\/bin\/sync cannot be started: it is not executable.*coreutils.*ls -l/,
  },
  {
    name: "fails without a message",
    script: "#!/bin/sh\nexit 3\n",
    mode: 0o755,
    code: 22,
    line: /\/usr\/bin\/sync failed without a message \(exit 3\).*coreutils' own/,
  },
  {
    name: "names what it could not write out, under the lock",
    // One call for all filesystems, one for the server's before the lock; the third is under it.
    script: worksUntil(2, "echo 'sync: error syncing /data: Input/output error' >&2; exit 1"),
    mode: 0o755,
    code: 22,
    line: /Cannot write the server's data out to disk: .*Input\/output error/,
  },
  {
    name: "hangs under the lock",
    script: worksUntil(2, "exec sleep 1000"),
    mode: 0o755,
    code: 10,
    line: new RegExp(`${SECONDS("writing out \\S+ \\(sync\\)")}\\. Nothing is locked any more`),
  },
  {
    name: "hangs before the lock",
    script: worksUntil(1, "exec sleep 1000"),
    mode: 0o755,
    code: 10,
    line: /Not frozen within freeze_timeout \(6000 ms\)/,
  },
];

Deno.test("a sync that does not do its work is no frozen server", async (test) => {
  const guest = await openGuest("mariadb");
  try {
    await guest.sandbox.writeFile(
      "/root/.my.cnf",
      `[locktables]\nstall_limit=${STALL_LIMIT_MS}ms\nfreeze_timeout=6s\n`,
    );
    for (const broken of CASES) {
      await test.step(`sync ${broken.name}`, async () => {
        await withSync(guest, broken, async () => {
          const freezing = guest.locktables("pre-freeze");
          const longestWriteMs = await longestWrite(guest, freezing);
          const frozen = await freezing;
          assert.equal(frozen.code, broken.code, frozen.stderr);
          assertOneLine(frozen, broken.line);
          assert.ok(
            longestWriteMs <= STALL_LIMIT_MS + underLoad(SLACK_MS),
            `a writer waited ${longestWriteMs} ms`,
          );
        });
        await guest.assertNothingLeft();
        const thawed = await guest.locktables("post-thaw");
        assert.equal(thawed.code, 0, thawed.stderr);
      });
    }
    await test.step("and a sync that works again is one", async () => {
      const frozen = await guest.locktables("pre-freeze");
      assert.equal(frozen.code, 0, frozen.stderr);
      assert.equal((await guest.locktables("post-thaw")).code, 0);
    });
  } finally {
    await guest.close();
  }
});

async function withSync(
  { sandbox }: Guest,
  { script, mode }: Broken,
  during: () => Promise<void>,
): Promise<void> {
  await sandbox.writeFile("/run/sync", script ?? "", mode);
  const bound = await sandbox.sh("rm -f /run/sync-calls; mount --bind /run/sync /usr/bin/sync");
  assert.equal(bound.code, 0, bound.stderr);
  try {
    await during();
  } finally {
    await sandbox.sh("umount /usr/bin/sync; rm -f /run/sync /run/sync-calls");
  }
}

/** Writes one row after the other until `end`; the longest wait of one, in milliseconds. */
async function longestWrite(guest: Guest, end: Promise<unknown>): Promise<number> {
  let isOver = false;
  end.finally(() => isOver = true);
  let longestMs = 0;
  while (!isOver) {
    longestMs = Math.max(longestMs, await (await guest.write()).finished(30_000));
    await sleep(20);
  }
  return longestMs;
}
