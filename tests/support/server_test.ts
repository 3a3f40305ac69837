import assert from "node:assert/strict";
import { pathExists, ScriptError } from "../../scripts/shell.ts";
import { connect, type Server, type ServerKind, startServer } from "./server.ts";

/** Each of them, with the beginning of its version. */
const KINDS: readonly (readonly [kind: ServerKind, version: RegExp])[] = [
  ["mariadb", /^10\.11\./],
  ["mariadb-10.5", /^10\.5\.23$/],
  ["mariadb-11.8", /^11\.8\./],
  ["mariadb-sid", /^1[1-9]\./],
  ["mysql", /^9\./],
  ["mysql-5.6", /^5\.6\.24$/],
];

async function whileRunning(
  kind: ServerKind,
  test: (server: Server) => Promise<void>,
): Promise<Server> {
  const server = await startServer(kind);
  try {
    await test(server);
  } finally {
    await server.stop();
  }
  return server;
}

for (const [kind, version] of KINDS) {
  Deno.test(`${kind}: a throwaway server answers root, keeps data over a crash, and is gone`, async () => {
    const server = await whileRunning(kind, async (server) => {
      assert.match(server.version, version);
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
}

for (const flavor of ["mariadb", "mysql"] as const) {
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
