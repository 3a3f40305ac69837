import assert from "node:assert/strict";
import { connect } from "node:net";

import { driverError, type ErrorSubject, refusalFor } from "../../lib/mysql/errors.ts";
import { EXIT, type ExitCode } from "../../lib/base/refusal.ts";
import { server } from "./servers.ts";

const SUBJECT: ErrorSubject = { socket: "/run/mysqld/mysqld.sock", user: "quiesce", server: null };

interface Thrown {
  readonly errno?: number;
  readonly code?: string | number;
  readonly message: string;
  readonly serverVersion?: string;
}

const MARIADB = { serverVersion: "10.11.19-MariaDB-0+deb12u1-log" };
const MYSQL = { serverVersion: "9.7.4" };

/** What servers, sockets and the driver throw, and what the operator gets. */
const ERRORS: readonly (readonly [Thrown, ExitCode, reason: string, hint: RegExp])[] = [
  [
    { errno: 1040, code: "ER_CON_COUNT_ERROR", message: "Too many connections" },
    EXIT.unreachable,
    "too-many-connections",
    /max_connections/,
  ],
  [
    { errno: 1047, code: "ER_UNKNOWN_COM_ERROR", message: "WSREP has not yet prepared node" },
    EXIT.unreachable,
    "galera-not-ready",
    /Synced/,
  ],
  [
    { errno: 1044, code: "ER_DBACCESS_DENIED_ERROR", message: "Access denied" },
    EXIT.denied,
    "access-denied",
    /\/root\/\.my\.cnf/,
  ],
  [
    {
      errno: 1045,
      code: "ER_ACCESS_DENIED_ERROR",
      message: "Access denied for user 'quiesce'@'localhost' (using password: YES)",
    },
    EXIT.denied,
    "access-denied",
    /user and password .*\/root\/\.my\.cnf/,
  ],
  [
    { errno: 1130, code: "ER_HOST_NOT_PRIVILEGED", message: "Host is not allowed" },
    EXIT.denied,
    "access-denied",
    /\/root\/\.my\.cnf/,
  ],
  [
    {
      errno: 1142,
      code: "ER_TABLEACCESS_DENIED_ERROR",
      message: "SELECT command denied to user 'quiesce'@'localhost' for table 'log_status'",
    },
    EXIT.denied,
    "privilege-missing",
    /docs\/privileges\.md/,
  ],
  [
    {
      errno: 1184,
      code: "ER_NEW_ABORTING_CONNECTION",
      message: "Aborted connection 7 to db (init_connect command failed)",
      ...MARIADB,
    },
    EXIT.denied,
    "init-connect-failed",
    /init_connect.*: GRANT CONNECTION ADMIN ON \*\.\* TO 'quiesce'@'localhost'$/,
  ],
  [
    {
      errno: 1203,
      code: "ER_TOO_MANY_USER_CONNECTIONS",
      message: "User quiesce already has more than 'max_user_connections' active connections",
    },
    EXIT.unreachable,
    "too-many-connections",
    /ALTER USER 'quiesce'@'localhost' WITH MAX_USER_CONNECTIONS 3$/,
  ],
  [
    {
      errno: 1226,
      code: "ER_USER_LIMIT_REACHED",
      message: "User 'quiesce' has exceeded the 'max_user_connections' resource",
    },
    EXIT.unreachable,
    "too-many-connections",
    /ALTER USER 'quiesce'@'localhost' WITH MAX_USER_CONNECTIONS 3$/,
  ],
  [
    {
      errno: 1226,
      code: "ER_USER_LIMIT_REACHED",
      message: "User 'quiesce' has exceeded the 'max_questions' resource (current value: 5)",
    },
    EXIT.unreachable,
    "too-many-connections",
    /ALTER USER 'quiesce'@'localhost' WITH MAX_QUESTIONS 0$/,
  ],
  [
    {
      errno: 1227,
      code: "ER_SPECIFIC_ACCESS_DENIED_ERROR",
      message: "Access denied; you need (at least one of) the RELOAD privilege(s)",
    },
    EXIT.denied,
    "privilege-missing",
    /docs\/privileges\.md/,
  ],
  [
    {
      errno: 1524,
      code: "ER_PLUGIN_IS_NOT_LOADED",
      message: "Plugin 'mysql_native_password' is not loaded",
      ...MYSQL,
    },
    EXIT.denied,
    "auth-plugin",
    /^As an administrator.*IDENTIFIED WITH caching_sha2_password BY '…'.*auth_socket/,
  ],
  [
    {
      errno: 1698,
      code: "ER_ACCESS_DENIED_NO_PASSWORD_ERROR",
      message: "Access denied for user 'root'@'localhost'",
    },
    EXIT.denied,
    "access-denied",
    /unix_socket\/auth_socket/,
  ],
  [
    { errno: 1820, code: "ER_MUST_CHANGE_PASSWORD", message: "You must SET PASSWORD" },
    EXIT.denied,
    "password-expired",
    /ALTER USER 'quiesce'@'localhost' IDENTIFIED BY/,
  ],
  [
    { errno: 1862, code: "ER_MUST_CHANGE_PASSWORD_LOGIN", message: "Your password has expired" },
    EXIT.denied,
    "password-expired",
    /ALTER USER 'quiesce'@'localhost' IDENTIFIED BY/,
  ],
  [
    { errno: 3118, code: "ER_ACCOUNT_HAS_BEEN_LOCKED", message: "Account is locked." },
    EXIT.denied,
    "account-locked",
    /ALTER USER 'quiesce'@'localhost' ACCOUNT UNLOCK/,
  ],
  // MariaDB's number for it, to which the driver gives the name of another error.
  [
    {
      errno: 4151,
      code: "ER_BULK_PARSER_INCOMPLETE_ESCAPE_SEQUENCE",
      message: "Access denied, this account is locked",
    },
    EXIT.denied,
    "account-locked",
    /ACCOUNT UNLOCK/,
  ],
  // The number is asked first, even where the code would mean something else.
  [{ errno: 1045, code: "ENOENT", message: "odd" }, EXIT.denied, "access-denied", /password/],
  [
    {
      code: "UNKNOWN_LOGIN",
      message: "The server asks for the login plugin parsec, which locktables does not have",
      ...MARIADB,
    },
    EXIT.denied,
    "auth-plugin",
    /ALTER USER 'quiesce'@'localhost' IDENTIFIED VIA mysql_native_password USING PASSWORD\('…'\).*unix_socket and ed25519/,
  ],
  [
    {
      code: "UNKNOWN_LOGIN",
      message: "The server asks for the login plugin mysql_clear_password",
      ...MYSQL,
    },
    EXIT.denied,
    "auth-plugin",
    /ALTER USER 'quiesce'@'localhost' IDENTIFIED WITH caching_sha2_password BY '…'/,
  ],
  [
    { code: "AUTH_SWITCH_PLUGIN_ERROR", message: "data too large for key size" },
    EXIT.denied,
    "auth-plugin",
    /another way to log in/,
  ],
  [
    { code: "PROTOCOL_CONNECTION_LOST", message: "Connection lost" },
    EXIT.unreachable,
    "session-failed",
    /error log/,
  ],
  [
    { code: "NO_ANSWER", message: "No answer within 5000 ms to the login" },
    EXIT.unreachable,
    "session-failed",
    /error log/,
  ],
  // MySQL's wait_timeout: the driver puts the number into `code`
  // (`docs/locking.md#21-the-session`).
  [
    { code: 4031, message: "The client was disconnected by the server because of inactivity" },
    EXIT.unreachable,
    "session-failed",
    /error log/,
  ],
  [
    { errno: 1064, code: "ER_PARSE_ERROR", message: "You have an error in your SQL syntax" },
    EXIT.unreachable,
    "session-failed",
    /error log/,
  ],
];

for (const [thrown, code, reason, hint] of ERRORS) {
  const what = [thrown.errno, thrown.code].filter((part) => part !== undefined).join(" ");
  Deno.test(`error ${what} is ${reason}, exit ${code}`, () => {
    const refusal = refusalFor(thrown, "Cannot log in as quiesce", SUBJECT);
    assert.deepEqual([refusal.code, refusal.reason], [code, reason]);
    assert.match(refusal.hint, hint);
    const number = thrown.errno !== undefined ? `error ${thrown.errno}: ` : "";
    assert.equal(
      refusal.summary,
      `Cannot log in as quiesce at /run/mysqld/mysqld.sock: ${number}${
        thrown.message.replace(/\.$/, "")
      }`,
    );
    assert.doesNotMatch(refusal.summary + refusal.hint, /\n/);
  });
}

/** What a socket says, by the code alone: the text that comes with it repeats the path. */
const SOCKETS:
  readonly (readonly [code: string, ExitCode, reason: string, RegExp, hint: RegExp])[] = [
    ["ENOENT", EXIT.unreachable, "no-socket", /there is no such socket/, /Start the server/],
    ["ECONNREFUSED", EXIT.unreachable, "server-down", /no server listens/, /Start the server/],
    ["EACCES", EXIT.unreachable, "socket-denied", /may not be used/, /as root/],
    [
      "UNKNOWN",
      EXIT.badSetup,
      "socket-elsewhere",
      /sockets there/,
      /ln -s \/run\/mysqld\/mysqld\.sock \/var\/lib\/locktables\/run-mysqld-mysqld\.sock/,
    ],
  ];

for (const [code, exit, reason, text, hint] of SOCKETS) {
  Deno.test(`a socket's ${code} is ${reason}, exit ${exit}, and names the socket once`, () => {
    const thrown = { errno: -2, code, message: `connect ${code} ${SUBJECT.socket}` };
    const refusal = refusalFor(thrown, "Cannot log in as quiesce", SUBJECT);
    assert.deepEqual([refusal.code, refusal.reason], [exit, reason]);
    assert.match(refusal.summary, text);
    assert.ok(refusal.summary.endsWith(`(${code})`), refusal.summary);
    assert.equal(refusal.summary.split(SUBJECT.socket).length, 2, refusal.summary);
    assert.match(refusal.hint, hint);
  });
}

Deno.test("an error that nobody knows names the socket once, too", () => {
  const thrown = { code: "EPROTOTYPE", message: `connect EPROTOTYPE ${SUBJECT.socket}` };
  const refusal = refusalFor(thrown, "Cannot log in as quiesce", SUBJECT);
  assert.equal(
    refusal.summary,
    `Cannot log in as quiesce at ${SUBJECT.socket}: connect EPROTOTYPE`,
  );
});

Deno.test("a missing socket is recognised as the runtime really reports it", async () => {
  const thrown = await new Promise((resolve) => {
    connect({ path: "/nonexistent/mysqld.sock" }).once("error", resolve);
  });
  const refusal = refusalFor(thrown, "Cannot log in as quiesce", {
    ...SUBJECT,
    socket: "/nonexistent/mysqld.sock",
  });
  assert.equal(
    refusal.summary,
    "Cannot log in as quiesce at /nonexistent/mysqld.sock: there is no such socket (ENOENT)",
  );
});

function nothingBut(message: string): ReturnType<typeof driverError> {
  return { errno: undefined, code: undefined, message, serverVersion: undefined };
}

const TAKEN_APART: readonly (readonly [what: string, unknown, ReturnType<typeof driverError>])[] = [
  ["a server's error", { errno: 1205, code: "ER_LOCK_WAIT_TIMEOUT", message: "Lock wait" }, {
    errno: 1205,
    code: "ER_LOCK_WAIT_TIMEOUT",
    message: "Lock wait",
    serverVersion: undefined,
  }],
  ["a login's error, with what the server called itself", {
    errno: 1045,
    code: "ER_ACCESS_DENIED_ERROR",
    message: "Access denied",
    ...MYSQL,
  }, { errno: 1045, code: "ER_ACCESS_DENIED_ERROR", message: "Access denied", ...MYSQL }],
  ["a socket's error, whose negative errno is no server's", {
    errno: -2,
    code: "ENOENT",
    message: "connect",
  }, { errno: undefined, code: "ENOENT", message: "connect", serverVersion: undefined }],
  ["a message of several lines", new Error("one\n  two\r\nthree"), {
    errno: undefined,
    code: undefined,
    message: "one two three",
    serverVersion: undefined,
  }],
  ["a bare string", "gone", nothingBut("gone")],
  ["nothing at all", undefined, nothingBut("undefined")],
  ["null", null, nothingBut("null")],
];

for (const [what, thrown, expected] of TAKEN_APART) {
  Deno.test(`${what} is taken apart`, () => assert.deepEqual(driverError(thrown), expected));
}

Deno.test("a missing privilege on a known server is answered with the very statement", () => {
  const subject = { ...SUBJECT, server: server("10.11.19-MariaDB") };
  const refusal = refusalFor({ errno: 1227, message: "Access denied" }, "Cannot lock", subject);
  assert.equal(
    refusal.hint,
    "As an administrator of the server run: GRANT RELOAD, BINLOG MONITOR, SLAVE MONITOR, PROCESS ON *.* TO 'quiesce'@'localhost'",
  );
});

Deno.test("every statement names the account as the server does, once it has said it", () => {
  const subject = { ...SUBJECT, server: server("9.7.4"), account: "'quiesce'@'10.%'" };
  for (const errno of [1184, 1226, 1227, 1524, 1820, 3118]) {
    const refusal = refusalFor({ errno, message: "no" }, "Cannot lock", subject);
    assert.match(refusal.hint, /'quiesce'@'10\.%'/);
    assert.doesNotMatch(refusal.hint, /'localhost'/);
  }
});

Deno.test("a quote in a user name is doubled in every statement that is proposed", () => {
  const subject = { ...SUBJECT, user: "o'hara" };
  for (const errno of [1820, 3118]) {
    const refusal = refusalFor({ errno, message: "no" }, "Cannot log in", subject);
    assert.ok(refusal.hint.includes("ALTER USER 'o''hara'@'localhost'"), refusal.hint);
  }
});

Deno.test("sockets of the same file name get links of their own, in the group of their instance", () => {
  const thrown = { code: "UNKNOWN", message: "connect UNKNOWN" };
  const remedies = ["/data/production/mysql.sock", "/data/test/mysql.sock", "/data-test/mysql.sock"]
    .map((socket, at) =>
      refusalFor(thrown, "Cannot log in", { ...SUBJECT, socket, instance: `i${at}` }).remedy ?? ""
    );
  const links = remedies.map((one) => /ln -sT \S+ (\S+);/.exec(one)?.[1]);
  assert.deepEqual(links, [
    "/var/lib/locktables/data-production-mysql.sock",
    "/var/lib/locktables/data-test-mysql.sock",
    "/var/lib/locktables/data+2dtest-mysql.sock",
  ]);
  for (const [at, remedy] of remedies.entries()) {
    assert.match(remedy, new RegExp(`\\[locktables_i${at}\\]`));
    assert.doesNotMatch(remedy, /ln -s?f/);
  }
});

Deno.test("a socket below /proc gets no link, because a restart of the server ends it", () => {
  const subject = { ...SUBJECT, socket: "/proc/4711/root/tmp/mysql.sock" };
  const refusal = refusalFor({ code: "UNKNOWN", message: "x" }, "Cannot log in", subject);
  assert.equal(refusal.remedy ?? null, null);
  assert.match(refusal.hint, /ends with the server's process/);
});

Deno.test("a socket that is missing in /tmp may be in the /tmp of the server's unit", () => {
  const subject = { ...SUBJECT, socket: "/tmp/mysql.sock" };
  const refusal = refusalFor({ code: "ENOENT", message: "x" }, "Cannot log in", subject);
  assert.equal(refusal.remedy ?? null, null);
  assert.match(refusal.hint, /PrivateTmp/);
});

Deno.test("the anonymous account is never given a privilege", () => {
  const subject = { ...SUBJECT, server: server("9.7.4"), account: "''@'localhost'" };
  for (const errno of [1142, 1184, 1227]) {
    const { hint, remedy } = refusalFor({ errno, message: "no" }, "Cannot lock", subject);
    assert.doesNotMatch(`${hint} ${remedy}`, /GRANT/);
    assert.equal(remedy ?? null, null);
  }
});

Deno.test("MySQL 9 is not asked to load mysql_native_password, which it has not", () => {
  const hintOf = (version: string) =>
    refusalFor(
      { errno: 1524, message: "Plugin 'mysql_native_password' is not loaded" },
      "Cannot log in",
      { ...SUBJECT, server: server(version) },
    ).hint;
  assert.doesNotMatch(hintOf("9.7.4"), /Load the plugin/);
  assert.match(hintOf("9.7.4"), /IDENTIFIED WITH caching_sha2_password/);
  assert.match(hintOf("8.4.3"), /Load the plugin again/);
});
