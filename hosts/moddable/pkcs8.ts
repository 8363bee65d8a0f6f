// P-256 private keys as PKCS#8 PrivateKeyInfo (RFC 5208, RFC 5958) around ECPrivateKey (RFC 5915).
import { AgentError } from "../../src/errors.js";
import { bitString, element, objectIdentifier, tag } from "../../src/trust/der.js";
import { DerReader, toHex } from "../../src/trust/der-reader.js";
import { isScalar, scalarBytes, toBigInt } from "./p256.js";

const ecPublicKey = "2a8648ce3d0201";
const prime256v1 = "2a8648ce3d030107";

/**
 * Takes ECPrivateKey with and without its optional parameters and public key; attributes are passed over.
 *
 * @returns  the private scalar, 32 bytes big-endian, 1 to order - 1
 * @throws   AgentError "trust/der"
 */
export function parsePrivateKey(der: Uint8Array): Uint8Array {
  const outer = new DerReader(der, "private key");
  const info = outer.enter(tag.sequence);
  outer.end();
  if (toHex(info.unsigned()) !== "00") throw refused("is of an unknown version");
  const algorithm = info.enter(tag.sequence);
  checkIdentifier(algorithm, ecPublicKey, "is not an elliptic curve key");
  checkIdentifier(algorithm, prime256v1, "is not on P-256");
  algorithm.end();
  const scalar = parseEcPrivateKey(info.next(tag.octetString).content);
  info.optional(0xa0);
  info.end();
  return scalar;
}

function parseEcPrivateKey(der: Uint8Array): Uint8Array {
  const outer = new DerReader(der, "EC private key");
  const key = outer.enter(tag.sequence);
  outer.end();
  if (toHex(key.unsigned()) !== "01") throw refused("is of an unknown EC version");
  const scalar = key.next(tag.octetString).content;
  const parameters = key.optional(0xa0);
  if (parameters !== undefined) {
    const reader = new DerReader(parameters.content, "EC parameters");
    checkIdentifier(reader, prime256v1, "is not on P-256");
    reader.end();
  }
  key.optional(0xa1);
  key.end();
  if (scalar.length !== scalarBytes || !isScalar(toBigInt(scalar)))
    throw refused("is out of range");
  return scalar;
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

function checkIdentifier(reader: DerReader, expected: string, otherwise: string): void {
  if (toHex(reader.next(tag.objectIdentifier).content) !== expected) throw refused(otherwise);
}

function refused(why: string): AgentError {
  return new AgentError("trust/der", `private key: ${why}`);
}
