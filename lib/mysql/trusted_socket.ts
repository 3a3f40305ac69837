/** Looks at a socket before anything is sent to it, and again when it is connected. */
import { identityAt, type PathPart, type PathWay, wayOf } from "../base/path_parts.ts";
import { RUN_DIR, STATE_DIR } from "../base/paths.ts";
import { type ServerAccounts, socketDistrust } from "./socket_trust.ts";

/** A socket that others than the server could listen on. Nothing was sent to it. */
export interface UntrustedSocket {
  readonly code: "SOCKET_UNTRUSTED";
  readonly message: string;
}

/** The data directory of every distribution's packages: who owns it has what a password guards. */
const DATA_DIR = "/var/lib/mysql";

/**
 * What else packages make for the server's account, in directories that are root's alone, so that
 * only root can have given it away. The run directories are not among them: it is their owners
 * that are in question.
 */
const ACCOUNT_TRACES = [
  "/var/lib/mysql-files",
  "/var/lib/mysql-keyring",
  "/var/log/mysql",
  "/var/log/mariadb",
  "/var/log/mysqld.log",
  "/var/log/mysql.log",
];

const OTHERS_WRITE = 0o022;

/** The look at a socket that may be connected to. */
export interface SocketLook {
  /** Throws {@linkcode UntrustedSocket} where the path leads to another socket by now. */
  confirm(): Promise<void>;
}

/**
 * Looks at a socket's path.
 * @throws {@linkcode UntrustedSocket}, and ENOENT where there is none
 */
export async function lookAtSocket(path: string): Promise<SocketLook> {
  const seen = await look(path);
  return {
    async confirm() {
      if (seen === null || await identityAt(path) === seen) return;
      throw untrusted("another socket took its place while it was being connected");
    },
  };
}

/** Which socket it is; null where it is none, which the connection says better. */
async function look(path: string): Promise<string | null> {
  let way: PathWay;
  try {
    way = await wayOf(path);
  } catch (error) {
    throw untrusted(`its path cannot be looked at: ${(error as Error).message}`);
  }
  const { parts, isComplete } = way;
  // A socket that appears there from now on is not connected to: this look decides.
  if (!isComplete) throw Object.assign(new Error("there is no such socket"), { code: "ENOENT" });
  // Root alone: there is no account to look for.
  const accounts = parts.every(({ uid, gid }) => uid === 0 && gid === 0)
    ? { uids: [], gids: [] }
    : await serverAccounts();
  const why = socketDistrust({ parts, accounts, linksIn: [STATE_DIR, RUN_DIR] });
  if (why !== null) throw untrusted(why);
  const last = parts.at(-1);
  return last?.kind === "socket" ? last.identity : null;
}

/** The accounts that servers are known to run as: owners of what only root can have given them. */
async function serverAccounts(): Promise<ServerAccounts> {
  const [data, ...traces] = await Promise.all([DATA_DIR, ...ACCOUNT_TRACES].map(givenByRoot));
  return {
    uids: [data, ...traces].flatMap((one) => one === null || one === undefined ? [] : [one.uid]),
    // The others may be the log readers' group.
    gids: data === null || data === undefined ? [] : [data.gid],
  };
}

/** What is at a path, if only root can have put it there. */
async function givenByRoot(path: string): Promise<PathPart | null> {
  try {
    const { parts, isComplete } = await wayOf(path);
    const last = parts.at(-1);
    const isRoots = parts.slice(0, -1).every(({ kind, uid, mode }) =>
      uid === 0 && (kind === "link" || (mode & OTHERS_WRITE) === 0)
    );
    return last !== undefined && isComplete && isRoots ? last : null;
  } catch {
    // What cannot be looked at says nothing of anybody.
    return null;
  }
}

function untrusted(message: string): UntrustedSocket {
  return { code: "SOCKET_UNTRUSTED", message };
}
