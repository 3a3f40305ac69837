import assert from "node:assert/strict";

import type { FindingCode } from "../../lib/check/catalogue.ts";
import {
  exitCodeOf,
  type Finding,
  finding,
  fromRefusal,
  reported,
} from "../../lib/check/finding.ts";
import { checkText } from "../../lib/check/text.ts";
import { textOf } from "../../lib/base/styled.ts";
import { EXIT, refusal } from "../../lib/base/refusal.ts";

/** A finding, of an instance where there is a name before the colon: `a:method`. */
function of(text: string): Finding {
  const [instance, code] = text.includes(":") ? text.split(":") : [null, text];
  return finding(code as FindingCode, "Title", { instance: instance ?? null });
}

const HIDING: readonly (readonly [sentence: string, found: string, left: string])[] = [
  [
    "the most severe comes first, then the order of the catalogue",
    "a:no-binlog a:method a:blocker last-window-bad a:server-taken disk-full",
    "disk-full a:server-taken last-window-bad a:blocker a:method a:no-binlog",
  ],
  ["whoever is not root sees nothing else", "not-root bad-setting window-open", "not-root"],
  [
    "a bad option file hides the servers, and not the windows",
    "bad-option-file a:access-denied b:method b:path-unseen last-window-bad disk-full",
    "bad-option-file disk-full last-window-bad",
  ],
  [
    "a server that is not reached hides what it was to be asked, and not another one",
    "a:no-socket a:method a:path-unseen b:method b:path-unseen",
    "a:no-socket b:path-unseen b:method",
  ],
  [
    "an open window hides what its own lock does",
    "window-open a:galera-not-synced a:server-taken a:lock-held-elsewhere a:lock-awaited a:blocker",
    "window-open a:blocker",
  ],
  [
    "a silent locker hides the same",
    "locker-silent a:galera-not-synced a:lock-awaited a:blocker",
    "locker-silent a:blocker",
  ],
  [
    "who holds a lock says more than who waits for it, on the same server",
    "a:lock-held-elsewhere a:lock-awaited b:lock-awaited",
    "a:lock-held-elsewhere b:lock-awaited",
  ],
];

for (const [sentence, found, left] of HIDING) {
  Deno.test(sentence, () => {
    const named = reported(found.split(" ").map(of)).map(({ instance, code }) =>
      instance === null ? code : `${instance}:${code}`
    );
    assert.deepEqual(named, left.split(" "));
  });
}

Deno.test("the exit code is that of the first error, and 0 without one", () => {
  assert.equal(exitCodeOf([]), EXIT.ok);
  assert.equal(exitCodeOf(["blocker", "method"].map(of)), EXIT.ok);
  assert.equal(exitCodeOf(reported(["b:access-denied", "a:no-socket"].map(of))), EXIT.unreachable);
  assert.equal(exitCodeOf(["a:server-taken"].map(of)), EXIT.windowOpen);
  assert.equal(exitCodeOf(["a:galera-not-synced"].map(of)), EXIT.lockNotObtained);
});

Deno.test("a refusal with a remedy needs no hint, one without says what to do", () => {
  const parts = [EXIT.denied, "account-locked", "Cannot log in", "Unlock it"] as const;
  assert.deepEqual(fromRefusal(refusal(...parts, "unlock"), "main"), {
    code: "account-locked",
    severity: "error",
    title: "Cannot log in",
    remedy: "unlock",
    instance: "main",
  });
  assert.equal(fromRefusal(refusal(...parts)).title, "Cannot log in. Unlock it");
});

Deno.test("a refusal that nobody knows is a defect", () => {
  assert.throws(() => fromRefusal(refusal(EXIT.denied, "kept-twice", "No", "Do")), /kept-twice/);
});

Deno.test("a title is one line and moves no cursor, whatever a table is called", () => {
  assert.equal(finding("blocker", "a\n\tb\u001b[2Jc\u2028d").title, "a b [2Jc d");
});

const TEXTS: readonly (readonly [sentence: string, found: readonly Finding[], text: string])[] = [
  [
    "nothing found is one line",
    [],
    "Ready: nothing was found that would make tonight's freeze fail.",
  ],
  [
    "each severity has its heading, each remedy its own line, and the last line sums up",
    [
      finding("bad-setting", "One", { remedy: "sed -i x" }),
      finding("blocker", "Two"),
      finding("method", "Three"),
    ],
    [
      "Errors:",
      "  One [bad-setting]",
      "      sed -i x",
      "",
      "Warnings:",
      "  Two [blocker]",
      "",
      "Notes:",
      "  Three [method]",
      "",
      "1 error, 1 warning: tonight's freeze would fail.",
    ].join("\n"),
  ],
  [
    "errors alone are counted alone",
    [finding("bad-setting", "One"), finding("disk-full", "Two")],
    "Errors:\n  One [bad-setting]\n  Two [disk-full]\n\n2 errors: tonight's freeze would fail.",
  ],
  [
    "warnings do not keep anybody from being ready",
    [finding("blocker", "One"), finding("window-open", "Two")],
    "Warnings:\n  One [blocker]\n  Two [window-open]\n\nReady, with 2 warnings.",
  ],
];

for (const [sentence, found, text] of TEXTS) {
  Deno.test(sentence, () => assert.equal(textOf(checkText(found)), text));
}
