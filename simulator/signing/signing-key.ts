// Private keys that sign images: EC P-256 or RSA, from PEM. What they sign is theirs alone to say, not what for.

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";

/** What a person gave was no good; one sentence says what, where and which value. */
export class SigningError extends Error {
  override readonly name = "SigningError";
}

export type SignatureAlgorithm = "ecdsa" | "rsa";
export type HashAlgorithm = "sha256" | "sha1";

export interface SigningKey {
  readonly algorithm: SignatureAlgorithm;
  /** First 8 bytes of the SHA-256 of SubjectPublicKeyInfo, lower-case hex. */
  readonly keyId: string;
  /** Public half, SubjectPublicKeyInfo, PEM. */
  readonly publicKey: string;
  /** ECDSA in DER, or RSASSA-PKCS1-v1_5. */
  sign(bytes: Uint8Array, hash?: HashAlgorithm): Uint8Array;
}

const rsaBitsMin = 2048;
const rsaBitsMax = 4096;

/**
 * @param source  where the text comes from, for messages
 * @throws        SigningError
 */
export function readSigningKey(pem: string, source: string): SigningKey {
  const key = parse(pem, source);
  const algorithm = algorithmOf(key, source);
  const publicKey = createPublicKey(key);
  return {
    algorithm,
    keyId: keyIdOf(publicKey),
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
    sign: (bytes, hash = "sha256") => new Uint8Array(sign(hash, bytes, key)),
  };
}

/** The name of the member of a job document that holds the signature. */
export function signatureMember(
  algorithm: SignatureAlgorithm,
  hash: HashAlgorithm = "sha256",
): string {
  return `sig-${hash}-${algorithm}`;
}

/** @param publicKey SubjectPublicKeyInfo, PEM */
export function isSignedBy(publicKey: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  return verify("sha256", bytes, publicKey, signature);
}

function keyIdOf(publicKey: KeyObject): string {
  const info = publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(info).digest("hex").slice(0, 16);
}

function parse(pem: string, source: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    const message = `The key in ${source} is encrypted: write it without a password first, as "openssl pkey -in ${source} -out plain.pem" does.`;
    throw new SigningError(message);
  }
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    const found = /-----BEGIN ([A-Z ]+)-----/.exec(pem)?.[1];
    const what = found === undefined ? "no PEM" : `a ${found}`;
    throw new SigningError(`${source} holds ${what}, a private key in PEM is needed.`);
  }
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    const message = `The private key in ${source} cannot be read: ${(cause as Error).message}.`;
    throw new SigningError(message, { cause });
  }
}

function algorithmOf(key: KeyObject, source: string): SignatureAlgorithm {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "ec") {
    if (namedCurve === "prime256v1") return "ecdsa";
    throw new SigningError(`The key in ${source} is on the curve ${namedCurve}, P-256 is needed.`);
  }
  if (key.asymmetricKeyType !== "rsa") {
    const type = key.asymmetricKeyType;
    throw new SigningError(`The key in ${source} is of type ${type}, EC P-256 or RSA is needed.`);
  }
  if (modulusLength >= rsaBitsMin && modulusLength <= rsaBitsMax) return "rsa";
  const range = `${rsaBitsMin} to ${rsaBitsMax}`;
  throw new SigningError(`The RSA key in ${source} has ${modulusLength} bits, not ${range}.`);
}
