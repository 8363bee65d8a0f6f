// What of an X.509 certificate (RFC 5280) a client needs for judging a server. Reads; judges nothing.
import { AgentError } from "../../src/errors.js";
import { DerReader, type Element, toHex } from "../../src/trust/der-reader.js";
import { isPoint } from "./p256.js";

export type PublicKey =
  | {
      readonly kind: "p256" /** Uncompressed and on the curve, 65 bytes. */;
      readonly point: Uint8Array;
    }
  | { readonly kind: "rsa"; readonly modulus: Uint8Array; readonly exponent: Uint8Array }
  /** Of an algorithm or curve this host does not verify. */
  | { readonly kind: "other" };

export interface AlternativeName {
  /** Context tag: 2 a DNS name, 7 an address. */
  readonly kind: number;
  readonly value: Uint8Array;
}

export interface Certificate {
  /** What the signature covers. */
  readonly signed: Uint8Array;
  /** Key kind the signature needs; the hash is SHA-256. */
  readonly signatureKind: PublicKey["kind"];
  readonly signature: Uint8Array;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Epoch milliseconds, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: PublicKey;
  readonly isAuthority: boolean;
  /** Certificates that may stand between this one and the leaf; undefined: any number. */
  readonly pathLength: number | undefined;
  /** Bits of the first octet, 0x80 digitalSignature, 0x04 keyCertSign; undefined when the extension is absent. */
  readonly keyUsage: number | undefined;
  /** Object identifiers in hexadecimal; undefined when the extension is absent. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly alternativeNames: readonly AlternativeName[];
}

interface Extensions {
  isAuthority: boolean;
  pathLength: number | undefined;
  keyUsage: number | undefined;
  extendedKeyUsage: readonly string[] | undefined;
  alternativeNames: readonly AlternativeName[];
}

/** @throws AgentError "trust/der": not DER, not version 3, an unknown critical extension. */
export function parseCertificate(der: Uint8Array): Certificate {
  const outer = new DerReader(der, "certificate");
  const certificate = outer.enter(0x30);
  outer.end();
  const body = certificate.next(0x30);
  const algorithm = certificate.next(0x30);
  const signature = certificate.bits();
  certificate.end();

  const fields = new DerReader(body.content, "certificate");
  const version = fields.enter(0xa0);
  if (toHex(version.unsigned()) !== "02") throw refused("version is not 3");
  version.end();
  fields.next(0x02);
  if (toHex(fields.next(0x30).encoded) !== toHex(algorithm.encoded))
    throw refused("two algorithms");
  const issuer = fields.next(0x30).encoded;
  const validity = fields.enter(0x30);
  const notBefore = parseTime(validity.next());
  const notAfter = parseTime(validity.next());
  validity.end();
  const subject = fields.next(0x30).encoded;
  const publicKey = parsePublicKey(fields.next(0x30).content);
  fields.optional(0x81);
  fields.optional(0x82);
  const extensions = parseExtensions(fields.optional(0xa3));
  fields.end();
  const signatureKind = signatureKindOf(algorithm);
  return {
    signed: body.encoded,
    signatureKind,
    signature,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
    ...extensions,
  };
}

function signatureKindOf(algorithm: Element): PublicKey["kind"] {
  const reader = new DerReader(algorithm.content, "certificate: signature algorithm");
  const identifier = toHex(reader.next(0x06).content);
  if (identifier === "2a8648ce3d040302") {
    reader.end();
    return "p256";
  }
  if (identifier !== "2a864886f70d01010b") return "other";
  if (reader.next(0x05).content.length !== 0) throw refused("signature parameters");
  reader.end();
  return "rsa";
}

function parsePublicKey(content: Uint8Array): PublicKey {
  const reader = new DerReader(content, "certificate: public key");
  const algorithm = reader.enter(0x30);
  const key = reader.bits();
  reader.end();
  const identifier = toHex(algorithm.next(0x06).content);
  if (identifier === "2a8648ce3d0201") {
    if (toHex(algorithm.next(0x06).content) !== "2a8648ce3d030107") return { kind: "other" };
    algorithm.end();
    if (!isPoint(key)) throw refused("public key is not a point of P-256");
    return { kind: "p256", point: key };
  }
  if (identifier !== "2a864886f70d010101") return { kind: "other" };
  const outer = new DerReader(key, "certificate: RSA key");
  const rsa = outer.enter(0x30);
  outer.end();
  const modulus = rsa.unsigned();
  const exponent = rsa.unsigned();
  rsa.end();
  return { kind: "rsa", modulus, exponent };
}

/** UTCTime and GeneralizedTime as RFC 5280 4.1.2.5 allows them: seconds present, Zulu, no fraction. */
function parseTime({ tag, content }: Element): number {
  const isUtc = tag === 0x17 && content.length === 13;
  const isGeneralized = tag === 0x18 && content.length === 15;
  const zulu = content[content.length - 1] === 0x5a;
  const digits = Array.from(content.subarray(0, -1), octet => octet - 0x30);
  if (!(isUtc || isGeneralized) || !zulu || digits.some(digit => digit < 0 || digit > 9)) {
    throw refused("time");
  }
  const two = (at: number): number => digits[at]! * 10 + digits[at + 1]!;
  const at = isUtc ? 2 : 4;
  const year = isUtc ? two(0) + (two(0) < 50 ? 2000 : 1900) : two(0) * 100 + two(2);
  const month = two(at);
  const day = two(at + 2);
  const [hour, minute, second] = [two(at + 4), two(at + 6), two(at + 8)];
  const time = Date.UTC(year, month - 1, day, hour, minute, second);
  const isReal = hour < 24 && minute < 60 && second < 60 && new Date(time).getUTCDate() === day;
  if (month < 1 || month > 12 || !isReal) throw refused("time");
  return time;
}

function parseExtensions(element: Element | undefined): Extensions {
  const result: Extensions = {
    isAuthority: false,
    pathLength: undefined,
    keyUsage: undefined,
    extendedKeyUsage: undefined,
    alternativeNames: [],
  };
  if (element === undefined) return result;
  const outer = new DerReader(element.content, "certificate: extensions");
  const list = outer.enter(0x30);
  outer.end();
  const seen: string[] = [];
  while (!list.isAtEnd) {
    const extension = list.enter(0x30);
    const identifier = toHex(extension.next(0x06).content);
    const critical = extension.optional(0x01);
    const value = extension.next(0x04).content;
    extension.end();
    if (seen.includes(identifier)) throw refused(`extension ${identifier} twice`);
    seen.push(identifier);
    const isCritical =
      critical !== undefined && new DerReader(critical.encoded, "extension").boolean();
    takeExtension(result, identifier, isCritical, value);
  }
  return result;
}

function takeExtension(
  result: Extensions,
  identifier: string,
  isCritical: boolean,
  value: Uint8Array,
): void {
  const reader = new DerReader(value, `certificate: extension ${identifier}`);
  switch (identifier) {
    case "551d13": {
      const constraints = reader.enter(0x30);
      const authority = constraints.optional(0x01);
      result.isAuthority =
        authority !== undefined && new DerReader(authority.encoded, "CA").boolean();
      if (!constraints.isAtEnd) result.pathLength = small(constraints.unsigned());
      constraints.end();
      break;
    }
    case "551d0f":
      result.keyUsage = reader.next(0x03).content[1] ?? 0;
      break;
    case "551d25":
      result.extendedKeyUsage = each(reader.enter(0x30), 0x06).map(({ content }) => toHex(content));
      break;
    case "551d11":
      result.alternativeNames = each(reader.enter(0x30)).map(({ tag, content }) => ({
        kind: tag & 0x1f,
        value: content,
      }));
      break;
    default:
      if (isCritical) throw refused(`critical extension ${identifier}`);
      return;
  }
  reader.end();
}

function each(reader: DerReader, tag?: number): Element[] {
  const elements: Element[] = [];
  while (!reader.isAtEnd) elements.push(reader.next(tag));
  return elements;
}

function small(magnitude: Uint8Array): number {
  if (magnitude.length !== 1) throw refused("path length");
  return magnitude[0]!;
}

function refused(what: string): AgentError {
  return new AgentError("trust/der", `certificate: ${what}`);
}
