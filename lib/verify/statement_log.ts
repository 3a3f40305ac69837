/** The statements that were sent, so that they can be repeated by hand. */
import type { Session } from "../mysql/session.ts";

/** Remembers what is asked on a session. */
export interface StatementLog {
  /** Those that were sent, in their order, each once. */
  readonly statements: readonly string[];
  /** Adds what stands for many statements that differ in a name. */
  note(text: string): void;
  /** The session, whose statements are remembered; a CHECK TABLE is left to `note`. */
  watch(session: Session): Session;
}

/** Begins a log. */
export function statementLog(): StatementLog {
  const statements: string[] = [];
  const note = (text: string) => {
    if (!statements.includes(text)) statements.push(text);
  };
  return {
    statements,
    note,
    watch: (session) => ({
      ...session,
      query(sql, limitMs) {
        if (!sql.startsWith("CHECK ")) note(sql.replaceAll(/\s+/g, " "));
        return session.query(sql, limitMs);
      },
    }),
  };
}
