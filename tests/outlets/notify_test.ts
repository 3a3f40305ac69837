/** The operator's own program, started for the windows that were not good. */
import assert from "node:assert/strict";
import { NOTIFY } from "../../lib/base/paths.ts";
import { noticeOf } from "../../lib/outlets/notice.ts";
import { type Guest, openGuest, until } from "../support/guest.ts";
import { GOOD, REFUSED } from "./records.ts";

const SEEN = "/run/notices";

/** Keeps what it gets, one object a line. */
const KEEP = `#!/bin/sh\n[ "$#" -eq 0 ] && cat >> ${SEEN}\n`;

async function inGuest(test: (guest: Guest) => Promise<void>): Promise<void> {
  const guest = await openGuest("mariadb");
  try {
    await guest.sandbox.sh("mkdir -p /etc/locktables");
    await test(guest);
  } finally {
    await guest.close();
  }
}

async function notices({ sandbox }: Guest): Promise<readonly Record<string, unknown>[]> {
  if (!await sandbox.exists(SEEN)) return [];
  return (await sandbox.read(SEEN)).trim().split("\n").filter((line) => line !== "").map((line) =>
    JSON.parse(line)
  );
}

Deno.test("a good window and a rehearsal are nothing to notify of", () => {
  const now = { monoMs: 0, wallMs: 0 };
  const rehearsed = { ...REFUSED, is_rehearsal: true };
  for (const record of [GOOD, rehearsed]) {
    assert.equal(noticeOf({ kind: "window", record, refusal: null }, now), null);
  }
  assert.equal(noticeOf({ kind: "window", record: REFUSED, refusal: null }, now)?.event, "window");
});

Deno.test("the program is started for each end that was not good, with the reason", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    await sandbox.writeFile(NOTIFY, KEEP, 0o755);
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=1s\n");
    // Nobody calls post-thaw.
    await locktables("pre-freeze", "--caller", "qemu");
    await until("a notice", 8_000, async () => (await notices(guest)).length === 1);
    assert.equal((await locktables("post-thaw")).code, 12);
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=soon\n");
    assert.equal((await locktables("pre-freeze", "--caller", "vmware")).code, 22);
    await until("another", 8_000, async () => (await notices(guest)).length === 2);
    await sandbox.writeFile("/root/.my.cnf", "");
    await locktables("pre-freeze");
    await locktables("post-thaw");
    await guest.assertNothingLeft();
    const [expired, refused, ...more] = await notices(guest);
    assert.deepEqual(more, []);
    const { event, caller, verdict, reason, exit_code, record } = expired ?? {};
    assert.deepEqual(
      [event, caller, verdict, reason, exit_code],
      ["window", "qemu", "crash-consistent", "hold-timeout", null],
    );
    assert.equal((record as { outcome: string }).outcome, "expired");
    assert.deepEqual(
      [refused?.["event"], refused?.["caller"], refused?.["reason"], refused?.["exit_code"]],
      ["refusal", "vmware", "bad-setting", 22],
    );
    assert.match(String(refused?.["message"]), /^pre-freeze refused \(exit 22\)/);
  }));

Deno.test("what is not root's alone is not started, and what fails is shown by status", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    const cases: readonly (readonly [program: string, then: string, why: RegExp])[] = [
      [KEEP, `chmod 0644 ${NOTIFY}`, /has mode 0644 and was not started/],
      [
        KEEP,
        `chmod 0777 ${NOTIFY}`,
        /not started, because \/etc\/locktables\/notify is not root's/,
      ],
      [
        KEEP,
        `chown 65534 ${NOTIFY}`,
        /not started, because \/etc\/locktables\/notify is not root's/,
      ],
      ["#!/bin/sh\nexit 7\n", ":", /failed \(exit 7\)/],
      ["#!/nonexistent\n", ":", /cannot be started/],
    ];
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=soon\n");
    for (const [program, then, why] of cases) {
      await sandbox.sh(`rm -f ${NOTIFY}`);
      await sandbox.writeFile(NOTIFY, program, 0o755);
      await sandbox.sh(then);
      const { code, ms } = await locktables("pre-freeze");
      assert.equal(code, 22);
      assert.ok(ms < 5_000, `${ms} ms`);
      await until(`${why}`, 8_000, async () => {
        // A bad setting makes all of them the usual ones: the guest has no log daemon, either.
        const failed = (await guest.status()).unreported.find(({ outlet }) => outlet === "notify");
        return failed !== undefined && why.test(failed.why);
      });
    }
    assert.deepEqual(await notices(guest), []);
  }));

Deno.test("a program that hangs keeps no hook waiting", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    await sandbox.writeFile(NOTIFY, "#!/bin/sh\necho > /run/began\nexec sleep 1000\n", 0o755);
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=soon\n");
    const { code, ms } = await locktables("pre-freeze");
    assert.deepEqual([code, ms < 5_000], [22, true]);
    await until("it runs", 8_000, () => sandbox.exists("/run/began"));
    // The next window is what it is meanwhile.
    await sandbox.writeFile("/root/.my.cnf", "");
    assert.equal((await locktables("pre-freeze")).code, 0);
    assert.equal((await locktables("post-thaw")).code, 0);
    await until("it is killed", 40_000, async () =>
      (await guest.status()).unreported.some(({ why }) =>
        /not end within 30000 ms/.test(why)
      ));
    await guest.assertNothingLeft();
  }));

Deno.test("check --notify tries the program out", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    const none = await locktables("check", "--notify");
    assert.equal(none.code, 22);
    assert.match(none.stderr, /^locktables: \/etc\/locktables\/notify is not there: .*\n$/);
    await sandbox.writeFile(NOTIFY, KEEP, 0o755);
    const good = await locktables("check", "--notify");
    assert.deepEqual([good.code, good.stderr], [0, ""]);
    const [notice, ...more] = await notices(guest);
    assert.deepEqual([notice?.["event"], notice?.["record"], more], ["test", null, []]);
    await sandbox.writeFile(NOTIFY, "#!/bin/sh\nexit 3\n", 0o755);
    const bad = await locktables("check", "--notify");
    assert.equal(bad.code, 22);
    assert.match(bad.stderr, /notify failed \(exit 3\)/);
  }));
