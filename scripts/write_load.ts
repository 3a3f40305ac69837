/** Customers of a database: sessions that write one row after the other, and remember how it went. */

import { connect, type Server } from "../tests/support/server.ts";
import { pause } from "./private_guest.ts";

/** Statement number `sequence` of a writer, counted from 1. */
export type StatementOf = (writer: number, sequence: number) => string;

/** What a load does. */
export interface WriteLoadOptions {
  readonly writers: number;
  /** How long a writer thinks between two rows, in milliseconds. */
  readonly thinkMs: number;
  readonly statement: StatementOf;
}

/** One acknowledged statement, on the clock of `performance.now()` of this thread. */
export interface Acknowledged {
  readonly sentMs: number;
  readonly ackedMs: number;
}

/** A running load. */
export interface WriteLoad {
  /** How many rows each writer was told are committed. */
  acknowledged(): number[];
  /** Latencies of the statements that were under way between two moments, ascending. */
  latencies(fromMs: number, toMs: number): number[];
  /** Fails when a writer got an error; a load that stopped by itself proves nothing. */
  requireHealth(): void;
  /** Lets each writer finish its row, and disconnects. */
  stop(): Promise<void>;
}

/** Starts a load of single-statement transactions. */
export async function startWriteLoad(
  server: Pick<Server, "socket">,
  { writers, thinkMs, statement }: WriteLoadOptions,
): Promise<WriteLoad> {
  const logs: Acknowledged[][] = Array.from({ length: writers }, () => []);
  const sessions = await Promise.all(logs.map(() => connect(server)));
  let isOver = false;
  let failure: unknown;
  const write = async (writer: number): Promise<void> => {
    const session = sessions[writer];
    const log = logs[writer];
    if (session === undefined || log === undefined) return;
    while (!isOver) {
      const sentMs = performance.now();
      await session.query(statement(writer, log.length + 1));
      log.push({ sentMs, ackedMs: performance.now() });
      if (thinkMs > 0) await pause(thinkMs);
    }
  };
  const running = Promise.all(logs.map((_log, writer) => write(writer))).catch((error) => {
    failure = error;
    isOver = true;
  });
  return {
    acknowledged: () => logs.map((log) => log.length),
    latencies: (fromMs, toMs) =>
      logs.flat()
        .filter(({ sentMs, ackedMs }) => ackedMs >= fromMs && sentMs <= toMs)
        .map(({ sentMs, ackedMs }) => ackedMs - sentMs)
        .sort((a, b) => a - b),
    requireHealth() {
      if (failure !== undefined) throw new Error("A writer got an error", { cause: failure });
    },
    async stop() {
      isOver = true;
      await running;
      await Promise.all(sessions.map((session) => session.close()));
    },
  };
}
