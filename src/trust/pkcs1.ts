// RSA private keys as some services hand them out (RFC 8017 A.1.2), and the PKCS#8 form that hosts take.
import { element, objectIdentifier, tag } from "./der.js";
import { DerReader } from "./der-reader.js";

const rsaEncryption = objectIdentifier(1, 2, 840, 113549, 1, 1, 1);

/** RSAPrivateKey in PKCS#8 PrivateKeyInfo (RFC 5208), DER. */
export function toPkcs8(rsaPrivateKey: Uint8Array): Uint8Array {
  const version = element(tag.integer, Uint8Array.of(0));
  const algorithm = element(tag.sequence, rsaEncryption, element(5));
  return element(tag.sequence, version, algorithm, element(tag.octetString, rsaPrivateKey));
}

/** @returns the modulus as encoded, sign octet included. @throws AgentError "trust/der" */
export function modulusOf(rsaPrivateKey: Uint8Array, where: string): Uint8Array {
  const reader = new DerReader(rsaPrivateKey, where).enter(tag.sequence);
  reader.next(tag.integer);
  return reader.next(tag.integer).content;
}
