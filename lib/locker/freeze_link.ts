/** The locker's side of its line to pre-freeze. */
import { ACCEPTED, type LockerMessage } from "./freeze_protocol.ts";
import { chunksOf, linesOf, writeAllSync } from "../base/lines.ts";

/** The line to the pre-freeze that started this locker. */
export interface PreFreezeLink {
  /** Sends a message; false where pre-freeze no longer reads. */
  send(message: LockerMessage): boolean;
  /** Ends the line: nothing is left that pre-freeze would wait for. */
  hangUp(): void;
  /** Resolves to true when pre-freeze accepts the answer, to false when it gives up or is gone. */
  readonly accepted: Promise<boolean>;
}

/** Opens the line on this process's stdin and stdout. */
export function openPreFreezeLink(): PreFreezeLink {
  return {
    send(message) {
      try {
        writeAllSync(Deno.stdout, new TextEncoder().encode(`${JSON.stringify(message)}\n`));
        return true;
      } catch {
        return false; // BrokenPipe: pre-freeze is gone, which is all there is to know
      }
    },
    hangUp() {
      try {
        Deno.stdout.close();
      } catch {
        // Closed already.
      }
    },
    accepted: linesOf(chunksOf(Deno.stdin)).next().then((word) => word === ACCEPTED, () => false),
  };
}
