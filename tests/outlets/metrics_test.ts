/** The numbers of real windows, in the file that Debian's node exporter reads. */
import assert from "node:assert/strict";
import { unpackedPath } from "../../scripts/provision.ts";
import { METRICS_FILES, parentOf, TOTALS_FILE } from "../../lib/base/paths.ts";
import { GOOD } from "./records.ts";
import { type Guest, openGuest, until } from "../support/guest.ts";
import { placeHooks } from "../support/hooks.ts";
import { underLoad } from "../support/load.ts";
import { openStateDisk, STATE } from "../support/state_disk.ts";

const [DEBIANS = "", OTHERS = ""] = METRICS_FILES;
const NOBODY = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];

async function inGuest(test: (guest: Guest) => Promise<void>): Promise<void> {
  const guest = await openGuest("mariadb");
  try {
    await test(guest);
  } finally {
    await guest.close();
  }
}

/** Opens a window and closes it. */
async function nightly({ locktables }: Guest): Promise<void> {
  const frozen = await locktables("pre-freeze", "--caller", "qemu");
  assert.equal(frozen.code, 0, frozen.stderr);
  const thawed = await locktables("post-thaw");
  assert.equal(thawed.code, 0, thawed.stderr);
}

/** Waits until a metric in a file has this value. */
async function untilMetric({ sandbox }: Guest, path: string, line: string): Promise<void> {
  await until(
    `${line} in ${path}`,
    5_000,
    async () => await sandbox.exists(path) && (await sandbox.read(path)).split("\n").includes(line),
  );
}

/** The value of a metric without labels. */
function valueOf(text: string, name: string): number {
  const value = new RegExp(`^locktables_${name} (.+)$`, "m").exec(text)?.[1];
  assert.ok(value !== undefined, `${name} in ${text}`);
  return Number(value);
}

function released(count: number): string {
  return `locktables_windows_total{outcome="released",verdict="application-consistent"} ${count}`;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("Debian's node exporter, which is not root, serves the metrics of a window", () =>
  inGuest(async (guest) => {
    const { sandbox } = guest;
    const directory = parentOf(DEBIANS);
    await sandbox.sh(`mkdir -p ${directory}`);
    const since = Date.now() / 1_000;
    await nightly(guest);
    await untilMetric(guest, DEBIANS, released(1));
    const port = freePort();
    const exporter = sandbox.spawn([
      ...NOBODY,
      `${await unpackedPath("prometheus-node-exporter")}/usr/bin/prometheus-node-exporter`,
      "--collector.disable-defaults",
      "--collector.textfile",
      `--collector.textfile.directory=${directory}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ], { stdout: "null", stderr: "null" });
    try {
      let served = "";
      await until("the exporter serves", 10_000, async () => {
        const answer = await fetch(`http://127.0.0.1:${port}/metrics`).catch(() => null);
        served = await answer?.text() ?? "";
        return served !== "";
      });
      assert.match(served, /^node_textfile_scrape_error 0$/m);
      assert.match(served, /^node_textfile_mtime_seconds\{file="[^"]*locktables\.prom"\} /m);
      assert.ok(served.split("\n").includes(released(1)));
      assert.ok(valueOf(served, "last_application_consistent_timestamp_seconds") >= since - 1);
      assert.equal(valueOf(served, "last_window_success"), 1);
      assert.ok(valueOf(served, "last_window_hold_seconds") > 0);
      assert.match(
        served,
        /^locktables_last_window_server_info\{flavor="mariadb",method="backup-s/m,
      );
    } finally {
      exporter.kill("SIGKILL");
      await exporter.status;
    }
    const left = await sandbox.sh(`ls -A ${directory}; stat -c %a ${DEBIANS}`);
    assert.equal(left.stdout, "locktables.prom\n644\n", "one file, for everybody to read");
    await guest.assertNothingLeft();
  }));

Deno.test("metrics prints what the file has, and counts what the history no longer has", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    // The second place, where the first is not there.
    await sandbox.sh(`mkdir -p ${parentOf(OTHERS)}`);
    await nightly(guest);
    await untilMetric(guest, OTHERS, released(1));
    // The file cannot know whether a window is open when it is read, and does not say.
    assert.equal(
      (await locktables("metrics")).stdout.replaceAll(/^.*locktables_window_open.*\n/gm, ""),
      await sandbox.read(OTHERS),
    );
    await sandbox.sh("rm /var/lib/locktables/history.jsonl /var/lib/locktables/record.json");
    await nightly(guest);
    await untilMetric(guest, OTHERS, released(2));
    // Without totals what is left of the history is counted.
    await sandbox.sh(`rm ${TOTALS_FILE}`);
    const counted = await locktables("metrics");
    assert.ok(counted.stdout.split("\n").includes(released(1)), counted.stdout);
    // Of now.
    await locktables("pre-freeze");
    assert.match((await locktables("metrics")).stdout, /^locktables_window_open 1$/m);
    await locktables("post-thaw");
    // A rehearsal is no window of anybody's image.
    await untilMetric(guest, OTHERS, released(2));
    await locktables("rehearse", "--hold", "0s");
    await guest.assertNothingLeft();
    assert.ok((await sandbox.read(OTHERS)).split("\n").includes(released(2)));
  }));

Deno.test("every way in which pre-freeze can be refused is counted by its exit code", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    await sandbox.sh(`mkdir -p ${parentOf(DEBIANS)}`);
    const refusals = (code: number, count: number) =>
      `locktables_pre_freeze_refusals_total{exit_code="${code}"} ${count}`;
    // By the locker, before there is a window.
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=soon\n");
    assert.equal((await locktables("pre-freeze")).code, 22);
    await untilMetric(guest, DEBIANS, refusals(22, 1));
    const monitored = await locktables("status", "--nagios");
    assert.match(
      monitored.stdout,
      /^LOCKTABLES CRITICAL: pre-freeze was refused at .* \(exit 22\)/,
    );
    assert.equal(monitored.code, 2);
    // In a window.
    await sandbox.writeFile("/root/.my.cnf", "[client]\nuser=stranger\n");
    const denied = await locktables("pre-freeze");
    assert.equal(denied.code, 21, denied.stderr);
    await untilMetric(guest, DEBIANS, refusals(21, 1));
    // By pre-freeze itself.
    await sandbox.writeFile("/root/.my.cnf", "");
    await locktables("pre-freeze");
    assert.equal((await locktables("pre-freeze")).code, 11);
    await locktables("post-thaw");
    await untilMetric(guest, DEBIANS, refusals(11, 1));
    await untilMetric(guest, DEBIANS, released(1));
    const text = await sandbox.read(DEBIANS);
    assert.match(text, /^locktables_windows_total\{outcome="refused",verdict="not-quiesced"\} 1$/m);
    await guest.assertNothingLeft();
  }));

Deno.test("a window that nobody closes is in the metrics when it expires", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    await sandbox.sh(`mkdir -p ${parentOf(DEBIANS)}`);
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=1s\n");
    await locktables("pre-freeze");
    const expired = 'locktables_windows_total{outcome="expired",verdict="crash-consistent"} 1';
    await untilMetric(guest, DEBIANS, expired);
    const written = Number((await sandbox.sh(`stat -c %.Y ${DEBIANS}`)).stdout) * 1_000;
    const lateMs = written - Date.parse((await guest.status()).last?.deadline ?? "");
    assert.ok(lateMs < underLoad(1_000), `${lateMs} ms after hold_timeout`);
    assert.equal((await locktables("post-thaw")).code, 12);
    await guest.assertNothingLeft();
    assert.ok((await sandbox.read(DEBIANS)).split("\n").includes(expired), "and once only");
  }));

Deno.test("a window whose locker was killed is in the metrics when post-thaw finds that", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    await sandbox.sh(`mkdir -p ${parentOf(DEBIANS)}`);
    await locktables("pre-freeze");
    await sandbox.sh(`kill -9 ${await guest.lockerPid()}`);
    assert.equal((await locktables("post-thaw")).code, 12);
    const lost = 'locktables_windows_total{outcome="lost",verdict="crash-consistent"} 1';
    await untilMetric(guest, DEBIANS, lost);
    await guest.assertNothingLeft();
  }));

Deno.test("a window whose locker was killed, and that nobody closed, is reported with the next one", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    await sandbox.sh(`mkdir -p ${parentOf(DEBIANS)}`);
    await locktables("pre-freeze");
    await sandbox.sh(`kill -9 ${await guest.lockerPid()}`);
    // Until then whoever asks is told.
    const plugin = await locktables("status", "--nagios");
    assert.equal(plugin.code, 2);
    assert.match(
      plugin.stdout,
      /^LOCKTABLES CRITICAL: .* was crash-consistent \(lost, locker-died\)/,
    );
    assert.match((await locktables("check")).stdout, /locker-died/);
    await nightly(guest);
    const lost = 'locktables_windows_total{outcome="lost",verdict="crash-consistent"} 1';
    await untilMetric(guest, DEBIANS, lost);
    await untilMetric(guest, DEBIANS, released(1));
    assert.ok((await sandbox.read(DEBIANS)).includes("locktables_last_window_success 1\n"));
    await guest.assertNothingLeft();
  }));

Deno.test("a report that is under way when uninstall removes everything leaves nothing behind", () =>
  inGuest(async ({ sandbox }) => {
    await sandbox.sh(`mkdir -p ${parentOf(DEBIANS)}`);
    await sandbox.writeFile(
      "/run/report",
      `${JSON.stringify({ kind: "window", record: GOOD, refusal: null })}\n`,
    );
    const ended = await sandbox.sh(`
      exec 9< /var/lib/locktables
      flock 9
      locktables errand report < /run/report > /run/nothing 9<&- &
      # It waits for the lock that uninstall has.
      tries=0
      until grep -q -- "-> FLOCK .* $! " /proc/locks; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || exit 1
        sleep 0.05
      done
      rm -rf /var/lib/locktables
      exec 9<&-
      wait $!
      ls -A /var/lib ${parentOf(DEBIANS)} /run/veeam 2>/dev/null | grep -e locktables -e unreported
    `);
    assert.deepEqual([ended.code, ended.stdout, ended.stderr], [1, "", ""]);
  }));

Deno.test("on a disk that is frozen or full the window is what it is, and its metrics come or are missed", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    const disk = await openStateDisk(sandbox);
    const path = `${STATE}/metrics/db.prom`;
    try {
      await sandbox.sh(`mkdir ${parentOf(path)}`);
      await sandbox.writeFile(
        "/root/.my.cnf",
        `[locktables]\nhold_timeout=1s\nlog=off\nmetrics_file=${path}\n`,
      );
      await locktables("pre-freeze");
      await disk.begin("frozen");
      await until("it expires", 8_000, async () => (await guest.status()).window === null);
      assert.equal(await sandbox.exists(path), false);
      // The report waits for the disk; the hook does not wait for the report.
      const thawed = await locktables("post-thaw");
      assert.equal(thawed.code, 12);
      assert.ok(thawed.ms < underLoad(8_000), `${thawed.ms} ms`);
      await disk.end();
      const expired = 'locktables_windows_total{outcome="expired",verdict="crash-consistent"} 1';
      await untilMetric(guest, path, expired);
      await guest.assertNothingLeft();
      await sandbox.writeFile("/root/.my.cnf", `[locktables]\nlog=off\nmetrics_file=${path}\n`);
      await locktables("pre-freeze");
      await disk.begin("full");
      const good = await locktables("post-thaw");
      assert.equal(good.code, 0, good.stderr);
      await until("status says so", 8_000, async () => {
        const [unreported] = (await guest.status()).unreported;
        return /^Cannot write .*No space left/.test(unreported?.why ?? "");
      });
      await disk.end();
      await guest.assertNothingLeft();
    } finally {
      await disk.close();
    }
  }));

Deno.test("metrics_file says where, by a link of root's, or that there is none", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    await sandbox.sh(`mkdir -p ${parentOf(DEBIANS)} /var/lib/collector
      ln -s /var/lib/collector /var/lib/locktables/textfile`);
    await sandbox.writeFile(
      "/root/.my.cnf",
      "[locktables]\nmetrics_file=/var/lib/locktables/textfile/db.prom\n",
    );
    await nightly(guest);
    await untilMetric(guest, "/var/lib/collector/db.prom", released(1));
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nmetrics_file=off\n");
    await nightly(guest);
    await until(
      "it is counted",
      5_000,
      async () => (await locktables("metrics")).stdout.split("\n").includes(released(2)),
    );
    await guest.assertNothingLeft();
    const files = await sandbox.sh(`ls -A ${parentOf(DEBIANS)} /var/lib/collector`);
    assert.equal(files.stdout, `/var/lib/collector:\ndb.prom\n\n${parentOf(DEBIANS)}:\n`);
  }));

Deno.test("install prometheus writes the file at once, and uninstall takes it along", () =>
  inGuest(async ({ sandbox, locktables, ...guest }) => {
    const refused = await locktables("install", "prometheus");
    assert.equal(refused.code, 22);
    assert.match(refused.stderr, /^locktables: No directory of node_exporter's .*apt-get install/);
    await sandbox.sh(`mkdir -p ${parentOf(DEBIANS)}`);
    assert.match(
      (await locktables("install", "prometheus", "--dry-run")).stdout,
      new RegExp(
        `^Would install metrics for Prometheus:\n {2}write {7}${DEBIANS} \\(0644\\)$`,
        "m",
      ),
    );
    assert.equal(await sandbox.exists(DEBIANS), false);
    for (const _ of ["first", "again"]) {
      const installed = await locktables("install", "prometheus");
      assert.equal(installed.code, 0, installed.stderr);
      assert.match(
        installed.stdout,
        new RegExp(`wrote +${DEBIANS} .*locktables\\.rules\\.yml`, "s"),
      );
      // Before the first window, so that an alert can miss one.
      assert.match(await sandbox.read(DEBIANS), /^locktables_build_info\{version="[^"]+"\} 1$/m);
    }
    assert.equal((await sandbox.sh(`stat -c %a ${DEBIANS}`)).stdout, "644\n");
    assert.match(
      (await locktables("install", "--list")).stdout,
      new RegExp(`^prometheus: .* \\[installed: ${DEBIANS}, version`, "m"),
    );
    // Beside hooks: each goes alone, and the last one with the receipt.
    assert.equal((await locktables("install", "vmware", "prometheus")).code, 0);
    const hooks = await locktables("uninstall", "vmware");
    assert.equal(hooks.code, 0, hooks.stderr);
    assert.equal(await sandbox.exists(DEBIANS), true);
    const metrics = await locktables("uninstall", "prometheus");
    assert.match(metrics.stdout, new RegExp(`^ {2}removed {5}${DEBIANS}$`, "m"));
    assert.equal((await sandbox.sh(`ls -A ${parentOf(DEBIANS)}`)).stdout, "");
    assert.equal(await sandbox.exists("/var/lib/locktables/receipt.json"), false);
    assert.match(
      (await locktables("uninstall", "prometheus")).stdout,
      /^Nothing to do: nothing is installed for prometheus\.$/m,
    );
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nmetrics_file=off\n");
    const off = await locktables("install", "prometheus");
    assert.deepEqual([off.code, /metrics_file is off/.test(off.stderr)], [22, true]);
    await guest.assertNothingLeft();
  }));

Deno.test("uninstall takes the metrics away with the last hook", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    await sandbox.sh(`mkdir -p ${parentOf(DEBIANS)}`);
    await placeHooks(sandbox, "vmware");
    await nightly(guest);
    await untilMetric(guest, DEBIANS, released(1));
    await guest.assertNothingLeft();
    const uninstalled = await locktables("uninstall");
    assert.equal(uninstalled.code, 0, uninstalled.stderr);
    assert.match(uninstalled.stdout, new RegExp(`removed +${DEBIANS}$`, "m"));
    assert.equal((await sandbox.sh(`ls -A ${parentOf(DEBIANS)}`)).stdout, "");
  }));

Deno.test("where the metrics cannot be written the window is what it is, and status says so", () =>
  inGuest(async (guest) => {
    const { sandbox, locktables } = guest;
    const directory = parentOf(DEBIANS);
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nlog=off\n");
    const cases: readonly (readonly [what: string, given: string, why: RegExp])[] = [
      ["a read-only disk", `mount -t tmpfs -o ro tmpfs ${directory}`, /Read-only file system/],
      [
        "a full disk",
        `mount -t tmpfs -o size=4k,nr_inodes=2 tmpfs ${directory} && : > ${directory}/x`,
        /No space left/,
      ],
      [
        "a directory that is not there",
        `printf '[locktables]\\nlog=off\\nmetrics_file=${OTHERS}\\n' > /root/.my.cnf`,
        /node_exporter\/textfile_collector is not there\. Make it: mkdir -p /,
      ],
    ];
    await sandbox.sh(`mkdir -p ${directory}`);
    for (const [what, given, why] of cases) {
      assert.equal((await sandbox.sh(given)).code, 0, what);
      await nightly(guest);
      // What the case before has left is noted until then.
      await until(what, 5_000, async () => {
        const [unreported, ...more] = (await guest.status()).unreported;
        return unreported?.outlet === "metrics" && why.test(unreported.why) && more.length === 0;
      });
      assert.match(
        (await locktables("status")).stdout,
        /^Not reported\n {2}metrics {2}Cannot write /m,
      );
      await sandbox.sh(`umount ${directory} 2>/dev/null`);
      await guest.assertNothingLeft();
    }
    await sandbox.writeFile("/root/.my.cnf", "[locktables]\nlog=off\n");
    // A stranger's link in the exporter's directory leads nowhere.
    await sandbox.sh(`: > /root/precious; chmod 0777 ${directory}
      ln -s /root/precious ${DEBIANS}; ln -s /root/precious ${DEBIANS}.tmp`);
    await nightly(guest);
    await untilMetric(guest, DEBIANS, released(4));
    assert.equal((await sandbox.sh("stat -c %s /root/precious")).stdout, "0\n");
    await until(
      "all is reported",
      5_000,
      async () => (await guest.status()).unreported.length === 0,
    );
    await guest.assertNothingLeft();
  }));
