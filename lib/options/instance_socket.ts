/** The socket of a server for which the option file names none. */
import { atMost } from "../base/at_most.ts";
import { KNOWN_SOCKETS } from "../base/paths.ts";

/** Longest look for one socket; the directory may be on a disk that hangs. */
const LOOK_LIMIT_MS = 500;

/**
 * The socket of an instance: the one that is set, else the first known one that exists, else
 * the most usual one, for the message. One that cannot be looked at counts as there: who connects
 * to it says so, with a limit.
 */
export async function instanceSocket(set: string | null): Promise<string> {
  if (set !== null) return set;
  for (const path of KNOWN_SOCKETS) {
    const looking = Deno.lstat(path).then(() => true, () => false);
    if (await atMost(looking, LOOK_LIMIT_MS, true)) return path;
  }
  return KNOWN_SOCKETS[0] ?? "";
}
