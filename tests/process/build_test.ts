import assert from "node:assert/strict";
import { build, collectUsedNames, elfLength, planBundles, trim } from "../../scripts/build.ts";
import { requireIntegrity, requireSha256 } from "../../scripts/hashes.ts";
import { repositoryRoot, run, runOrFail, ScriptError } from "../../scripts/shell.ts";

const SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

async function withTempDir(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "lt-build-" });
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Whether an error is one clear line that has all the given parts. */
function isOneLineWith(...parts: readonly string[]): (error: unknown) => boolean {
  return (error) =>
    error instanceof ScriptError && !error.message.includes("\n") &&
    parts.every((part) => error.message.includes(part));
}

Deno.test("build: a file with another hash stops it with one line that has both hashes", async () => {
  await withTempDir(async (dir) => {
    const file = `${dir}/denort`;
    await Deno.writeTextFile(file, "abc");
    await requireSha256(file, SHA256_OF_ABC);

    await Deno.writeTextFile(file, "abd");
    const actual = "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9";
    await assert.rejects(
      requireSha256(file, SHA256_OF_ABC),
      isOneLineWith(file, actual, SHA256_OF_ABC),
    );
    await assert.rejects(
      requireIntegrity(file, "sha512-AAAA"),
      isOneLineWith(file, "expected sha512-AAAA"),
    );
  });
});

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

Deno.test("build: a runtime that is not whole is not cut", () => {
  assert.throws(() => elfLength(new TextEncoder().encode("#!/bin/sh\n".repeat(10))), ScriptError);
  const elf = new Uint8Array(64);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  const view = new DataView(elf.buffer);
  view.setBigUint64(0x28, 64n, true);
  view.setUint16(0x3a, 64, true);
  view.setUint16(0x3c, 2, true);
  assert.throws(() => elfLength(elf), isOneLineWith("64 bytes", "expected 192"));
  const whole = new Uint8Array(200);
  whole.set(elf);
  assert.equal(elfLength(whole), 192);
});

Deno.test("build: takes from npm what the source names, and no types", () => {
  const used = new Map<string, Set<string>>();
  collectUsedNames(
    "lib/a.ts",
    `
    import { object, string as text, type ZodMiniType } from "zod/mini";
    import type { Connection } from "mysql2";
    import process from "node:process";
    import { own } from "./own.ts";
    export { optional } from "@optique/core/modifiers";
    const { createConnection, raw: renamed } = await import("mysql2");
    const { other } = await import("./other.ts");
  `,
    used,
  );
  assert.deepEqual(
    used,
    new Map([
      ["zod/mini", new Set(["object", "string"])],
      ["@optique/core/modifiers", new Set(["optional"])],
      ["mysql2", new Set(["createConnection", "raw"])],
    ]),
  );
});

for (
  const source of [
    'import * as z from "zod/mini";',
    'import mysql from "mysql2";',
    'import mysql, { createConnection } from "mysql2";',
    'import "zod/mini";',
    'export * from "zod/mini";',
    'const z = await import("zod/mini");',
  ]
) {
  Deno.test(`build: refuses ${source}`, () => {
    assert.throws(
      () => collectUsedNames("lib/a.ts", source, new Map()),
      isOneLineWith("lib/a.ts", "without naming"),
    );
  });
}

Deno.test("build: packages that share a module share a bundle, and names must not clash in it", () => {
  const imports = { "@optique/core": "npm:…", "@optique/run": "npm:…", "zod/mini": "npm:…" };
  assert.deepEqual(
    planBundles(
      new Map([
        ["zod/mini", new Set(["string", "object"])],
        ["@optique/run", new Set(["run"])],
        ["@optique/core/parser", new Set(["parse"])],
      ]),
      imports,
    ),
    [
      {
        file: "optique.js",
        exports: new Map([["@optique/core/parser", ["parse"]], ["@optique/run", ["run"]]]),
      },
      { file: "zod.js", exports: new Map([["zod/mini", ["object", "string"]]]) },
    ],
  );
  assert.throws(
    () =>
      planBundles(
        new Map([["@optique/run", new Set(["run"])], ["@optique/core", new Set(["run"])]]),
        imports,
      ),
    isOneLineWith('"run"', "@optique/core", "@optique/run"),
  );
  assert.throws(
    () => planBundles(new Map([["unknown", new Set(["x"])]]), imports),
    isOneLineWith('"unknown"', "deno.json"),
  );
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

Deno.test("build: a module that is cut out leaves its wrapper, and a missing one stops it", () => {
  const bundle =
    'var require_a = __commonJS({\n  "npm/a/1.2.3/lib/b.js"(exports) {\n    big();\n  }\n});\nrest();\n';
  assert.equal(
    trim(bundle, { path: "a/lib/b.js", body: "exports.b = [];" }, "a.js"),
    'var require_a = __commonJS({\n  "npm/a/1.2.3/lib/b.js"(exports) {\nexports.b = [];\n  }\n});\nrest();\n',
  );
  assert.throws(
    () => trim(bundle, { path: "a/lib/gone.js", body: "" }, "a.js"),
    isOneLineWith("a.js", "a/lib/gone.js"),
  );
});
