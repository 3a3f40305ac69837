import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey, sign } from "node:crypto";
import fc from "fast-check";

import { signChallenge } from "../../lib/mysql/ed25519_auth.ts";
import { repositoryRoot, runOrFail } from "../../scripts/shell.ts";

/** A key of RFC 8410 is this prefix and the secret's 32 bytes. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/** Signs as the RFC has it, with a secret of 32 bytes and by another implementation. */
function signByOpenssl(secret: Uint8Array, message: Uint8Array): Buffer {
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, secret]),
    format: "der",
    type: "pkcs8",
  });
  return sign(null, message, key);
}

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

Deno.test("with a secret of 32 bytes it is the Ed25519 of RFC 8032", () => {
  fc.assert(
    fc.property(bytes(32), bytes(32), (secret, challenge) => {
      assert.deepEqual(
        Buffer.from(signChallenge(secret, challenge)),
        signByOpenssl(secret, challenge),
      );
    }),
    { numRuns: 50 },
  );
});

/**
 * Password, challenge, and what MariaDB's own client (libmariadb3 1:10.11.19, client_ed25519.so)
 * answered to a server made up to ask for just that challenge.
 */
const FROM_MARIADB: readonly (readonly [password: string, challenge: string, answer: string])[] = [
  [
    "secret",
    "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9",
    "71487f1225cd78e84e12f7d708ede5a5717520513a51f4d85a00a8383b40cd9b78b6c65b34a62a04ec67e4523d30e376a8e8f565be2e052a329c6d055f64dd00",
  ],
  [
    "x",
    "c8cfd6dde4ebf2f900070e151c232a31383f464d545b626970777e858c939aa1",
    "e5b19a0bd2aa87eb3fda3a807da4e729722145dd0c816d3439b56ba3e81b8876f1d818d05a2e51bf17aa6ae0d027937bdcce34712a246ce28956f39df8920c02",
  ],
  [
    "pässwörd €",
    "050c131a21282f363d444b525960676e757c838a91989fa6adb4bbc2c9d0d7de",
    "2648b832db04857f024ce6654bb7e7573457af6d3a6e20d00ae90b1669849e2b3cda99d2d1bee6b31c7929e21808f845388d231d9a2095f7f2b9961c08b08b03",
  ],
  [
    "correct horse battery staple and more than sixty-four bytes of it, on and on",
    "0910171e252c333a41484f565d646b727980878e959ca3aab1b8bfc6cdd4dbe2",
    "5b1ee2f9d577fdd2c338146d8609271295408f0a7f719327bed994bb950ad4aa48f0fc73bad94cedb38867dc2203e26bfcfff3f143e5e3e336089bcfffb6200a",
  ],
];

for (const [password, challenge, answer] of FROM_MARIADB) {
  Deno.test(`the password ${JSON.stringify(password)} signs as MariaDB's own client does`, () => {
    const signed = signChallenge(Buffer.from(password), Buffer.from(challenge, "hex"));
    assert.equal(Buffer.from(signed).toString("hex"), answer);
  });
}

Deno.test("a challenge of another length is refused, and not signed in part", () => {
  for (const length of [0, 20, 31, 33, 64]) {
    assert.throws(
      () => signChallenge(Buffer.from("secret"), new Uint8Array(length)),
      new RegExp(`has ${length} bytes, expected 32`),
    );
  }
});

Deno.test("the arithmetic is loaded only when a server asks for it", async () => {
  const { stdout } = await runOrFail("deno info", [
    Deno.execPath(),
    "info",
    "--json",
    `${repositoryRoot()}/main.ts`,
  ]);
  const { modules } = JSON.parse(stdout) as {
    modules: { specifier: string; dependencies?: { specifier: string; isDynamic?: boolean }[] }[];
  };
  const importers = modules.flatMap(({ specifier, dependencies = [] }) =>
    dependencies
      .filter((dependency) => /noble|ed25519_auth/.test(dependency.specifier))
      .map(({ isDynamic }) => `${specifier.split("/lib/")[1]} ${isDynamic ? "lazy" : "static"}`)
  );
  assert.deepEqual(importers.sort(), ["mysql/ed25519_auth.ts static", "mysql/session.ts lazy"]);
});
