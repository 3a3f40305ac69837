/**
 * Nobody misses a bad night: qemu-ga's dispatcher drops the exit code of a hook, the disk is frozen
 * and the image is taken all the same. Everybody hears of it but the host.
 */
import assert from "node:assert/strict";
import { METRICS_FILES, NOTIFY, parentOf } from "../../lib/base/paths.ts";
import { openBlocker } from "../support/blocker.ts";
import { openDiskGuest } from "../support/disk_guest.ts";
import { until } from "../support/guest.ts";
import { placeHooks } from "../support/hooks.ts";
import { startJournal } from "../support/journal.ts";
import { placeDispatcher, startQemuAgent } from "../support/qemu_agent.ts";

const SUITE = "bookworm";
const [METRICS = ""] = METRICS_FILES;

Deno.test("where the caller drops the exit code, journal, metrics, plugin and notify have the night", async () => {
  const guest = await openDiskGuest("mariadb", "ext4");
  const { sandbox, locktables } = guest;
  const journal = await startJournal(sandbox);
  guest.expectedPids.add(journal.pid);
  try {
    await sandbox.sh(`mkdir -p /etc/locktables ${parentOf(METRICS)}`);
    await sandbox.writeFile(NOTIFY, "#!/bin/sh\ncat > /run/notice\n", 0o755);
    await placeDispatcher(guest, SUITE);
    const { switches } = await placeHooks(sandbox, "qemu");
    for (const { path, section, key, value, mode } of switches) {
      await sandbox.writeFile(path, `[${section}]\n${key}=${value}\n`, mode);
    }
    const agent = await startQemuAgent(guest, SUITE);
    try {
      // A good night first.
      assert.deepEqual(await agent.freeze(), { return: 1 });
      assert.deepEqual(await agent.thaw(), { return: 1 });
      await until(
        "the good night is logged",
        8_000,
        async () => (await journal.entries()).length === 1,
      );
      const good = await locktables("status", "--nagios", "--max-age", "26h");
      assert.equal(good.code, 0, good.stdout);

      const blocker = await openBlocker(guest, "freeze_timeout=1s\n");
      // The host hears that the guest is frozen, and takes its image.
      assert.deepEqual(await agent.freeze(), { return: 1 });
      // The disk is frozen now, and the journal has it already.
      await until(
        "the bad night is logged",
        8_000,
        async () => (await journal.entries()).length === 2,
      );
      assert.deepEqual(await agent.thaw(), { return: 1 });
      await blocker.end();

      const [, entry] = await journal.entries();
      assert.equal(entry?.["PRIORITY"], "3");
      assert.equal(entry?.["LOCKTABLES_CALLER"], "qemu");
      assert.match(entry?.["MESSAGE"] ?? "", new RegExp(`exit 10.* id ${blocker.id} `));
      await until(
        "the metrics say so",
        8_000,
        async () => /^locktables_last_window_success 0$/m.test(await sandbox.read(METRICS)),
      );
      assert.match(
        await sandbox.read(METRICS),
        /^locktables_pre_freeze_refusals_total\{exit_code="10"\} 1$/m,
      );
      const bad = await locktables("status", "--nagios", "--max-age", "26h");
      assert.equal(bad.code, 2);
      assert.match(
        bad.stdout,
        new RegExp(`^LOCKTABLES CRITICAL: .*not-quiesced.* id ${blocker.id} `),
      );
      await until("notify was called", 8_000, () => sandbox.exists("/run/notice"));
      const notice = JSON.parse(await sandbox.read("/run/notice"));
      assert.deepEqual([notice.event, notice.caller, notice.exit_code], ["window", "qemu", 10]);
      assert.match(notice.message, new RegExp(` id ${blocker.id} `));
    } finally {
      await agent.kill();
    }
  } finally {
    await journal.close();
    await guest.close();
  }
});
