// Whether a server's certificate chain is to be believed: path validation (RFC 5280) for one purpose, TLS servers.
import { isEqual, toUtf8 } from "../../src/util/bytes.js";
import { type Certificate, type PublicKey, parseCertificate } from "./certificate.js";
import { TLSError } from "./tls-error.js";

/** @returns whether `signature` is that of `key` over the SHA-256 of `message`; a key or signature out of bounds is false. */
export type VerifySignature = (
  key: PublicKey,
  message: Uint8Array,
  signature: Uint8Array,
) => boolean;

export interface ChainQuestion {
  /** DER, as the server sent them, its own first. */
  readonly chain: readonly Uint8Array[];
  /** DER; nothing else is trusted. */
  readonly anchors: readonly Uint8Array[];
  /** DNS name, or IPv4 address in dotted form. */
  readonly serverName: string;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly verify: VerifySignature;
}

/** Certificates between leaf and anchor, both included: a public endpoint has three. */
const maxPath = 5;
const serverAuthentication = "2b06010505070301";
const anyPurpose = "551d2500";

/**
 * Follows the chain from the leaf until a certificate that an anchor has issued; what the server sent after that is not used.
 *
 * Every certificate of the path, the anchor included, has to be within its dates; every issuer has to be an authority that
 * may sign certificates at its depth; the leaf has to be for servers and to carry the name as an alternative name.
 *
 * @returns  the leaf's public key
 * @throws   TLSError with the alert that fits
 */
export function judgeChain(question: ChainQuestion): PublicKey {
  const anchors = question.anchors.map(parse);
  const leaf = parse(first(question.chain));
  checkLeaf(leaf, question);
  let current = leaf;
  for (let depth = 0; depth < maxPath - 1; depth++) {
    checkDates(current, question.now, depth);
    if (anchors.some(anchor => isIssuer(anchor, current, depth, question))) return leaf.publicKey;
    const next = question.chain[depth + 1];
    if (next === undefined) break;
    const issuer = parse(next);
    if (!isIssuer(issuer, current, depth, question)) {
      throw new TLSError("badCertificate", `certificate ${depth} is not issued by the next one`);
    }
    current = issuer;
  }
  throw new TLSError("unknownCa", "certificate chain does not lead to a trust anchor");
}

function first(chain: readonly Uint8Array[]): Uint8Array {
  const leaf = chain[0];
  if (leaf === undefined) throw new TLSError("handshakeFailure", "server sent no certificate");
  return leaf;
}

function parse(der: Uint8Array): Certificate {
  try {
    return parseCertificate(der);
  } catch (cause) {
    throw new TLSError("badCertificate", "certificate cannot be read", { cause });
  }
}

function isIssuer(
  issuer: Certificate,
  subject: Certificate,
  depth: number,
  { now, verify }: ChainQuestion,
): boolean {
  if (!isEqual(issuer.subject, subject.issuer)) return false;
  if (issuer.publicKey.kind !== subject.signatureKind) return false;
  if (!mayIssue(issuer, depth)) return false;
  if (!verify(issuer.publicKey, subject.signed, subject.signature)) return false;
  checkDates(issuer, now, depth + 1);
  return true;
}

/** @param depth certificates between the issuer and the leaf, neither counted */
function mayIssue(issuer: Certificate, depth: number): boolean {
  const { isAuthority, pathLength, keyUsage } = issuer;
  const maySign = keyUsage === undefined || (keyUsage & 0x04) !== 0;
  const isShort = pathLength === undefined || pathLength >= depth;
  return isAuthority && maySign && isShort && isForServers(issuer);
}

function isForServers({ extendedKeyUsage }: Certificate): boolean {
  if (extendedKeyUsage === undefined) return true;
  return extendedKeyUsage.some(
    purpose => purpose === serverAuthentication || purpose === anyPurpose,
  );
}

function checkDates({ notBefore, notAfter }: Certificate, now: number, depth: number): void {
  if (now >= notBefore && now <= notAfter) return;
  throw new TLSError("certificateExpired", `certificate ${depth} is not valid at this time`);
}

function checkLeaf(leaf: Certificate, { serverName }: ChainQuestion): void {
  if (leaf.keyUsage !== undefined && (leaf.keyUsage & 0x80) === 0) {
    throw new TLSError("badCertificate", "server certificate is not for signing");
  }
  if (!isForServers(leaf)) throw new TLSError("badCertificate", "certificate is not for servers");
  if (!hasName(leaf, serverName)) {
    throw new TLSError("badCertificate", `server certificate is not for ${serverName}`);
  }
}

function hasName({ alternativeNames }: Certificate, serverName: string): boolean {
  const address = parseAddress(serverName);
  if (address !== undefined) {
    return alternativeNames.some(({ kind, value }) => kind === 7 && isEqual(value, address));
  }
  const wanted = lower(toUtf8(serverName));
  return alternativeNames.some(({ kind, value }) => kind === 2 && matches(lower(value), wanted));
}

/** Dotted IPv4 only; anything else is a name. */
export function parseAddress(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every(part => /^(0|[1-9][0-9]{0,2})$/.test(part)))
    return undefined;
  const octets = parts.map(Number);
  return octets.every(octet => octet < 256) ? Uint8Array.from(octets) : undefined;
}

/** A wildcard stands for exactly one whole label, the left-most, and only above two others. @see RFC 6125 6.4 */
function matches(pattern: Uint8Array, name: Uint8Array): boolean {
  const dot = 0x2e;
  if (pattern[0] !== 0x2a) return isEqual(pattern, name);
  const parent = pattern.subarray(1);
  if (parent[0] !== dot || parent.indexOf(dot, 1) < 0 || parent.includes(0x2a)) return false;
  const label = name.indexOf(dot);
  return label > 0 && isEqual(parent, name.subarray(label));
}

function lower(text: Uint8Array): Uint8Array {
  return text.map(octet => (octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet));
}
