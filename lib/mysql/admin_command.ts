/** How an administrator runs a statement: the command line client, as the server's root. */
import { shellWord } from "../base/shell.ts";
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
  // Where a shell says nothing of UTF-8 the client takes its bytes for latin1.
  const charset = /^[\x20-\x7e]*$/.test(statement) ? "" : " --default-character-set=utf8mb4";
  return `${clientProgram(server)} --user=root --socket=${shellWord(socket)}${charset} -e ${
    shellWord(statement)
  }`;
}

/** A name of a schema or a table as SQL writes it; quoted, because it may be a reserved word. */
export function identifier(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}
