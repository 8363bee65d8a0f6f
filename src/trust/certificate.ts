// What of an X.509 certificate (RFC 5280) path validation needs. Reads; judges only whether it is one.
import { AgentError } from "../errors.js";
import { isEqual } from "../util/bytes.js";
import {
  type PublicKey,
  parsePublicKey,
  parseSignatureScheme,
  type SignatureScheme,
} from "./algorithm.js";
import { tag } from "./der.js";
import { DerReader } from "./der-reader.js";
import { type Extensions, parseExtensions, parseName } from "./extensions.js";
import { parseTime } from "./time.js";

export interface Certificate extends Extensions {
  /** What the signature covers. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  /** Undefined: not one that is taken. */
  readonly scheme: SignatureScheme | undefined;
  /** Names as encoded: equal when every octet is. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Epoch milliseconds, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Undefined: not one that is taken. */
  readonly publicKey: PublicKey | undefined;
}

/** One handshake message at most. */
const maxBytes = 16_384;
/** Octets of a serial number, a sign octet included. @see RFC 5280 4.1.2.2 */
const maxSerialBytes = 21;
const version3 = 2;

/** @throws AgentError "trust/certificate": not DER, not version 3, or against the rules for what it contains. */
export function parseCertificate(der: Uint8Array, where: string): Certificate {
  try {
    return parse(der, where);
  } catch (cause) {
    if (!(cause instanceof AgentError)) throw cause;
    throw new AgentError("trust/certificate", cause.message, { cause });
  }
}

function parse(der: Uint8Array, where: string): Certificate {
  const outer = new DerReader(der, where);
  if (der.length > maxBytes) throw outer.error(`${der.length} bytes, at most ${maxBytes}`);
  const certificate = outer.enter(tag.sequence);
  outer.end();
  const body = certificate.next(tag.sequence);
  const algorithm = certificate.next(tag.sequence);
  const signature = certificate.bits();
  certificate.end();

  const fields = certificate.inside(body.content);
  const version = fields.enterOptional(0xa0);
  if (version?.small() !== version3) throw fields.error("not of version 3");
  version.end();
  if (fields.integer().length > maxSerialBytes) throw fields.error("serial number too long");
  if (!isEqual(fields.next(tag.sequence).encoded, algorithm.encoded)) {
    throw fields.error("two signature algorithms");
  }
  const issuer = parseName(fields);
  if (issuer.length === 2) throw fields.error("no issuer");
  const validity = fields.enter(tag.sequence);
  const notBefore = parseTime(validity);
  const notAfter = parseTime(validity);
  validity.end();
  const subject = parseName(fields);
  const publicKey = parsePublicKey(fields.next(tag.sequence).content);
  fields.optional(0x81);
  fields.optional(0x82);
  const extensions = parseExtensions(fields.enterOptional(0xa3));
  fields.end();
  return {
    ...extensions,
    signed: body.encoded,
    signature,
    scheme: parseSignatureScheme(algorithm.content),
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
  };
}
