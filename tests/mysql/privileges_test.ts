import assert from "node:assert/strict";

import {
  accountOf,
  checkPrivileges,
  globalPrivileges,
  grantStatement,
  missingFor,
  type Purpose,
} from "../../lib/mysql/privileges.ts";
import { EXIT } from "../../lib/base/refusal.ts";
import { server } from "./servers.ts";

const EVERY: readonly Purpose[] = ["lock", "coordinates", "replicas", "guard", "kill"];

/** As servers print them; made with the statements beside them (MariaDB 10.11.19, MySQL 9.7.4). */
const ROWS = {
  mariadbRoot: [
    "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket WITH GRANT OPTION",
    "GRANT PROXY ON ``@`%` TO `root`@`localhost` WITH GRANT OPTION",
  ],
  mysqlRoot: [
    "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, SHUTDOWN, PROCESS, FILE, REFERENCES, INDEX, ALTER, SHOW DATABASES, SUPER, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, CREATE TABLESPACE, CREATE ROLE, DROP ROLE ON *.* TO `root`@`localhost` WITH GRANT OPTION",
    "GRANT ALLOW_NONEXISTENT_DEFINER,APPLICATION_PASSWORD_ADMIN,CONNECTION_ADMIN,FLUSH_TABLES,GROUP_REPLICATION_STREAM ON *.* TO `root`@`localhost` WITH GRANT OPTION",
    "GRANT PROXY ON ``@`` TO `root`@`localhost` WITH GRANT OPTION",
  ],
  // u has role r1, r1 has role r2: a default role, so all three show.
  mariadbRole: [
    "GRANT `r1` TO `u`@`localhost`",
    "GRANT SLAVE MONITOR ON *.* TO `u`@`localhost` IDENTIFIED BY PASSWORD '*7B9EBEED26AA52ED10C0F549FA863F13C39E0209'",
    "GRANT SELECT ON `shop`.* TO `u`@`localhost`",
    "GRANT `r2` TO `r1`",
    "GRANT RELOAD, PROCESS ON *.* TO `r1`",
    "GRANT BINLOG MONITOR ON *.* TO `r2`",
    "SET DEFAULT ROLE `r1` FOR `u`@`localhost`",
  ],
  mariadbPublic: [
    "GRANT USAGE ON *.* TO `wb`@`localhost` IDENTIFIED BY PASSWORD '*7B9EBEED26AA52ED10C0F549FA863F13C39E0209'",
    "GRANT RELOAD, BINLOG MONITOR ON *.* TO PUBLIC",
  ],
  mysqlActiveRoles: [
    "GRANT RELOAD, PROCESS, REPLICATION CLIENT ON *.* TO `u`@`localhost`",
    "GRANT BACKUP_ADMIN,FLUSH_TABLES ON *.* TO `u`@`localhost`",
    "GRANT SELECT ON `shop`.* TO `u`@`localhost`",
    "GRANT `mand`@`%`,`r1`@`%`,`r2`@`%` TO `u`@`localhost`",
  ],
  mysqlIdleRoles: [
    "GRANT USAGE ON *.* TO `v`@`%`",
    "GRANT `r1`@`%`,`r2`@`%` TO `v`@`%`",
  ],
  mysqlPartialRevoke: [
    "GRANT SELECT, RELOAD, PROCESS ON *.* TO `p`@`localhost`",
    "GRANT ALL PRIVILEGES ON `shop`.* TO `p`@`localhost`",
    "REVOKE SELECT ON `mysql`.* FROM `p`@`localhost`",
  ],
  mariadbSuper: [
    "GRANT SUPER ON *.* TO `p`@`localhost` IDENTIFIED BY PASSWORD '*7B9EBEED26AA52ED10C0F549FA863F13C39E0209' WITH MAX_USER_CONNECTIONS 5",
  ],
} as const;

const MISSING: readonly (readonly [
  what: string,
  rows: readonly string[],
  version: string,
  missing: readonly Purpose[],
])[] = [
  ["MariaDB's ALL PRIVILEGES is everything", ROWS.mariadbRoot, "10.11.19-MariaDB", []],
  ["MySQL's long list is everything", ROWS.mysqlRoot, "9.7.4", []],
  [
    "an account's own privileges and those of its active roles count",
    ROWS.mariadbRole,
    "10.11.19-MariaDB",
    ["kill"],
  ],
  [
    "what PUBLIC has, everybody has",
    ROWS.mariadbPublic,
    "10.11.19-MariaDB",
    ["replicas", "guard", "kill"],
  ],
  ["MySQL shows active roles as the account's own", ROWS.mysqlActiveRoles, "9.7.4", ["kill"]],
  ["a role that is not active gives nothing", ROWS.mysqlIdleRoles, "9.7.4", EVERY],
  [
    "a partial revoke takes nothing that matters, and a schema's ALL PRIVILEGES gives nothing",
    ROWS.mysqlPartialRevoke,
    "9.7.4",
    ["coordinates", "replicas", "kill"],
  ],
  [
    "SUPER stands for its parts on MariaDB 10.11, but never for RELOAD",
    ROWS.mariadbSuper,
    "10.11.19-MariaDB",
    ["lock", "guard"],
  ],
  ["SUPER stands for nothing on MariaDB 11.8", ROWS.mariadbSuper, "11.8.9-MariaDB", EVERY],
  ["SUPER monitors and kills on MySQL", ROWS.mariadbSuper, "9.7.4", ["lock", "guard"]],
  [
    "REPLICATION CLIENT shows no replica from MariaDB 10.5.9 on",
    ["GRANT RELOAD, PROCESS, REPLICATION CLIENT, CONNECTION ADMIN ON *.* TO `u`@`%`"],
    "10.5.23-MariaDB",
    ["replicas"],
  ],
  [
    "RELOAD locks where FLUSH_TABLES would do",
    ["GRANT RELOAD ON *.* TO `u`@`%`"],
    "8.4.3",
    ["coordinates", "replicas", "guard", "kill"],
  ],
  [
    "a schema with a misleading name gives nothing",
    ["GRANT USAGE ON *.* TO `u`@`%`", "GRANT SELECT ON `x, RELOAD ON *.* TO `.* TO `u`@`%`"],
    "9.7.4",
    EVERY,
  ],
  ["rows of nobody's making are not judged", ["whatever"], "9.7.4", []],
  ["a server that shows no grants is not judged", [], "9.7.4", []],
];

for (const [what, rows, version, missing] of MISSING) {
  Deno.test(what, () => assert.deepEqual(missingFor(EVERY, rows, server(version)), missing));
}

Deno.test("the privileges of a session are read from all its global rows", () => {
  assert.deepEqual(
    globalPrivileges(ROWS.mysqlActiveRoles),
    new Set([
      "RELOAD",
      "PROCESS",
      "REPLICATION CLIENT",
      "BACKUP_ADMIN",
      "FLUSH_TABLES",
    ]),
  );
  assert.equal(globalPrivileges([]), null);
});

const ACCOUNTS: readonly (readonly [currentUser: string, literal: string])[] = [
  ["quiesce@localhost", "'quiesce'@'localhost'"],
  ["quiesce@10.0.0.%", "'quiesce'@'10.0.0.%'"],
  ["@localhost", "''@'localhost'"],
  ["me@example.org@%", "'me@example.org'@'%'"],
  ["o'hara@localhost", "'o''hara'@'localhost'"],
  ["back\\slash@%", "'back\\\\slash'@'%'"],
  ["x'@'%' WITH GRANT OPTION -- @%", "'x''@''%'' WITH GRANT OPTION -- '@'%'"],
];

for (const [currentUser, literal] of ACCOUNTS) {
  Deno.test(`the account ${currentUser} is written ${literal}`, () => {
    assert.equal(accountOf(currentUser), literal);
  });
}

const GRANTS: readonly (readonly [version: string, privileges: string])[] = [
  ["5.7.44", "RELOAD, REPLICATION CLIENT, PROCESS"],
  ["8.0.22", "RELOAD, REPLICATION CLIENT, PROCESS"],
  ["8.0.23", "FLUSH_TABLES, REPLICATION CLIENT, PROCESS"],
  ["9.7.4", "FLUSH_TABLES, REPLICATION CLIENT, PROCESS"],
  ["10.4.34-MariaDB", "RELOAD, REPLICATION CLIENT, PROCESS"],
  ["10.5.8-MariaDB", "RELOAD, BINLOG MONITOR, REPLICATION SLAVE ADMIN, PROCESS"],
  ["10.5.9-MariaDB", "RELOAD, BINLOG MONITOR, SLAVE MONITOR, PROCESS"],
  ["10.11.19-MariaDB", "RELOAD, BINLOG MONITOR, SLAVE MONITOR, PROCESS"],
  ["11.8.9-MariaDB", "RELOAD, BINLOG MONITOR, SLAVE MONITOR, PROCESS"],
];

for (const [version, privileges] of GRANTS) {
  Deno.test(`the grant on ${version} names what that version has`, () => {
    assert.equal(
      grantStatement("'quiesce'@'localhost'", server(version)),
      `GRANT ${privileges} ON *.* TO 'quiesce'@'localhost'`,
    );
  });
}

Deno.test("Percona Server has MySQL's privileges", () => {
  assert.equal(
    grantStatement("'u'@'%'", server("8.0.36-28", "Percona Server (GPL), Release 28")),
    "GRANT FLUSH_TABLES, REPLICATION CLIENT, PROCESS ON *.* TO 'u'@'%'",
  );
});

const QUESTION = {
  account: "quiesce@10.%",
  server: server("10.11.19-MariaDB"),
  socket: "/run/mysqld/mysqld.sock",
  also: [],
};

Deno.test("an account that may everything is neither refused nor warned", () => {
  assert.deepEqual(checkPrivileges({ ...QUESTION, grants: ROWS.mariadbRoot, also: ["kill"] }), {
    refusal: null,
    losses: [],
  });
});

Deno.test("an account that may nothing is refused with all it lacks in one GRANT", () => {
  assert.deepEqual(
    checkPrivileges({ ...QUESTION, grants: ["GRANT USAGE ON *.* TO `quiesce`@`10.%`"] }),
    {
      refusal: {
        kind: "refusal",
        code: EXIT.denied,
        reason: "privilege-missing",
        summary:
          "Cannot freeze MariaDB 10.11.19 at /run/mysqld/mysqld.sock: 'quiesce'@'10.%' lacks RELOAD (to lock) and BINLOG MONITOR (to read the binlog position)",
        hint:
          "As an administrator of the server run: GRANT RELOAD, BINLOG MONITOR, PROCESS ON *.* TO 'quiesce'@'10.%'",
        remedy:
          `mariadb --user=root --socket=/run/mysqld/mysqld.sock -e "GRANT RELOAD, BINLOG MONITOR, PROCESS ON *.* TO 'quiesce'@'10.%'"`,
      },
      losses: [],
    },
  );
});

Deno.test("what a window can do without is a warning with its own GRANT", () => {
  const { refusal, losses } = checkPrivileges({
    ...QUESTION,
    grants: ["GRANT RELOAD, BINLOG MONITOR ON *.* TO `quiesce`@`10.%`"],
    also: ["replicas", "kill"],
  });
  assert.equal(refusal, null);
  assert.deepEqual(losses.map(({ text, statement }) => `${text}: ${statement}`), [
    "the guard is blind to other accounts' statements: GRANT PROCESS ON *.* TO 'quiesce'@'10.%'",
    "the positions of replica channels cannot be recorded: GRANT SLAVE MONITOR ON *.* TO 'quiesce'@'10.%'",
    "kill_long_queries cannot end other accounts' statements: GRANT CONNECTION ADMIN ON *.* TO 'quiesce'@'10.%'",
  ]);
});

Deno.test("who has a role is told why it may not count", () => {
  const granted = checkPrivileges({
    ...QUESTION,
    server: server("9.7.4"),
    grants: ROWS.mysqlIdleRoles,
  });
  assert.match(granted.refusal?.hint ?? "", /SET DEFAULT ROLE/);
  const none = checkPrivileges({ ...QUESTION, grants: ["GRANT USAGE ON *.* TO `u`@`%`"] });
  assert.doesNotMatch(none.refusal?.hint ?? "", /ROLE/);
});
