/**
 * One database session over a Unix socket. The only module that knows the driver.
 * Never a pool and never COM_RESET_CONNECTION: both drop the lock without a word
 * (`locking.md` 2.1).
 */
import { connect, type Socket } from "node:net";
import { type Connection, createConnection } from "mysql2";

/** A result row: column name to value. */
export type Row = Readonly<Record<string, unknown>>;

/** A statement that got no answer in time. The session cannot be used any more. */
export interface NoAnswer {
  readonly code: "NO_ANSWER";
  readonly message: string;
}

/** An open session. */
export interface Session {
  /** CONNECTION_ID(), for KILL. */
  readonly id: number;
  /** Whether a statement is waiting for its answer. */
  isBusy(): boolean;
  /** Whether the server or the network ended it, or {@linkcode Session.close} was called. */
  isClosed(): boolean;
  /**
   * Runs one statement.
   * @param limitMs Longest wait for the answer; then it rejects with {@linkcode NoAnswer}.
   * The server is *not* told to stop: that takes a KILL from another session.
   */
  query(sql: string, limitMs: number): Promise<readonly Row[]>;
  /** Says goodbye and closes; never waits. Dropping the socket gives back the session's locks. */
  close(): void;
}

/** Where and as whom to log in. */
export interface SessionOptions {
  readonly socket: string;
  readonly user: string;
  readonly password: string | null;
  /** Longest wait for socket and handshake together, in milliseconds. */
  readonly limitMs: number;
  /** Called once when the session ends and {@linkcode Session.close} was not called. */
  readonly onLost: (why: string) => void;
}

/**
 * Opens a session.
 * @throws the socket's error (ENOENT, ECONNREFUSED, EACCES), the server's (errno), or
 * {@linkcode NoAnswer}; nothing is left open then.
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  // The socket is connected here and handed over: mysql2 under Deno reports a missing
  // socket as PROTOCOL_CONNECTION_LOST and throws the true error later, uncaught
  // (`runtime.md` 1, quirk 2).
  const stream = await openSocket(options.socket, options.limitMs);
  const connection = createConnection({
    stream,
    // Only tells the driver that the channel is as safe as TLS for sending a password.
    socketPath: options.socket,
    user: options.user,
    ...(options.password === null ? {} : { password: options.password }),
    flags: ["-LOCAL_FILES"],
    supportBigNumbers: true,
    connectTimeout: options.limitMs,
  });
  let isClosed = false;
  let pending = 0;
  const lost = (why: string) => {
    if (isClosed) return;
    isClosed = true;
    options.onLost(why);
  };
  const close = () => {
    isClosed = true;
    // The goodbye first, so that the server does not count an aborted client.
    if (pending === 0) connection.end(() => {});
    stream.destroySoon();
    if (pending > 0) connection.destroy();
  };
  const query = (sql: string, limitMs: number) => {
    pending += 1;
    return within<readonly Row[]>(limitMs, sql, (done, failed) => {
      connection.query(sql, (error, rows) => {
        pending -= 1;
        if (error) failed(error);
        else done(Array.isArray(rows) ? rows as Row[] : []);
      });
    });
  };

  try {
    // Listeners on the connection *and* on the stream: an error event without one ends
    // the process, and some ends are told to only one of the two.
    await within<void>(options.limitMs, "the login", (done, failed) => {
      connection.once("connect", () => done());
      connection.on("error", failed);
      stream.once("close", () => failed(new Error("The server closed the connection")));
    });
    listenForLoss(connection, stream, lost);
    const [row] = await query("SELECT /* locktables */ CONNECTION_ID() AS id", options.limitMs);
    return {
      id: Number(row?.["id"]),
      isBusy: () => pending > 0,
      isClosed: () => isClosed,
      query,
      close,
    };
  } catch (error) {
    isClosed = true;
    connection.destroy();
    throw error;
  }
}

function listenForLoss(connection: Connection, stream: Socket, lost: (why: string) => void): void {
  connection.on("error", (error) => lost(error.message.replaceAll(/\s*\n\s*/g, " ")));
  connection.on("end", () => lost("the server closed the connection"));
  stream.on("close", () => lost("the server closed the connection"));
}

function openSocket(path: string, limitMs: number): Promise<Socket> {
  return within(limitMs, `connecting to ${path}`, (done, failed) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.off("error", failed);
      done(socket);
    });
    socket.once("error", failed);
  });
}

/** Runs something that reports through callbacks, for at most `limitMs` milliseconds. */
function within<T>(
  limitMs: number,
  what: string,
  start: (done: (value: T) => void, failed: (error: unknown) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const noAnswer: NoAnswer = {
        code: "NO_ANSWER",
        message: `No answer within ${limitMs} ms to ${what}`,
      };
      reject(noAnswer);
    }, limitMs);
    start((value) => {
      clearTimeout(timer);
      resolve(value);
    }, (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}
