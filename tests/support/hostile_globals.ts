/**
 * Every global variable that a session begins with, at its most hostile value. A server is asked for
 * the names, so that a new version's are there without anybody adding them.
 */
import type { Connection } from "./server.ts";

/** What is worst for whoever's session begins with it, where the type alone does not say. */
const WORST: Readonly<Record<string, string>> = {
  character_set_client: "'latin1'",
  character_set_connection: "'latin1'",
  character_set_results: "'latin1'",
  collation_connection: "'latin1_bin'",
  completion_type: "'RELEASE'",
  group_replication_consistency: "'BEFORE_AND_AFTER'",
  lc_messages: "'de_DE'",
  lc_time_names: "'de_DE'",
  max_statement_time: "0.001",
  old_mode: "'NO_PROGRESS_INFO'",
  session_track_gtids: "'OWN_GTID'",
  session_track_system_variables: "'*'",
  session_track_transaction_info: "'CHARACTERISTICS'",
  sql_mode: "'ANSI,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH'",
  system_versioning_asof: "'2000-01-01 00:00:00'",
  time_zone: "'+13:00'",
  transaction_isolation: "'SERIALIZABLE'",
  tx_isolation: "'SERIALIZABLE'",
};

/** What is left as it is. */
const SKIPPED: Readonly<Record<string, string>> = {
  max_user_connections:
    "a limit for accounts on purpose: the login is refused, which is its meaning",
  server_id: "who the server is, which is recorded",
  wsrep_on: "a cluster without its library is no server any more",
};

/**
 * The worst value of a variable as SQL writes it, null for what is left as it is. A switch is turned.
 * A number becomes 1, which servers raise to the least they allow, and an enumeration its second
 * word, which has the number 1 as well.
 */
export function worstValue(name: string, value: string): string | null {
  if (Object.hasOwn(SKIPPED, name)) return null;
  const worst = WORST[name];
  if (worst !== undefined) return worst;
  if (name === "optimizer_switch") return `'${value.replaceAll(/=on/g, "=off")}'`;
  return value === "ON" ? "0" : "1";
}

/** What was set. */
export interface HostileGlobals {
  readonly names: readonly string[];
  /** Puts everything back, over the session that set it, whose own settings are as they were. */
  restore(): Promise<void>;
}

async function variables(admin: Connection, scope: "GLOBAL" | "SESSION") {
  const rows = await admin.query(`SHOW ${scope} VARIABLES`);
  return new Map(rows.map((row) => [String(row["Variable_name"]), String(row["Value"])]));
}

/** Sets these variables globally, as far as the server takes them. */
export async function setGlobals(
  admin: Connection,
  values: Readonly<Record<string, string>>,
): Promise<HostileGlobals> {
  const names: string[] = [];
  const restore = async () => {
    for (const name of names) {
      // What it was at the start, which no session's own value tells any more.
      await admin.query(`SET GLOBAL ${name}=DEFAULT`);
    }
  };
  for (const [name, value] of Object.entries(values)) {
    try {
      await admin.query(`SET GLOBAL ${name}=${value}`);
      names.push(name);
    } catch (error) {
      // Not so or not at all: no such value, read only, not without a plugin. What the server says
      // no more to is no server to test.
      if ((error as { errno?: number }).errno === undefined) throw error;
    }
  }
  return { names, restore };
}

/** The worst value of each global variable that a session begins with. */
export async function worstOfAll(admin: Connection): Promise<Record<string, string>> {
  const own = await variables(admin, "SESSION");
  const values: Record<string, string> = {};
  for (const [name, value] of await variables(admin, "GLOBAL")) {
    const worst = own.has(name) && await isSessions(admin, name) ? worstValue(name, value) : null;
    if (worst !== null) values[name] = worst;
  }
  return values;
}

/** Whether sessions have one of their own: the servers list the others as well. */
async function isSessions(admin: Connection, name: string): Promise<boolean> {
  try {
    await admin.query(`SET SESSION ${name}=@@session.${name}`);
    return true;
  } catch (error) {
    // Read only in a session, but its own: 1621. No session variable at all: 1238, 1229.
    return ![1238, 1229].includes((error as { errno?: number }).errno ?? 0);
  }
}
