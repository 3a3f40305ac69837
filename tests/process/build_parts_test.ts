/** What the build decides, without building. */
import assert from "node:assert/strict";
import { elfLength } from "../../scripts/build/runtime.ts";
import { collectUsedNames } from "../../scripts/build/used_names.ts";
import { planBundles, trim } from "../../scripts/build/vendor.ts";
import { requireIntegrity, requireSha256 } from "../../scripts/hashes.ts";
import { ScriptError } from "../../scripts/shell.ts";
import { isOneLineWith } from "./one_line.ts";

const SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

Deno.test("build: a file with another hash stops it with one line that has both hashes", async () => {
  const file = await Deno.makeTempFile({ prefix: "lt-build-" });
  try {
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
  } finally {
    await Deno.remove(file);
  }
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
  const imports = {
    "@optique/core": "npm:@optique/core@1.0.0",
    "@optique/run": "npm:@optique/run@1.0.0",
    "zod/mini": "npm:zod@4.0.0/mini",
  };
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
