/** How an administrator runs a statement: the command line client, as the server's root. */
import { shellWord } from "../report/shell.ts";
import { clientProgram, type ServerVersion } from "./flavor.ts";

/** Which server. */
export interface AdminTarget {
  /** Null before it has greeted. */
  readonly server: ServerVersion | null;
  readonly socket: string;
}

/**
 * The command that runs statements as the server's root, which comes in through its socket or
 * with the password in root's own option file. `--user` because that file may name the account
 * of locktables, which may not grant itself anything.
 */
export function adminCommand({ server, socket }: AdminTarget, statement: string): string {
  return `${clientProgram(server)} --user=root --socket=${shellWord(socket)} -e ${
    shellWord(statement)
  }`;
}

/** A name of a schema or a table as SQL writes it; quoted, because it may be a reserved word. */
export function identifier(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}
