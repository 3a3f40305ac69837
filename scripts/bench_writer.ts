/** The writer of the bench, on a thread of its own: one row after the other. */

import { connect } from "../tests/support/server.ts";

/** What the bench says: where to write, or to stop. */
export type WriterOrder =
  | { readonly word: "write"; readonly socket: string; readonly statement: string }
  | { readonly word: "stop" };

/** One statement, in milliseconds since the epoch, so that two threads mean the same. */
export interface WriterSample {
  readonly sentMs: number;
  readonly ackedMs: number;
}

/** The one thing that this module needs of a worker's scope. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<WriterOrder>) => void) | null;
  postMessage(message: "writing" | WriterSample[]): void;
}

const scope = globalThis as unknown as WorkerScope;
let isOver = true;

async function write(socket: string, statement: string): Promise<void> {
  const session = await connect({ socket });
  const samples: WriterSample[] = [];
  isOver = false;
  scope.postMessage("writing");
  while (!isOver) {
    const sentMs = now();
    await session.query(statement);
    samples.push({ sentMs, ackedMs: now() });
  }
  await session.close();
  scope.postMessage(samples);
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

scope.onmessage = ({ data }) => {
  switch (data.word) {
    case "write":
      // A rejection is uncaught, which is an error event at the bench, and its end.
      write(data.socket, data.statement);
      break;
    case "stop":
      isOver = true;
      break;
    default:
      data satisfies never;
  }
};
