/**
 * Clients of a server whose every statement is timed: what a lock costs them is the longest one,
 * those included that still wait when it is asked.
 */
import { connect, type Connection, type Server } from "./server.ts";

/** What one client runs over and over. */
export interface Client {
  readonly name: string;
  /** Statement number `sequence`, counted from 1. */
  readonly statement: (sequence: number) => string;
}

/** Options of {@linkcode startStatementLoad}. */
export interface StatementLoadOptions {
  /** How long a client thinks between two statements, in milliseconds. */
  readonly thinkMs?: number;
  /** Whether clients log in again when the server ends their session. */
  readonly isPersistent?: boolean;
}

/** One statement, on the clock of `performance.now()`. */
export interface TimedStatement {
  readonly client: string;
  readonly sentMs: number;
  /** Null while it waits. */
  readonly endedMs: number | null;
  /** Why it failed, null where it did not. */
  readonly error: string | null;
}

/** A running load. */
export interface StatementLoad {
  /** Ids of the clients' sessions on the server. */
  sessionIds(): number[];
  /** Statements since the start, in the order in which they were sent. */
  statements(): readonly TimedStatement[];
  /** The longest statement of these clients that ended after `sinceMs` or waits, in milliseconds. */
  longestMs(names: readonly string[], sinceMs?: number): number;
  /** Texts of the errors that clients got. */
  errors(): string[];
  /** Lets each client finish its statement, and disconnects. */
  stop(): Promise<void>;
}

/** Tables of {@linkcode mixedClients}. */
export const BUSY_TABLE = "shop.busy";
export const OTHER_TABLE = "shop.other";

/** Readers and writers of the table that a blocker uses, and of another one. */
export const mixedClients: readonly Client[] = [
  { name: "read busy", statement: () => `SELECT n FROM ${BUSY_TABLE} WHERE id = 2` },
  { name: "write busy", statement: () => `UPDATE ${BUSY_TABLE} SET n = n + 1 WHERE id = 2` },
  { name: "read other", statement: () => `SELECT n FROM ${OTHER_TABLE} WHERE id = 2` },
  { name: "write other", statement: () => `UPDATE ${OTHER_TABLE} SET n = n + 1 WHERE id = 2` },
];

/** Often enough to see a stall to the hundredth of a second, and no load to speak of. */
const THINK_MS = 5;

/** How long a client waits before it logs in again, in milliseconds. */
const RECONNECT_MS = 50;

/** Starts one session for each client. */
export async function startStatementLoad(
  server: Pick<Server, "socket">,
  clients: readonly Client[],
  { thinkMs = THINK_MS, isPersistent = false }: StatementLoadOptions = {},
): Promise<StatementLoad> {
  const log: { client: string; sentMs: number; endedMs: number | null; error: string | null }[] =
    [];
  const sessions = new Map<Client, Connection>();
  for (const client of clients) sessions.set(client, await connect(server));
  let isOver = false;

  const run = async (client: Client): Promise<void> => {
    for (let sequence = 1; !isOver; sequence += 1) {
      const session = sessions.get(client);
      if (session === undefined) return;
      const entry: typeof log[number] = {
        client: client.name,
        sentMs: performance.now(),
        endedMs: null,
        error: null,
      };
      log.push(entry);
      try {
        await session.query(client.statement(sequence));
      } catch (error) {
        entry.error = error instanceof Error ? error.message : String(error);
      }
      entry.endedMs = performance.now();
      if (entry.error !== null) {
        if (!isPersistent) return;
        await session.close();
        await reconnect(client);
      }
      if (thinkMs > 0) await pause(thinkMs);
    }
  };
  const reconnect = async (client: Client): Promise<void> => {
    while (!isOver) {
      await pause(RECONNECT_MS);
      try {
        sessions.set(client, await connect(server));
        return;
      } catch {
        // It is still starting.
      }
    }
  };
  const running = Promise.all(clients.map(run));
  return {
    sessionIds: () => [...sessions.values()].map(({ id }) => id),
    statements: () => log,
    longestMs(names, sinceMs = 0) {
      const now = performance.now();
      return log
        .filter(({ client, endedMs }) => names.includes(client) && (endedMs ?? now) >= sinceMs)
        .reduce((most, { sentMs, endedMs }) => Math.max(most, (endedMs ?? now) - sentMs), 0);
    },
    errors: () => log.flatMap(({ error }) => error ?? []),
    async stop() {
      isOver = true;
      await running;
      await Promise.all([...sessions.values()].map((session) => session.close()));
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
