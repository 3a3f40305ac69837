/**
 * Release at the filesystems' thaw, under VMware Tools that look once a second and really freeze the
 * disk that the server's data and our record are on.
 */
import assert from "node:assert/strict";
import { CALLER_TABLE } from "../../lib/callers/table.ts";
import { type DiskGuest, openDiskGuest, testOnEachDisk } from "../support/disk_guest.ts";
import { bootDisk, type BootedDisk, copyDisk } from "../support/disk_image.ts";
import {
  assertFrozenInsideLock,
  type PendingWrite,
  sleep,
  type StatusRecord,
  until,
} from "../support/guest.ts";
import { underLoad } from "../support/load.ts";
import { placeHooks } from "../support/hooks.ts";
import { connect } from "../support/server.ts";
import { JOURNAL, type VmwareTools, vmwareTools } from "../support/vmware_tools.ts";

/** Longer than a hook that is called at the next look but one. */
const HOOK_BOUND_MS = CALLER_TABLE.vmware.hookAfterThawMs ?? 0;

interface Snapshot {
  readonly tools: VmwareTools;
  /** A write that was begun when the lock was there. */
  readonly write: () => PendingWrite;
}

/** VMware Tools that freeze the disk; `afterThaw` is done before they look for the thaw scripts. */
function freezingTools(
  guest: DiskGuest,
  afterThaw: (snapshot: Snapshot) => Promise<void> = untilReleased,
): Snapshot {
  let pending: PendingWrite | null = null;
  const snapshot: Snapshot = {
    tools: vmwareTools(guest.sandbox, {
      filesystems: {
        async freeze() {
          pending = await guest.write();
          await guest.disk.freeze();
        },
        async thaw() {
          await guest.disk.thaw();
          await afterThaw(snapshot);
        },
      },
    }),
    write: () => pending ?? assert.fail("nothing is frozen"),
  };
  return snapshot;
}

async function untilReleased({ write, tools }: Snapshot): Promise<void> {
  await write().finished(2_000);
  assert.deepEqual(tools.calls.map(({ verb }) => verb), ["freeze"], "no hook has done it");
}

function untilHook(): Promise<void> {
  return Promise.resolve();
}

const endOf = (record: StatusRecord | null) => [record?.outcome, record?.reason, record?.verdict];
const GOOD = ["released", "thaw", "application-consistent"];

/** A writer that goes on until it is stopped, into a table of each kind. */
async function openLedger({ server }: DiskGuest) {
  const session = await connect(server);
  for (const [table, engine] of [["innodb_rows", "InnoDB"], ["myisam_rows", "MyISAM"]]) {
    await session.query(`CREATE TABLE shop.${table} (n INT PRIMARY KEY) ENGINE=${engine}`);
  }
  let isOver = false;
  let acknowledged = 0;
  const writing = (async () => {
    while (!isOver) {
      const n = Math.floor(acknowledged / 2) + 1;
      const table = acknowledged % 2 === 0 ? "innodb_rows" : "myisam_rows";
      await session.query(`INSERT INTO shop.${table} VALUES (${n})`);
      acknowledged += 1;
      await sleep(2);
    }
  })();
  return {
    /** Rows that the server has acknowledged so far. */
    written: () => acknowledged,
    async stop() {
      isOver = true;
      await writing;
      await session.query("DROP TABLE shop.innodb_rows, shop.myisam_rows");
      await session.close();
    },
  };
}

async function rowsOf({ query }: BootedDisk): Promise<number> {
  const [row] = await query(
    `SELECT (SELECT COUNT(*) FROM shop.innodb_rows) + (SELECT COUNT(*) FROM shop.myisam_rows) AS n`,
  );
  return Number(row?.["n"]);
}

interface Case {
  readonly name: string;
  readonly run: (guest: DiskGuest) => Promise<void>;
}

const CASES: readonly Case[] = [
  {
    name:
      "a snapshot under load: writers go on at the thaw, the hook makes it good, and its image boots as recorded",
    async run(guest) {
      const image = `${guest.dir}/image`;
      const ledger = await openLedger(guest);
      let written = 0;
      try {
        const { tools, write } = freezingTools(guest);
        assert.equal(await tools.start(), true);
        written = ledger.written();
        await copyDisk(guest, image);
        assert.equal((await guest.status()).window?.phase, "held");
        assert.equal(write().isDone(), false);
        assert.equal(ledger.written(), written, "nothing was written under the lock");
        assert.equal(await tools.snapshotDone(), true);
      } finally {
        await ledger.stop();
      }
      const { last } = await guest.status();
      assert.deepEqual(endOf(last), GOOD);
      assert.equal(last?.released_by, "filesystem-thaw");
      assert.deepEqual(last?.warnings, []);
      assertFrozenInsideLock(last, 500);
      assert.match(
        await guest.sandbox.read(JOURNAL),
        /^Thawed: held \d+(\.\d)? ms without a gap, disks frozen for \d+ ms of it, application-consistent: /m,
      );
      const booted = await bootDisk(guest, image);
      try {
        assert.equal(booted.record.window_id, last?.window_id);
        assert.deepEqual(booted.damage, []);
        assert.equal(await rowsOf(booted), written);
        const { file, position } = booted.record.instances[0]?.coordinates ?? {};
        assert.deepEqual(booted.binlogEnd, { file, length: position });
        const verified = await booted.verified();
        assert.equal(verified.exit_code, 0, JSON.stringify(verified));
      } finally {
        await booted.close();
      }
    },
  },
  {
    name: "the lock is taken shortly before the look at which the disk is frozen",
    async run(guest) {
      // The windows of a busy machine, which took long, would have it lock at once.
      await guest.sandbox.sh("rm -f /var/lib/locktables/history.jsonl");
      let lookedAt = 0;
      const tools = vmwareTools(guest.sandbox, {
        filesystems: {
          async freeze() {
            lookedAt = Date.now();
            await guest.disk.freeze();
          },
          thaw: () => guest.disk.thaw(),
        },
      });
      assert.equal(await tools.start(), true);
      assert.equal(await tools.snapshotDone(), true);
      const { last } = await guest.status();
      assert.deepEqual(endOf(last), GOOD);
      const moments = JSON.stringify(last?.timeline);
      assert.match(moments, /waits with the lock: vmware looks \d000 ms after it started the hook/);
      const lockedFor = lookedAt - Date.parse(last?.locked_at ?? "");
      // At the first moment it would have been most of a second.
      assert.ok(lockedFor > 0 && lockedFor < underLoad(500), `${lockedFor} ms: ${moments}`);
    },
  },
  {
    name: "another freeze before the hook comes: crash-consistent, 12",
    async run(guest) {
      const { tools } = freezingTools(guest, async (snapshot) => {
        await untilReleased(snapshot);
        await guest.disk.freeze();
        await sleep(400);
        await guest.disk.thaw();
      });
      assert.equal(await tools.start(), true);
      assert.equal(await tools.snapshotDone(), false);
      assert.deepEqual(tools.log(), ["99-locktables freeze 0", "99-locktables thaw 12"]);
      const { last } = await guest.status();
      assert.deepEqual(endOf(last), ["lost", "freeze-after-release", "crash-consistent"]);
      assert.match(
        await guest.sandbox.read(JOURNAL),
        /they were frozen again before the thaw hook/,
      );
    },
  },
  {
    name: "a hook that comes too late: crash-consistent, 12",
    async run(guest) {
      const { tools } = freezingTools(guest, async (snapshot) => {
        await untilReleased(snapshot);
        await sleep(HOOK_BOUND_MS / 2);
        assert.equal((await guest.status()).window?.phase, "settling");
        await until(
          "it is over",
          HOOK_BOUND_MS,
          async () => (await guest.status()).window === null,
        );
      });
      assert.equal(await tools.start(), true);
      assert.equal(await tools.snapshotDone(), false);
      assert.deepEqual(tools.log(), ["99-locktables freeze 0", "99-locktables thaw 12"]);
      const { last } = await guest.status();
      assert.deepEqual(endOf(last), ["lost", "thaw-hook-late", "crash-consistent"]);
    },
  },
  {
    name: "an abort while frozen thaws first, and is an abort",
    async run(guest) {
      const { tools } = freezingTools(guest);
      assert.equal(await tools.start(), true);
      await tools.abort();
      assert.deepEqual(tools.log(), ["99-locktables freeze 0", "99-locktables freezeFail 0"]);
      const { last } = await guest.status();
      assert.deepEqual(endOf(last), ["aborted", "freeze-failed", "not-quiesced"]);
      assert.equal(last?.released_by, "filesystem-thaw");
    },
  },
  {
    name: "release=thaw-hook: the lock stays until the hook",
    async run(guest) {
      await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nrelease=thaw-hook\n");
      const { tools } = freezingTools(guest, async ({ write }) => {
        await sleep(400);
        assert.equal(write().isDone(), false);
        assert.equal((await guest.status()).window?.phase, "held");
      });
      assert.equal(await tools.start(), true);
      assert.equal(await tools.snapshotDone(), true);
      await guest.sandbox.sh("rm /root/.my.cnf");
      const { last } = await guest.status();
      assert.deepEqual(endOf(last), GOOD);
      assert.equal(last?.released_by, "thaw-hook");
      assertFrozenInsideLock(last, 500);
    },
  },
  {
    name: "enableSyncDriver=false: nothing is frozen, the hook releases, and that is a warning",
    async run(guest) {
      const tools = vmwareTools(guest.sandbox, {
        filesystems: { freeze: () => Promise.resolve(), thaw: () => Promise.resolve() },
      });
      assert.equal(await tools.start(), true);
      const write = await guest.write();
      assert.equal(await tools.snapshotDone(), true);
      await write.finished(2_000);
      const { last } = await guest.status();
      assert.deepEqual(endOf(last), GOOD);
      assert.equal(last?.released_by, "thaw-hook");
      assert.match(
        last?.warnings.join("\n") ?? "",
        /^No freeze of 100 ms or more was seen .*vmware/,
      );
      assert.match(
        await guest.sandbox.read(JOURNAL),
        /^locktables: Warning: No freeze of 100 ms or more/m,
      );
    },
  },
  {
    name: "a locker without CPU for two seconds takes that for no freeze",
    async run(guest) {
      const { tools } = freezingTools(guest);
      const pid = guest.lockerPid;
      const starting = tools.start();
      await until(
        "it is held",
        10_000,
        async () => (await guest.status()).window?.phase === "held",
      );
      Deno.kill(await pid(), "SIGSTOP");
      await sleep(2_000);
      Deno.kill(await pid(), "SIGCONT");
      // The freeze began meanwhile, or was not there yet: either way its end is the one that counts.
      assert.equal(await starting, true);
      await sleep(1_000);
      assert.equal((await guest.status()).window?.phase, "held");
      assert.equal(await tools.snapshotDone(), true);
      const { last } = await guest.status();
      assert.deepEqual(endOf(last), GOOD);
      assert.equal(last?.released_by, "filesystem-thaw");
    },
  },
  {
    name: "a stop of two seconds without a freeze releases nothing",
    async run(guest) {
      const opened = await guest.locktables("pre-freeze", "--caller", "vmware");
      assert.equal(opened.code, 0, opened.stderr);
      const pid = await guest.lockerPid();
      for (let count = 0; count < 3; count += 1) {
        Deno.kill(pid, "SIGSTOP");
        await sleep(2_000);
        Deno.kill(pid, "SIGCONT");
        await sleep(700);
      }
      const { window } = await guest.status();
      assert.deepEqual([window?.phase, window?.filesystems_frozen_at], ["held", null]);
      const closed = await guest.locktables("post-thaw", "--caller", "vmware");
      assert.equal(closed.code, 0, closed.stderr);
    },
  },
  {
    name:
      "a locker that is killed while its call waits is reported as killed, and leaves no lock after the thaw",
    async run(guest) {
      const { tools, write } = freezingTools(guest, untilHook);
      assert.equal(await tools.start(), true);
      await until(
        "the freeze is seen",
        3_000,
        async () => (await guest.status()).window?.filesystems_frozen_at !== null,
      );
      Deno.kill(await guest.lockerPid(), "SIGKILL");
      // The kernel keeps its sockets, which answer nobody.
      const [seen, checked, second] = await Promise.all([
        guest.status(),
        guest.locktables("check", "--json"),
        guest.locktables("pre-freeze"),
      ]);
      assert.deepEqual([seen.locker, seen.window], ["no-locker", null]);
      assert.deepEqual(endOf(seen.last), ["lost", "locker-died", "crash-consistent"]);
      const codes = (JSON.parse(checked.stdout).findings as { code: string }[])
        .map(({ code }) => code);
      assert.ok(codes.includes("locker-died") && !codes.includes("locker-silent"), codes.join());
      assert.equal(second.code, 11, second.stderr);
      assert.match(second.stderr, /its locker was killed while a disk was frozen/);
      assert.equal(await tools.snapshotDone(), false);
      // The kernel closes its sockets at the thaw; the session's wait_timeout is 10 s.
      await write().finished(11_000);
      assert.deepEqual(tools.log(), ["99-locktables freeze 0", "99-locktables thaw 12"]);
      const { last } = await guest.status();
      assert.deepEqual(endOf(last), ["lost", "locker-died", "crash-consistent"]);
    },
  },
  {
    name: "hold_timeout ends the lock in a freeze that does not end",
    async run(guest) {
      await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=3s\n");
      const { tools } = freezingTools(guest, untilHook);
      assert.equal(await tools.start(), true);
      await until("it expires", 6_000, async () => {
        const { window } = await guest.status();
        return window === null || window.outcome === "expired";
      });
      assert.equal(await tools.snapshotDone(), false);
      await guest.sandbox.sh("rm /root/.my.cnf");
      const { last } = await guest.status();
      assert.deepEqual(endOf(last), ["expired", "hold-timeout", "crash-consistent"]);
    },
  },
  {
    name: "a freeze that is over before pre-freeze has answered: crash-consistent, 12",
    async run(guest) {
      // The sync under the lock gets through before the disk is frozen, and ends after the thaw.
      await guest.sandbox.writeFile("/run/sync", SLOW_SYNC, 0o755);
      await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nstall_limit=30s\n");
      const bound = await guest.sandbox.sh(
        "cp /usr/bin/sync /run/real-sync; mount --bind /run/sync /usr/bin/sync",
      );
      assert.equal(bound.code, 0, bound.stderr);
      const opening = guest.locktables("pre-freeze", "--caller", "vmware");
      for (let call = 1; true; call += 1) {
        await until("sync is called", 10_000, () => guest.sandbox.exists(`/run/sync-${call}`));
        if ((await guest.status()).window?.phase === "securing") break;
        await guest.sandbox.sh(`: >/run/sync-${call}-may-end`);
      }
      await guest.disk.freeze();
      await sleep(500);
      await guest.disk.thaw();
      await guest.sandbox.sh(": >/run/sync-may-end");
      const opened = await opening;
      // One that was abandoned may still be waiting for that file.
      await guest.sandbox.sh("umount /usr/bin/sync; rm /root/.my.cnf");
      assert.equal(opened.code, 0, opened.stderr);
      const closed = await guest.locktables("post-thaw", "--caller", "vmware");
      assert.equal(closed.code, 12, closed.stderr);
      assert.match(closed.stderr, /were frozen at \S+, before pre-freeze had answered/);
      const { last } = await guest.status();
      assert.deepEqual(endOf(last), ["lost", "freeze-too-early", "crash-consistent"]);
    },
  },
];

/** Each call ends when the test says so. */
const SLOW_SYNC = `#!/bin/sh
/run/real-sync "$@" || exit
call=1
until mkdir "/run/sync-$call" 2>/dev/null; do call=$((call + 1)); done
until [ -e "/run/sync-$call-may-end" ] || [ -e /run/sync-may-end ]; do sleep 0.02; done
`;

testOnEachDisk(
  "VMware Tools that freeze",
  { mariadb: "ext4", mysql: "xfs" },
  async (guest, step) => {
    await placeHooks(guest.sandbox, "vmware");
    for (const { name, run } of CASES) {
      await step.step(name, async () => {
        await guest.sandbox.sh(`rm -f ${JOURNAL}`);
        await run(guest);
        await guest.assertNothingLeft();
      });
    }
  },
);

for (const flavor of ["mariadb", "mysql"] as const) {
  Deno.test(`VMware Tools that freeze the disk of the data alone: that is seen (${flavor})`, async () => {
    const guest = await openDiskGuest(flavor, "ext4", "nothing");
    try {
      await placeHooks(guest.sandbox, "vmware");
      const { tools } = freezingTools(guest);
      assert.equal(await tools.start(), true);
      assert.equal(await tools.snapshotDone(), true);
      const { last } = await guest.status();
      assert.deepEqual(endOf(last), GOOD);
      assert.equal(last?.released_by, "filesystem-thaw");
      assertFrozenInsideLock(last, 500);
      await guest.assertNothingLeft();
    } finally {
      await guest.close();
    }
  });
}

Deno.test("VMware Tools that freeze btrfs: writers go on at the thaw (mariadb)", async () => {
  const guest = await openDiskGuest("mariadb", "btrfs");
  try {
    await placeHooks(guest.sandbox, "vmware");
    const { tools } = freezingTools(guest);
    assert.equal(await tools.start(), true);
    assert.equal(await tools.snapshotDone(), true);
    const { last } = await guest.status();
    assert.deepEqual(endOf(last), GOOD);
    assert.equal(last?.released_by, "filesystem-thaw");
    assertFrozenInsideLock(last, 500);
    await guest.assertNothingLeft();
  } finally {
    await guest.close();
  }
});
