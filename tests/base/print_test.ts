import assert from "node:assert/strict";
import fc from "fast-check";
import { fitted, HOOK_TEXT_LIMIT } from "../../lib/base/print.ts";

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

Deno.test("a text that fits is left as it is", () => {
  assert.equal(fitted("what", ". remedy.", HOOK_TEXT_LIMIT), "what. remedy.");
});

Deno.test("a text that is too long loses the end of what was found, and keeps the remedy", () => {
  const line = fitted(`cause ${"x".repeat(3_000)}`, ". KILL QUERY 5.", HOOK_TEXT_LIMIT);
  assert.match(line, /^cause x+…\. KILL QUERY 5\.$/);
  assert.equal(bytesOf(line), HOOK_TEXT_LIMIT);
});

Deno.test("a remedy that leaves no room for the cause gives way to it", () => {
  const line = fitted("cause. ", "y".repeat(3_000), HOOK_TEXT_LIMIT);
  assert.match(line, /^cause\. y+…$/);
  assert.equal(bytesOf(line), HOOK_TEXT_LIMIT);
});

Deno.test("where too little would be left of a text, nothing is printed of it", () => {
  assert.equal(fitted("x".repeat(300), "", 199), "");
  assert.equal(fitted("x".repeat(300), "y".repeat(300), 199), "");
});

Deno.test("people may read as much as there is", () => {
  const text = "x".repeat(100_000);
  assert.equal(fitted(text, "", Number.POSITIVE_INFINITY), text);
});

Deno.test("no text is longer than its limit, and none has half a character", () => {
  fc.assert(fc.property(
    fc.string({ unit: "grapheme", maxLength: 2_000 }),
    fc.string({ unit: "grapheme", maxLength: 500 }),
    fc.nat(2_000),
    (what, remedy, limit) => {
      const line = fitted(what, remedy, limit);
      assert.ok(bytesOf(line) <= limit);
      assert.ok(line.isWellFormed());
      const whole = what + remedy;
      assert.ok(line === whole || line === "" || whole.startsWith(line.split("…")[0] ?? "?"));
    },
  ));
});
