import assert from "node:assert/strict";

import { CATALOGUE, entryOf, type FindingCode } from "../../lib/check/catalogue.ts";
import { HOOK_CASES } from "../install/check_hook_cases.ts";
import { SERVER_CASES } from "../server/check_cases.ts";
import type { CheckCase } from "../support/check_guest.ts";
import { GALERA_CASES, GROUP_CASES, replicaCases } from "../topology/check_cases.ts";

const CODES = Object.keys(CATALOGUE) as FindingCode[];
const THEMES = new Set(CODES.map((code) => entryOf(code).theme));

/** A source that nobody asks anything. */
const NO_SOURCE = { kill9: () => Promise.resolve(), restart: () => Promise.resolve() };

const CASES: readonly Pick<CheckCase, "code" | "name">[] = [
  ...HOOK_CASES,
  ...SERVER_CASES,
  ...replicaCases(NO_SOURCE),
  ...GALERA_CASES,
  ...GROUP_CASES,
];

Deno.test("every finding is provoked on a real server or file tree by some test", () => {
  const provoked = new Set(CASES.map(({ code }) => code));
  assert.deepEqual(CODES.filter((code) => !provoked.has(code)), []);
});

Deno.test("no two cases of a finding have one name", () => {
  const names = CASES.map(({ code, name }) => `${code}: ${name}`);
  assert.equal(new Set(names).size, names.length);
});

Deno.test("every code is words with dashes between them", () => {
  for (const code of CODES) assert.match(code, /^[a-z0-9]+(-[a-z0-9]+)*$/);
});

Deno.test("an error has an exit code, and nothing else has", () => {
  for (const code of CODES) {
    const { severity, exit } = entryOf(code);
    assert.equal(severity === "error", exit !== undefined, code);
    assert.notEqual(exit, 0, code);
  }
});

Deno.test("what a finding hides is a code or a theme that there is", () => {
  for (const code of CODES) {
    for (const hidden of entryOf(code).hides ?? []) {
      assert.ok(
        THEMES.has(hidden as never) || (CODES as string[]).includes(hidden),
        `${code} hides ${hidden}`,
      );
    }
  }
});

Deno.test("no finding hides itself, not even over others", () => {
  const hiddenBy = (code: FindingCode) =>
    CODES.filter((other) => {
      const hides = entryOf(code).hides ?? [];
      return hides.includes(other) || hides.includes(entryOf(other).theme);
    });
  for (const code of CODES) {
    const reached = new Set<FindingCode>();
    const next = hiddenBy(code);
    for (let one = next.pop(); one !== undefined; one = next.pop()) {
      if (reached.has(one)) continue;
      reached.add(one);
      next.push(...hiddenBy(one));
    }
    assert.ok(!reached.has(code), code);
  }
});
