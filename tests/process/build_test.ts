import assert from "node:assert/strict";
import { build } from "../../scripts/build.ts";
import { repositoryRoot, run, runOrFail } from "../../scripts/shell.ts";
import { isOneLineWith } from "./one_line.ts";

async function withTempDir(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "lt-build-" });
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("build: another runtime than the pinned one stops it, and leaves the old product", async () => {
  await withTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/lib/base`, { recursive: true });
    await Deno.mkdir(`${dir}/dist`);
    await Deno.writeTextFile(`${dir}/dist/locktables`, "the old product");
    await Deno.writeTextFile(
      `${dir}/deno.json`,
      '{"version":"0.1.0","imports":{},"compile":{"permissions":{}}}',
    );
    await Deno.writeTextFile(`${dir}/lib/base/version.ts`, 'export const VERSION = "0.1.0";\n');
    await Deno.writeTextFile(`${dir}/main.ts`, 'import "./lib/base/version.ts";\n');
    const script = new URL("../../scripts/build.ts", import.meta.url).href;
    const { code, stderr } = await run([
      Deno.execPath(),
      "eval",
      `import { build } from ${JSON.stringify(script)};
       await build({ root: ${JSON.stringify(dir)} }).catch((error) => {
         console.error(error.name, error.message);
         Deno.exit(3);
       });`,
    ], { env: { DENORT_BIN: Deno.execPath() } });
    assert.equal(code, 3);
    assert.match(stderr, /^ScriptError Wrong hash: DENORT_BIN=.*, expected 2c06411a[^\n]*\n$/);
    assert.equal(await Deno.readTextFile(`${dir}/dist/locktables`), "the old product");
  });
});

Deno.test("build: stops when lib/base/version.ts and deno.json disagree", async () => {
  await withTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/lib/base`, { recursive: true });
    await Deno.writeTextFile(`${dir}/deno.json`, '{"version":"0.2.0"}');
    await Deno.writeTextFile(`${dir}/lib/base/version.ts`, 'export const VERSION = "0.1.0";');
    await assert.rejects(build({ root: dir, log() {} }), isOneLineWith("0.1.0", "0.2.0"));
  });
});

Deno.test("build: two builds of one tree are the same to the byte, wherever and whenever", async () => {
  await withTempDir(async (dir) => {
    const parts = ["main.ts", "lib", "deno.json", "deno.lock"];
    const roots = [`${dir}/one`, `${dir}/deeper/down/other`];
    const products: string[] = [];
    for (const root of roots) {
      await Deno.mkdir(root, { recursive: true });
      // Plain cp: each copy gets times of its own. Each bundles its npm part anew, too.
      await runOrFail("cp", [
        "cp",
        "-r",
        ...parts.map((part) => `${repositoryRoot()}/${part}`),
        root,
      ]);
      const { sha256, bytes, binary } = await build({ root, log() {} });
      assert.equal((await Deno.stat(binary)).size, bytes);
      products.push(sha256);
    }
    assert.equal(products[0], products[1]);
  });
});
