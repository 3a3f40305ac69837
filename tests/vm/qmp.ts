/** QEMU's monitor: what a hypervisor does to a machine from outside. */
import { ScriptError } from "../../scripts/shell.ts";
import { connectJson, type JsonObject } from "./json_socket.ts";

/** A connection to the monitor. */
export interface Monitor {
  /** Returns what the command returns; a refusal is an error, and so is no answer. */
  execute(command: string, args?: JsonObject): Promise<unknown>;
  close(): void;
}

/** QEMU answers within milliseconds; a snapshot first writes out what the guest has written. */
const ANSWER_LIMIT_MS = 60_000;

/** Connects, and leaves the mode in which the monitor only negotiates. */
export async function connectMonitor(path: string, limitMs: number): Promise<Monitor> {
  const waiting = new Map<number, (answer: JsonObject) => void>();
  const socket = await connectJson(path, limitMs, (object) => {
    const id = object["id"];
    if (typeof id !== "number") return; // its greeting, and events
    waiting.get(id)?.(object);
    waiting.delete(id);
  });
  let last = 0;
  const execute = async (command: string, args?: JsonObject): Promise<unknown> => {
    const id = ++last;
    const answered = new Promise<JsonObject>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new ScriptError(`QEMU did not answer ${command}`)),
        ANSWER_LIMIT_MS,
      );
      waiting.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
    });
    await socket.send({ execute: command, id, ...(args === undefined ? {} : { arguments: args }) });
    const answer = await answered;
    if ("error" in answer) {
      throw new ScriptError(`QEMU refused ${command}: ${JSON.stringify(answer["error"])}`);
    }
    return answer["return"];
  };
  await execute("qmp_capabilities");
  return { execute, close: () => socket.close() };
}
