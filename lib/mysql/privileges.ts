/**
 * Which privileges an account lacks, found out before anything is locked, and the GRANT that
 * gives them. The one place that knows privileges by server (`docs/locking.md#6-privileges`).
 */
import { sqlText } from "./sql_text.ts";
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { adminCommand } from "./admin_command.ts";
import { type Flavor, isAtLeast, type ServerVersion } from "./flavor.ts";

/** What a window wants a privilege for. */
export type Purpose = "lock" | "coordinates" | "replicas" | "log" | "guard" | "kill";

/** Privileges of which any one is enough; the first is the smallest and the one to grant. */
type AnyOf = readonly [string, ...string[]];

type Needs = Readonly<Record<Purpose, AnyOf>>;

/** What a version changed, for itself and those after it. */
interface Change {
  readonly since: readonly [major: number, minor: number, patch: number];
  readonly needs: Partial<Needs>;
}

/** MySQL before 8.0 and MariaDB before 10.5. */
const AT_FIRST: Needs = {
  lock: ["RELOAD"],
  coordinates: ["REPLICATION CLIENT", "SUPER"],
  replicas: ["REPLICATION CLIENT", "SUPER"],
  log: ["RELOAD"],
  guard: ["PROCESS"],
  kill: ["SUPER"],
};

/** Oldest first. FLUSH_TABLES and CONNECTION_ADMIN: MySQL 8.0 Reference Manual 8.2.2. */
const MYSQL: readonly Change[] = [
  { since: [8, 0, 0], needs: { kill: ["CONNECTION_ADMIN", "SUPER"] } },
  { since: [8, 0, 23], needs: { lock: ["FLUSH_TABLES", "RELOAD"] } },
];

/**
 * Oldest first. SUPER was split up in 10.5 and stopped standing for the parts in 11.0
 * (MDEV-21743, MDEV-29668); SLAVE MONITOR came with 10.5.9 (MDEV-23610). The synonyms are those
 * that GRANT takes and SHOW GRANTS may print.
 */
const MARIADB: readonly Change[] = [
  {
    since: [10, 5, 0],
    needs: {
      coordinates: ["BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"],
      replicas: ["REPLICATION SLAVE ADMIN", "REPLICATION REPLICA ADMIN", "SUPER"],
      kill: ["CONNECTION ADMIN", "SUPER"],
    },
  },
  { since: [10, 5, 9], needs: { replicas: ["SLAVE MONITOR", "REPLICA MONITOR", "SUPER"] } },
  {
    since: [11, 0, 0],
    needs: {
      coordinates: ["BINLOG MONITOR", "REPLICATION CLIENT"],
      replicas: ["SLAVE MONITOR", "REPLICA MONITOR"],
      kill: ["CONNECTION ADMIN"],
    },
  },
];

const CHANGES: Readonly<Record<Flavor, readonly Change[]>> = {
  mysql: MYSQL,
  percona: MYSQL,
  mariadb: MARIADB,
};

/** What every window needs a privilege for, in the order in which a GRANT names them. */
const ALWAYS: readonly Purpose[] = ["lock", "coordinates", "guard"];

/** Without these there is no window. The others cost something that a line can tell. */
const INDISPENSABLE: Readonly<Partial<Record<Purpose, string>>> = {
  lock: "to lock",
  coordinates: "to read the binlog position",
  log: "to have InnoDB write its log, with innodb_flush_log_at_trx_commit=0",
};

/** What an account without the privilege has to do without. */
const LOSSES: Readonly<Partial<Record<Purpose, string>>> = {
  replicas: "the positions of replica channels cannot be recorded",
  guard: "the guard is blind to other accounts' statements",
  kill: "kill_long_queries cannot end other accounts' statements",
};

/** The privileges for a purpose on this server, any one of which is enough. */
export function privilegesFor(purpose: Purpose, server: ServerVersion): AnyOf {
  const change = CHANGES[server.flavor].findLast(({ since, needs }) =>
    needs[purpose] !== undefined && isAtLeast(server, ...since)
  );
  return change?.needs[purpose] ?? AT_FIRST[purpose];
}

/**
 * The global privileges that a session has, from the rows of its own `SHOW GRANTS`; null where
 * they do not say it.
 *
 * Plain `SHOW GRANTS`, without FOR, shows what counts: besides the account's own rows those of
 * its active roles, of the roles in them, and of PUBLIC and mandatory roles (seen on MariaDB
 * 10.11.19 and 11.8.9 and on MySQL 9.7.4; `information_schema.user_privileges` and
 * `FOR CURRENT_USER()` leave them out). So every row `ON *.*` counts, to whichever account it is granted,
 * and a role that is not active does not. Partial revokes take away rights on schemas alone.
 */
export function globalPrivileges(grants: readonly string[]): ReadonlySet<string> | null {
  const found = grants.flatMap((row) => /^GRANT ([A-Z_, ]+) ON \*\.\* TO /.exec(row)?.[1] ?? []);
  // Every account has such a row, if only for USAGE.
  if (found.length === 0) return null;
  return new Set(found.flatMap((list) => list.split(",").map((name) => name.trim())));
}

/** The purposes for which the privilege is surely missing. */
export function missingFor(
  purposes: readonly Purpose[],
  grants: readonly string[],
  server: ServerVersion,
): Purpose[] {
  const has = globalPrivileges(grants);
  if (has === null || has.has("ALL PRIVILEGES")) return [];
  return purposes.filter((purpose) =>
    !privilegesFor(purpose, server).some((privilege) => has.has(privilege))
  );
}

/** An account as SQL writes it; a quote or a backslash in its name is doubled. */
export function accountLiteral(user: string, host = "localhost"): string {
  return `${sqlText(user)}@${sqlText(host)}`;
}

/** Whether an account, as SQL writes it, is that of everybody: what it is given, everybody has. */
export function isAnonymous(account: string): boolean {
  return account.startsWith("''@");
}

/** What to do where the server took the account of everybody for ours. */
export function anonymousHint(account: string): string {
  return `The server took the anonymous account ${account} for this login; give it no privileges, everybody in the guest would have them. Remove it (DROP USER ${account}), or create the account of locktables for localhost, which is what a socket counts as`;
}

/** The account that CURRENT_USER() names, as SQL writes it. A host has no @, a user may. */
export function accountOf(currentUser: string): string {
  const at = currentUser.lastIndexOf("@");
  return at < 0
    ? accountLiteral(currentUser)
    : accountLiteral(currentUser.slice(0, at), currentUser.slice(at + 1));
}

/**
 * The statement that gives an account the privileges for these purposes: by default all that a
 * window wants, replica positions included.
 * @param account as SQL writes it
 */
export function grantStatement(
  account: string,
  server: ServerVersion,
  purposes: readonly Purpose[] = ["lock", "coordinates", "replicas", "guard"],
): string {
  const privileges = new Set(purposes.map((purpose) => privilegesFor(purpose, server)[0]));
  return `GRANT ${[...privileges].join(", ")} ON *.* TO ${account}`;
}

/** Whose privileges, where, and what for. */
export interface PrivilegeQuestion {
  /** The rows of `SHOW GRANTS`; none where the server would not say. */
  readonly grants: readonly string[];
  /** As CURRENT_USER() says it, such as `quiesce@localhost`. */
  readonly account: string;
  readonly server: ServerVersion;
  readonly socket: string;
  /** What this window wants besides the usual: FLUSH ENGINE LOGS, killing blockers. */
  readonly also: readonly Purpose[];
}

/** What the lack of privileges means. */
export interface PrivilegeAnswer {
  /** Set where no window is possible. */
  readonly refusal: Refusal | null;
  /** What will be missing from the window. */
  readonly losses: readonly PrivilegeLoss[];
}

/** What a window has to do without, because the account may not. */
export interface PrivilegeLoss {
  readonly purpose: Purpose;
  /** A half sentence. */
  readonly text: string;
  /** The GRANT that makes it good; null where none should be run. */
  readonly statement: string | null;
}

/** Says what is surely missing. What is not known is left to the statements themselves. */
export function checkPrivileges(question: PrivilegeQuestion): PrivilegeAnswer {
  const { grants, server, socket } = question;
  const account = accountOf(question.account);
  const missing = missingFor([...ALWAYS, ...question.also], grants, server);
  const fatal = missing.flatMap((purpose) => {
    const what = INDISPENSABLE[purpose];
    return what === undefined ? [] : `${privilegesFor(purpose, server)[0]} (${what})`;
  });
  if (fatal.length > 0) {
    return {
      refusal: refusal(
        EXIT.denied,
        "privilege-missing",
        `Cannot freeze ${server.label} at ${socket}: ${account} lacks ${fatal.join(" and ")}`,
        isAnonymous(account)
          ? anonymousHint(account)
          : `As an administrator of the server run: ${grantStatement(account, server, missing)}${
            hasRole(grants) ? " (a role counts only while it is active: see SET DEFAULT ROLE)" : ""
          }`,
        isAnonymous(account)
          ? null
          : adminCommand({ server, socket }, grantStatement(account, server, missing)),
      ),
      losses: [],
    };
  }
  return {
    refusal: null,
    losses: missing.map((purpose) => ({
      purpose,
      text: LOSSES[purpose] ?? "",
      statement: isAnonymous(account) ? null : grantStatement(account, server, [purpose]),
    })),
  };
}

/** Whether a role was granted: `GRANT name TO …`, quoted unless the session's settings say no. */
function hasRole(grants: readonly string[]): boolean {
  return grants.some((row) => /^GRANT [^ ]+ TO /.test(row));
}
