import assert from "node:assert/strict";

/** What a module of ours gives in a process of its own, in a time zone and at a terminal or not. */
async function evaluate(code: string, env: Record<string, string> = {}): Promise<string> {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    cwd: new URL("../..", import.meta.url).pathname,
    env,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

const TIMES: readonly (readonly [zone: string, moment: string, text: string])[] = [
  ["Europe/Berlin", "2026-01-02T03:04:05.678Z", "2026-01-02 04:04:05 +01:00"],
  ["Europe/Berlin", "2026-07-02T23:04:05.678Z", "2026-07-03 01:04:05 +02:00"],
  ["America/St_Johns", "2026-01-02T03:04:05.678Z", "2026-01-01 23:34:05 -03:30"],
  ["UTC", "2026-01-02T03:04:05.678Z", "2026-01-02 03:04:05 +00:00"],
];
for (const [zone, moment, text] of TIMES) {
  Deno.test(`${moment} is ${text} in ${zone}`, async () => {
    const code = `import { localTime } from "./lib/commands/terminal.ts";
      console.log(localTime("${moment}"));`;
    assert.equal(await evaluate(code, { TZ: zone }), text);
  });
}

Deno.test("a pipe gets no colours, and a terminal does, by the word of the attendant", async () => {
  const code = (isForTerminal: boolean) =>
    `import { beAttendedBy } from "./lib/base/attendance.ts";
      import { terminalPaint } from "./lib/commands/terminal.ts";
      if (${isForTerminal}) beAttendedBy({ pid: 1, isForTerminal: true });
      console.log(JSON.stringify(terminalPaint()("x", "error")));`;
  assert.equal(await evaluate(code(false)), '"x"');
  assert.equal(await evaluate(code(true), { NO_COLOR: "" }), '"\\u001b[31mx\\u001b[39m"');
});
