import assert from "node:assert/strict";
import { repositoryRoot } from "../../scripts/shell.ts";

Deno.test("every test that SECURITY.md names is there", async () => {
  const root = repositoryRoot();
  const text = (await Deno.readTextFile(`${root}/.github/SECURITY.md`)).replaceAll(/\s+/g, " ");
  const claims = [...text.matchAll(/`(tests\/[^`]+)`: ((?:"[^"]+"[^"`]*)+)/g)];
  assert.ok(claims.length > 5, "the page names tests");
  for (const [, path = "", names = ""] of claims) {
    const source = await Deno.readTextFile(`${root}/${path}`);
    for (const [, name = ""] of names.matchAll(/"([^"]+)"/g)) {
      assert.ok(source.includes(name), `${path}: ${name}`);
    }
  }
});
