/** The locker's control socket: the authority on liveness and verdict. */
import { sleep } from "../base/sleep.ts";
import type { WindowRecord } from "../window/record.ts";
import { atMost } from "../base/at_most.ts";
import { removeIfThere } from "../base/files.ts";
import { chunksOf, linesOf, writeAll } from "../base/lines.ts";
import { LOCKER_SOCKET } from "../base/paths.ts";
import { CONTROL_WORDS, type ControlWord, HEARD } from "./control_client.ts";

/** Longest wait for a client's word, and for it to take its answer, in milliseconds. */
const CLIENT_LIMIT_MS = 1_000;

/** How long after a connection that could not be taken (no file descriptor left) the next is tried. */
const ACCEPT_PAUSE_MS = 50;

/** The control socket, open. */
export interface ControlServer {
  /** Answers all connections that wait for the window to close; how many took the answer. */
  answerWaiters(record: WindowRecord): Promise<number>;
  /** Whether a connection waits for the window to close. */
  hasWaiters(): boolean;
  /** Takes no more connections and removes the socket. */
  close(): void;
  /** Ends the connections that were answered: nothing of the window is left. */
  hangUp(): void;
}

/** What the socket's clients can cause and see. */
export interface ControlHandlers {
  readonly onThaw: () => void;
  readonly onAbort: () => void;
  readonly record: () => WindowRecord;
}

/** Binds the socket. @throws where it exists or cannot be made */
export function openControlServer(handlers: ControlHandlers): ControlServer {
  const listener = Deno.listen({ transport: "unix", path: LOCKER_SOCKET });
  const waiters = new Set<Deno.Conn>();

  const serve = async (connection: Deno.Conn) => {
    const word = await atMost(linesOf(chunksOf(connection)).next(), CLIENT_LIMIT_MS, "").catch(() =>
      ""
    );
    switch (isControlWord(word) ? word : null) {
      case "thaw":
        waiters.add(connection);
        handlers.onThaw(); // first of all
        return void await send(connection, HEARD);
      case "abort":
        waiters.add(connection);
        handlers.onAbort();
        return void await send(connection, HEARD);
      case "status":
        await send(connection, `${HEARD}\n${JSON.stringify(handlers.record())}`);
        return connection.close();
      case null:
        return connection.close();
    }
  };
  let isOpen = true;
  const accept = async () => {
    while (isOpen) {
      try {
        // A client that goes away in the middle is its own loss.
        serve(await listener.accept()).catch(() => {});
      } catch {
        // A crowd must not make the locker deaf for good.
        if (isOpen) await sleep(ACCEPT_PAUSE_MS);
      }
    }
  };
  accept();

  return {
    async answerWaiters(record) {
      const answered = await Promise.all(
        [...waiters].map((waiter) => send(waiter, JSON.stringify(record))),
      );
      return answered.filter((ok) => ok).length;
    },
    hasWaiters: () => waiters.size > 0,
    hangUp() {
      for (const waiter of waiters) closeQuietly(waiter);
    },
    close() {
      // Closing the listener leaves its path; the next window must find it free.
      removeIfThere(LOCKER_SOCKET);
      isOpen = false;
      closeQuietly(listener);
    },
  };
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // Closed already.
  }
}

function isControlWord(word: string): word is ControlWord {
  return (CONTROL_WORDS as readonly string[]).includes(word);
}

/** Sends a line; false where the client did not take it. */
async function send(connection: Deno.Conn, line: string): Promise<boolean> {
  const write = async () => {
    await writeAll(connection, new TextEncoder().encode(`${line}\n`));
    return true;
  };
  return await atMost(write().catch(() => false), CLIENT_LIMIT_MS, false);
}
