// RSA signatures of the client's own: PKCS#1 v1.5 over SHA-256 (RFC 8017 8.2.1), by the Chinese remainder theorem.
import { concat, isEqual } from "../../src/util/bytes.js";
import { toBigInt, toBytes } from "./p256.js";
import type { RsaPrivateKey } from "./pkcs8.js";
import { TLSError } from "./tls-error.js";

/** `base ** exponent % modulus`; the base is below the modulus, the modulus is odd. */
export type Power = (base: bigint, exponent: bigint, modulus: bigint) => bigint;

/** DigestInfo of SHA-256 up to the digest itself. @see RFC 8017 9.2 */
const digestInfo = Object.freeze([
  ...[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01],
  ...[0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20],
]);

/**
 * Leaves this function only when the public exponent opens it: one wrong half of the calculation would give the primes away.
 *
 * @param digest  SHA-256 of the message
 * @returns       as long as the modulus
 * @throws        TLSError when the key's numbers do not belong together, or the calculation went wrong
 */
export function signRsa(key: RsaPrivateKey, digest: Uint8Array, power: Power): Uint8Array {
  const size = key.modulus.length;
  const encoded = encode(digest, size);
  const signature = privatePower(key, toBigInt(encoded), power);
  const modulus = toBigInt(key.modulus);
  const isBelow = signature >= 0n && signature < modulus;
  const opened = isBelow ? power(signature, toBigInt(key.exponent), modulus) : 0n;
  if (!isBelow || !isEqual(toBytes(opened, size), encoded)) {
    throw new TLSError("internalError", "client key: its signature is not right");
  }
  return toBytes(signature, size);
}

/** @see RFC 8017 5.1.2 */
function privatePower(
  { primes: [p, q], exponents, coefficient }: RsaPrivateKey,
  input: bigint,
  power: Power,
): bigint {
  const first = power(input % p, exponents[0], p);
  const second = power(input % q, exponents[1], q);
  const difference = ((first - second) * coefficient) % p;
  return second + q * (difference < 0n ? difference + p : difference);
}

function encode(digest: Uint8Array, size: number): Uint8Array {
  const info = concat([Uint8Array.from(digestInfo), digest]);
  const encoded = new Uint8Array(size).fill(0xff);
  encoded.set([0, 1]);
  encoded[size - info.length - 1] = 0;
  encoded.set(info, size - info.length);
  return encoded;
}
