/**
 * One database session over a Unix socket. The only module that knows the driver.
 * Never a pool and never COM_RESET_CONNECTION: both drop the lock without a word
 * (`docs/locking.md#21-the-session`).
 */
import { Buffer } from "node:buffer";
import { constants, publicEncrypt } from "node:crypto";
import { connect, type Socket } from "node:net";
import { type Connection, createConnection } from "mysql2";
import { oneLine } from "../base/plain_text.ts";
import { limitAnswers, noAnswer } from "./answer_limit.ts";
import { type SessionSetting, sessionSettingsFor, setStatement } from "./session_settings.ts";
import { lookAtSocket } from "./trusted_socket.ts";

/** A result row: column name to value. */
export type Row = Readonly<Record<string, unknown>>;

/** The account's login plugin is one that neither the driver nor we have. */
export interface UnknownLogin {
  readonly code: "UNKNOWN_LOGIN";
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
   * @param limitMs Longest wait for the answer; then it rejects with `NoAnswer`, and the session
   * cannot be used any more.
   * The server does *not* stop: that takes a KILL from another session.
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

/** ER_UNKNOWN_SYSTEM_VARIABLE. */
const UNKNOWN_VARIABLE = 1193;

/** ER_OPTION_PREVENTS_STATEMENT: with max_session_mem_used=8192 MariaDB takes only short ones. */
const TOO_LITTLE_MEMORY = 1290;

/**
 * Opens a session.
 * @throws the socket's error (ENOENT, ECONNREFUSED, EACCES), the server's (errno),
 * `UntrustedSocket`, {@linkcode UnknownLogin} or `NoAnswer`, with `serverVersion` where the server has
 * greeted; nothing is left open then.
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  // A server may ask for the password in clear, and gets it: only the server itself may.
  const socket = await withinLimit(
    options.limitMs,
    "the look at its path",
    lookAtSocket(options.socket),
  );
  // The socket is connected here and handed over: mysql2 under Deno reports a missing
  // socket as PROTOCOL_CONNECTION_LOST and throws the true error later, uncaught
  // (`docs/runtime.md#the-driver`).
  const stream = await openSocket(options.socket, options.limitMs);
  try {
    await withinLimit(options.limitMs, "the look at its path", socket.confirm());
  } catch (error) {
    stream.destroy();
    throw error;
  }
  const connection = createConnection({
    stream,
    // Only tells the driver that the channel is as safe as TLS for sending a password.
    socketPath: options.socket,
    user: options.user,
    ...(options.password === null ? {} : { password: options.password }),
    flags: ["-LOCAL_FILES"],
    authPlugins: {
      client_ed25519: () => answerEd25519(options.password ?? ""),
      sha256_password: () => answerSha256(options.password ?? ""),
    },
    supportBigNumbers: true,
    connectTimeout: options.limitMs,
  });
  let isLoggedIn = false;
  const answers = limitAnswers(stream, () => !isLoggedIn || pending > 0);
  answers.begin(options.limitMs, "the login");
  let serverVersion: string | undefined;
  stream.once("data", (bytes: Buffer) => serverVersion = greetedVersion(bytes));
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
    if (pending === 0) answers.begin(limitMs, sql);
    else answers.extend(limitMs, sql);
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
    // the process, and some ends reach only one of the two.
    await within<void>(options.limitMs, "the login", (done, failed) => {
      connection.once("connect", () => done());
      connection.on("error", failed);
      stream.once("close", () => failed(new Error("The server closed the connection")));
    });
    isLoggedIn = true;
    listenForLoss(connection, stream, lost);
    await settle(serverVersion, (sql) => query(sql, options.limitMs));
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
    throw Object.assign(unknownLogin(error) ?? error as object, { serverVersion });
  }
}

/**
 * First of all: puts what the server's global settings would change to what our statements are
 * written for. Where the server does not take it at once, because an odd version lacks one of them
 * or has no memory to spare, each is set alone, and only one that it does not have may fail.
 */
async function settle(
  serverVersion: string | undefined,
  query: (sql: string) => Promise<unknown>,
): Promise<void> {
  const { known, perhaps } = sessionSettingsFor(serverVersion);
  const isSet = (settings: readonly SessionSetting[], ignored: readonly number[]) =>
    query(setStatement(settings)).then(() => true, (error: { errno?: number }) => {
      if (error.errno === undefined || !ignored.includes(error.errno)) throw error;
      return false;
    });
  const isDone = await isSet(known, [UNKNOWN_VARIABLE, TOO_LITTLE_MEMORY]);
  for (const setting of isDone ? perhaps : [...known, ...perhaps]) {
    await isSet([setting], [UNKNOWN_VARIABLE]);
  }
}

/**
 * How the server calls itself in its greeting: a packet's header of 4 bytes, the protocol 10, and
 * the version up to a zero; MariaDB before 11.0 puts `5.5.5-` in front for old replicas. The
 * driver keeps it to itself when a login fails, and the cure depends on it. Undefined for an error
 * packet, which a full server sends instead.
 */
function greetedVersion(bytes: Buffer): string | undefined {
  const end = bytes.indexOf(0, 5);
  if (bytes[4] !== 10 || end < 0) return undefined;
  return bytes.toString("latin1", 5, end).replace(/^5\.5\.5-/, "");
}

/**
 * Answers MariaDB's ed25519. The arithmetic is loaded when a server asks for it: few do, and it
 * costs 5 ms to load and 50 ms once for its tables, all of it while nothing is locked yet.
 */
function answerEd25519(password: string): (challenge: Uint8Array) => Promise<Buffer> {
  return async (challenge) => {
    const { signChallenge } = await import("./ed25519_auth.ts");
    return Buffer.from(signChallenge(Buffer.from(password), challenge));
  };
}

/**
 * Answers MySQL's sha256_password: first asks for the server's key, then sends the password
 * scrambled and encrypted with it. The driver has this too, but leaves the padding to the
 * runtime, and Deno's default is not the OAEP that the server wants (seen on Deno 2.5.7). Over a
 * Unix socket the server takes no clear password here, unlike for caching_sha2_password.
 */
function answerSha256(password: string): (fromServer: Buffer) => Buffer {
  let scramble: Buffer | null = null;
  return (fromServer) => {
    if (password === "") return Buffer.from([0]);
    if (scramble === null) {
      scramble = Buffer.from(fromServer.subarray(0, 20));
      return Buffer.from([SHA256_ASK_FOR_KEY]);
    }
    const secret = Buffer.from(`${password}\0`).map((byte, at) =>
      byte ^ (scramble?.[at % 20] ?? 0)
    );
    return publicEncrypt({
      key: fromServer,
      oaepHash: "sha1",
      padding: constants.RSA_PKCS1_OAEP_PADDING,
    }, secret);
  };
}

/** The request for the public key in MySQL's `sha256_password` (`sha2_password.cc`). */
const SHA256_ASK_FOR_KEY = 1;

/**
 * The plugin that the driver refused, which it tells in prose alone: one that it does not know,
 * or one that wants the password in clear. Null for any other error.
 */
function unknownLogin(thrown: unknown): UnknownLogin | null {
  const { code, message } = thrown as { code?: unknown; message?: unknown };
  const plugin = code === "MYSQL_CLEAR_PASSWORD_NOT_ENABLED"
    ? "mysql_clear_password"
    : code === "AUTH_SWITCH_PLUGIN_ERROR"
    ? /unknown plugin ([^\s.]+)/.exec(String(message))?.[1]
    : undefined;
  if (plugin === undefined) return null;
  return {
    code: "UNKNOWN_LOGIN",
    message: `The server asks for the login plugin ${plugin}, which locktables does not have`,
  };
}

function listenForLoss(connection: Connection, stream: Socket, lost: (why: string) => void): void {
  connection.on("error", (error) => lost(oneLine(error.message)));
  connection.on("end", () => lost("the server closed the connection"));
  stream.on("close", () => lost("the server closed the connection"));
}

function openSocket(path: string, limitMs: number): Promise<Socket> {
  return within(limitMs, "the connection", (done, failed) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.off("error", failed);
      done(socket);
    });
    socket.once("error", failed);
  });
}

/** Waits for something for at most `limitMs` milliseconds. */
function withinLimit<T>(limitMs: number, what: string, promise: Promise<T>): Promise<T> {
  return within(limitMs, what, (done, failed) => {
    promise.then(done, failed);
  });
}

/** Runs something that reports through callbacks, for at most `limitMs` milliseconds. */
function within<T>(
  limitMs: number,
  what: string,
  start: (done: (value: T) => void, failed: (error: unknown) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(noAnswer(limitMs, what)), limitMs);
    start((value) => {
      clearTimeout(timer);
      resolve(value);
    }, (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}
