/**
 * MariaDB's login plugin `client_ed25519`, which the driver does not have: the client signs the
 * server's random bytes with a key made from the password.
 *
 * It is Ed25519 as in RFC 8032 5.1.6 but for one thing: the secret is the password itself, of any
 * length, where the RFC wants 32 random bytes. Every sign function of a library refuses that, so
 * the five steps stand here, on the curve arithmetic of a library. Sources: MariaDB server,
 * `plugin/auth_ed25519/client_ed25519.c` and `ref10/sign.c`, `ref10/keypair.c`.
 *
 * Loaded only when a server asks for the plugin (see `session.ts`).
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { Point } from "@noble/ed25519";

/** Length of the random bytes to be signed: CRYPTO_BYTES / 2 in `crypto_sign.h`. */
const CHALLENGE_BYTES = 32;

/** Order of the base point: L of RFC 8032 5.1. */
const ORDER = Point.CURVE().n;

/** The 64 bytes that answer the server's challenge. */
export function signChallenge(password: Uint8Array, challenge: Uint8Array): Uint8Array {
  if (challenge.length !== CHALLENGE_BYTES) {
    throw new Error(
      `The server's ed25519 challenge has ${challenge.length} bytes, expected ${CHALLENGE_BYTES}`,
    );
  }
  const expanded = sha512(password);
  const secret = littleEndian(clamped(expanded.subarray(0, 32)));
  const publicKey = multiplyBase(secret);
  const nonce = littleEndian(sha512(expanded.subarray(32), challenge));
  const commitment = multiplyBase(nonce);
  const hash = littleEndian(sha512(commitment, publicKey, challenge));
  return Buffer.concat([commitment, scalarBytes((nonce + hash * secret) % ORDER)]);
}

/** RFC 8032 5.1.5, step 2: a multiple of the cofactor with its highest bit set. */
function clamped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[0] = (copy[0] ?? 0) & 0xf8;
  copy[31] = (copy[31] ?? 0) & 0x3f | 0x40;
  return copy;
}

function multiplyBase(scalar: bigint): Uint8Array {
  return Point.BASE.multiply(scalar % ORDER).toBytes();
}

function sha512(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha512");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
}

function scalarBytes(scalar: bigint): Uint8Array {
  return Buffer.from(scalar.toString(16).padStart(64, "0"), "hex").reverse();
}
