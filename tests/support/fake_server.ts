/** What a stranger listens with where a server's socket is expected. */
import { Buffer } from "node:buffer";
import type { Sandbox } from "./sandbox.ts";

/** A listener that speaks enough of the protocol to be given a password. */
export interface FakeServer {
  /** Everything that its clients have sent. */
  received(): Uint8Array;
  /** How many clients came. */
  clients(): number;
  close(): Promise<void>;
}

/** Options of {@linkcode openFakeServer}. */
export interface FakeServerOptions {
  /** Who owns the socket. */
  readonly uid: number;
  /** How it calls itself. */
  readonly version?: string;
  /**
   * What it sends to whatever its clients send, 0 their answer to the greeting; closes the
   * connection where it says so. Default: it wants the password, and then no more.
   */
  readonly answer?: (connection: Deno.Conn, turn: number) => Promise<"close" | void>;
}

const LONG_PASSWORD = 0x1;
const PROTOCOL_41 = 0x200;
const SECURE_CONNECTION = 0x8000;
const PLUGIN_AUTH = 0x8_0000;

/** Listens at a path in a sandbox. */
export function openFakeServer(
  sandbox: Pick<Sandbox, "keeperPid">,
  path: string,
  { uid, version = "8.0.40", answer = askForPassword }: FakeServerOptions,
): FakeServer {
  const outside = `/proc/${sandbox.keeperPid}/root${path}`;
  const listener = Deno.listen({ transport: "unix", path: outside });
  Deno.chownSync(outside, uid, uid);
  Deno.chmodSync(outside, 0o777);
  const chunks: Uint8Array[] = [];
  const open = new Set<Deno.Conn>();
  let clients = 0;
  const serve = async (connection: Deno.Conn) => {
    await connection.write(packet(0, greeting(version)));
    const buffer = new Uint8Array(65_536);
    for (let turn = 0;; turn += 1) {
      const count = await connection.read(buffer);
      if (count === null) return;
      chunks.push(buffer.slice(0, count));
      if (await answer(connection, turn) === "close") return connection.close();
    }
  };
  const accepting = (async () => {
    for await (const connection of listener) {
      clients += 1;
      open.add(connection);
      serve(connection).catch(() => {}); // the client has left
    }
  })();
  return {
    received: () => Buffer.concat(chunks),
    clients: () => clients,
    async close() {
      listener.close();
      for (const connection of open) closeQuietly(connection);
      await accepting;
      await Deno.remove(outside).catch(() => {}); // the test has moved it
    },
  };
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}

/** A packet of the protocol: its length, its number, its content. */
export function packet(number: number, content: Uint8Array): Uint8Array {
  const head = Buffer.alloc(4);
  head.writeUIntLE(content.length, 0, 3);
  head[3] = number;
  return Buffer.concat([head, content]);
}

/** The packet that says that a login or a statement is done. */
export const OK_PACKET = Uint8Array.of(0, 0, 0, 2, 0, 0, 0);

/** What comes before the rows of an answer with one column `a`, as packets from `number` on. */
export function oneColumn(number: number): Uint8Array {
  const text = (value: string) => Buffer.from([value.length, ...Buffer.from(value)]);
  const column = Buffer.concat([
    ...["def", "", "", "", "a", "a"].map(text),
    Uint8Array.of(12, 33, 0, 255, 0, 0, 0, 253, 0, 0, 0, 0, 0),
  ]);
  return Buffer.concat([
    packet(number, Uint8Array.of(1)),
    packet(number + 1, column),
    packet(number + 2, Uint8Array.of(254, 0, 0, 2, 0)),
  ]);
}

/** An error packet. */
export function errorPacket(errno: number, text: string): Uint8Array {
  return Buffer.concat([
    Uint8Array.of(255, errno & 255, errno >> 8),
    Buffer.from(`#HY000${text}`),
  ]);
}

/** caching_sha2_password's "perform full authentication": send me your password. */
async function askForPassword(connection: Deno.Conn, turn: number): Promise<"close" | void> {
  if (turn > 0) return "close";
  await connection.write(packet(2, Uint8Array.of(1, 4)));
}

function greeting(version: string): Uint8Array {
  const capabilities = LONG_PASSWORD | PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH;
  const fixed = Buffer.alloc(19);
  fixed.writeUInt8(0, 0);
  fixed.writeUInt16LE(capabilities & 0xffff, 1);
  fixed.writeUInt8(255, 3);
  fixed.writeUInt16LE(2, 4);
  fixed.writeUInt16LE(capabilities >>> 16, 6);
  fixed.writeUInt8(21, 8);
  return Buffer.concat([
    Uint8Array.of(10),
    Buffer.from(`${version}\0`),
    Uint8Array.of(7, 0, 0, 0),
    Buffer.from("saltsalt"),
    fixed,
    Buffer.from("saltsaltsalt\0"),
    Buffer.from("caching_sha2_password\0"),
  ]);
}
