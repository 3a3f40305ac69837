/** locktables-run: one window around one command, in every shell and around real snapshots. */
import assert from "node:assert/strict";
import { CALLER_TABLE } from "../../lib/callers/table.ts";
import { hookText } from "../../lib/hooks/hook_text.ts";
import { startWriteLoad } from "../../scripts/write_load.ts";
import { openBlocker } from "../support/blocker.ts";
import { openDiskGuest } from "../support/disk_guest.ts";
import { testOnEachServer, until } from "../support/guest.ts";
import { placeHooks } from "../support/hooks.ts";
import { removeImage, restore } from "../support/image.ts";
import { ask } from "../support/node_guest.ts";
import { openSandbox, type Sandbox } from "../support/sandbox.ts";
import { SHELLS } from "../support/shells.ts";

const [form] = CALLER_TABLE.run.forms;
const [file] = form?.files ?? [];
const RUN = file?.path ?? "";

/** Stands in for the program: says how it was called, and ends as the environment wants it. */
const STUB = `#!/bin/sh
echo "$1 $(readlink /proc/$$/fd/0)" >>/run/calls
case $1 in
  pre-freeze) sleep "\${PRE_SLEEP-0}"; exit "\${PRE-0}" ;;
  post-thaw) exit "\${POST-0}" ;;
esac
`;

async function withStub(
  argv: readonly string[],
  given: string | undefined,
  use: (sandbox: Sandbox, words: (...command: string[]) => string[]) => Promise<void>,
): Promise<void> {
  assert.ok(form !== undefined && file !== undefined);
  const sandbox = await openSandbox({ binary: "/bin/sh" });
  try {
    if (given !== undefined) await sandbox.sh(given);
    await sandbox.writeFile("/run/stub", STUB, 0o755);
    await sandbox.writeFile(
      "/run/locktables-run",
      hookText({ caller: "run", form, file, program: "/run/stub", version: "1.2.3" }),
      0o755,
    );
    await use(sandbox, (...command) => [...argv, "/run/locktables-run", ...command]);
  } finally {
    await sandbox.close();
  }
}

const BOTH = "pre-freeze /dev/null\npost-thaw /dev/null\n";
const ONE = "pre-freeze /dev/null\n";

interface EndCase {
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  readonly code: number;
  /** What the program was called with. */
  readonly calls: string;
}

const ENDS: readonly EndCase[] = [
  { name: "a command that ends well", command: ["true"], code: 0, calls: BOTH },
  { name: "two dashes before it", command: ["--", "true"], code: 0, calls: BOTH },
  { name: "a command that fails", command: ["sh", "-c", "exit 7"], code: 7, calls: BOTH },
  { name: "a killed command", command: ["sh", "-c", "kill -9 $$"], code: 137, calls: BOTH },
  { name: "no such command", command: ["no-such-command"], code: 127, calls: BOTH },
  {
    name: "a lock that did not hold",
    env: { POST: "12" },
    command: ["true"],
    code: 12,
    calls: BOTH,
  },
  {
    name: "a failed command, and a lock that did not hold",
    env: { POST: "12" },
    command: ["false"],
    code: 1,
    calls: BOTH,
  },
  {
    name: "no lock",
    env: { PRE: "10" },
    command: ["touch", "/run/was-run"],
    code: 10,
    calls: ONE,
  },
  {
    name: "pre-freeze that a signal ended",
    env: { PRE: "137" },
    command: ["touch", "/run/was-run"],
    code: 137,
    calls: BOTH,
  },
  { name: "nothing to run", command: [], code: 2, calls: "" },
  { name: "an unknown option", command: ["--force", "true"], code: 2, calls: "" },
  { name: "help", command: ["--help"], code: 0, calls: "" },
];

/** Says what it hears, and how it was started. */
const LISTENER =
  `trap 'echo heard; exit 5' TERM INT HUP QUIT; echo started >/run/started; sleep 20 >/dev/null 2>&1 & wait; echo on`;

for (const { name, argv, given } of SHELLS) {
  Deno.test(`in ${name} locktables-run calls both hooks, and its exit code tells what went wrong`, async (step) => {
    await withStub(argv, given, async (sandbox, words) => {
      const path = "/usr/sbin:/usr/bin:/sbin:/bin";
      for (const { name, env = {}, command, code, calls } of ENDS) {
        await step.step(name, async () => {
          await sandbox.sh(": >/run/calls; rm -f /run/was-run");
          const ended = await sandbox.run(words(...command), { env: { PATH: path, ...env } });
          assert.equal(ended.code, code, ended.stderr);
          assert.equal(await sandbox.read("/run/calls"), calls);
          assert.equal(await sandbox.exists("/run/was-run"), false);
        });
      }
      await step.step("input, output and arguments are the command's own", async () => {
        const ended = await sandbox.run(
          words("sh", "-c", 'cat; printf "<%s>" "$@"', "sh", "a b", "", "--", "$HOME;*"),
          { env: { PATH: path }, stdin: "what came in\n" },
        );
        assert.equal(ended.stdout, "what came in\n<a b><><--><$HOME;*>");
      });
      for (const signal of ["TERM", "INT", "HUP", "QUIT"] as const) {
        await step.step(`${signal} ends the command, and then the lock is released`, async () => {
          await sandbox.sh(": >/run/calls; rm -f /run/started");
          const running = sandbox.spawn(words("sh", "-c", LISTENER), {
            env: { PATH: path },
            stdout: "piped",
          });
          await until("it runs", 5_000, () => sandbox.exists("/run/started"));
          running.kill(`SIG${signal}`);
          const { code, stdout } = await running.output();
          assert.equal(new TextDecoder().decode(stdout), "heard\n");
          assert.equal(code, 5);
          assert.equal(await sandbox.read("/run/calls"), BOTH);
        });
      }
      await step.step("a signal during pre-freeze: the command is not run", async () => {
        await sandbox.sh(": >/run/calls");
        const running = sandbox.spawn(words("touch", "/run/was-run"), {
          env: { PATH: path, PRE_SLEEP: "0.5" },
        });
        await until(
          "pre-freeze runs",
          5_000,
          async () => await sandbox.read("/run/calls") !== "",
        );
        running.kill("SIGTERM");
        assert.equal((await running.output()).code, 143);
        assert.equal(await sandbox.read("/run/calls"), BOTH);
        assert.equal(await sandbox.exists("/run/was-run"), false);
      });
    });
  });
}

testOnEachServer("locktables-run holds the lock while its command runs", async (guest, step) => {
  const { sandbox } = guest;
  await placeHooks(sandbox, "run");
  await step.step("and its command's output is its own", async () => {
    const ended = await sandbox.sh(`${RUN} locktables status --json`);
    assert.equal(ended.code, 0, ended.stderr);
    const { window } = JSON.parse(ended.stdout);
    assert.deepEqual([window.phase, window.caller], ["held", "run"]);
    assert.equal((await guest.status()).last?.verdict, "application-consistent");
    await guest.assertNothingLeft();
  });
  await step.step("a lock that was removed meanwhile is an error", async () => {
    const ended = await sandbox.sh(`${RUN} sh -c 'rm /run/veeam/waitforsnapshot; sleep 3'`);
    assert.equal(ended.code, 12, ended.stderr);
    await guest.assertNothingLeft();
  });
  await step.step("killed with its command, it leaves the lock until hold_timeout", async () => {
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=2s\n");
    const running = sandbox.spawn([RUN, "sleep", "3"], { stdout: "null", stderr: "null" });
    await until("it is locked", 5_000, async () => (await guest.status()).window?.phase === "held");
    running.kill("SIGKILL");
    await running.status;
    await until(
      "the lock is released",
      4_000,
      async () => (await guest.status()).last?.outcome === "expired",
    );
    await sandbox.sh("rm /root/.my.cnf");
    assert.equal((await guest.locktables("post-thaw")).code, 12);
    await guest.assertNothingLeft();
  });
  await step.step("without a lock the command is not run", async () => {
    const blocker = await openBlocker(guest, "freeze_timeout=1s");
    const ended = await sandbox.sh(`${RUN} touch /run/was-run`);
    assert.equal(ended.code, 10, ended.stderr);
    assert.equal(await sandbox.exists("/run/was-run"), false);
    await blocker.end();
    await guest.assertNothingLeft();
  });
});

Deno.test("an image of a btrfs snapshot that locktables-run was put around is as promised", async () => {
  const guest = await openDiskGuest("mariadb", "btrfs");
  const { sandbox, server, disk } = guest;
  try {
    await placeHooks(sandbox, "run");
    await ask(server, "CREATE TABLE shop.ledger (writer INT, n INT) ENGINE=MyISAM");
    const load = await startWriteLoad(server, {
      writers: 4,
      thinkMs: 1,
      statement: (writer, n) => `INSERT INTO shop.ledger VALUES (${writer}, ${n})`,
    });
    await until("there is load", 5_000, () => load.acknowledged().every((rows) => rows > 5));
    const before = load.acknowledged();
    const ended = await sandbox.sh(
      `${RUN} btrfs subvolume snapshot ${disk.path} ${disk.path}/snapshot`,
    );
    assert.equal(ended.code, 0, ended.stderr);
    const after = load.acknowledged();
    await load.stop();
    load.requireHealth();
    const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "image-" });
    const image = { dir, datadir: `${dir}/mysql`, record: `${dir}/locktables/record.json` };
    const inside = `/proc/${sandbox.keeperPid}/root${disk.path}/snapshot`;
    const copied = await new Deno.Command("cp", {
      args: ["-a", "--sparse=always", `${inside}/data`, image.datadir],
    }).output();
    assert.ok(copied.success);
    const records = await new Deno.Command("cp", {
      args: ["-a", `${inside}/state`, `${dir}/locktables`],
    }).output();
    assert.ok(records.success);
    const restored = await restore("mariadb", image);
    try {
      const { verdict, findings } = await restored.verified("--full");
      assert.equal(verdict, "as-promised", JSON.stringify(findings));
      const rows = await ask(
        restored.server,
        "SELECT writer, COUNT(*) AS rows_there, MAX(n) AS last FROM shop.ledger GROUP BY writer ORDER BY writer",
      );
      for (const [writer, row] of rows.entries()) {
        const count = Number(row["rows_there"]);
        assert.equal(count, Number(row["last"]), "no row of a writer is missing in between");
        assert.ok(count >= (before[writer] ?? 0) && count <= (after[writer] ?? 0) + 1);
      }
      assert.equal(rows.length, before.length);
    } finally {
      await restored.close();
      await removeImage(image);
    }
  } finally {
    await guest.close();
  }
});
