/** Remedies for option files that are not plain files, run as printed. */
import assert from "node:assert/strict";
import { checkIn, findingsOf } from "../support/check_guest.ts";
import { openGuest } from "../support/guest.ts";

Deno.test("remedies leave a linked option file a link, and included options what they are", async () => {
  const guest = await openGuest("mariadb");
  try {
    const { sandbox } = guest;
    for (
      const [code, given, holds] of [
        [
          "bad-setting",
          "printf '[client]\\nuser=root\\nhost=127.0.0.1' > /etc/real.cnf; chmod 0600 /etc/real.cnf; ln -s /etc/real.cnf /root/.my.cnf",
          "test -L /root/.my.cnf && grep -q host=localhost /etc/real.cnf",
        ],
        [
          "bad-option-file",
          "mkdir -p /etc/more.d; printf '[client]\\nuser=root' > /etc/more.d/a.cnf; printf '!includedir /etc/more.d/\\n' > /root/.my.cnf; chmod 0600 /root/.my.cnf",
          "grep -q '^user=root' /root/.my.cnf",
        ],
      ] as const
    ) {
      assert.equal((await sandbox.sh(`rm -f /root/.my.cnf; ${given}`)).code, 0);
      const [found] = findingsOf(await checkIn(sandbox), code);
      assert.ok(found?.remedy, `${code} has a remedy`);
      const cured = await sandbox.sh(found.remedy);
      assert.equal(cured.code, 0, cured.stderr);
      assert.equal((await sandbox.sh(holds)).code, 0, found.remedy);
      assert.deepEqual(findingsOf(await checkIn(sandbox), code), []);
    }
  } finally {
    await guest.sandbox.sh("rm -rf /etc/real.cnf /etc/more.d");
    await guest.close();
  }
});
