/** Hashes of downloads and products, and the one line for a wrong one. */

import { createHash } from "node:crypto";
import { ScriptError } from "./shell.ts";

/** Fails unless the file has the wanted sha256 (hex). */
export async function requireSha256(path: string, wanted: string): Promise<void> {
  const actual = await sha256OfFile(path);
  if (actual !== wanted) throw new ScriptError(wrongHash(path, actual, wanted));
}

/** Fails unless the file has the wanted npm integrity (sha512, base64). */
export async function requireIntegrity(path: string, wanted: string): Promise<void> {
  const digest = createHash("sha512").update(await Deno.readFile(path)).digest("base64");
  const actual = `sha512-${digest}`;
  if (actual !== wanted) throw new ScriptError(wrongHash(path, actual, wanted));
}

/** The one line for every hash that is not what it must be. */
export function wrongHash(what: string, actual: string, wanted: string): string {
  return `Wrong hash: ${what} is ${actual}, expected ${wanted}; delete it if it is a damaged file`;
}

/** The sha256 of a file, in hex. */
export async function sha256OfFile(path: string): Promise<string> {
  return sha256OfBytes(await Deno.readFile(path));
}

/** The sha256 of bytes, in hex. */
export function sha256OfBytes(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
