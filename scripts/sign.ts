/** The releaser's OpenPGP key, and the signature of a release's checksums. */

import { runOrFail, ScriptError } from "./shell.ts";

/** The public key, as it is published beside the signature. */
export const PUBLIC_KEY_FILE = "locktables-release-key.gpg";

/** The signature of SHA256SUMS. */
export const SIGNATURE_FILE = "SHA256SUMS.asc";

/** Whoever signs may have to type a passphrase first. */
const SIGN_TIMEOUT_MS = 300_000;

/** Who signs a release. */
export interface ReleaseKey {
  /** 40 digits; install.sh is bound to it. */
  readonly fingerprint: string;
  /** The public part, without what others have certified of it. */
  readonly publicKey: Uint8Array;
}

/** Finds the key that `gpg` knows by a fingerprint, an address or a number. */
export async function releaseKey(name: string): Promise<ReleaseKey> {
  const listed = await runOrFail(`Looking for the key ${name}`, [
    "gpg",
    "--batch",
    "--with-colons",
    "--list-secret-keys",
    "--",
    name,
  ]);
  const fingerprints = primaryFingerprints(listed.stdout);
  const [fingerprint] = fingerprints;
  if (fingerprint === undefined || fingerprints.length > 1) {
    throw new ScriptError(
      `--sign ${name} is ${fingerprints.length} keys, wanted one: ${fingerprints.join(" ")}`,
    );
  }
  const exported = await new Deno.Command("gpg", {
    args: ["--batch", "--export-options", "export-minimal", "--export", fingerprint],
    stdin: "null",
  }).output();
  if (!exported.success || exported.stdout.length === 0) {
    throw new ScriptError(`gpg cannot export the key ${fingerprint}`);
  }
  return { fingerprint, publicKey: exported.stdout };
}

/** The key in a file, of which only the public part is known. */
export async function readPublicKey(path: string): Promise<ReleaseKey> {
  const { stdout } = await runOrFail(`Reading ${path}`, [
    "gpg",
    "--batch",
    "--with-colons",
    "--show-keys",
    "--",
    path,
  ]);
  const fingerprints = primaryFingerprints(stdout);
  const [fingerprint] = fingerprints;
  if (fingerprint === undefined || fingerprints.length > 1) {
    throw new ScriptError(`${path} has ${fingerprints.length} keys, wanted one`);
  }
  return { fingerprint, publicKey: await Deno.readFile(path) };
}

/** The fingerprints of whole keys in what `gpg --with-colons` lists. Pure. */
export function primaryFingerprints(listed: string): readonly string[] {
  const found: string[] = [];
  let isPrimary = false;
  for (const line of listed.split("\n")) {
    const fields = line.split(":");
    if (fields[0] === "sec" || fields[0] === "pub") isPrimary = true;
    else if (fields[0] === "fpr" && isPrimary) {
      found.push(fields[9] ?? "");
      isPrimary = false;
    }
  }
  return found;
}

/** Signs a file, into another that is not there yet. */
export async function signFile(key: ReleaseKey, path: string, signature: string): Promise<void> {
  await runOrFail(`Signing with ${key.fingerprint}`, [
    "gpg",
    "--batch",
    "--armor",
    "--local-user",
    key.fingerprint,
    "--output",
    signature,
    "--detach-sign",
    path,
  ], { timeoutMs: SIGN_TIMEOUT_MS });
}
