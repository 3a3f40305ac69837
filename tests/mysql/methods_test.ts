import assert from "node:assert/strict";

import { capabilitiesOf } from "../../lib/mysql/flavor.ts";
import { chooseMethod, type MethodName, METHODS } from "../../lib/mysql/methods.ts";
import { EXIT, isRefusal } from "../../lib/report/refusal.ts";
import { server } from "./servers.ts";

const CHOICES: readonly (readonly ["auto" | MethodName, version: string, MethodName | null])[] = [
  ["auto", "5.7.44", "ftwrl"],
  ["auto", "8.0.36", "ftwrl"],
  ["auto", "9.7.4", "ftwrl"],
  ["auto", "10.4.34-MariaDB", "ftwrl"],
  ["auto", "10.5.0-MariaDB", "backup-stage"],
  ["auto", "10.11.19-MariaDB", "backup-stage"],
  ["auto", "12.1.2-MariaDB", "backup-stage"],
  ["ftwrl", "9.7.4", "ftwrl"],
  ["ftwrl", "10.11.19-MariaDB", "ftwrl"],
  ["backup-stage", "10.11.19-MariaDB", "backup-stage"],
  ["backup-stage", "10.4.34-MariaDB", null],
  ["backup-stage", "9.7.4", null],
];

for (const [setting, version, expected] of CHOICES) {
  Deno.test(`method=${setting} on ${version} is ${expected ?? "refused"}`, () => {
    const choice = chooseMethod(setting, server(version));
    if (isRefusal(choice)) {
      assert.equal(expected, null);
      assert.equal(choice.code, EXIT.badSetup);
      assert.equal(choice.reason, "method-unavailable");
      assert.match(choice.summary, /^method=backup-stage needs MariaDB 10\.5 or later/);
      assert.ok(choice.summary.includes(server(version).label));
      return;
    }
    assert.equal(choice.method, expected === null ? null : METHODS[expected]);
    assert.match(choice.why, setting === "auto" ? /^auto: / : new RegExp(`^method=${setting} in`));
  });
}

Deno.test("every statement says whose it is, and every method gives back what it takes", () => {
  for (const [name, method] of Object.entries(METHODS)) {
    assert.equal(method.name, name);
    assert.ok(method.acquire.length > 0);
    for (const statement of [...method.acquire, method.release]) {
      assert.ok(statement.includes("/* locktables */"), statement);
      assert.ok(!statement.includes(";"), statement);
    }
  }
});

const plain = (statement: string) => statement.replace("/* locktables */ ", "");

Deno.test("the statements are those of the manuals, comment aside", () => {
  assert.deepEqual(METHODS.ftwrl.acquire.map(plain), ["FLUSH TABLES WITH READ LOCK"]);
  assert.equal(plain(METHODS.ftwrl.release), "UNLOCK TABLES");
  assert.deepEqual(METHODS["backup-stage"].acquire.map(plain), [
    "BACKUP STAGE START",
    "BACKUP STAGE BLOCK_COMMIT",
  ]);
  assert.equal(plain(METHODS["backup-stage"].release), "BACKUP STAGE END");
});

const WAITS:
  readonly (readonly [MethodName, version: string, readers: boolean, writers: boolean])[] = [
    ["ftwrl", "9.7.4", true, true],
    ["ftwrl", "10.4.34-MariaDB", true, true],
    ["ftwrl", "10.11.19-MariaDB", false, true],
    ["backup-stage", "10.11.19-MariaDB", false, false],
  ];

for (const [name, version, readers, writers] of WAITS) {
  const whom = [readers ? "readers" : "", writers ? "writers" : ""].filter(Boolean).join(" and ");
  Deno.test(`${name} on ${version} waits for ${whom || "nobody"}`, () => {
    assert.equal(METHODS[name].waitsForReaders(capabilitiesOf(server(version))), readers);
    assert.equal(METHODS[name].waitsForWriters, writers);
  });
}
