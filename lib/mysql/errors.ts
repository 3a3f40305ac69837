/** What a server's or a socket's error means to the operator: an exit code and one line. */
import { append } from "../base/edit_command.ts";
import { EXIT, type ExitCode, type Refusal, refusal, type RefusalReason } from "../base/refusal.ts";
import { shellWord } from "../base/shell.ts";
import { OPTION_FILE, STATE_DIR } from "../base/paths.ts";
import { oneLine } from "../base/plain_text.ts";
import { isAtLeast, parseVersion, type ServerVersion } from "./flavor.ts";
import {
  limitStatement,
  otherLogin,
  passwordStatement,
  unlockStatement,
} from "./account_statements.ts";
import { adminCommand } from "./admin_command.ts";
import { accountLiteral, anonymousHint, grantStatement, isAnonymous } from "./privileges.ts";

/** The reason of a refusal after which another attempt may succeed. */
export const LOCK_WAIT_TIMEOUT = "lock-wait-timeout";

/** What was being done, for the line that the operator reads. */
export interface ErrorSubject {
  /** The socket, as given. */
  readonly socket: string;
  /** The account's user name. */
  readonly user: string;
  /** The server, once it is known. */
  readonly server: ServerVersion | null;
  /** The account as SQL writes it, once the server has said it; until then 'user'@'localhost'. */
  readonly account?: string;
  /** The instance that the option file names; absent for the only one. */
  readonly instance?: string;
}

/** The parts of a mysql2 or socket error that carry meaning. */
export interface DriverError {
  /**
   * The server's error number. Asked before `code`: mysql2 maps MariaDB's numbers
   * to wrong names (`docs/locking.md#7-error-numbers`).
   */
  readonly errno: number | undefined;
  readonly code: string | undefined;
  readonly message: string;
  /** What the server called itself in its greeting, for a login that failed. */
  readonly serverVersion: string | undefined;
}

/** Takes a thrown value apart. */
export function driverError(thrown: unknown): DriverError {
  const error = thrown as Readonly<Record<"errno" | "code" | "message" | "serverVersion", unknown>>;
  return {
    errno: typeof error?.errno === "number" && error.errno > 0 ? error.errno : undefined,
    code: typeof error?.code === "string" ? error.code : undefined,
    message: oneLine(String(error?.message ?? thrown)),
    serverVersion: typeof error?.serverVersion === "string" ? error.serverVersion : undefined,
  };
}

interface Meaning {
  readonly code: ExitCode;
  readonly reason: RefusalReason;
  /** What it is in words, where the error's own text only repeats the socket. */
  readonly text?: string;
  readonly hint: (subject: ErrorSubject, error: DriverError) => string;
  /** What cures it as it stands; absent where a person must choose or know something. */
  readonly remedy?: (subject: ErrorSubject, error: DriverError) => string | null;
}

/** How many connections the proposed command adds: ours and some headroom. */
const MORE_CONNECTIONS = 50;

/** Server errors by number. Source: MySQL and MariaDB server error references. */
const BY_ERRNO: Readonly<Record<number, Meaning>> = {
  1040: {
    code: EXIT.unreachable,
    reason: "too-many-connections",
    hint: () =>
      "Raise max_connections, or give the account CONNECTION_ADMIN (SUPER) to use the reserved one",
    remedy: (subject, error) =>
      adminRemedy(
        subject,
        error,
        `SET GLOBAL max_connections=@@GLOBAL.max_connections+${MORE_CONNECTIONS}`,
      ),
  },
  // No remedy: which account and which password is the administrator's to say.
  1044: { code: EXIT.denied, reason: "access-denied", hint: credentialsHint },
  1045: { code: EXIT.denied, reason: "access-denied", hint: credentialsHint },
  // No remedy: whether it is the node or the cluster that must be brought back is not known here.
  1047: {
    code: EXIT.unreachable,
    reason: "galera-not-ready",
    hint: () =>
      "Bring the node back into its cluster, or take the snapshot on a node that is Synced",
  },
  1130: { code: EXIT.denied, reason: "access-denied", hint: credentialsHint },
  1142: { code: EXIT.denied, reason: "privilege-missing", hint: grantHint, remedy: grantRemedy },
  1184: {
    code: EXIT.denied,
    reason: "init-connect-failed",
    hint: initConnectHint,
    remedy: initConnectRemedy,
  },
  1203: {
    code: EXIT.unreachable,
    reason: "too-many-connections",
    hint: connectionsHint,
    remedy: connectionsRemedy,
  },
  1226: {
    code: EXIT.unreachable,
    reason: "too-many-connections",
    hint: connectionsHint,
    remedy: connectionsRemedy,
  },
  1227: { code: EXIT.denied, reason: "privilege-missing", hint: grantHint, remedy: grantRemedy },
  // No remedy here and for an expired password: a new password is a person's to choose.
  1524: {
    code: EXIT.denied,
    reason: "auth-plugin",
    hint: pluginHint,
  },
  1698: {
    code: EXIT.denied,
    reason: "access-denied",
    hint: (subject) =>
      `Run as the system user that ${subject.user}'s unix_socket/auth_socket login names (root for root), or give user and password in /root/.my.cnf`,
  },
  1820: { code: EXIT.denied, reason: "password-expired", hint: passwordHint },
  1862: { code: EXIT.denied, reason: "password-expired", hint: passwordHint },
  3118: { code: EXIT.denied, reason: "account-locked", hint: unlockHint, remedy: unlockRemedy },
  4151: { code: EXIT.denied, reason: "account-locked", hint: unlockHint, remedy: unlockRemedy },
};

/** Errors of the socket and of the driver by code. */
const BY_CODE: Readonly<Record<string, Meaning>> = {
  ENOENT: {
    code: EXIT.unreachable,
    reason: "no-socket",
    text: "there is no such socket",
    hint: startHint,
    remedy: startRemedy,
  },
  ECONNREFUSED: {
    code: EXIT.unreachable,
    reason: "server-down",
    text: "no server listens on the socket",
    hint: startHint,
    remedy: startRemedy,
  },
  // No remedy: for root only SELinux or AppArmor says so, and what they want differs.
  EACCES: {
    code: EXIT.unreachable,
    reason: "socket-denied",
    text: "the socket may not be used",
    hint: () => "Run locktables as root",
  },
  // Deno's word for a path outside the permissions that are compiled in
  // (`docs/runtime.md#permissions`).
  UNKNOWN: {
    code: EXIT.badSetup,
    reason: "socket-elsewhere",
    text: "locktables may not use sockets there",
    hint: linkHint,
    remedy: linkRemedy,
  },
  // No remedy: whether a stranger may be trusted is a person's to say, not a pasted line's.
  SOCKET_UNTRUSTED: { code: EXIT.badSetup, reason: "socket-untrusted", hint: trustHint },
  UNKNOWN_LOGIN: { code: EXIT.denied, reason: "auth-plugin", hint: otherLoginHint },
  AUTH_SWITCH_PLUGIN_ERROR: { code: EXIT.denied, reason: "auth-plugin", hint: otherLoginHint },
};

/** No remedy: what keeps a server from answering is in its own log. */
const LOST: Meaning = {
  code: EXIT.unreachable,
  reason: "session-failed",
  hint: () => "See the server's error log, then try again",
};

/**
 * The refusal for an error of connecting, logging in or asking. `doing` begins the
 * line: "Cannot log in as root".
 */
export function refusalFor(thrown: unknown, doing: string, subject: ErrorSubject): Refusal {
  const error = driverError(thrown);
  const meaning = (error.errno !== undefined ? BY_ERRNO[error.errno] : undefined) ??
    (error.code !== undefined ? BY_CODE[error.code] : undefined) ?? LOST;
  return refusal(
    meaning.code,
    meaning.reason,
    `${doing} at ${subject.socket}: ${textOf(error, meaning, subject.socket)}`,
    meaning.hint(subject, error),
    meaning.remedy?.(subject, error),
  );
}

/** What went wrong, without the socket, which the line names already, and without a full stop. */
function textOf(error: DriverError, meaning: Meaning, socket: string): string {
  if (error.errno === undefined && meaning.text !== undefined) {
    return `${meaning.text} (${error.code})`;
  }
  const number = error.errno === undefined ? "" : `error ${error.errno}: `;
  return number + error.message.replace(` ${socket}`, "").replace(/\.$/, "");
}

function account(subject: ErrorSubject): string {
  return subject.account ?? accountLiteral(subject.user);
}

function asAdministrator(statement: string): string {
  return `As an administrator of the server run: ${statement}`;
}

function adminRemedy(subject: ErrorSubject, error: DriverError, statement: string): string {
  return adminCommand({ server: serverOf(subject, error), socket: subject.socket }, statement);
}

function credentialsHint(subject: ErrorSubject): string {
  return `Check user and password in [client] or [locktables] of ${OPTION_FILE}. Over the socket the host is localhost: an account for 127.0.0.1 does not count (CREATE USER ${
    accountLiteral(subject.user)
  }), an anonymous account ''@'localhost' comes before one for '%', and one that must use TLS (REQUIRE SSL) cannot log in`;
}

/** MySQL 9 has no mysql_native_password that could be loaded. */
function pluginHint(subject: ErrorSubject, error: DriverError): string {
  const server = serverOf(subject, error);
  const isGone = server !== null && server.flavor !== "mariadb" && isAtLeast(server, 9, 0, 0) &&
    error.message.includes("mysql_native_password");
  const other = otherLoginHint(subject, error);
  return isGone ? other : `Load the plugin again, or: ${other}`;
}

function grantHint(subject: ErrorSubject): string {
  if (isAnonymous(account(subject))) return anonymousHint(account(subject));
  return subject.server === null
    ? "Give the account the privileges that docs/privileges.md names"
    : asAdministrator(grantStatement(account(subject), subject.server));
}

function grantRemedy(subject: ErrorSubject, error: DriverError): string | null {
  return subject.server === null || isAnonymous(account(subject))
    ? null
    : adminRemedy(subject, error, grantStatement(account(subject), subject.server));
}

function serverOf(subject: ErrorSubject, error: DriverError): ServerVersion | null {
  return subject.server ?? parseVersion(error.serverVersion ?? "", "");
}

function initConnectHint(subject: ErrorSubject, error: DriverError): string {
  const server = serverOf(subject, error);
  const cure = "Correct the server's init_connect, or let the account go without it";
  // It is not run for accounts with CONNECTION_ADMIN.
  return server === null || isAnonymous(account(subject))
    ? cure
    : `${cure}: ${grantStatement(account(subject), server, ["kill"])}`;
}

function initConnectRemedy(subject: ErrorSubject, error: DriverError): string | null {
  const server = serverOf(subject, error);
  return server === null || isAnonymous(account(subject))
    ? null
    : adminRemedy(subject, error, grantStatement(account(subject), server, ["kill"]));
}

function otherLoginHint(subject: ErrorSubject, error: DriverError): string {
  const server = serverOf(subject, error);
  if (server === null) {
    return "Give the account another way to log in, such as unix_socket/auth_socket";
  }
  const { statement, also } = otherLogin(account(subject), server);
  return `${asAdministrator(statement)}, and put the password into /root/.my.cnf; ${also}, too`;
}

/** A window has two sessions; a third cleans up after a locker that does not answer. */
const SESSIONS_OF_A_WINDOW = 3;

function connectionsHint(subject: ErrorSubject, error: DriverError): string {
  return asAdministrator(connectionsStatement(subject, error));
}

function connectionsRemedy(subject: ErrorSubject, error: DriverError): string {
  return adminRemedy(subject, error, connectionsStatement(subject, error));
}

function connectionsStatement(subject: ErrorSubject, error: DriverError): string {
  // Both families name the limit in every language: '(max_\w+)' is an identifier.
  const limit = /'(max_\w+)'/.exec(error.message)?.[1]?.toUpperCase() ?? "MAX_USER_CONNECTIONS";
  return limitStatement(
    account(subject),
    serverOf(subject, error),
    limit,
    limit === "MAX_USER_CONNECTIONS" ? SESSIONS_OF_A_WINDOW : 0,
  );
}

function passwordHint(subject: ErrorSubject, error: DriverError): string {
  const statement = passwordStatement(account(subject), serverOf(subject, error));
  return asAdministrator(`${statement}, and put it into /root/.my.cnf`);
}

function unlockHint(subject: ErrorSubject): string {
  return asAdministrator(unlockStatement(account(subject)));
}

function unlockRemedy(subject: ErrorSubject, error: DriverError): string {
  return adminRemedy(subject, error, unlockStatement(account(subject)));
}

/** Longest name of a link: with the state directory it fits into a socket's address of 107 bytes. */
const LINK_NAME_MOST = 80;

/**
 * The state directory may be used, belongs to root alone, and is still there after a boot. The name
 * holds the whole path: sockets of two servers often have the same file name.
 */
function linkTo(socket: string): string {
  const name = socket.replace(/^\/+/, "").replaceAll(/[^A-Za-z0-9._/]/g, hexOf).replaceAll(
    "/",
    "-",
  );
  return `${STATE_DIR}/${name.slice(-LINK_NAME_MOST)}`;
}

/** Characters in a form that shells, option files and file names take as it is. */
function hexOf(character: string): string {
  return [...new TextEncoder().encode(character)]
    .map((byte) => `+${byte.toString(16).padStart(2, "0")}`).join("");
}

/** A path through a process ends with it. */
function isOfProcess(socket: string): boolean {
  return socket.startsWith("/proc/");
}

const NOT_BY_PROCESS =
  "A path below /proc ends with the server's process; have the server put its socket into a directory of its own outside /tmp (socket= in [mysqld])";

function linkHint({ socket, instance }: ErrorSubject): string {
  if (isOfProcess(socket)) return NOT_BY_PROCESS;
  const link = linkTo(socket);
  return `Link to it: ln -s ${shellWord(socket)} ${link}, and set socket=${link} in [${
    ownGroup(instance)
  }] at the end of ${OPTION_FILE}`;
}

/** To allow it is one link; where there is one already, it is the socket that must go elsewhere. */
function trustHint(subject: ErrorSubject): string {
  const elsewhere =
    "Nothing was sent to it. Have the server put its socket into a directory of its own (socket= in [mysqld])";
  if (subject.socket.startsWith(`${STATE_DIR}/`)) return elsewhere;
  const link = linkTo(subject.socket);
  return `${elsewhere}; to allow this one knowingly: ln -s ${
    shellWord(subject.socket)
  } ${link}, and set socket=${link} in ${OPTION_FILE}`;
}

/** A link that leads elsewhere stays; other programs' groups are left alone. */
function linkRemedy({ socket, instance }: ErrorSubject): string | null {
  if (isOfProcess(socket)) return null;
  const link = linkTo(socket);
  const from = shellWord(socket);
  return `mkdir -p -m 0700 ${STATE_DIR} && { [ "$(readlink ${link})" = ${from} ] || ln -sT ${from} ${link}; } && ${
    append(OPTION_FILE, [`[${ownGroup(instance)}]`, `socket=${link}`])
  }`;
}

function ownGroup(instance: string | undefined): string {
  return instance === undefined ? "locktables" : `locktables_${instance}`;
}

/** The unit's name is the distribution's choice: one of these three (Debian, RHEL, SUSE). */
function startRemedy({ socket }: ErrorSubject): string | null {
  if (isTemporary(socket)) return null;
  return "systemctl start mysql || systemctl start mysqld || systemctl start mariadb";
}

/** Whether a unit with PrivateTmp has a directory of its own there. */
function isTemporary(socket: string): boolean {
  return socket.startsWith("/tmp/") || socket.startsWith("/var/tmp/");
}

function startHint({ socket }: ErrorSubject): string {
  if (isTemporary(socket)) {
    return "Start the server; where it runs, its unit has a /tmp of its own (PrivateTmp=yes): have it put its socket into a directory of its own outside /tmp (socket= in [mysqld])";
  }
  if (socket.startsWith(`${STATE_DIR}/`)) {
    return `Start the server; where it runs, look where the link leads (ls -l ${
      shellWord(socket)
    }): one through /proc ends with the server's process`;
  }
  return "Start the server, or name its socket with socket= in [client] of /root/.my.cnf";
}
