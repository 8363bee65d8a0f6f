// Whether a signature is that of a key: encodings, ranges and lengths are judged here, the host only calculates.
import { AgentError } from "../errors.js";
import type { Crypto, CurveName, HashName } from "../host.js";
import { concat, isEqual, toHex } from "../util/bytes.js";
import {
  bitLength,
  curveBytes,
  hashBytes,
  type PublicKey,
  type SignatureScheme,
} from "./algorithm.js";
import { tag } from "./der.js";
import { DerReader } from "./der-reader.js";

type RsaKey = Extract<PublicKey, { kind: "rsa" }>;

/** What is calculated elsewhere. */
export type Verifier = Pick<Crypto, "digest" | "verifyEcdsa" | "rsaPublic">;

export interface SignatureQuestion {
  /** As `parsePublicKey` gives it: sizes and exponent are those that are taken. */
  readonly key: PublicKey;
  readonly scheme: SignatureScheme;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** Orders of the curves in hexadecimal. @see SEC 2 */
const orders: Readonly<Record<CurveName, string>> = Object.freeze({
  "P-256": "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
  "P-384":
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
});

/** @returns false for a signature that is wrong, malformed, or of another kind than the key. */
export function isSignature(crypto: Verifier, question: SignatureQuestion): boolean {
  const { key, scheme, message, signature } = question;
  if (key.kind === "ec") {
    const halves = scheme.kind === "ecdsa" ? parseEcdsa(key.curve, signature) : undefined;
    if (halves === undefined) return false;
    return crypto.verifyEcdsa(key.curve, key.point, scheme.hash, message, halves.r, halves.s);
  }
  if (scheme.kind === "ecdsa") return false;
  const encoded = openRsa(crypto, key, signature);
  if (encoded === undefined) return false;
  const digest = crypto.digest(scheme.hash, message);
  return scheme.kind === "pkcs1"
    ? isEqual(encoded, encodePkcs1(scheme.hash, digest, encoded.length))
    : isPss(crypto, scheme.hash, digest, encoded, bitLength(key.modulus) - 1);
}

/** As `SignatureQuestion`, of a message that has been read before, in parts. */
export interface DigestQuestion {
  readonly key: PublicKey;
  readonly hash: HashName;
  readonly digest: Uint8Array;
  /** ECDSA as DER, or PKCS#1 v1.5, as the key is. */
  readonly signature: Uint8Array;
}

/** @returns false for a signature that is wrong, malformed, or of another kind than the key. */
export function isDigestSignature(
  crypto: Pick<Crypto, "verifyEcdsaDigest" | "rsaPublic">,
  { key, hash, digest, signature }: DigestQuestion,
): boolean {
  if (key.kind === "ec") {
    const halves = parseEcdsa(key.curve, signature);
    if (halves === undefined) return false;
    return crypto.verifyEcdsaDigest(key.curve, key.point, digest, halves.r, halves.s);
  }
  const encoded = openRsa(crypto, key, signature);
  return encoded !== undefined && isEqual(encoded, encodePkcs1(hash, digest, encoded.length));
}

export interface EcdsaSignature {
  /** Big-endian, as long as the order, from 1 to the order less one. */
  readonly r: Uint8Array;
  readonly s: Uint8Array;
}

/** @param der SEQUENCE { INTEGER r, INTEGER s }. @returns undefined when it is anything else or a half is out of range. */
export function parseEcdsa(curve: CurveName, der: Uint8Array): EcdsaSignature | undefined {
  try {
    const outer = new DerReader(der, "signature");
    const pair = outer.enter(tag.sequence);
    outer.end();
    const [r, s] = [scalar(curve, pair.unsigned()), scalar(curve, pair.unsigned())];
    pair.end();
    return r === undefined || s === undefined ? undefined : { r, s };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    // What cannot be read is a wrong signature.
    return undefined;
  }
}

function scalar(curve: CurveName, magnitude: Uint8Array): Uint8Array | undefined {
  const size = curveBytes[curve];
  if (magnitude.length > size || magnitude[0] === 0) return undefined;
  const padded = concat([new Uint8Array(size - magnitude.length), magnitude]);
  return toHex(padded) < orders[curve] ? padded : undefined;
}

/** The encoded message in the signature, as long as the modulus. */
function openRsa(
  crypto: Pick<Crypto, "rsaPublic">,
  key: RsaKey,
  signature: Uint8Array,
): Uint8Array | undefined {
  const { modulus, exponent } = key;
  if (signature.length !== modulus.length || !isBelow(signature, modulus)) return undefined;
  return crypto.rsaPublic(modulus, exponent, signature);
}

/** As numbers, big-endian and equally long. */
function isBelow(a: Uint8Array, b: Uint8Array): boolean {
  const first = a.findIndex((octet, i) => octet !== b[i]);
  return first >= 0 && a[first]! < b[first]!;
}

/** DigestInfo up to the digest itself. @see RFC 8017 9.2 */
function digestInfo(hash: HashName): Uint8Array {
  const arc = hash === "SHA-256" ? 1 : hash === "SHA-384" ? 2 : 3;
  const size = hashBytes[hash];
  return Uint8Array.of(
    ...[0x30, 17 + size, 0x30, 0x0d, 0x06, 0x09],
    ...[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc],
    ...[0x05, 0x00, 0x04, size],
  );
}

/** EMSA-PKCS1-v1_5: compared as a whole, never parsed. */
function encodePkcs1(hash: HashName, digest: Uint8Array, size: number): Uint8Array {
  const info = concat([digestInfo(hash), digest]);
  const encoded = new Uint8Array(size).fill(0xff);
  encoded.set([0, 1]);
  encoded[size - info.length - 1] = 0;
  encoded.set(info, size - info.length);
  return encoded;
}

/** EMSA-PSS with a salt as long as the digest and the same hash in the mask. @see RFC 8017 9.1.2 */
function isPss(
  crypto: Verifier,
  hash: HashName,
  digest: Uint8Array,
  opened: Uint8Array,
  bits: number,
): boolean {
  const size = Math.ceil(bits / 8);
  if (opened.length > size && opened[0] !== 0) return false;
  const encoded = opened.subarray(opened.length - size);
  const split = size - digest.length - 1;
  const seed = encoded.subarray(split, size - 1);
  if (encoded[size - 1] !== 0xbc) return false;
  const topMask = 0xff >> (8 * size - bits);
  if ((encoded[0]! & ~topMask) !== 0) return false;
  const block = unmask(crypto, hash, seed, encoded.subarray(0, split));
  block[0]! &= topMask;
  const start = split - digest.length;
  // Zeros, a one, the salt.
  if (block[start - 1] !== 1 || block.subarray(0, start - 1).some(octet => octet !== 0)) {
    return false;
  }
  const whole = concat([new Uint8Array(8), digest, block.subarray(start)]);
  return isEqual(seed, crypto.digest(hash, whole));
}

/** Takes away the mask of MGF1. @see RFC 8017 B.2.1 */
function unmask(
  crypto: Verifier,
  hash: HashName,
  seed: Uint8Array,
  masked: Uint8Array,
): Uint8Array {
  const size = hashBytes[hash];
  const result = masked.slice();
  for (let counter = 0; counter * size < masked.length; counter++) {
    const mask = crypto.digest(hash, concat([seed, Uint8Array.of(0, 0, 0, counter)]));
    const end = Math.min(size, masked.length - counter * size);
    for (let i = 0; i < end; i++) result[counter * size + i]! ^= mask[i]!;
  }
  return result;
}
