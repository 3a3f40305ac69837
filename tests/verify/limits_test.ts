/** verify at its limits: many tables, an interruption, an account that may little, no image at all. */
import assert from "node:assert/strict";
import { openGuest, testOnEachServer, until } from "../support/guest.ts";
import { removeImage, restore, takeImage } from "../support/image.ts";
import { underLoad } from "../support/load.ts";
import { ask } from "../support/node_guest.ts";
import { connect, type Server } from "../support/server.ts";

/** What `--quick` promises, in milliseconds. */
const QUICK_PROMISE_MS = 10_000;

for (const flavor of ["mariadb", "mysql"] as const) {
  Deno.test(`verify among thousands of tables, at its limits (${flavor})`, async (step) => {
    const guest = await openGuest(flavor);
    const tables = flavor === "mariadb" ? 10_000 : 2_000;
    await makeTables(guest.server, tables);
    // To copy so many files takes longer than a snapshot.
    await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=10m\n");
    assert.equal((await guest.locktables("pre-freeze", "--caller", "vmware")).code, 0);
    const image = await takeImage(guest.server, guest.sandbox);
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    const status = (await guest.locktables("status", "--json")).stdout;
    await guest.close();
    const restored = await restore(flavor, image);
    const { server, sandbox } = restored;
    try {
      await step.step(`--quick ends in time among ${tables} tables`, async () => {
        const quick = await restored.verify("--quick", "--json");
        const { verdict, instances, findings, took_ms } = JSON.parse(quick.stdout);
        // On a busy machine its own limit comes first, and it says so.
        const isLate = findings.some(({ code }: { code: string }) => code === "tables-unchecked");
        assert.equal(verdict, isLate ? "unknown" : "as-promised", JSON.stringify(findings));
        assert.ok(instances[0].tables.total >= tables / 2, "those of MyISAM");
        assert.ok(took_ms < underLoad(QUICK_PROMISE_MS), `${took_ms} ms`);
      });

      await step.step("--full shows how far it is, and Ctrl-C ends it here and there", async () => {
        const running = sandbox.spawn([sandbox.binary, "verify", "--full", "--json"], {
          stdout: "piped",
          stderr: "piped",
        });
        await until("tables are checked", 30_000, async () => (await checking(server)).length > 0);
        running.kill("SIGINT");
        const { code, stdout } = await running.output();
        assert.equal(code, 32);
        const { findings, instances } = JSON.parse(new TextDecoder().decode(stdout));
        const codes = findings.map((one: { code: string }) => one.code);
        assert.ok(codes.includes("interrupted"), codes.join());
        assert.ok(instances[0].tables.checked < instances[0].tables.total);
        await until(
          "nothing of it is left on the server",
          5_000,
          async () => (await checking(server)).length === 0,
        );
      });

      await step.step("an account that sees no tables says so", async () => {
        await ask(server, "CREATE USER quiesce@localhost IDENTIFIED BY 'secret'");
        await ask(
          server,
          `GRANT RELOAD, ${
            flavor === "mariadb" ? "BINLOG MONITOR" : "REPLICATION CLIENT"
          } ON *.* TO quiesce@localhost`,
        );
        await sandbox.writeFile(
          "/root/.my.cnf",
          "[client]\nuser=quiesce\npassword=secret\n",
          0o600,
        );
        const verified = await restored.verified();
        assert.equal(verified.verdict, "unknown");
        const codes = verified.findings.map(({ code }) => code);
        assert.ok(codes.includes("tables-unseen"), codes.join());
        await sandbox.sh("rm /root/.my.cnf");
      });

      await step.step("the source's verdict comes through standard input", async () => {
        const told = async (text: string) => {
          const { code, stdout } = await sandbox.run(
            [sandbox.binary, "verify", "--quick", "--json", "--verdict", "-"],
            { stdin: text },
          );
          const { findings } = JSON.parse(stdout);
          return [code, findings.map((one: { code: string }) => one.code)] as const;
        };
        assert.ok((await told(status))[1].includes("source-verdict"));
        const expired = status.replace('"outcome": "released"', '"outcome": "expired"')
          .replaceAll('"verdict": "application-consistent"', '"verdict": "crash-consistent"');
        const [code, codes] = await told(expired);
        // On a busy machine its own limit comes first, and it says so.
        assert.equal(code, codes.includes("tables-unchecked") ? 32 : 30, codes.join());
        assert.ok(codes.includes("lock-not-held"), codes.join());
        assert.equal((await told("not JSON"))[0], 32);
        const elsewhere = await restored.verify("--verdict", "/tmp/status.json");
        assert.equal(elsewhere.code, 22);
        assert.match(elsewhere.stderr, /no right to read .*--verdict - < FILE/);
      });

      await step.step("a server that does not run is a doubt, and one line", async () => {
        await server.kill9();
        const verified = await restored.verified();
        assert.equal(verified.verdict, "unknown");
        assert.ok(verified.findings.some(({ code }) => code === "server-unreachable"));
      });
    } finally {
      await restored.close();
      await removeImage(image);
    }
  });
}

testOnEachServer("verify on the source itself says that it is no image", async (guest) => {
  // Further back than a clock may be wrong.
  await until(
    "the server has run for a while",
    10_000,
    async () => Number(await uptime(guest.server)) > 7,
  );
  assert.equal((await guest.locktables("pre-freeze")).code, 0);
  const during = await guest.locktables("verify", "--json");
  assert.equal(during.code, 32, during.stdout);
  assert.match(during.stdout, /"not-from-image"/);
  assert.equal((await guest.locktables("post-thaw")).code, 0);
  const after = await guest.locktables("verify", "--json");
  assert.equal(after.code, 32, after.stdout);
  await guest.assertNothingLeft();
});

/** Half of them of MyISAM. */
async function makeTables(server: Server, count: number): Promise<void> {
  const sessions = await Promise.all([connect(server), connect(server)]);
  await ask(server, "CREATE DATABASE many");
  await Promise.all(sessions.map(async (session, half) => {
    for (let at = 0; at < count / 2; at += 1) {
      const engine = half === 0 ? "MyISAM" : "InnoDB";
      await session.query(`CREATE TABLE many.t${half}_${at} (id INT) ENGINE=${engine}`);
    }
    await session.close();
  }));
}

async function checking(server: Server): Promise<readonly unknown[]> {
  return await ask(
    server,
    "SELECT id FROM information_schema.processlist WHERE info LIKE 'CHECK %'",
  );
}

async function uptime(server: Server): Promise<unknown> {
  const [row] = await ask(server, "SHOW GLOBAL STATUS LIKE 'Uptime'");
  return row?.["Value"];
}
