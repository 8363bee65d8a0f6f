// Keys and signature algorithms that are taken, as X.509 names them; everything else reads as undefined and is refused on use.
import type { CurveName, HashName } from "../host.js";
import { tag } from "./der.js";
import { DerReader } from "./der-reader.js";

export type PublicKey =
  /** Uncompressed; that it is on the curve is the host's to say. */
  | { readonly kind: "ec"; readonly curve: CurveName; readonly point: Uint8Array }
  | { readonly kind: "rsa"; readonly modulus: Uint8Array; readonly exponent: Uint8Array };

export interface SignatureScheme {
  readonly kind: "ecdsa" | "pkcs1" | "pss";
  readonly hash: HashName;
}

/** Octets of a coordinate, of an order, of half a signature. */
export const curveBytes: Readonly<Record<CurveName, number>> = Object.freeze({
  "P-256": 32,
  "P-384": 48,
});
export const hashBytes: Readonly<Record<HashName, number>> = Object.freeze({
  "SHA-256": 32,
  "SHA-384": 48,
  "SHA-512": 64,
});

const ecPublicKey = "2a8648ce3d0201";
const rsaEncryption = "2a864886f70d010101";
const rsaPss = "2a864886f70d01010a";
const mgf1 = "2a864886f70d010108";
const minModulusBits = 2048;
/** Above it one check costs more than a small device can give. */
const maxModulusBits = 4096;
const maxExponentBytes = 4;

function curveOf(identifier: string): CurveName | undefined {
  switch (identifier) {
    case "2a8648ce3d030107":
      return "P-256";
    case "2b81040022":
      return "P-384";
    default:
      return undefined;
  }
}

function schemeOf(identifier: string): SignatureScheme | undefined {
  switch (identifier) {
    case "2a8648ce3d040302":
      return { kind: "ecdsa", hash: "SHA-256" };
    case "2a8648ce3d040303":
      return { kind: "ecdsa", hash: "SHA-384" };
    case "2a8648ce3d040304":
      return { kind: "ecdsa", hash: "SHA-512" };
    case "2a864886f70d01010b":
      return { kind: "pkcs1", hash: "SHA-256" };
    case "2a864886f70d01010c":
      return { kind: "pkcs1", hash: "SHA-384" };
    case "2a864886f70d01010d":
      return { kind: "pkcs1", hash: "SHA-512" };
    default:
      return undefined;
  }
}

function hashOf(identifier: string): HashName | undefined {
  switch (identifier) {
    case "608648016503040201":
      return "SHA-256";
    case "608648016503040202":
      return "SHA-384";
    case "608648016503040203":
      return "SHA-512";
    default:
      return undefined;
  }
}

/**
 * @param algorithm  content of an AlgorithmIdentifier
 * @returns          undefined for one that is not taken, parameters included
 * @throws           AgentError "trust/der"
 * @see              RFC 5758 3.2; RFC 4055
 */
export function parseSignatureScheme(algorithm: Uint8Array): SignatureScheme | undefined {
  const reader = new DerReader(algorithm, "signature algorithm");
  const identifier = reader.identifier();
  if (identifier === rsaPss) return parsePss(reader);
  const scheme = schemeOf(identifier);
  if (scheme === undefined) return undefined;
  if (scheme.kind === "pkcs1" && !takesNull(reader)) return undefined;
  return reader.isAtEnd ? scheme : undefined;
}

/** The mask's hash is that of the message, the salt as long as the digest, the trailer the default. @see RFC 4055 3.1 */
function parsePss(outer: DerReader): SignatureScheme | undefined {
  const reader = outer.enterOptional(tag.sequence);
  outer.end();
  const hash = parseHash(reader?.enterOptional(0xa0));
  const mask = reader?.enterOptional(0xa1)?.enter(tag.sequence);
  if (hash === undefined || mask === undefined || mask.identifier() !== mgf1) return undefined;
  if (parseHash(mask) !== hash) return undefined;
  const salt = reader?.enterOptional(0xa2);
  if (salt?.small() !== hashBytes[hash] || !salt.isAtEnd) return undefined;
  return reader?.isAtEnd ? { kind: "pss", hash } : undefined;
}

function parseHash(outer: DerReader | undefined): HashName | undefined {
  const reader = outer?.enter(tag.sequence);
  if (outer === undefined || reader === undefined) return undefined;
  outer.end();
  const hash = hashOf(reader.identifier());
  return reader.isAtEnd || (takesNull(reader) && reader.isAtEnd) ? hash : undefined;
}

function takesNull(reader: DerReader): boolean {
  return reader.optional(tag.null)?.content.length === 0;
}

/**
 * @param content  of a SubjectPublicKeyInfo
 * @returns        undefined for a kind, curve, size or exponent that is not taken
 * @throws         AgentError "trust/der"
 */
export function parsePublicKey(content: Uint8Array): PublicKey | undefined {
  const reader = new DerReader(content, "public key");
  const algorithm = reader.enter(tag.sequence);
  const key = reader.bits();
  reader.end();
  const identifier = algorithm.identifier();
  if (identifier === ecPublicKey) {
    const curve = curveOf(algorithm.identifier());
    algorithm.end();
    return parsePoint(curve, key);
  }
  if (identifier !== rsaEncryption) return undefined;
  if (!takesNull(algorithm)) throw algorithm.error("parameters of an RSA key");
  algorithm.end();
  return parseRsa(key);
}

function parsePoint(curve: CurveName | undefined, point: Uint8Array): PublicKey | undefined {
  if (curve === undefined || point[0] !== 4) return undefined;
  return point.length === 1 + 2 * curveBytes[curve] ? { kind: "ec", curve, point } : undefined;
}

function parseRsa(key: Uint8Array): PublicKey | undefined {
  const outer = new DerReader(key, "RSA key");
  const reader = outer.enter(tag.sequence);
  outer.end();
  const modulus = reader.unsigned();
  const exponent = reader.unsigned();
  reader.end();
  const bits = bitLength(modulus);
  if (bits < minModulusBits || bits > maxModulusBits || !isOdd(modulus)) return undefined;
  // 65537 and above.
  const isLarge = exponent.length > 3 || (exponent.length === 3 && !isSmallExponent(exponent));
  if (!isLarge || exponent.length > maxExponentBytes || !isOdd(exponent)) return undefined;
  return { kind: "rsa", modulus, exponent };
}

/** 65536, the only three octets below 65537. */
function isSmallExponent(exponent: Uint8Array): boolean {
  return exponent[0] === 1 && exponent[1] === 0 && exponent[2] === 0;
}

function isOdd(magnitude: Uint8Array): boolean {
  return (magnitude[magnitude.length - 1]! & 1) === 1;
}

/** @param magnitude without leading zero octets */
export function bitLength(magnitude: Uint8Array): number {
  return magnitude.length * 8 - (Math.clz32(magnitude[0]!) - 24);
}
