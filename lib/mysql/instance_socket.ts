/** Where a server is when nobody says it. */
import { exists } from "../sys/files.ts";
import { KNOWN_SOCKETS } from "../sys/paths.ts";

/**
 * The socket of an instance: the one that is set, else the first known one that exists, else
 * the most usual one, for the message.
 */
export function instanceSocket(set: string | null): string {
  return set ?? KNOWN_SOCKETS.find((path) => exists(path)) ?? KNOWN_SOCKETS[0] ?? "";
}
