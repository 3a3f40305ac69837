/** What the journal and syslog hear of real windows. */
import assert from "node:assert/strict";
import { type Guest, guestOf, sleep, until } from "../support/guest.ts";
import {
  type Entry,
  type Journal,
  REAL_LOGGER,
  startJournal,
  startSyslog,
} from "../support/journal.ts";
import { openSandbox } from "../support/sandbox.ts";
import { connect, discard, startServer } from "../support/server.ts";
import { underLoad } from "../support/load.ts";
import { openStateDisk } from "../support/state_disk.ts";

/** What a hook may take though a log daemon hangs, in milliseconds: as long as without one. */
const HOOK_LIMIT_MS = 5_000;

/** Runs a test in a guest; processes whose pids it adds to `daemons` may stay. */
async function inGuest(
  test: (guest: Guest, daemons: Set<number>) => Promise<void>,
): Promise<void> {
  const daemons = new Set<number>();
  const server = await startServer("mariadb");
  const guest = await guestOf(server, await openSandbox(), () => [...daemons]);
  try {
    await test(guest, daemons);
  } finally {
    await guest.sandbox.close();
    await discard(server);
  }
}

function withJournal(test: (guest: Guest, journal: Journal) => Promise<void>): Promise<void> {
  return inGuest(async (guest, daemons) => {
    const journal = await startJournal(guest.sandbox);
    daemons.add(journal.pid);
    try {
      await test(guest, journal);
    } finally {
      await journal.close();
    }
  });
}

/** Waits for so many entries, and for a moment whether there are more. */
async function entriesOf(journal: Journal, count: number): Promise<readonly Entry[]> {
  await until(
    `${count} entries`,
    8_000,
    async () => (await journal.entries()).length >= count,
  );
  await sleep(500);
  const entries = await journal.entries();
  assert.equal(entries.length, count, JSON.stringify(entries.map(({ MESSAGE }) => MESSAGE)));
  return entries;
}

/** An entry's fields of ours. */
function fieldsOf(entry: Entry | undefined): Entry {
  return Object.fromEntries(
    Object.entries(entry ?? {}).filter(([name]) => /^(LOCKTABLES_|PRIORITY$)/.test(name)),
  );
}

Deno.test("the journal has one entry for each window, with what it was worth", () =>
  withJournal(async (guest, journal) => {
    assert.equal((await guest.locktables("pre-freeze", "--caller", "qemu")).code, 0);
    assert.deepEqual(await journal.entries(), [], "nothing is logged before the release");
    const thawed = await guest.locktables("post-thaw");
    const [entry] = await entriesOf(journal, 1);
    const { last } = await guest.status();
    assert.equal(entry?.["MESSAGE"], `${thawed.stdout.trim()} [qemu]`);
    const coordinates = last?.instances[0]?.coordinates;
    assert.deepEqual(fieldsOf(entry), {
      PRIORITY: "6",
      LOCKTABLES_WINDOW_ID: last?.window_id,
      LOCKTABLES_VERDICT: "application-consistent",
      LOCKTABLES_OUTCOME: "released",
      LOCKTABLES_REASON: "thaw",
      LOCKTABLES_CALLER: "qemu",
      LOCKTABLES_HELD_MS: String(last?.held_ms),
      LOCKTABLES_COORDINATES: `main=${coordinates?.file}:${coordinates?.position}`,
    });
    assert.equal(entry?.["_UID"], "0");
    assert.deepEqual((await guest.status()).unreported, []);
    await guest.assertNothingLeft();
  }));

Deno.test("a pre-freeze that is refused is logged once, whoever refused it", () =>
  withJournal(async (guest, journal) => {
    const { sandbox, locktables } = guest;
    const busy = await connect(guest.server);
    await busy.query("INSERT INTO shop.orders VALUES ()");
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nmethod=ftwrl\nfreeze_timeout=2s\n");
    const long = busy.query("UPDATE shop.orders SET id = id WHERE SLEEP(8) = 0").catch(() => {});
    await sleep(1_500);
    const blocked = await locktables("pre-freeze", "--caller", "qemu");
    assert.equal(blocked.code, 10, blocked.stderr);
    const killer = await connect(guest.server);
    await killer.query(`KILL ${busy.id}`);
    await killer.close();
    await long;
    await busy.close();
    const [first] = await entriesOf(journal, 1);
    assert.deepEqual([first?.["PRIORITY"], first?.["LOCKTABLES_EXIT_CODE"]], ["3", "10"]);
    assert.match(
      first?.["MESSAGE"] ?? "",
      /^pre-freeze refused \(exit 10\), .*UPDATE shop\.orders/,
    );
    // Before there is a window: by the locker, and by pre-freeze itself.
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=soon\n");
    assert.equal((await locktables("pre-freeze")).code, 22);
    const [, second] = await entriesOf(journal, 2);
    assert.match(
      second?.["MESSAGE"] ?? "",
      /^pre-freeze refused \(exit 22\), .* hold_timeout is soon/,
    );
    await sandbox.writeFile("/root/.my.cnf", "");
    await locktables("pre-freeze");
    assert.equal((await locktables("pre-freeze")).code, 11);
    const [, , third] = await entriesOf(journal, 3);
    assert.match(third?.["MESSAGE"] ?? "", /^pre-freeze refused \(exit 11\), .*already open/);
    await locktables("post-thaw");
    await entriesOf(journal, 4);
    await guest.assertNothingLeft();
  }));

Deno.test("a lock that expires is logged at that moment, though the disk is frozen", () =>
  withJournal(async (guest, journal) => {
    const { sandbox, locktables } = guest;
    const disk = await openStateDisk(sandbox);
    try {
      await sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=2s\n");
      assert.equal((await locktables("pre-freeze", "--caller", "vmware")).code, 0);
      await disk.begin("frozen");
      const [entry] = await entriesOf(journal, 1);
      assert.equal(entry?.["LOCKTABLES_REASON"], "hold-timeout");
      assert.deepEqual([entry?.["PRIORITY"], entry?.["LOCKTABLES_VERDICT"]], [
        "3",
        "crash-consistent",
      ]);
      await disk.end();
      const { last } = await guest.status();
      const lateMs = Number(entry?.["__REALTIME_TIMESTAMP"]) / 1_000 -
        Date.parse(last?.deadline ?? "");
      assert.ok(lateMs < underLoad(1_000), `${lateMs} ms after hold_timeout`);
      assert.equal((await locktables("post-thaw")).code, 12);
      await entriesOf(journal, 1);
      await guest.assertNothingLeft();
    } finally {
      await disk.close();
    }
  }));

Deno.test("log=off logs nothing, and a rehearsal is logged as one", () =>
  withJournal(async (guest, journal) => {
    const { sandbox, locktables } = guest;
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nlog=off\n");
    await locktables("pre-freeze");
    await locktables("post-thaw");
    await guest.assertNothingLeft();
    assert.deepEqual(await journal.entries(), []);
    assert.deepEqual((await guest.status()).unreported, []);
    await sandbox.writeFile("/root/.my.cnf", "");
    await locktables("rehearse", "--hold", "0s");
    const [entry] = await entriesOf(journal, 1);
    assert.equal(entry?.["LOCKTABLES_REHEARSAL"], "1");
    assert.match(entry?.["MESSAGE"] ?? "", /^Rehearsal: Thawed: held /);
    await guest.assertNothingLeft();
  }));

Deno.test("without systemd's journal one line goes to syslog", () =>
  inGuest(async (guest, daemons) => {
    const daemon = await startSyslog(guest.sandbox, "/run/syslog");
    daemons.add(daemon.pid);
    try {
      await guest.locktables("pre-freeze", "--caller", "qemu");
      const thawed = await guest.locktables("post-thaw");
      await until("a line", 5_000, () => guest.sandbox.exists("/run/syslog"));
      await until(
        "the line",
        5_000,
        async () => /locktables/.test(await guest.sandbox.read("/run/syslog")),
      );
      const lines = (await guest.sandbox.read("/run/syslog")).trim().split("\n")
        .filter((line) => line.includes("locktables"));
      assert.equal(lines.length, 1);
      assert.ok(
        lines[0]?.endsWith(` daemon.info locktables: ${thawed.stdout.trim()} [qemu]`),
        lines[0],
      );
      await guest.assertNothingLeft();
    } finally {
      daemon.kill("SIGKILL");
      await daemon.status;
    }
  }));

Deno.test("whatever becomes of logger, the window is what it is, and status says so", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    const cases: readonly (readonly [what: string, program: string, mode: number, why: RegExp])[] =
      [
        [
          "no log daemon",
          "",
          0,
          /logger failed \(exit 1\): logger: socket \/dev\/log: No such file/,
        ],
        [
          "it fails",
          "#!/bin/sh\necho out of order >&2\nexit 3\n",
          0o755,
          /failed \(exit 3\): out of order/,
        ],
        [
          "it hangs",
          "#!/bin/sh\nexec sleep 1000\n",
          0o755,
          /did not end within 3000 ms and was killed/,
        ],
        ["it is missing", "", 0o644, /\/usr\/bin\/logger cannot be started: /],
      ];
    await sandbox.sh(REAL_LOGGER);
    for (const [what, program, mode, why] of cases) {
      if (mode !== 0) {
        await sandbox.writeFile("/run/other-logger", program, mode);
        await sandbox.sh("mount --bind /run/other-logger /usr/bin/logger");
      }
      const frozen = await locktables("pre-freeze");
      assert.equal(frozen.code, 0, frozen.stderr);
      const thawed = await locktables("post-thaw");
      assert.equal(thawed.code, 0, thawed.stderr);
      assert.ok(thawed.ms < HOOK_LIMIT_MS, `${what}: ${thawed.ms} ms`);
      await until(what, 10_000, async () => {
        const [unreported] = (await guest.status()).unreported;
        return unreported?.outlet === "journal" && why.test(unreported.why);
      });
      if (mode !== 0) await sandbox.sh("umount /usr/bin/logger; rm /run/other-logger");
      await guest.assertNothingLeft();
    }
    assert.match(
      (await locktables("status")).stdout,
      /^Not reported\n {2}journal {2}\/usr\/bin\/logger /m,
    );
  }));

Deno.test("a journal that reads no more keeps no hook waiting", () =>
  withJournal(async (guest, journal) => {
    journal.stop();
    for (const _ of [1, 2]) {
      const frozen = await guest.locktables("pre-freeze");
      assert.equal(frozen.code, 0, frozen.stderr);
      const thawed = await guest.locktables("post-thaw");
      assert.equal(thawed.code, 0, thawed.stderr);
      assert.ok(thawed.ms < HOOK_LIMIT_MS, `${thawed.ms} ms`);
    }
    await guest.assertNothingLeft();
  }));
