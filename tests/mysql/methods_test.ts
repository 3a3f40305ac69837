import assert from "node:assert/strict";

import { capabilitiesOf } from "../../lib/mysql/flavor.ts";
import {
  chooseMethod,
  fallback,
  type MethodChoice,
  type MethodName,
  METHODS,
} from "../../lib/mysql/methods.ts";
import { EXIT, isRefusal } from "../../lib/base/refusal.ts";
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
    assert.ok(setting !== "auto" || choice.why.includes(server(version).label), choice.why);
  });
}

Deno.test("auto takes the exact method on a replica whose position would lag, and says why", () => {
  const lagging = (setting: "auto" | MethodName, version: string) => {
    const choice = chooseMethod(setting, server(version), true);
    assert.ok(!isRefusal(choice));
    return choice;
  };
  const auto = lagging("auto", "10.11.19-MariaDB");
  assert.equal(auto.method, METHODS.ftwrl);
  assert.equal(auto.otherwise, null);
  assert.match(auto.why, /^auto: this replica applies in parallel .* behind the image/);
  assert.equal(lagging("backup-stage", "10.11.19-MariaDB").method, METHODS["backup-stage"]);
  assert.equal(lagging("auto", "9.7.4").method, METHODS.ftwrl);
});

/** The choice on a server that can do what is asked. */
function chosen(setting: "auto" | MethodName, version: string): MethodChoice {
  const choice = chooseMethod(setting, server(version));
  assert.ok(!isRefusal(choice), JSON.stringify(choice));
  return choice;
}

const STAGE_REFUSED = "auto: MariaDB 10.11.19 has BACKUP STAGE, which does not wait for running " +
  "statements; BACKUP STAGE BLOCK_COMMIT was refused";

/** What the first statement failed with, and what is done instead, with the reason for the record. */
const FALLBACKS: readonly (readonly [
  sentence: string,
  setting: "auto" | MethodName,
  version: string,
  errno: number | undefined,
  why: string | null,
])[] = [
  [
    "a stage that another backup holds is not waited for",
    "auto",
    "10.11.19-MariaDB",
    1205,
    `${STAGE_REFUSED} (another session holds it), so FLUSH TABLES WITH READ LOCK`,
  ],
  [
    "a stage that the server does not know is done without",
    "auto",
    "10.11.19-MariaDB",
    1064,
    `${STAGE_REFUSED} (the server does not know it), so FLUSH TABLES WITH READ LOCK`,
  ],
  [
    "a missing privilege is no reason: FTWRL needs the same",
    "auto",
    "10.11.19-MariaDB",
    1227,
    null,
  ],
  ["a deadlock is no reason", "auto", "10.11.19-MariaDB", 1213, null],
  ["a statement that was too slow is no reason", "auto", "10.11.19-MariaDB", 1969, null],
  ["a killed statement is no reason", "auto", "10.11.19-MariaDB", 1317, null],
  [
    "an error of the socket or the driver is no reason",
    "auto",
    "10.11.19-MariaDB",
    undefined,
    null,
  ],
  [
    "what the option file names is not replaced, held elsewhere or not",
    "backup-stage",
    "10.11.19-MariaDB",
    1205,
    null,
  ],
  [
    "what the option file names is not replaced, known or not",
    "backup-stage",
    "10.11.19-MariaDB",
    1064,
    null,
  ],
  ["FTWRL of the option file has nothing behind it", "ftwrl", "10.11.19-MariaDB", 1205, null],
  [
    "FTWRL on MySQL has nothing behind it, so it is tried again instead",
    "auto",
    "9.7.4",
    1205,
    null,
  ],
  ["FTWRL on an old MariaDB has nothing behind it", "auto", "10.4.34-MariaDB", 1064, null],
];

for (const [sentence, setting, version, errno, why] of FALLBACKS) {
  Deno.test(`fallback: ${sentence}`, () => {
    const next = fallback(chosen(setting, version), errno);
    assert.deepEqual(next, why === null ? null : { method: METHODS.ftwrl, why, otherwise: null });
  });
}

Deno.test("fallback: there is one, never a second, whatever the error", () => {
  const next = fallback(chosen("auto", "10.11.19-MariaDB"), 1205);
  assert.ok(next !== null);
  for (const errno of [1064, 1205, undefined]) assert.equal(fallback(next, errno), null);
});

Deno.test("fallback: every other method needs no more than the first", () => {
  for (const version of ["5.7.44", "9.7.4", "10.4.34-MariaDB", "10.11.19-MariaDB"]) {
    const { method, otherwise } = chosen("auto", version);
    if (otherwise === null) continue;
    assert.notEqual(otherwise, method);
    assert.equal(chosen(otherwise.name, version).method, otherwise);
  }
});

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

Deno.test("no statement changes more than its own session, or waits without a bound", () => {
  for (const { acquire, release } of Object.values(METHODS)) {
    for (const statement of [...acquire, release]) {
      assert.doesNotMatch(statement, /\bglobal\b|read_only|\bkill\b/i);
    }
  }
  // Only the start of a stage has something to fall back to, so only that one is not waited for.
  const notWaiting = Object.values(METHODS).flatMap(({ acquire }) => acquire)
    .filter((statement) => statement.includes("lock_wait_timeout=0"));
  assert.deepEqual(notWaiting, [METHODS["backup-stage"].acquire[0]]);
});

Deno.test("the statements are those of the manuals, comment aside", () => {
  assert.deepEqual(METHODS.ftwrl.acquire.map(plain), ["FLUSH TABLES WITH READ LOCK"]);
  assert.equal(plain(METHODS.ftwrl.release), "UNLOCK TABLES");
  assert.deepEqual(METHODS["backup-stage"].acquire.map(plain), [
    "SET STATEMENT lock_wait_timeout=0 FOR BACKUP STAGE START",
    "BACKUP STAGE BLOCK_COMMIT",
  ]);
  assert.equal(plain(METHODS["backup-stage"].release), "BACKUP STAGE END");
});

const WAITS: readonly (readonly [
  MethodName,
  version: string,
  readers: boolean,
  writers: "all" | "committing",
])[] = [
  ["ftwrl", "9.7.4", true, "all"],
  ["ftwrl", "10.4.34-MariaDB", true, "all"],
  ["ftwrl", "10.11.19-MariaDB", false, "all"],
  ["backup-stage", "10.11.19-MariaDB", false, "committing"],
];

for (const [name, version, readers, writers] of WAITS) {
  const whom = [readers ? "readers" : "", `${writers} writers`].filter(Boolean).join(" and ");
  Deno.test(`${name} on ${version} waits for ${whom}`, () => {
    assert.equal(METHODS[name].waitsForReaders(capabilitiesOf(server(version))), readers);
    assert.equal(METHODS[name].waitsForWriters, writers);
  });
}
