/**
 * Every way an account may log in over the socket, and every way it may not: a window for each
 * that can, one clear line for each that cannot, and the cure that the line names works.
 */
import assert from "node:assert/strict";
import { assertOneLine, type Guest, openGuest } from "../support/guest.ts";
import { connect, type Connection, type Flavor } from "../support/server.ts";
import { mariadbPlugins } from "../support/mariadb_plugins.ts";
import { underLoad } from "../support/load.ts";

/** What the account of a case may do: a window, and nothing else. */
const RIGHTS: Readonly<Record<Flavor, string>> = {
  mariadb: "RELOAD, BINLOG MONITOR, SLAVE MONITOR, PROCESS",
  mysql: "FLUSH_TABLES, REPLICATION CLIENT, PROCESS",
};

interface LoginCase {
  readonly name: string;
  /** CREATE USER's text after the name, which is `quiesce@localhost`; null: root as it is. */
  readonly identified: string | null;
  /** `[client]` of /root/.my.cnf. */
  readonly client: readonly string[];
  /** Further statements before the login. */
  readonly sql?: readonly string[];
}

interface RefusedCase extends LoginCase {
  readonly identified: string;
  readonly code: number;
  readonly line: RegExp;
  /** Whether running the statement in the line lets the account in; `…` is a password. */
  readonly cure?: true;
  /** Whether what the account has is used up before; two at the same moment may both be let in. */
  readonly isSpent?: true;
}

/** A refused login is answered at once; a server that does not answer would take 5 s. */
const ANSWER_LIMIT_MS = 3_000;

/** Put where a statement in a line has an ellipsis. */
const NEW_PASSWORD = "n3w-s3cret";

const AS_QUIESCE = ["user=quiesce", "password=s3cret"];
const LONG = "correct horse battery staple ".repeat(8).trim();

const GOOD: Readonly<Record<Flavor, readonly LoginCase[]>> = {
  mariadb: [
    { name: "root through unix_socket, without an option file", identified: null, client: [] },
    {
      name: "root through unix_socket, whatever password is given",
      identified: null,
      client: ["user=root", "password=wrong"],
    },
    {
      name: "mysql_native_password",
      identified: "IDENTIFIED VIA mysql_native_password USING PASSWORD('s3cret')",
      client: AS_QUIESCE,
    },
    { name: "an empty password", identified: "IDENTIFIED BY ''", client: ["user=quiesce"] },
    {
      name: "ed25519",
      identified: "IDENTIFIED VIA ed25519 USING PASSWORD('s3cret')",
      client: AS_QUIESCE,
    },
    {
      name: "ed25519 with a long password in UTF-8",
      identified: `IDENTIFIED VIA ed25519 USING PASSWORD('${LONG} äöü€')`,
      client: ["user=quiesce", `password="${LONG} äöü€"`],
    },
    {
      name: "ed25519 where unix_socket did not do",
      identified: "IDENTIFIED VIA unix_socket OR ed25519 USING PASSWORD('s3cret')",
      client: AS_QUIESCE,
    },
    {
      name: "mysql_native_password where ed25519 did not do",
      identified:
        "IDENTIFIED VIA ed25519 USING PASSWORD('other') OR mysql_native_password USING PASSWORD('s3cret')",
      client: AS_QUIESCE,
    },
  ],
  mysql: [
    { name: "root through auth_socket, without an option file", identified: null, client: [] },
    {
      name: "auth_socket for another system user's name",
      identified: "IDENTIFIED WITH auth_socket AS 'root'",
      client: ["user=quiesce"],
    },
    {
      name: "caching_sha2_password with a cold cache",
      identified: "IDENTIFIED WITH caching_sha2_password BY 's3cret'",
      sql: ["FLUSH PRIVILEGES"],
      client: AS_QUIESCE,
    },
    {
      name: "caching_sha2_password with an empty password",
      identified: "IDENTIFIED WITH caching_sha2_password BY ''",
      client: ["user=quiesce"],
    },
    {
      name: "sha256_password",
      identified: "IDENTIFIED WITH sha256_password BY 's3cret'",
      client: AS_QUIESCE,
    },
    {
      name: "sha256_password with an empty password",
      identified: "IDENTIFIED WITH sha256_password BY ''",
      client: ["user=quiesce"],
    },
  ],
};

const WRONG: readonly RefusedCase[] = [
  {
    name: "a wrong password",
    identified: "IDENTIFIED BY 's3cret'",
    client: ["user=quiesce", "password=wrong"],
    code: 21,
    line: /Cannot log in as quiesce at .*error 1045: .*YES.*Check user and password/,
  },
  {
    name: "no password where one is wanted",
    identified: "IDENTIFIED BY 's3cret'",
    client: ["user=quiesce"],
    code: 21,
    line: /error 1045: .*NO.*Check user and password/,
  },
  {
    name: "an account that nobody made",
    identified: "IDENTIFIED BY 's3cret'",
    client: ["user=nobody-knows", "password=s3cret"],
    code: 21,
    line: /Cannot log in as nobody-knows at .*error (1045|1698): Access denied/,
  },
  {
    name: "an account that must use TLS",
    identified: "IDENTIFIED BY 's3cret' REQUIRE SSL",
    client: AS_QUIESCE,
    code: 21,
    line: /error 1045: .*REQUIRE SSL/,
  },
  {
    name: "a locked account",
    identified: "IDENTIFIED BY 's3cret' ACCOUNT LOCK",
    client: AS_QUIESCE,
    code: 21,
    line: /error (3118|4151): .*locked.*ALTER USER 'quiesce'@'localhost' ACCOUNT UNLOCK/,
    cure: true,
  },
  {
    name: "an expired password",
    identified: "IDENTIFIED BY 's3cret' PASSWORD EXPIRE",
    client: AS_QUIESCE,
    code: 21,
    line: /error (1820|1862): .*ALTER USER 'quiesce'@'localhost' IDENTIFIED BY '…'/,
    cure: true,
  },
  {
    name: "an account with a single connection",
    identified: "IDENTIFIED BY 's3cret' WITH MAX_USER_CONNECTIONS 1",
    client: AS_QUIESCE,
    code: 20,
    line: /error 1226: .*ALTER USER 'quiesce'@'localhost' WITH MAX_USER_CONNECTIONS 3/,
    cure: true,
  },
  {
    name: "an account with few connections an hour",
    identified: "IDENTIFIED BY 's3cret' WITH MAX_CONNECTIONS_PER_HOUR 1",
    client: AS_QUIESCE,
    isSpent: true,
    code: 20,
    line: /error 1226: .*ALTER USER 'quiesce'@'localhost' WITH MAX_CONNECTIONS_PER_HOUR 0/,
    cure: true,
  },
];

const BAD: Readonly<Record<Flavor, readonly RefusedCase[]>> = {
  mariadb: [
    ...WRONG,
    {
      name: "a wrong password for ed25519",
      identified: "IDENTIFIED VIA ed25519 USING PASSWORD('s3cret')",
      client: ["user=quiesce", "password=wrong"],
      code: 21,
      line: /error 1045: .*Check user and password/,
    },
    // The server itself lets nobody in, also not with its own client (10.11.19).
    {
      name: "ed25519 with an empty password",
      identified: "IDENTIFIED VIA ed25519 USING PASSWORD('')",
      client: ["user=quiesce"],
      code: 21,
      line: /error 1045: .*Check user and password/,
    },
    {
      name: "no password for ed25519",
      identified: "IDENTIFIED VIA ed25519 USING PASSWORD('s3cret')",
      client: ["user=quiesce"],
      code: 21,
      line: /error (1045|1698): .*user and password/,
    },
    {
      name: "a plugin that asks questions",
      identified: "IDENTIFIED VIA pam",
      client: AS_QUIESCE,
      code: 21,
      line:
        /as quiesce at .*login plugin dialog, .*ALTER USER 'quiesce'@'localhost' IDENTIFIED VIA mysql_native_password USING PASSWORD\('…'\)/,
      cure: true,
    },
    {
      name: "a plugin that the server has lost",
      identified: "IDENTIFIED VIA pam",
      client: AS_QUIESCE,
      sql: ["UNINSTALL SONAME 'auth_pam'"],
      code: 21,
      line: /error 1524: .*'pam' is not loaded. Load .*VIA mysql_native_password/,
      cure: true,
    },
  ],
  mysql: [
    ...WRONG,
    {
      name: "a wrong password for sha256_password",
      identified: "IDENTIFIED WITH sha256_password BY 's3cret'",
      client: ["user=quiesce", "password=wrong"],
      code: 21,
      line: /error 1045: .*Check user and password/,
    },
    {
      name: "a plugin that asks for a security key",
      identified: "IDENTIFIED WITH authentication_webauthn",
      client: AS_QUIESCE,
      code: 21,
      line:
        /login plugin authentication_webauthn_client, .*IDENTIFIED WITH caching_sha2_password BY '…'/,
      cure: true,
    },
    {
      name: "a plugin that the server has lost",
      identified: "IDENTIFIED WITH authentication_webauthn",
      client: AS_QUIESCE,
      sql: ["UNINSTALL PLUGIN authentication_webauthn"],
      code: 21,
      line: /error 1524: .*webauthn' is not loaded. Load .*WITH caching_sha2_password/,
      cure: true,
    },
  ],
};

/** Further arguments of the server that has the plugins. */
async function serverArguments(flavor: Flavor): Promise<string[]> {
  return flavor === "mysql"
    ? ["--loose-authentication-webauthn-rp-id=locktables.example"]
    : [`--plugin-dir=${await mariadbPlugins()}`];
}

const INSTALL: Readonly<Record<Flavor, readonly string[]>> = {
  mariadb: ["INSTALL SONAME 'auth_ed25519'", "INSTALL SONAME 'auth_pam'"],
  mysql: ["INSTALL PLUGIN authentication_webauthn SONAME 'authentication_webauthn.so'"],
};

for (const flavor of ["mariadb", "mysql"] as const) {
  Deno.test(`an account logs in over the socket, or is told why not (${flavor})`, async (step) => {
    const guest = await openGuest(flavor, await serverArguments(flavor));
    const admin = await connect(guest.server);
    try {
      for (const sql of INSTALL[flavor]) await admin.query(sql);
      for (const login of GOOD[flavor]) {
        await step.step(`in: ${login.name}`, async () => {
          await given(guest, admin, login);
          // The second window meets what the first has left in the server's cache.
          await assertWindow(guest);
          await assertWindow(guest);
        });
      }
      for (const login of BAD[flavor]) {
        await step.step(`not in: ${login.name}`, () => assertRefused(guest, admin, login));
      }
      await admin.close();
      await guest.assertNothingLeft();
    } finally {
      await guest.close();
    }
  });
}

Deno.test("a socket that may not be used is linked to where it may", async () => {
  const guest = await openGuest("mariadb");
  try {
    const { sandbox, server } = guest;
    await sandbox.sh("umount /run/mysqld");
    await sandbox.writeFile("/root/.my.cnf", `[client]\nsocket=${server.socket}\n`);
    const frozen = await guest.locktables("pre-freeze");
    assert.equal(frozen.code, 22, frozen.stderr);
    assertOneLine(
      frozen,
      /Cannot log in as root at \/tmp\/.*: locktables may not use sockets there/,
    );
    const [, link, setting] = /(ln -s [^,]+), and set (\S+) in/.exec(frozen.stderr) ?? [];
    assert.equal((await sandbox.sh(String(link))).code, 0, frozen.stderr);
    await sandbox.writeFile("/root/.my.cnf", `[client]\n${setting}\n`);
    await assertWindow(guest);
  } finally {
    await guest.close();
  }
});

async function given(guest: Guest, admin: Connection, login: LoginCase): Promise<void> {
  await admin.query("DROP USER IF EXISTS quiesce@localhost");
  if (login.identified !== null) {
    await admin.query(`CREATE USER quiesce@localhost ${login.identified}`);
    await admin.query(`GRANT ${RIGHTS[guest.flavor]} ON *.* TO quiesce@localhost`);
  }
  for (const sql of login.sql ?? []) await admin.query(sql);
  await guest.sandbox.writeFile("/root/.my.cnf", ["[client]", ...login.client, ""].join("\n"));
}

async function assertWindow(guest: Guest): Promise<void> {
  const frozen = await guest.locktables("pre-freeze");
  assert.equal(frozen.code, 0, frozen.stderr);
  const write = await guest.write();
  const thawed = await guest.locktables("post-thaw");
  assert.equal(thawed.code, 0, thawed.stderr);
  await write.finished(2_000);
  const { last } = await guest.status();
  assert.equal(last?.verdict, "application-consistent");
}

async function assertRefused(guest: Guest, admin: Connection, login: RefusedCase): Promise<void> {
  await given(guest, admin, login);
  if (login.isSpent) await guest.locktables("check");
  const frozen = await guest.locktables("pre-freeze");
  assertOneLine(frozen, login.line);
  assert.equal(frozen.code, login.code, frozen.stderr);
  assert.ok(frozen.ms < underLoad(ANSWER_LIMIT_MS), `${frozen.ms} ms`);
  if (!login.cure) return;
  const statement = /run: (ALTER USER .*?)(?:, and |\.\n)/.exec(frozen.stderr)?.[1];
  assert.ok(statement !== undefined, frozen.stderr);
  await admin.query(statement.replace("…", NEW_PASSWORD));
  const password = statement.includes("…") ? NEW_PASSWORD : "s3cret";
  await guest.sandbox.writeFile("/root/.my.cnf", `[client]\nuser=quiesce\npassword=${password}\n`);
  await assertWindow(guest);
}
