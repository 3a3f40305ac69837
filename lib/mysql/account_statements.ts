/**
 * How an administrator changes an account. MySQL has ALTER USER for all of it from 5.7.6 on; 5.6
 * knows it for expired passwords alone (seen on 5.6.24). Accounts are given as SQL writes them.
 */
import { type Flavor, isAtLeast, type ServerVersion } from "./flavor.ts";

function hasAlterUser(server: ServerVersion | null): boolean {
  return server === null || server.flavor === "mariadb" || isAtLeast(server, 5, 7, 6);
}

/** Lets an account have so many of something that the server limits, such as MAX_USER_CONNECTIONS. */
export function limitStatement(
  account: string,
  server: ServerVersion | null,
  limit: string,
  most: number,
): string {
  return hasAlterUser(server)
    ? `ALTER USER ${account} WITH ${limit} ${most}`
    : `GRANT USAGE ON *.* TO ${account} WITH ${limit} ${most}`;
}

/** Gives an account another password, for a person to fill in. */
export function passwordStatement(account: string, server: ServerVersion | null): string {
  return hasAlterUser(server)
    ? `ALTER USER ${account} IDENTIFIED BY '…'`
    : `SET PASSWORD FOR ${account} = PASSWORD('…')`;
}

/** Unlocks an account. Every server that can lock one has this. */
export function unlockStatement(account: string): string {
  return `ALTER USER ${account} ACCOUNT UNLOCK`;
}

/** Another way to log in. */
export interface OtherLogin {
  readonly statement: string;
  /** Other logins that locktables has. */
  readonly also: string;
}

/** caching_sha2_password came with MySQL 8.0.3, auth_socket with 5.5. */
const ALSO: Readonly<Record<Flavor, string>> = {
  mysql: "auth_socket works",
  percona: "auth_socket works",
  mariadb: "unix_socket and ed25519 work",
};

/**
 * Gives an account a login that works everywhere in the family. MariaDB's IDENTIFIED BY would do as
 * well; MySQL's keeps the account's plugin (seen on 9.7.4). In 5.6 only the table itself can be
 * given another plugin: GRANT and SET PASSWORD keep it (seen on 5.6.24; Reference Manual 5.6,
 * "Migrating Away from Pre-4.1 Password Hashing").
 */
export function otherLogin(account: string, server: ServerVersion): OtherLogin {
  const also = ALSO[server.flavor];
  if (server.flavor === "mariadb") {
    return {
      statement: `ALTER USER ${account} IDENTIFIED VIA mysql_native_password USING PASSWORD('…')`,
      also,
    };
  }
  if (hasAlterUser(server)) {
    const plugin = isAtLeast(server, 8, 0, 3) ? "caching_sha2_password" : "mysql_native_password";
    return { statement: `ALTER USER ${account} IDENTIFIED WITH ${plugin} BY '…'`, also };
  }
  // Between the two literals of 'user'@'host'; a host has no quote.
  const at = account.lastIndexOf("'@'") + 1;
  return {
    statement:
      `UPDATE mysql.user SET plugin='mysql_native_password', Password=PASSWORD('…') WHERE User=${
        account.slice(0, at)
      } AND Host=${account.slice(at + 1)}; FLUSH PRIVILEGES`,
    also,
  };
}
