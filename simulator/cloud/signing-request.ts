// Certification requests (PKCS#10, RFC 2986): read strictly, and believed when they are signed with the key they ask for.

import { constants, createPublicKey, type KeyObject, verify } from "node:crypto";
import { parseSignatureScheme, type SignatureScheme } from "../../src/trust/algorithm.js";
import { tag } from "../../src/trust/der.js";
import { DerReader } from "../../src/trust/der-reader.js";
import { parseName } from "../../src/trust/extensions.js";
import { parsePem } from "../../src/trust/pem.js";

/** A signing request that cannot be signed; the message may go to the device. */
export class CsrError extends Error {
  override readonly name = "CsrError";
}

interface Request {
  /** What the signature covers. */
  readonly signed: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly scheme: SignatureScheme | undefined;
  readonly signature: Uint8Array;
}

/**
 * Its subject and attributes are read, and nothing more.
 *
 * @param pem  one request
 * @returns    the key, SubjectPublicKeyInfo
 * @throws     CsrError
 * @see developer guide "x509-client-certs": RSA >= 2048 bits, EC P-256, P-384 and P-521
 */
export function verifiedKey(pem: string): Uint8Array {
  const { signed, publicKey, scheme, signature } = readable(() => parse(pem));
  const key = readable(() =>
    createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" }),
  );
  checkKey(key);
  if (scheme === undefined) throw new CsrError("CSR signature algorithm is not supported");
  if (!isSigned(key, scheme, signed, signature)) {
    throw new CsrError("CSR signature does not match its key");
  }
  return publicKey;
}

function readable<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    throw new CsrError("CSR cannot be read", { cause });
  }
}

function parse(pem: string): Request {
  const [der, ...others] = parsePem(pem, "CERTIFICATE REQUEST", "CSR");
  const outer = new DerReader(der!, "CSR");
  if (others.length > 0) throw outer.error("more than one");
  const request = outer.enter(tag.sequence);
  outer.end();
  const info = request.next(tag.sequence);
  const scheme = parseSignatureScheme(request.next(tag.sequence).content);
  const signature = request.bits();
  request.end();
  const fields = request.inside(info.content);
  if (fields.small() !== 0) throw fields.error("not of version 1");
  parseName(fields);
  const publicKey = fields.next(tag.sequence).encoded;
  parseAttributes(fields.enter(0xa0));
  fields.end();
  return { signed: info.encoded, publicKey, scheme, signature };
}

function parseAttributes(reader: DerReader): void {
  while (!reader.isAtEnd) {
    const attribute = reader.enter(tag.sequence);
    attribute.identifier();
    attribute.next(tag.set);
    attribute.end();
  }
}

const curves: readonly unknown[] = ["prime256v1", "secp384r1", "secp521r1"];

function checkKey({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): void {
  const { namedCurve, modulusLength } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === "ec" && curves.includes(namedCurve)) return;
  if (asymmetricKeyType === "rsa" && (modulusLength ?? 0) >= 2048) return;
  throw new CsrError("CSR key must be RSA with at least 2048 bits, or EC P-256, P-384 or P-521");
}

function isSigned(
  key: KeyObject,
  { kind, hash }: SignatureScheme,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  if ((kind === "ecdsa") !== (key.asymmetricKeyType === "ec")) return false;
  const padding =
    kind === "pss"
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : {};
  return verify(hash.replace("-", ""), signed, { key, ...padding }, signature);
}
