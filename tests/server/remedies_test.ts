/** Remedies run as printed, on option files and guests that are not the usual ones. */
import assert from "node:assert/strict";
import type { Finding } from "../../lib/check/finding.ts";
import { checkIn, codesOf, findingsOf } from "../support/check_guest.ts";
import { openGuest } from "../support/guest.ts";
import { openSandbox, type Sandbox } from "../support/sandbox.ts";
import { connect, discard, startServer } from "../support/server.ts";

/** One option file, and what must be so after the remedy. */
interface OddFile {
  readonly name: string;
  readonly given: string;
  readonly code: Finding["code"];
  readonly holds: string;
}

const ODD_FILES: readonly OddFile[] = [
  {
    name: "a link stays a link, and the file behind it is edited",
    code: "bad-setting",
    given:
      "printf '[client]\\nuser=root\\nhost=127.0.0.1' > /etc/real.cnf; chmod 0600 /etc/real.cnf; ln -s /etc/real.cnf /root/.my.cnf",
    holds: "test -L /root/.my.cnf && grep -q host=localhost /etc/real.cnf",
  },
  {
    name: "a file that only includes a directory keeps what is included",
    code: "bad-option-file",
    given:
      "mkdir -p /etc/more.d; printf '[client]\\nuser=root' > /etc/more.d/a.cnf; printf '!includedir /etc/more.d/\\n' > /root/.my.cnf; chmod 0600 /root/.my.cnf",
    holds: "grep -q '^user=root' /root/.my.cnf",
  },
  {
    name: "a file without a last newline",
    code: "bad-setting",
    given: "printf '[client]\\nhost=127.0.0.1' > /root/.my.cnf; chmod 0600 /root/.my.cnf",
    holds: "grep -q '^host=localhost$' /root/.my.cnf",
  },
  {
    name: "a file with the line ends of another system",
    code: "bad-setting",
    given:
      "printf '[client]\\r\\nuser=root\\r\\nhost=127.0.0.1\\r\\n' > /root/.my.cnf; chmod 0600 /root/.my.cnf",
    holds: "grep -q '^user=root' /root/.my.cnf && grep -q '^host=localhost' /root/.my.cnf",
  },
  {
    name: "a setting with the line end of another system",
    code: "setting-adjusted",
    given:
      "printf '[locktables]\\r\\nlock_wait_timeout=1500ms\\r\\n' > /root/.my.cnf; chmod 0600 /root/.my.cnf",
    holds: "grep -q '^lock_wait_timeout=2s' /root/.my.cnf",
  },
];

Deno.test("a remedy ends its finding in an option file of any kind", async (test) => {
  const guest = await openGuest("mariadb");
  try {
    const { sandbox } = guest;
    for (const { name, given, code, holds } of ODD_FILES) {
      await test.step(name, async () => {
        assert.equal((await sandbox.sh(`rm -f /root/.my.cnf; ${given}`)).code, 0);
        const [found] = findingsOf(await checkIn(sandbox), code);
        assert.ok(found?.remedy, `${code} has a remedy`);
        const cured = await sandbox.sh(found.remedy);
        assert.equal(cured.code, 0, cured.stderr);
        assert.equal((await sandbox.sh(holds)).code, 0, found.remedy);
        assert.deepEqual(findingsOf(await checkIn(sandbox), code), []);
      });
    }
    await test.step("a link that leads nowhere is a file that is missing", async () => {
      await sandbox.sh("rm -f /root/.my.cnf; ln -s /etc/gone.cnf /root/.my.cnf");
      assert.equal((await checkIn(sandbox)).exit_code, 0);
    });
  } finally {
    await guest.sandbox.sh("rm -rf /etc/real.cnf /etc/more.d");
    await guest.close();
  }
});

/** Runs remedies and says what is left that has one. */
async function cure(sandbox: Sandbox, findings: readonly Finding[]): Promise<Finding[]> {
  for (const { remedy, title } of findings) {
    const { code, stderr } = await sandbox.sh(remedy ?? "true");
    assert.equal(code, 0, `${title}: ${remedy}: ${stderr}`);
  }
  return (await checkIn(sandbox)).findings.filter(({ severity }) => severity !== "note");
}

/** Production and test server in one guest, with sockets of one name. */
const SAME_NAMES = `[locktables]
instances=production,test
[client_production]
socket=/opt/production/mysqld.sock
[client_test]
socket=/opt/test/mysqld.sock
`;

Deno.test("two sockets of one name get links of their own, whichever remedy is run first", async (test) => {
  const [production, other] = await Promise.all([startServer("mariadb"), startServer("mysql")]);
  const admins = await Promise.all([connect(production), connect(other)]);
  try {
    for (const order of ["in the order of the report", "from the last to the first"]) {
      await test.step(order, async () => {
        const sandbox = await openSandbox();
        try {
          await sandbox.sh("mkdir -p /opt/production /opt/test");
          await sandbox.bindServer(production, "/opt/production");
          await sandbox.bindServer(other, "/opt/test");
          await sandbox.writeFile("/root/.my.cnf", SAME_NAMES);
          const found = findingsOf(await checkIn(sandbox), "socket-elsewhere");
          assert.equal(found.length, 2, "a line for each instance");
          const left = await cure(sandbox, order.startsWith("in") ? found : found.reverse());
          assert.deepEqual(left.filter(({ severity }) => severity === "error"), []);

          const frozen = await sandbox.run([sandbox.binary, "pre-freeze"]);
          assert.equal(frozen.code, 0, frozen.stderr);
          for (const admin of admins) {
            await admin.query("SET SESSION lock_wait_timeout=1");
            await assert.rejects(admin.query("CREATE DATABASE made_under_the_lock"), /timeout/i);
          }
          const thawed = await sandbox.run([sandbox.binary, "post-thaw"]);
          assert.equal(thawed.code, 0, thawed.stderr);
          assert.match(thawed.stdout, /production \(MariaDB.*test \(MySQL/);
        } finally {
          await sandbox.close();
        }
      });
    }
  } finally {
    for (const admin of admins) await admin.close();
    await Promise.all([production, other].map(discard));
  }
});

Deno.test("a socket under /opt is reached by its link, also after a restart of the server", async () => {
  const server = await startServer("mariadb");
  const sandbox = await openSandbox();
  try {
    await sandbox.sh("mkdir -p '/opt/my stack/tmp'");
    await sandbox.bindServer(server, "/opt/my stack/tmp");
    await sandbox.writeFile("/root/.my.cnf", '[client]\nsocket="/opt/my stack/tmp/mysqld.sock"\n');
    const found = findingsOf(await checkIn(sandbox), "socket-elsewhere");
    const left = await cure(sandbox, found);
    assert.deepEqual(left.filter(({ severity }) => severity === "error"), []);
    for (const isRestarted of [false, true]) {
      if (isRestarted) {
        await server.kill9();
        await server.restart();
      }
      assert.equal((await sandbox.run([sandbox.binary, "pre-freeze"])).code, 0);
      assert.equal((await sandbox.run([sandbox.binary, "post-thaw"])).code, 0);
    }
  } finally {
    await sandbox.close();
    await discard(server);
  }
});

/** Findings that do not touch each other, each with a remedy. */
const SEVERAL =
  `printf '[client]\\nuser=root\\n[locktables]\\nlock_wait_timeout=1500ms\\nhold_timeout=30s\\nhold_timeout=20s\\n' > /root/.my.cnf
chmod 0644 /root/.my.cnf
mkdir -p /etc/vmware-tools/backupScripts.d
echo 'mariadb -e "FLUSH TABLES WITH READ LOCK"' > /etc/vmware-tools/backupScripts.d/50-lock
mkdir -p /run/veeam; chmod 0755 /run/veeam; touch /run/mysql-flush.fifo; chmod 0755 /var/lib/locktables`;

/** A few of the orders, the same at each run. */
const ORDERS: readonly ((findings: Finding[]) => Finding[])[] = [
  (findings) => findings,
  (findings) => findings.reverse(),
  (
    findings,
  ) => [...findings.filter((_, at) => at % 2 === 1), ...findings.filter((_, at) => at % 2 === 0)],
];

Deno.test("several remedies end their findings in any order", async (test) => {
  const guest = await openGuest("mariadb");
  try {
    for (const [at, order] of ORDERS.entries()) {
      await test.step(`order ${at + 1}`, async () => {
        const { sandbox } = guest;
        assert.equal((await sandbox.sh(SEVERAL)).code, 0);
        const report = await checkIn(sandbox);
        const found = report.findings.filter(({ remedy }) => remedy !== null);
        assert.ok(found.length >= 4, codesOf(report));
        const left = await cure(sandbox, order(found));
        assert.deepEqual(left.filter(({ remedy }) => remedy !== null), [], codesOf(report));
        await sandbox.sh("rm -rf /root/50-lock /etc/vmware-tools /run/mysql-flush.fifo");
      });
    }
  } finally {
    await guest.close();
  }
});
