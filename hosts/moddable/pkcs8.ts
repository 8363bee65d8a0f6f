// Private keys as PKCS#8 PrivateKeyInfo (RFC 5208, RFC 5958): P-256 as ECPrivateKey (RFC 5915), RSA as RSAPrivateKey (RFC 8017 A.1.2).
import { AgentError } from "../../src/errors.js";
import { bitLength } from "../../src/trust/algorithm.js";
import { bitString, element, objectIdentifier, tag } from "../../src/trust/der.js";
import { DerReader } from "../../src/trust/der-reader.js";
import { isScalar, pointBytes, scalarBytes, toBigInt } from "./p256.js";

const ecPublicKey = "2a8648ce3d0201";
const prime256v1 = "2a8648ce3d030107";
const rsaEncryption = "2a864886f70d010101";
const minModulusBits = 2048;
/** Above it one signature costs more than a small device can give. */
const maxModulusBits = 4096;
const minPrimeBits = minModulusBits / 2;

export interface EcPrivateKey {
  readonly kind: "ec";
  /** 32 bytes big-endian, 1 to order - 1. */
  readonly scalar: Uint8Array;
  /** The public key it came with, uncompressed; undefined when it came without. Whether they belong together is not known. */
  readonly point: Uint8Array | undefined;
}

export interface RsaPrivateKey {
  readonly kind: "rsa";
  /** Big-endian without leading zeros, as certificates have them. */
  readonly modulus: Uint8Array;
  readonly exponent: Uint8Array;
  /** Their product is the modulus. That they are prime is not known, all the rest belongs to them. */
  readonly primes: readonly [bigint, bigint];
  readonly exponents: readonly [bigint, bigint];
  /** Inverse of the second prime modulo the first. */
  readonly coefficient: bigint;
}

export type PrivateKey = EcPrivateKey | RsaPrivateKey;

/**
 * Attributes are passed over.
 *
 * @throws AgentError "trust/der" for what is no such key, "trust/algorithm" for one of another kind, curve or size
 */
export function parsePrivateKey(der: Uint8Array): PrivateKey {
  const outer = new DerReader(der, "private key");
  const info = outer.enter(tag.sequence);
  outer.end();
  if (info.small() !== 0) throw info.error("unknown version");
  const algorithm = info.enter(tag.sequence);
  const identifier = algorithm.identifier();
  if (identifier !== ecPublicKey && identifier !== rsaEncryption) {
    throw refused("is neither an EC nor an RSA key");
  }
  if (identifier === ecPublicKey) checkCurve(algorithm);
  else if (algorithm.next(tag.null).content.length > 0) throw algorithm.error("NULL");
  algorithm.end();
  const key = new DerReader(info.next(tag.octetString).content, "private key");
  info.optional(0xa0);
  info.end();
  const fields = key.enter(tag.sequence);
  key.end();
  return identifier === ecPublicKey ? parseEc(fields) : parseRsa(fields);
}

function parseEc(fields: DerReader): EcPrivateKey {
  if (fields.small() !== 1) throw fields.error("unknown EC version");
  const scalar = fields.next(tag.octetString).content;
  const parameters = fields.enterOptional(0xa0);
  if (parameters !== undefined) {
    checkCurve(parameters);
    parameters.end();
  }
  const point = parsePoint(fields.enterOptional(0xa1));
  fields.end();
  if (scalar.length !== scalarBytes || !isScalar(toBigInt(scalar))) {
    throw fields.error("out of range");
  }
  return { kind: "ec", scalar, point };
}

function parsePoint(reader: DerReader | undefined): Uint8Array | undefined {
  if (reader === undefined) return undefined;
  const point = reader.bits();
  reader.end();
  if (point.length !== pointBytes || point[0] !== 4) throw reader.error("public key");
  return point;
}

function parseRsa(fields: DerReader): RsaPrivateKey {
  // Version 1 has more than two primes.
  if (fields.small() !== 0) throw fields.error("unknown RSA version");
  const modulus = fields.unsigned();
  const bits = bitLength(modulus);
  if (bits < minModulusBits || bits > maxModulusBits) {
    throw refused(`has ${bits} bits, ${minModulusBits} to ${maxModulusBits} are taken`);
  }
  const exponent = fields.unsigned();
  const bounded = (magnitude: Uint8Array) => {
    if (magnitude.length > modulus.length) throw fields.error("out of range");
    return toBigInt(magnitude);
  };
  const whole = bounded(fields.unsigned());
  const primes = [prime(fields), prime(fields)].map(bounded) as [bigint, bigint];
  const exponents = [bounded(fields.unsigned()), bounded(fields.unsigned())] as const;
  const coefficient = bounded(fields.unsigned());
  fields.end();
  const [p, q] = primes;
  const [dp, dq] = exponents;
  if (!isZero(p * q - toBigInt(modulus))) throw fields.error("primes do not make the modulus");
  const e = bounded(exponent);
  const belong = [
    (e * dp - 1n) % (p - 1n),
    (e * dq - 1n) % (q - 1n),
    // Not used, but a key of which an octet has changed is not to be trusted with the others.
    (whole - dp) % (p - 1n),
    (whole - dq) % (q - 1n),
    (coefficient * q - 1n) % p,
  ];
  if (!belong.every(isZero)) throw fields.error("numbers do not belong together");
  return { kind: "rsa", modulus, exponent, primes, exponents, coefficient };
}

/** A preloaded BigInt is never equal to one that was computed. */
function isZero(value: bigint): boolean {
  return !(value < 0n || value > 0n);
}

/** Large and odd; that it is a prime shows when its signature is checked. */
function prime(fields: DerReader): Uint8Array {
  const magnitude = fields.unsigned();
  const isOdd = (magnitude[magnitude.length - 1]! & 1) === 1;
  if (!isOdd || bitLength(magnitude) < minPrimeBits) throw fields.error("out of range");
  return magnitude;
}

function checkCurve(reader: DerReader): void {
  if (reader.identifier() !== prime256v1) throw refused("is not on P-256");
}

/**
 * @param scalar     32 bytes, 1 to order - 1
 * @param publicKey  the point that belongs to it, uncompressed, 65 bytes
 */
export function encodePrivateKey(scalar: Uint8Array, publicKey: Uint8Array): Uint8Array {
  const key = element(
    tag.sequence,
    element(tag.integer, Uint8Array.of(1)),
    element(tag.octetString, scalar),
    element(0xa1, bitString(publicKey)),
  );
  const algorithm = element(
    tag.sequence,
    objectIdentifier(1, 2, 840, 10045, 2, 1),
    objectIdentifier(1, 2, 840, 10045, 3, 1, 7),
  );
  return element(
    tag.sequence,
    element(tag.integer, Uint8Array.of(0)),
    algorithm,
    element(tag.octetString, key),
  );
}

function refused(why: string): AgentError {
  return new AgentError("trust/algorithm", `private key: ${why}`);
}
