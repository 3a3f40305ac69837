/** Lines of text in and out of streams of bytes: how hooks, locker and control socket talk. */

/** Longest line either side sends, in bytes: a record with many instances and GTID sets. */
const LINE_LIMIT_BYTES = 1024 * 1024;

/** Lines, one at a time. */
export interface Lines {
  /** The next line without its line feed; empty at the end. */
  next(): Promise<string>;
}

/** Reads lines from chunks of bytes; null is the end. What comes after the last line feed is lost. */
export function linesOf(nextChunk: () => Promise<Uint8Array | null>): Lines {
  const decoder = new TextDecoder();
  let text = "";
  return {
    async next() {
      while (true) {
        const end = text.indexOf("\n");
        if (end >= 0) {
          const line = text.slice(0, end);
          text = text.slice(end + 1);
          return line;
        }
        if (text.length > LINE_LIMIT_BYTES) {
          throw new Error(`A line of more than ${LINE_LIMIT_BYTES} bytes came from the other side`);
        }
        const chunk = await nextChunk();
        if (chunk === null) return "";
        text += decoder.decode(chunk, { stream: true });
      }
    },
  };
}

/** The chunks of a connection or of stdin. */
export function chunksOf(
  source: { read(buffer: Uint8Array): Promise<number | null> },
): () => Promise<Uint8Array | null> {
  const buffer = new Uint8Array(4096);
  return async () => {
    const count = await source.read(buffer);
    return count === null ? null : buffer.subarray(0, count);
  };
}

/** Writes all bytes, in as many parts as the stream takes. */
export async function writeAll(
  output: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await output.write(bytes.subarray(done));
}

/** The same, waiting on the main thread. */
export function writeAllSync(
  output: { writeSync(bytes: Uint8Array): number },
  bytes: Uint8Array,
): void {
  for (let done = 0; done < bytes.length;) done += output.writeSync(bytes.subarray(done));
}
