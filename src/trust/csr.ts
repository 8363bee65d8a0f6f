// PKCS#10 certification request for a P-256 key, signed by whoever holds the private key.
import { concat, toUtf8 } from "../util/bytes.js";
import { bitString, element, objectIdentifier, tag } from "./der.js";

/**
 * @param commonName  subject, UTF-8, 1 to 64 characters (X.520 upper bound)
 * @param publicKey   P-256 point, uncompressed, 65 bytes
 * @param sign        ECDSA with SHA-256 over the bytes given, as DER
 * @returns           CertificationRequest, DER
 * @see               RFC 2986; RFC 5480 for the key; RFC 5758 for the algorithm
 */
export function certificationRequest(
  commonName: string,
  publicKey: Uint8Array,
  sign: (message: Uint8Array) => Uint8Array,
): Uint8Array {
  const version = element(tag.integer, Uint8Array.of(0));
  const attributes = element(0xa0);
  const info = element(
    tag.sequence,
    version,
    name(commonName),
    publicKeyInfo(publicKey),
    attributes,
  );
  const ecdsaWithSha256 = element(tag.sequence, objectIdentifier(1, 2, 840, 10045, 4, 3, 2));
  return element(tag.sequence, info, ecdsaWithSha256, bitString(sign(info)));
}

function name(commonName: string): Uint8Array {
  const value = element(tag.utf8String, toUtf8(commonName));
  const attribute = element(tag.sequence, objectIdentifier(2, 5, 4, 3), value);
  return element(tag.sequence, element(tag.set, attribute));
}

function publicKeyInfo(point: Uint8Array): Uint8Array {
  const ecPublicKey = objectIdentifier(1, 2, 840, 10045, 2, 1);
  const prime256v1 = objectIdentifier(1, 2, 840, 10045, 3, 1, 7);
  return element(
    tag.sequence,
    element(tag.sequence, concat([ecPublicKey, prime256v1])),
    bitString(point),
  );
}
