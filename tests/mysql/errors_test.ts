import assert from "node:assert/strict";
import { connect } from "node:net";

import {
  driverError,
  type ErrorSubject,
  grantStatement,
  refusalFor,
} from "../../lib/mysql/errors.ts";
import { capabilitiesOf } from "../../lib/mysql/flavor.ts";
import { EXIT, type ExitCode } from "../../lib/report/refusal.ts";
import { server } from "./servers.ts";

const SUBJECT: ErrorSubject = { socket: "/run/mysqld/mysqld.sock", user: "quiesce", server: null };

interface Thrown {
  readonly errno?: number;
  readonly code?: string | number;
  readonly message: string;
}

/** What servers, sockets and the driver throw, and what the operator gets. */
const ERRORS: readonly (readonly [Thrown, ExitCode, reason: string, hint: RegExp])[] = [
  [
    { errno: 1040, code: "ER_CON_COUNT_ERROR", message: "Too many connections" },
    EXIT.unreachable,
    "too-many-connections",
    /max_connections/,
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
    /README/,
  ],
  [
    {
      errno: 1184,
      code: "ER_NEW_ABORTING_CONNECTION",
      message: "Aborted connection 7 to db (init_connect command failed)",
    },
    EXIT.denied,
    "init-connect-failed",
    /init_connect/,
  ],
  [
    {
      errno: 1226,
      code: "ER_USER_LIMIT_REACHED",
      message: "User 'quiesce' has exceeded the 'max_user_connections' resource",
    },
    EXIT.unreachable,
    "too-many-connections",
    /quiesce .*MAX_USER_CONNECTIONS 2/,
  ],
  [
    {
      errno: 1227,
      code: "ER_SPECIFIC_ACCESS_DENIED_ERROR",
      message: "Access denied; you need (at least one of) the RELOAD privilege(s)",
    },
    EXIT.denied,
    "privilege-missing",
    /README/,
  ],
  [
    { errno: 1524, code: "ER_PLUGIN_IS_NOT_LOADED", message: "Plugin is not loaded" },
    EXIT.denied,
    "auth-plugin",
    /\/root\/\.my\.cnf/,
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
    { errno: -2, code: "ENOENT", message: "connect ENOENT /run/mysqld/mysqld.sock" },
    EXIT.unreachable,
    "no-socket",
    /Start the server.*now \/run\/mysqld\/mysqld\.sock/,
  ],
  [
    { errno: -111, code: "ECONNREFUSED", message: "connect ECONNREFUSED" },
    EXIT.unreachable,
    "server-down",
    /Start the server/,
  ],
  [
    { errno: -13, code: "EACCES", message: "connect EACCES" },
    EXIT.unreachable,
    "socket-denied",
    /as root/,
  ],
  [
    { code: "AUTH_SWITCH_PLUGIN_ERROR", message: "unknown plugin client_ed25519" },
    EXIT.denied,
    "auth-plugin",
    /quiesce .*unix_socket/,
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
  // MySQL's wait_timeout: the driver puts the number into `code` (`locking.md` 2.1).
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
    const number = thrown.errno !== undefined && thrown.errno > 0 ? `error ${thrown.errno}: ` : "";
    assert.equal(
      refusal.summary,
      `Cannot log in as quiesce at /run/mysqld/mysqld.sock: ${number}${thrown.message}`,
    );
    assert.doesNotMatch(refusal.summary + refusal.hint, /\n/);
  });
}

Deno.test("a missing socket is recognised as the runtime really reports it", async () => {
  const thrown = await new Promise((resolve) => {
    connect({ path: "/nonexistent/mysqld.sock" }).once("error", resolve);
  });
  const refusal = refusalFor(thrown, "Cannot log in as quiesce", SUBJECT);
  assert.equal(refusal.reason, "no-socket");
});

const TAKEN_APART: readonly (readonly [what: string, unknown, ReturnType<typeof driverError>])[] = [
  ["a server's error", { errno: 1205, code: "ER_LOCK_WAIT_TIMEOUT", message: "Lock wait" }, {
    errno: 1205,
    code: "ER_LOCK_WAIT_TIMEOUT",
    message: "Lock wait",
  }],
  ["a socket's error, whose negative errno is no server's", {
    errno: -2,
    code: "ENOENT",
    message: "connect",
  }, { errno: undefined, code: "ENOENT", message: "connect" }],
  ["a message of several lines", new Error("one\n  two\r\nthree"), {
    errno: undefined,
    code: undefined,
    message: "one two three",
  }],
  ["a bare string", "gone", { errno: undefined, code: undefined, message: "gone" }],
  ["nothing at all", undefined, { errno: undefined, code: undefined, message: "undefined" }],
  ["null", null, { errno: undefined, code: undefined, message: "null" }],
];

for (const [what, thrown, expected] of TAKEN_APART) {
  Deno.test(`${what} is taken apart`, () => assert.deepEqual(driverError(thrown), expected));
}

const GRANTS: readonly (readonly [version: string, user: string, statement: string])[] = [
  [
    "5.7.44",
    "quiesce",
    "GRANT RELOAD, REPLICATION CLIENT, PROCESS ON *.* TO 'quiesce'@'localhost'",
  ],
  [
    "8.0.22",
    "quiesce",
    "GRANT RELOAD, REPLICATION CLIENT, PROCESS ON *.* TO 'quiesce'@'localhost'",
  ],
  [
    "8.0.23",
    "quiesce",
    "GRANT FLUSH_TABLES, REPLICATION CLIENT, PROCESS ON *.* TO 'quiesce'@'localhost'",
  ],
  [
    "9.7.4",
    "quiesce",
    "GRANT FLUSH_TABLES, REPLICATION CLIENT, PROCESS ON *.* TO 'quiesce'@'localhost'",
  ],
  [
    "10.4.34-MariaDB",
    "quiesce",
    "GRANT RELOAD, REPLICATION CLIENT, PROCESS ON *.* TO 'quiesce'@'localhost'",
  ],
  [
    "10.5.23-MariaDB",
    "quiesce",
    "GRANT RELOAD, BINLOG MONITOR, PROCESS ON *.* TO 'quiesce'@'localhost'",
  ],
  [
    "11.8.9-MariaDB",
    "o'hara",
    "GRANT RELOAD, BINLOG MONITOR, PROCESS ON *.* TO 'o''hara'@'localhost'",
  ],
  [
    "9.7.4",
    "back\\slash",
    "GRANT FLUSH_TABLES, REPLICATION CLIENT, PROCESS ON *.* TO 'back\\\\slash'@'localhost'",
  ],
  [
    "9.7.4",
    "x'@'%' WITH GRANT OPTION -- ",
    "GRANT FLUSH_TABLES, REPLICATION CLIENT, PROCESS ON *.* TO 'x''@''%'' WITH GRANT OPTION -- '@'localhost'",
  ],
];

for (const [version, user, statement] of GRANTS) {
  Deno.test(`the grant for ${user} on ${version} names what that version has`, () => {
    assert.equal(grantStatement(user, capabilitiesOf(server(version))), statement);
  });
}

Deno.test("a missing privilege on a known server is answered with the very statement", () => {
  const subject = { ...SUBJECT, server: server("10.11.19-MariaDB") };
  const refusal = refusalFor({ errno: 1227, message: "Access denied" }, "Cannot lock", subject);
  assert.equal(
    refusal.hint,
    "As an administrator of the server run: GRANT RELOAD, BINLOG MONITOR, PROCESS ON *.* TO 'quiesce'@'localhost'",
  );
});

Deno.test("a quote in a user name is doubled in every statement that is proposed", () => {
  const subject = { ...SUBJECT, user: "o'hara" };
  for (const errno of [1820, 3118]) {
    const refusal = refusalFor({ errno, message: "no" }, "Cannot log in", subject);
    assert.ok(refusal.hint.includes("ALTER USER 'o''hara'@'localhost'"), refusal.hint);
  }
});
