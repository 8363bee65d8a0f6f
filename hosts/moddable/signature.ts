// Verifying signatures of certificates and key exchanges, with every bound checked before any arithmetic.
import Curve from "curve";
import ECDSA from "ecdsa";
import ECPoint from "ecp";
import Modular from "modular";
import { toHex } from "../../src/trust/der-reader.js";
import { concat, isEqual } from "../../src/util/bytes.js";
import type { PublicKey } from "./certificate.js";
import { sha256 } from "./crypto.js";
import { parseSignature, type Signature, scalarBytes, toBigInt, toBytes } from "./p256.js";

type RsaKey = Extract<PublicKey, { kind: "rsa" }>;

const minModulusBits = 2048;
const maxModulusBits = 4096;
/** 65537, as the key carries it: on XS a preloaded BigInt is never `===` to one that was computed. */
const exponentHex = "010001";

/** DigestInfo of SHA-256 up to the digest itself. @see RFC 8017 9.2 */
const sha256Info = Object.freeze([
  0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
  0x00, 0x04, 0x20,
]);

/** ECDSA on P-256 or RSA PKCS#1 v1.5, both over SHA-256. @returns false for anything else, however it is malformed. */
export function verifySignature(
  key: PublicKey,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (key.kind === "p256") return verifyEcdsa(key.point, message, signature);
  return key.kind === "rsa" && verifyRsa(key, message, signature);
}

/** The form in which the SDK's handshake code takes a server's key. */
export function nativeKey(key: PublicKey): object {
  if (key.kind === "p256") return { pub: nativePoint(key.point), curve: new Curve("secp256r1") };
  if (key.kind === "rsa") {
    return { modulus: toBigInt(key.modulus), exponent: toBigInt(key.exponent) };
  }
  return {};
}

function nativePoint(point: Uint8Array): ECPoint {
  return new ECPoint(toBigInt(point.subarray(1, 33)), toBigInt(point.subarray(33)));
}

function verifyEcdsa(point: Uint8Array, message: Uint8Array, der: Uint8Array): boolean {
  const signature = signatureIn(der);
  if (signature === undefined) return false;
  const halves = concat([toBytes(signature.r, scalarBytes), toBytes(signature.s, scalarBytes)]);
  const ecdsa = new ECDSA(nativePoint(point), new Curve("secp256r1"));
  return ecdsa.verify(bufferOf(sha256(message)), bufferOf(halves));
}

function signatureIn(der: Uint8Array): Signature | undefined {
  try {
    return parseSignature(der);
  } catch {
    // A signature that cannot be read is a wrong one.
    return undefined;
  }
}

function verifyRsa(key: RsaKey, message: Uint8Array, signature: Uint8Array): boolean {
  const size = key.modulus.length;
  const modulus = toBigInt(key.modulus);
  if (size < minModulusBits / 8 || size > maxModulusBits / 8) return false;
  if (key.modulus[0]! < 0x80 || (key.modulus[size - 1]! & 1) === 0) return false;
  if (toHex(key.exponent) !== exponentHex || signature.length !== size) return false;
  const value = toBigInt(signature);
  if (value >= modulus) return false;
  const found = toBytes(new Modular(modulus).exp(value, toBigInt(key.exponent)), size);
  return isEqual(found, encodeMessage(message, size));
}

/** EMSA-PKCS1-v1_5: compared as a whole, never parsed. */
function encodeMessage(message: Uint8Array, size: number): Uint8Array {
  const encoded = new Uint8Array(size).fill(0xff);
  encoded.set([0, 1]);
  const digest = sha256(message);
  encoded.set(digest, size - digest.length);
  encoded.set(sha256Info, size - digest.length - sha256Info.length);
  encoded[size - digest.length - sha256Info.length - 1] = 0;
  return encoded;
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}
