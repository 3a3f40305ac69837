/** Whether what listens on a socket can be anybody but the server. Pure. */
import { octal } from "../base/mode.ts";
import { parentOf } from "../base/paths.ts";
import { directoryOfLast, type PathPart } from "../base/path_parts.ts";

/** What is known of a socket's path, and of the accounts that servers run as here. */
export interface SocketFacts {
  /** The way to it, `/` first. */
  readonly parts: readonly PathPart[];
  readonly accounts: ServerAccounts;
  /** The directories whose links are root's word that a socket may be used. */
  readonly linksIn: readonly string[];
}

/** Who may own what leads to a server's socket, beside root. */
export interface ServerAccounts {
  readonly uids: readonly number[];
  /** Groups that have no member but the server. */
  readonly gids: readonly number[];
}

const WORLD_WRITE = 0o002;
const GROUP_WRITE = 0o020;
const STICKY = 0o1000;
const WORLD_PASS = 0o001;

/**
 * Why a socket is not trusted, or null: a user other than root and the server could listen there,
 * and would get the account's password. A link of root's in `linksIn` says that the rest of the way
 * may be anybody's (a container's account, which has no name here); what a link cannot say is who
 * listens in a directory where everybody may make a socket.
 */
export function socketDistrust(facts: SocketFacts): string | null {
  const { parts } = facts;
  const link = parts.findIndex((part, at) =>
    part.kind === "link" && isRoots(part) && facts.linksIn.includes(parentOf(part.path)) &&
    parts.slice(0, at).every((one) => isRoots(one) && !isOpen(one, facts))
  );
  return link < 0 ? partsDistrust(facts) : linkedDistrust(facts);
}

function partsDistrust(facts: SocketFacts): string | null {
  const { parts } = facts;
  const directory = directoryOfLast(parts);
  for (const part of parts) {
    if (!isTheirs(part, facts)) {
      return `${part.path} belongs to the user ${part.uid}, which is neither root nor an account that a server is known to run as`;
    }
    // No other user can replace what root or the server has in a sticky directory; anybody can make
    // what is not there yet.
    const isShared = part !== directory && (part.mode & STICKY) !== 0;
    if (part.kind === "directory" && isOpen(part, facts) && !isShared) {
      return `${part.path} has mode ${
        octal(part.mode)
      }: others than root and the server may write there`;
    }
  }
  return null;
}

function linkedDistrust(facts: SocketFacts): string | null {
  const { parts } = facts;
  const socket = parts.at(-1);
  const directory = directoryOfLast(parts);
  if (socket === undefined || directory === null) return null;
  const above = parts.filter(({ kind, path }) =>
    kind === "directory" && path !== directory.path &&
    (path === "/" || directory.path.startsWith(`${path}/`))
  );
  const isReached = above.every(({ mode }) => (mode & WORLD_PASS) !== 0);
  if ((directory.mode & WORLD_WRITE) === 0 || !isReached || isTheirs(socket, facts)) return null;
  return `anybody may make sockets in ${directory.path}, and ${socket.path} belongs to the user ${socket.uid}, which is neither root nor an account that a server is known to run as`;
}

function isRoots({ uid }: PathPart): boolean {
  return uid === 0;
}

function isTheirs({ uid }: PathPart, { accounts }: SocketFacts): boolean {
  return uid === 0 || accounts.uids.includes(uid);
}

function isOpen({ kind, mode, gid }: PathPart, { accounts }: SocketFacts): boolean {
  if (kind === "link") return false; // a link's mode means nothing
  return (mode & WORLD_WRITE) !== 0 ||
    ((mode & GROUP_WRITE) !== 0 && gid !== 0 && !accounts.gids.includes(gid));
}
