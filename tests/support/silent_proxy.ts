/**
 * A socket in front of a real server that passes everything on but what it is told to keep, or to
 * put something else in the place of.
 */

/** A running proxy. */
export interface SilentProxy {
  /** Folder that holds `mysqld.sock` and nothing else. */
  readonly socketDir: string;
  close(): Promise<void>;
}

/**
 * Starts a proxy. A client's packet with this text is never answered, like one to a server that
 * is stuck in it; null: no client gets any answer at all.
 * @param instead a shorter statement that the server gets in that packet's place
 */
export async function startSilentProxy(
  server: { readonly socket: string; readonly dir: string },
  keeps: string | null,
  instead: string | null = null,
): Promise<SilentProxy> {
  const socketDir = await Deno.makeTempDir({ dir: server.dir, prefix: "proxy-" });
  await Deno.chmod(socketDir, 0o755);
  const path = `${socketDir}/mysqld.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  await Deno.chmod(path, 0o777);
  const open = new Set<Deno.Conn>();
  const replaced = (packet: Uint8Array, statement: string): Uint8Array => {
    // Four bytes of header, which has the length, and COM_QUERY.
    const text = new TextEncoder().encode(statement.padEnd(packet.length - 5));
    if (text.length !== packet.length - 5) throw new RangeError("the statement is too long");
    packet.set(text, 5);
    return packet;
  };
  const pass = async (from: Deno.Conn, to: Deno.Conn, isKept: (text: string) => boolean) => {
    const buffer = new Uint8Array(65_536);
    try {
      for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
        const bytes = buffer.slice(0, n);
        if (!isKept(new TextDecoder("latin1").decode(bytes))) await to.write(bytes);
        else if (instead !== null) await to.write(replaced(bytes, instead));
      }
    } catch {
      // Either side is gone: so is the other.
    }
    for (const side of [from, to]) {
      if (open.delete(side)) side.close();
    }
  };
  const serve = async () => {
    for await (const client of listener) {
      open.add(client);
      if (keeps === null) continue;
      const upstream = await Deno.connect({ transport: "unix", path: server.socket });
      open.add(upstream);
      work.push(
        pass(client, upstream, (text) => text.includes(keeps)),
        pass(upstream, client, () => false),
      );
    }
  };
  const work: Promise<void>[] = [];
  work.push(serve());
  return {
    socketDir,
    async close() {
      listener.close();
      for (const side of open) {
        open.delete(side);
        side.close();
      }
      await Promise.all(work);
      await Deno.remove(socketDir, { recursive: true });
    },
  };
}
