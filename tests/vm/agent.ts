/** The guest agent, as a hypervisor talks to it: over the machine's virtio-serial port. */
import { ScriptError } from "../../scripts/shell.ts";
import type { AgentReply } from "../support/qemu_agent.ts";
import { connectJson, type JsonObject } from "./json_socket.ts";

/** A connection to the port; who answers there is up to the guest. */
export interface AgentPort {
  /** Waits until an agent answers; forgets what one that has ended left behind. */
  sync(limitMs: number): Promise<void>;
  /** Sends a command; no answer is an error. */
  execute(command: string, args?: JsonObject, limitMs?: number): Promise<AgentReply>;
  close(): void;
}

/** A freeze runs hooks, seconds of the guest; on a busy host they take minutes. */
const ANSWER_LIMIT_MS = 600_000;

/** How long one try to reach the agent waits for its answer. */
const SYNC_TRY_MS = 2_000;

/** Never in JSON: makes the agent drop half a command that another left, with an error of its own. */
const RESET = new Uint8Array([0xff]);

/** Connects to the port. */
export async function connectAgent(path: string, limitMs: number): Promise<AgentPort> {
  let onReply: ((reply: JsonObject) => void) | null = null;
  const socket = await connectJson(path, limitMs, (object) => onReply?.(object));
  const ask = (
    command: string,
    args: JsonObject | undefined,
    wait: number,
    prefix?: Uint8Array,
    isIt = (_reply: JsonObject): boolean => true,
  ) =>
    new Promise<JsonObject | null>((resolve, reject) => {
      const timer = setTimeout(() => end(null), wait);
      const end = (reply: JsonObject | null) => {
        clearTimeout(timer);
        onReply = null;
        resolve(reply);
      };
      onReply = (reply) => {
        if (isIt(reply)) end(reply);
      };
      const request = { execute: command, ...(args === undefined ? {} : { arguments: args }) };
      socket.send(request, prefix).catch(reject);
    });
  let lastId = 0;
  return {
    async sync(limit) {
      const deadline = performance.now() + limit;
      while (performance.now() < deadline) {
        const id = ++lastId;
        const reply = await ask(
          "guest-sync-delimited",
          { id },
          SYNC_TRY_MS,
          RESET,
          (told) => told["return"] === id,
        );
        if (reply !== null) return;
      }
      throw new ScriptError(`No guest agent answered within ${limit / 1000} s`);
    },
    async execute(command, args, limit = ANSWER_LIMIT_MS) {
      const reply = await ask(command, args, limit);
      if (reply === null) throw new ScriptError(`The guest agent did not answer ${command}`);
      return reply;
    },
    close: () => socket.close(),
  };
}
