/** Every command while the disk of /var/lib/locktables is frozen, hangs, or takes nothing more. */
import assert from "node:assert/strict";
import { type Guest, openGuest, until } from "../support/guest.ts";
import type { SandboxResult } from "../support/sandbox.ts";
import { connect } from "../support/server.ts";
import { hang, openStateDisk, STATE, type StateDisk, type Trouble } from "../support/state_disk.ts";

/** What a busy machine may add to every bound, in milliseconds. */
const SLACK_MS = 4_000;

/** The wait for a disk that does not answer, as freeze_timeout=6s sets it. */
const OPTIONS = "[locktables]\nfreeze_timeout=6s\nlock_wait_timeout=1s\n";

interface DiskCase {
  readonly trouble: Trouble;
  readonly command: readonly string[];
  readonly code: number;
  /** What it says, on either stream. */
  readonly says: RegExp;
  /** Its bound, in milliseconds, without the slack. */
  readonly withinMs: number;
}

const SILENT = /\/var\/lib\/locktables does not answer .*frozen or its disk hangs/;

/** freeze_timeout, and the second after it in which a window is closed. */
const FREEZE_MS = 7_000;

const CASES: readonly DiskCase[] = [
  ...(["frozen", "hanging"] as const).flatMap((trouble): DiskCase[] => [
    { trouble, command: ["pre-freeze"], code: 22, says: SILENT, withinMs: FREEZE_MS },
    { trouble, command: ["check"], code: 22, says: SILENT, withinMs: 10_000 },
    { trouble, command: ["rehearse", "--hold", "1s"], code: 22, says: SILENT, withinMs: FREEZE_MS },
  ]),
  {
    trouble: "frozen",
    command: ["install", "qemu", "--direct"],
    code: 22,
    says: SILENT,
    withinMs: 11_000,
  },
  ...(["frozen", "hanging"] as const).map((trouble): DiskCase => (
    { trouble, command: ["check", "--json"], code: 22, says: SILENT, withinMs: 10_000 }
  )),
  // It answers from memory until something must be on it.
  { trouble: "stalled", command: ["pre-freeze"], code: 22, says: SILENT, withinMs: FREEZE_MS },
  { trouble: "stalled", command: ["check"], code: 22, says: SILENT, withinMs: 10_000 },
  // What is only read is there while a filesystem is frozen.
  { trouble: "frozen", command: ["status"], code: 0, says: /No window is open/, withinMs: 6_000 },
  { trouble: "frozen", command: ["post-thaw"], code: 0, says: /Nothing to thaw/, withinMs: 4_000 },
  {
    trouble: "frozen",
    command: ["install", "--list"],
    code: 0,
    says: /qemu/,
    withinMs: 10_000,
  },
  { trouble: "hanging", command: ["status"], code: 22, says: SILENT, withinMs: 8_000 },
  {
    trouble: "hanging",
    command: ["status", "--nagios", "--max-age", "26h"],
    code: 3,
    says: /^LOCKTABLES UNKNOWN: status was stopped: \/var\/lib\/locktables does not answer/,
    withinMs: 8_000,
  },
  { trouble: "hanging", command: ["post-thaw"], code: 12, says: SILENT, withinMs: 4_000 },
  { trouble: "hanging", command: ["freezeFail"], code: 0, says: SILENT, withinMs: 4_000 },
  { trouble: "hanging", command: ["uninstall"], code: 22, says: SILENT, withinMs: 11_000 },
  ...(["full", "out of inodes", "read-only"] as const).flatMap((trouble): DiskCase[] => {
    const says = trouble === "read-only"
      ? /Read-only file system.*/
      : /\/var\/lib\/locktables\/.*No space left/;
    return [
      { trouble, command: ["pre-freeze"], code: 22, says, withinMs: FREEZE_MS },
      { trouble, command: ["check"], code: 22, says, withinMs: 10_000 },
      { trouble, command: ["install", "qemu", "--direct"], code: 22, says, withinMs: 10_000 },
      { trouble, command: ["status"], code: 0, says: /No window is open/, withinMs: 6_000 },
      { trouble, command: ["post-thaw"], code: 0, says: /Nothing to thaw/, withinMs: 4_000 },
    ];
  }),
];

/** Runs a test in a guest whose state directory has a disk of its own. */
async function withDisk(use: (guest: Guest, disk: StateDisk) => Promise<void>): Promise<void> {
  const guest = await openGuest("mariadb");
  try {
    const disk = await openStateDisk(guest.sandbox);
    try {
      await guest.sandbox.sh("mkdir -p /etc/qemu");
      await guest.sandbox.writeFile("/root/.my.cnf", OPTIONS);
      await use(guest, disk);
    } finally {
      await disk.close();
    }
  } finally {
    await guest.close();
  }
}

/** What a monitor reads is there, whatever the disk does. */
function assertReport({ stdout }: SandboxResult): void {
  const report = JSON.parse(stdout);
  assert.equal(report.exit_code, 22);
  assert.ok(
    report.findings.some(({ code }: { code: string }) => code === "disk-silent"),
    stdout,
  );
}

function assertEnd(result: SandboxResult, { code, says, withinMs }: DiskCase): void {
  const said = `${result.stdout}${result.stderr}`;
  assert.match(said, says);
  assert.equal(result.code, code, said);
  assert.ok(result.ms < withinMs + SLACK_MS, `took ${result.ms} ms, expected ${withinMs}: ${said}`);
}

Deno.test("every command ends within its bound, and says truly which path is in trouble", (step) =>
  withDisk(async (guest, disk) => {
    for (const one of CASES) {
      await step.step(`${one.trouble}: ${one.command.join(" ")}`, async () => {
        await disk.begin(one.trouble);
        try {
          const result = await guest.locktables(...one.command);
          assertEnd(result, one);
          if (one.command.includes("--json")) assertReport(result);
          // Nobody waits for a lock, whatever the disk does.
          await (await guest.write()).finished(2_000);
        } finally {
          await disk.end();
        }
        await guest.assertNothingLeft();
        const hooks = await guest.sandbox.sh("ls -A /etc/qemu");
        assert.equal(hooks.stdout, "", "no hook is installed");
      });
    }
  }));

/** What the record on disk says, read without the program. */
async function recorded({ sandbox }: Guest): Promise<Record<string, unknown>> {
  return JSON.parse(await sandbox.read(`${STATE}/record.json`));
}

for (const trouble of ["frozen", "stalled"] as const) {
  Deno.test(`a thaw before the disk's says what the record will say (${trouble})`, () =>
    withDisk(async (guest, disk) => {
      const frozen = await guest.locktables("pre-freeze");
      assert.equal(frozen.code, 0, frozen.stderr);
      const write = await guest.write();
      await disk.begin(trouble);
      try {
        const thawed = await guest.locktables("post-thaw");
        assert.equal(thawed.code, 0, thawed.stderr);
        assert.match(
          thawed.stdout,
          /without a gap, (disks frozen since \S+, )?application-consistent/,
        );
        assert.ok(thawed.ms < 4_000 + SLACK_MS, `${thawed.ms}`);
        await write.finished(2_000);
        if (trouble === "frozen") {
          const { last } = await guest.status();
          assert.deepEqual([last?.outcome, last?.verdict], ["released", "application-consistent"]);
        }
      } finally {
        await disk.end();
      }
      await guest.assertNothingLeft();
      const { outcome, verdict, reason } = await recorded(guest);
      assert.deepEqual([outcome, verdict, reason], ["released", "application-consistent", "thaw"]);
    }));

  Deno.test(`a window expires on time while its disk does not answer (${trouble})`, () =>
    withDisk(async (guest, disk) => {
      await guest.sandbox.writeFile("/root/.my.cnf", `${OPTIONS}hold_timeout=2s\n`);
      assert.equal((await guest.locktables("pre-freeze")).code, 0);
      const write = await guest.write();
      await disk.begin(trouble);
      try {
        await write.finished(2_000 + SLACK_MS);
        const thawed = await guest.locktables("post-thaw");
        assert.equal(thawed.code, 12);
        assert.match(thawed.stderr, /crash-consistent: the lock expired at /);
      } finally {
        await disk.end();
      }
      await until(
        "the record is final",
        5_000,
        async () => (await recorded(guest))["outcome"] === "expired",
      );
      await guest.assertNothingLeft();
    }));

  Deno.test(`the lock is released when the disk stops between lock and record (${trouble})`, () =>
    withDisk(async (guest, disk) => {
      await guest.sandbox.writeFile(
        "/root/.my.cnf",
        "[locktables]\nfreeze_timeout=9s\nlock_wait_timeout=8s\nlong_query_guard=1m\nmethod=ftwrl\n",
      );
      const blocker = await connect(guest.server);
      await blocker.query("LOCK TABLES shop.orders WRITE");
      const opening = guest.locktables("pre-freeze");
      try {
        await until(
          "the lock is waited for",
          5_000,
          async () => (await guest.status()).window?.phase === "locking",
        );
        await disk.begin(trouble);
        await blocker.query("UNLOCK TABLES");
        const write = await guest.write();
        const refused = await opening;
        assert.equal(refused.code, 10, refused.stderr);
        assert.ok(refused.ms < 9_000 + 3_000 + SLACK_MS, `${refused.ms}`);
        await write.finished(2_000);
      } finally {
        await disk.end();
        await blocker.close();
      }
      await guest.assertNothingLeft();
      await until(
        "the record is final",
        5_000,
        async () => (await recorded(guest))["verdict"] === "not-quiesced",
      );
    }));
}

Deno.test("a locker that is killed while its disk is frozen is recorded after the thaw", () =>
  withDisk(async (guest, disk) => {
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    await disk.begin("frozen");
    try {
      await guest.sandbox.sh(`kill -9 ${await guest.lockerPid()}`);
      const thawed = await guest.locktables("post-thaw");
      assert.equal(thawed.code, 12, thawed.stdout);
      assert.match(thawed.stderr, /locker-died/);
      assert.ok(thawed.ms < 5_000 + SLACK_MS, `${thawed.ms}`);
      await (await guest.write()).finished(2_000);
    } finally {
      await disk.end();
    }
    await until(
      "the record is final",
      5_000,
      async () => (await recorded(guest))["reason"] === "locker-died",
    );
    await guest.assertNothingLeft();
  }));

Deno.test("two pre-freezes on a frozen disk are both refused and recorded, and the third opens", () =>
  withDisk(async (guest, disk) => {
    await disk.begin("frozen");
    try {
      for (const _ of [1, 2]) assert.equal((await guest.locktables("pre-freeze")).code, 22);
    } finally {
      await disk.end();
    }
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    await guest.assertNothingLeft();
    assert.equal((await recorded(guest))["outcome"], "released");
    const history = await guest.sandbox.read(`${STATE}/history.jsonl`);
    const outcomes = history.trimEnd().split("\n").map((line) => JSON.parse(line).outcome).sort();
    assert.deepEqual(outcomes, ["refused", "refused", "released"]);
  }));

/** Paths of ours that are not on the state disk. */
const ELSEWHERE: readonly {
  readonly path: string;
  readonly given: string;
  readonly ends: readonly (readonly [command: string, code: number, withinMs: number])[];
}[] = [
  {
    path: "/root/.my.cnf",
    given: "mkdir /run/hanging; ln -sf /run/hanging/my.cnf /root/.my.cnf",
    ends: [["pre-freeze", 22, 4_000], ["check", 22, 10_000], ["rehearse", 22, 3_000]],
  },
  {
    path: "/etc/qemu",
    given: "mkdir -p /etc/qemu; ln -s /etc/qemu /run/hanging",
    ends: [["check", 22, 10_000], ["install qemu --direct", 22, 11_000]],
  },
  {
    path: "/run/mysqld/mysqld.sock",
    given: "umount /run/mysqld; ln -s /run/mysqld /run/hanging",
    ends: [["pre-freeze", 20, 9_000], ["check", 20, 10_000], ["rehearse", 20, 16_000]],
  },
];

for (const { path, given, ends } of ELSEWHERE) {
  Deno.test(`every command ends within its bound while ${path} does not answer`, async (step) => {
    const guest = await openGuest("mariadb");
    try {
      await guest.sandbox.sh(given);
      const end = await hang(guest.sandbox, "/run/hanging");
      try {
        for (const [command, code, withinMs] of ends) {
          await step.step(command, async () => {
            const result = await guest.locktables(...command.split(" "));
            const said = `${result.stdout}${result.stderr}`;
            assert.match(said, new RegExp(`${path}.*(does not answer|[nN]o answer)`), said);
            assert.equal(result.code, code, said);
            assert.ok(result.ms < withinMs + SLACK_MS, `${result.ms}: ${said}`);
          });
        }
        const thawed = await guest.locktables("post-thaw");
        assert.equal(thawed.code, 0, thawed.stderr);
      } finally {
        await end();
      }
    } finally {
      await guest.close();
    }
  });
}
