import assert from "node:assert/strict";

import {
  limitStatement,
  otherLogin,
  passwordStatement,
} from "../../lib/mysql/account_statements.ts";
import type { ServerVersion } from "../../lib/mysql/flavor.ts";
import { server } from "./servers.ts";

const ACCOUNT = "'o''hara'@'10.0.0.%'";

/** Each server, and how an account there gets a limit, a password, and another login. */
const STATEMENTS: readonly (readonly [ServerVersion, limit: string, password: string, RegExp])[] = [
  [
    server("5.6.24-log"),
    `GRANT USAGE ON *.* TO ${ACCOUNT} WITH MAX_USER_CONNECTIONS 3`,
    `SET PASSWORD FOR ${ACCOUNT} = PASSWORD('…')`,
    /^UPDATE mysql\.user SET plugin='mysql_native_password', Password=PASSWORD\('…'\) WHERE User='o''hara' AND Host='10\.0\.0\.%'; FLUSH PRIVILEGES$/,
  ],
  [
    server("5.7.44"),
    `ALTER USER ${ACCOUNT} WITH MAX_USER_CONNECTIONS 3`,
    `ALTER USER ${ACCOUNT} IDENTIFIED BY '…'`,
    /^ALTER USER .* IDENTIFIED WITH mysql_native_password BY '…'$/,
  ],
  [
    server("8.0.36-28", "Percona Server (GPL)"),
    `ALTER USER ${ACCOUNT} WITH MAX_USER_CONNECTIONS 3`,
    `ALTER USER ${ACCOUNT} IDENTIFIED BY '…'`,
    /^ALTER USER .* IDENTIFIED WITH caching_sha2_password BY '…'$/,
  ],
  [
    server("10.4.34-MariaDB"),
    `ALTER USER ${ACCOUNT} WITH MAX_USER_CONNECTIONS 3`,
    `ALTER USER ${ACCOUNT} IDENTIFIED BY '…'`,
    /^ALTER USER .* IDENTIFIED VIA mysql_native_password USING PASSWORD\('…'\)$/,
  ],
];

for (const [version, limit, password, login] of STATEMENTS) {
  Deno.test(`an account is changed as ${version.label} can`, () => {
    assert.equal(limitStatement(ACCOUNT, version, "MAX_USER_CONNECTIONS", 3), limit);
    assert.equal(passwordStatement(ACCOUNT, version), password);
    assert.match(otherLogin(ACCOUNT, version).statement, login);
  });
}

Deno.test("an account of an unknown server is changed as every newer one can", () => {
  assert.match(
    limitStatement(ACCOUNT, null, "MAX_QUESTIONS", 0),
    /^ALTER USER .* MAX_QUESTIONS 0$/,
  );
  assert.match(passwordStatement(ACCOUNT, null), /^ALTER USER /);
});
