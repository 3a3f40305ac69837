/** A server that answers what no server should: bounded in time and memory, and nothing it says is obeyed. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { findingsOf, reportOf } from "../support/check_guest.ts";
import {
  errorPacket,
  type FakeServerOptions,
  OK_PACKET,
  oneColumn,
  openFakeServer,
  packet,
} from "../support/fake_server.ts";
import { assertOneLine } from "../support/guest.ts";
import { openSandbox, processesOf, type Sandbox } from "../support/sandbox.ts";
import { underLoad } from "../support/load.ts";

/** No answer is waited for longer than 5 s; the rest is for starting, ending and a busy machine. */
const END_LIMIT_MS = 20_000;

/** A locker has 55 MB; what a hostile server may add is 32 MB and what becomes of it. */
const MEMORY_LIMIT_KB = 700_000;

/** Colours the terminal, names its window, ends the line, turns the direction of writing. */
const EVIL = "\u001b[31m\u001b]0;x\u0007 one\r\ntwo \u009b5m \u202e reversed \u2028 three";

/** What must never reach a terminal. */
// deno-lint-ignore no-control-regex
const OBEYED = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2028\u2029]/;

type Answer = NonNullable<FakeServerOptions["answer"]>;

/** Lets everybody in, then answers statements so. */
function thenAnswer(answer: (connection: Deno.Conn) => Promise<void>): Answer {
  return async (connection, turn) => {
    if (turn === 0) return void await connection.write(packet(2, OK_PACKET));
    await answer(connection);
  };
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
}

const endlessRows = thenAnswer(async (connection) => {
  await connection.write(oneColumn(1));
  for (let number = 4;;) {
    const rows: Uint8Array[] = [];
    for (let row = 0; row < 1_000; row += 1) {
      rows.push(packet(number, Uint8Array.of(1, 97)));
      number = (number + 1) % 256;
    }
    await writeAll(connection, Buffer.concat(rows));
  }
});

const giantPacket = thenAnswer(async (connection) => {
  const chunk = new Uint8Array(1024 * 1024).fill(97);
  for (let number = 1;; number = (number + 1) % 256) {
    await connection.write(Uint8Array.of(255, 255, 255, number));
    for (let sent = 0; sent < 15; sent += 1) await writeAll(connection, chunk);
    await writeAll(connection, chunk.subarray(1));
  }
});

const slowDrip = thenAnswer(async (connection) => {
  const answer = oneColumn(1);
  for (let at = 0;; at = (at + 1) % answer.length) {
    await connection.write(answer.subarray(at, at + 1));
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
});

const evilError = thenAnswer((connection) =>
  writeAll(connection, packet(1, errorPacket(1105, EVIL)))
);

const evilLogin: Answer = async (connection) => {
  await writeAll(connection, packet(2, errorPacket(1045, EVIL)));
};

const CASES: readonly (FakeServerOptions & { readonly name: string; readonly line: RegExp })[] = [
  { name: "rows without end", uid: 0, answer: endlessRows, line: /more than \d+ bytes|No answer/ },
  {
    name: "a packet without end",
    uid: 0,
    answer: giantPacket,
    line: /more than \d+ bytes|No answer/,
  },
  { name: "a byte now and then", uid: 0, answer: slowDrip, line: /No answer within 5000 ms/ },
  { name: "escapes in an error's text", uid: 0, answer: evilError, line: /error 1105: .*one.*two/ },
  { name: "escapes in a refused login", uid: 0, answer: evilLogin, line: /error 1045: .*one.*two/ },
  {
    name: "escapes in its version",
    uid: 0,
    version: `8.0.40${EVIL}`,
    answer: evilLogin,
    line: /error 1045/,
  },
];

Deno.test("a hostile server is left in time, with bounded memory, and is not obeyed", async (t) => {
  for (const { line, ...one } of CASES) {
    await t.step(one.name, () =>
      withFake(one, async (sandbox) => {
        const peak = watchMemory(sandbox);
        const refused = await sandbox.run([sandbox.binary, "pre-freeze"], { timeoutMs: 60_000 });
        assert.ok(await peak.end() < MEMORY_LIMIT_KB, `${await peak.end()} kB`);
        assert.ok([20, 21].includes(refused.code), `${refused.code}: ${refused.stderr}`);
        assert.ok(refused.ms < underLoad(END_LIMIT_MS), `${refused.ms} ms`);
        assertOneLine(refused, line);
        assert.doesNotMatch(refused.stderr, OBEYED);
        const json = await sandbox.run([sandbox.binary, "check", "--json"]);
        const report = reportOf(json);
        assert.ok(report.findings.some(({ severity }) => severity === "error"));
        assert.equal(findingsOf(report, "unknown-server").length, 0);
        const text = await sandbox.run([sandbox.binary, "check"]);
        const status = await sandbox.run([sandbox.binary, "status"]);
        const record = await sandbox.sh("cat /var/lib/locktables/*.json* 2>/dev/null");
        for (const { stdout } of [json, text, status, record]) assert.doesNotMatch(stdout, OBEYED);
      }));
  }
});

async function withFake(
  options: FakeServerOptions,
  use: (sandbox: Sandbox) => Promise<void>,
): Promise<void> {
  const sandbox = await openSandbox();
  try {
    await sandbox.sh("mkdir /run/mysqld");
    const fake = openFakeServer(sandbox, "/run/mysqld/mysqld.sock", options);
    try {
      await use(sandbox);
    } finally {
      await fake.close();
    }
  } finally {
    await sandbox.close();
  }
}

/** The most memory that any process inside has had, in kB. */
function watchMemory(sandbox: Sandbox): { end(): Promise<number> } {
  let most = 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      for (const { pid } of await processesOf(sandbox)) {
        const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
        most = Math.max(most, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  return {
    async end() {
      isOver = true;
      await watching;
      return most;
    },
  };
}
