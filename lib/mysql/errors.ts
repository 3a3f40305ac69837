/** What a server's or a socket's error means to the operator: an exit code and one line. */
import { EXIT, type ExitCode, type Refusal, refusal } from "../report/refusal.ts";
import { type Capabilities, capabilitiesOf, type ServerVersion } from "./flavor.ts";

/** What was being done, for the line that the operator reads. */
export interface ErrorSubject {
  /** The socket, as given. */
  readonly socket: string;
  /** The account's user name. */
  readonly user: string;
  /** The server, once it is known. */
  readonly server: ServerVersion | null;
}

/** The parts of a mysql2 or socket error that carry meaning. */
export interface DriverError {
  /**
   * The server's error number. Asked before `code`: mysql2 maps MariaDB's numbers
   * to wrong names (`locking.md` 0.10).
   */
  readonly errno: number | undefined;
  readonly code: string | undefined;
  readonly message: string;
}

/** Takes a thrown value apart. */
export function driverError(thrown: unknown): DriverError {
  const error = thrown as { errno?: unknown; code?: unknown; message?: unknown };
  return {
    errno: typeof error?.errno === "number" && error.errno > 0 ? error.errno : undefined,
    code: typeof error?.code === "string" ? error.code : undefined,
    message: String(error?.message ?? thrown).replaceAll(/\s*\n\s*/g, " "),
  };
}

interface Meaning {
  readonly code: ExitCode;
  readonly reason: string;
  readonly hint: (subject: ErrorSubject) => string;
}

const DENIED_WITH_PASSWORD = "Check user and password in [client] or [locktables] of /root/.my.cnf";

/** Server errors by number. Source: MySQL and MariaDB server error references. */
const BY_ERRNO: Readonly<Record<number, Meaning>> = {
  1040: {
    code: EXIT.unreachable,
    reason: "too-many-connections",
    hint: () =>
      "Raise max_connections, or give the account CONNECTION_ADMIN (SUPER) to use the reserved one",
  },
  1044: { code: EXIT.denied, reason: "access-denied", hint: () => DENIED_WITH_PASSWORD },
  1045: { code: EXIT.denied, reason: "access-denied", hint: () => DENIED_WITH_PASSWORD },
  1130: { code: EXIT.denied, reason: "access-denied", hint: () => DENIED_WITH_PASSWORD },
  1142: { code: EXIT.denied, reason: "privilege-missing", hint: grantHint },
  1184: {
    code: EXIT.denied,
    reason: "init-connect-failed",
    hint: () =>
      "Correct the server's init_connect, or give the account CONNECTION_ADMIN (SUPER): it is then not run",
  },
  1226: {
    code: EXIT.unreachable,
    reason: "too-many-connections",
    hint: (subject) => `Give ${subject.user} at least MAX_USER_CONNECTIONS 2`,
  },
  1227: { code: EXIT.denied, reason: "privilege-missing", hint: grantHint },
  1524: { code: EXIT.denied, reason: "auth-plugin", hint: () => DENIED_WITH_PASSWORD },
  1698: {
    code: EXIT.denied,
    reason: "access-denied",
    hint: (subject) =>
      `Run as the system user that ${subject.user}'s unix_socket/auth_socket login names (root for root), or give user and password in /root/.my.cnf`,
  },
  1820: { code: EXIT.denied, reason: "password-expired", hint: passwordHint },
  1862: { code: EXIT.denied, reason: "password-expired", hint: passwordHint },
  3118: { code: EXIT.denied, reason: "account-locked", hint: unlockHint },
  4151: { code: EXIT.denied, reason: "account-locked", hint: unlockHint },
};

/** Socket errors by code. */
const BY_CODE: Readonly<Record<string, Meaning>> = {
  ENOENT: { code: EXIT.unreachable, reason: "no-socket", hint: startHint },
  ECONNREFUSED: { code: EXIT.unreachable, reason: "server-down", hint: startHint },
  EACCES: {
    code: EXIT.unreachable,
    reason: "socket-denied",
    hint: () => "Run locktables as root",
  },
  AUTH_SWITCH_PLUGIN_ERROR: {
    code: EXIT.denied,
    reason: "auth-plugin",
    hint: (subject) =>
      `Give ${subject.user} a login by unix_socket/auth_socket, mysql_native_password or caching_sha2_password`,
  },
};

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
  const number = error.errno === undefined ? "" : `error ${error.errno}: `;
  return refusal(
    meaning.code,
    meaning.reason,
    `${doing} at ${subject.socket}: ${number}${error.message}`,
    meaning.hint(subject),
  );
}

/** The statement that gives an account every privilege a window needs (`locking.md` 6). */
export function grantStatement(user: string, can: Capabilities): string {
  const privileges = [can.lockPrivilege, can.binlogStatusPrivilege, "PROCESS"].join(", ");
  return `GRANT ${privileges} ON *.* TO ${account(user)}`;
}

/** An account as SQL writes it; a quote or a backslash in the name is doubled. */
function account(user: string): string {
  return `'${user.replaceAll(/['\\]/g, "$&$&")}'@'localhost'`;
}

function grantHint(subject: ErrorSubject): string {
  return subject.server === null
    ? "Give the account the privileges that README names"
    : `As an administrator of the server run: ${
      grantStatement(subject.user, capabilitiesOf(subject.server))
    }`;
}

function passwordHint(subject: ErrorSubject): string {
  return `As an administrator of the server run: ALTER USER ${
    account(subject.user)
  } IDENTIFIED BY '…', and put it into /root/.my.cnf`;
}

function unlockHint(subject: ErrorSubject): string {
  return `As an administrator of the server run: ALTER USER ${
    account(subject.user)
  } ACCOUNT UNLOCK`;
}

function startHint(subject: ErrorSubject): string {
  return `Start the server, or name its socket with socket= in [client] of /root/.my.cnf (now ${subject.socket})`;
}
