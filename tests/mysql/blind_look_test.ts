import assert from "node:assert/strict";
import { orBlind } from "../../lib/mysql/blind_look.ts";

const CASES: readonly {
  readonly name: string;
  readonly thrown: unknown;
  readonly noted: readonly RegExp[];
}[] = [
  {
    name: "an error of the server is noted, and the rest goes on",
    thrown: Object.assign(new Error("Can't create/write to file"), { errno: 1 }),
    noted: [/^the guard did not see the locks: error 1: Can't create.*guard-blind/],
  },
  {
    name: "what the account may not ask is documented, and no news",
    thrown: Object.assign(new Error("SELECT command denied"), { errno: 1142 }),
    noted: [],
  },
];

for (const { name, thrown, noted } of CASES) {
  Deno.test(`a look that is refused: ${name}`, async () => {
    const lines: string[] = [];
    const rows = await orBlind("the locks", () => Promise.reject(thrown), ["x"], (line) => {
      lines.push(line);
    });
    assert.deepEqual(rows, ["x"]);
    assert.equal(lines.length, noted.length);
    noted.forEach((pattern, at) => assert.match(lines[at] ?? "", pattern));
  });
}

Deno.test("a session that does not answer is no blind look", async () => {
  const lost = { code: "NO_ANSWER", message: "No answer within 5000 ms" };
  await assert.rejects(
    orBlind("the locks", () => Promise.reject(lost), [], () => assert.fail("noted")),
    (error) => error === lost,
  );
});
