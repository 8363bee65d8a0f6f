// The curve P-256 (FIPS 186-5, SEC 2): its constants and the checks of what comes from elsewhere.
import { element, tag } from "../../src/trust/der.js";
import { toHex } from "../../src/util/bytes.js";

export const scalarBytes = 32;
export const pointBytes = 65;

export const p256 = Object.freeze({
  prime: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
  b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
});

export function toBigInt(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`);
}

/** Big-endian, padded on the left. @param value below 2 ** (8 * length) */
export function toBytes(value: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let rest = value;
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** A number that can be a private key, a nonce or half of a signature: 1 to order - 1. */
export function isScalar(value: bigint): boolean {
  return value > 0n && value < p256.order;
}

/** Uncompressed, both coordinates in the field, on the curve. */
export function isPoint(point: Uint8Array): boolean {
  if (point.length !== pointBytes || point[0] !== 4) return false;
  const x = toBigInt(point.subarray(1, 33));
  const y = toBigInt(point.subarray(33));
  if (x >= p256.prime || y >= p256.prime) return false;
  return (y * y - (x * x * x - 3n * x + p256.b)) % p256.prime === 0n;
}

export interface Signature {
  readonly r: bigint;
  readonly s: bigint;
}

/** Strict DER: every INTEGER in its shortest form. */
export function encodeSignature({ r, s }: Signature): Uint8Array {
  return element(tag.sequence, integer(r), integer(s));
}

function integer(value: bigint): Uint8Array {
  const bytes = toBytes(value, scalarBytes + 1);
  let first = 0;
  while (first < scalarBytes && bytes[first] === 0 && bytes[first + 1]! < 0x80) first++;
  return element(tag.integer, bytes.subarray(first));
}
