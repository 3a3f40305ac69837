/** Reads what an image and its source say, each up to a limit: neither is trusted to be short. */
import { isMissing } from "../base/files.ts";
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { messageOf } from "./read_error.ts";
import { RECORD_LIMIT_BYTES, type RecordRead } from "./record_findings.ts";
import { SOURCE_LIMIT_BYTES } from "./source_findings.ts";

/** How much is read at once. */
const CHUNK_BYTES = 64 * 1024;

/** The record at a path, as far as it can be read. */
export async function readRecord(path: string): Promise<RecordRead> {
  try {
    // On the pool, and before it is opened: opening a fifo would block.
    const info = await Deno.lstat(path);
    if (!info.isFile) return { kind: "unreadable", why: "it is no file" };
    if (info.size > RECORD_LIMIT_BYTES) return { kind: "too-long", bytes: info.size };
    using file = await Deno.open(path, { read: true });
    const text = await textUpTo(file, RECORD_LIMIT_BYTES);
    return text === null
      ? { kind: "too-long", bytes: RECORD_LIMIT_BYTES + 1 }
      : { kind: "text", text };
  } catch (error) {
    return isMissing(error) ? { kind: "missing" } : { kind: "unreadable", why: messageOf(error) };
  }
}

/** What `--verdict` names; `-` is the standard input, which takes no right to a path. */
export async function readSource(name: string): Promise<string | Refusal> {
  try {
    if (name === "-") return await textUpTo(Deno.stdin, SOURCE_LIMIT_BYTES) ?? "";
    using file = await Deno.open(name, { read: true });
    return await textUpTo(file, SOURCE_LIMIT_BYTES) ?? "";
  } catch (error) {
    return refusal(
      EXIT.badSetup,
      "path-unusable",
      error instanceof Deno.errors.NotCapable
        ? `locktables has no right to read ${name}`
        : `Cannot read ${name}: ${messageOf(error)}`,
      `Hand it over instead: locktables verify --verdict - < FILE`,
    );
  }
}

/** The whole text; null where it is longer. */
async function textUpTo(
  source: { read(buffer: Uint8Array): Promise<number | null> },
  limit: number,
): Promise<string | null> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(CHUNK_BYTES);
  let text = "";
  for (let bytes = 0;;) {
    const count = await source.read(buffer);
    if (count === null) return text + decoder.decode();
    bytes += count;
    if (bytes > limit) return null;
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
}
