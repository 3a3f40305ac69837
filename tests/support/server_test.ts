import assert from "node:assert/strict";
import { pathExists, ScriptError } from "../../scripts/shell.ts";
import { connect, type Flavor, type Server, startServer } from "./server.ts";

async function whileRunning(
  flavor: Flavor,
  test: (server: Server) => Promise<void>,
): Promise<Server> {
  const server = await startServer(flavor);
  try {
    await test(server);
  } finally {
    await server.stop();
  }
  return server;
}

for (const flavor of ["mariadb", "mysql"] as const) {
  Deno.test(`${flavor}: a throwaway server answers root, keeps data over a crash, and is gone`, async () => {
    const server = await whileRunning(flavor, async (server) => {
      const before = await connect(server);
      const [row] = await before.query(
        "SELECT CURRENT_USER() AS user, @@log_bin AS log_bin, @@socket AS socket",
      );
      assert.deepEqual({ ...row }, {
        user: "root@localhost",
        log_bin: 1,
        socket: server.socket,
      });
      await before.query("CREATE DATABASE d");
      await before.query("CREATE TABLE d.t (n INT PRIMARY KEY)");
      await before.query("INSERT INTO d.t VALUES (7)");
      await before.close();

      const crashedPid = server.pid;
      await server.kill9();
      await assert.rejects(connect(server), { code: "ECONNREFUSED" });
      await server.restart();
      assert.notEqual(server.pid, crashedPid);

      const after = await connect(server);
      assert.deepEqual((await after.query("SELECT n FROM d.t")).map((row) => row["n"]), [7]);
      await assert.rejects(after.query("SELECT nothing"), { errno: 1054 });
      await after.close();
    });
    assert.equal(await pathExists(server.dir), false);
    assert.equal(await pathExists(`/proc/${server.pid}/exe`), false);
  });

  Deno.test(`${flavor}: two servers run side by side and are not the same`, async () => {
    const identity = flavor === "mariadb" ? "@@pid_file" : "@@server_uuid";
    await whileRunning(flavor, async (one) => {
      await whileRunning(flavor, async (other) => {
        const ids = new Set<unknown>();
        for (const server of [one, other]) {
          const connection = await connect(server);
          ids.add((await connection.query(`SELECT ${identity} AS id`))[0]?.["id"]);
          await connection.close();
        }
        assert.equal(ids.size, 2);
      });
    });
  });

  Deno.test(`${flavor}: a server that cannot start says why`, async () => {
    await assert.rejects(
      startServer(flavor, { args: ["--no-such-option=1"] }),
      (error) => error instanceof ScriptError && /no-such-option/.test(error.message),
    );
  });
}
