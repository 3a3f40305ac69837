/** JSON, one object a line, over a unix socket: how QEMU's monitor and its guest agent talk. */
import { chunksOf, linesOf, writeAll } from "../../lib/base/lines.ts";

/** What came, or was sent: each protocol knows what is in it. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A connection whose lines come in whether or not somebody waits for them. */
export interface JsonSocket {
  send(value: JsonObject, prefix?: Uint8Array): Promise<void>;
  close(): void;
}

/** How often a socket is tried that QEMU has not made yet. */
const CONNECT_EVERY_MS = 50;

/** Connects as soon as somebody listens; `onObject` gets each line that is JSON. */
export async function connectJson(
  path: string,
  limitMs: number,
  onObject: (value: JsonObject) => void,
): Promise<JsonSocket> {
  const connection = await connectWithin(path, limitMs);
  const read = async (): Promise<void> => {
    const lines = linesOf(chunksOf(connection));
    for (let line = await lines.next(); line !== ""; line = await lines.next()) {
      // The agent marks an answer with a byte that is no text; a guest that dies leaves half a line.
      const value = parsed(line.replace(/^\uFFFD+/, ""));
      if (value !== null) onObject(value);
    }
  };
  // Closed by us, or by a machine that has ended: who waits for an answer has a limit.
  read().catch(() => {});
  return {
    async send(value, prefix = new Uint8Array()) {
      const text = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
      await writeAll(connection, new Uint8Array([...prefix, ...text]));
    },
    close: () => connection.close(),
  };
}

/** Connects to a unix socket, once it is there. */
export async function connectWithin(path: string, limitMs: number): Promise<Deno.UnixConn> {
  const deadline = performance.now() + limitMs;
  while (true) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, CONNECT_EVERY_MS));
    }
  }
}

function parsed(line: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : null;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
}
