// Whose signatures a product takes: keys in the firmware, as PEM where the product has them, decoded each time they are needed.
import { AgentError } from "../errors.js";
import type { Crypto } from "../host.js";
import { limits } from "../limits.js";
import { type PublicKey, parsePublicKey } from "../trust/algorithm.js";
import { parseCertificate } from "../trust/certificate.js";
import { tag } from "../trust/der.js";
import { DerReader } from "../trust/der-reader.js";
import { parsePem } from "../trust/pem.js";
import { isEqual, toHex } from "../util/bytes.js";
import { told } from "./reading.js";

/** One who signs firmware: P-256, P-384 or RSA of 2048 to 4096 bits; the signature is over SHA-256. */
export interface SignerOptions {
  /** What `certfile` of AWS's documents names it by; 1 to 256 characters. */
  readonly name?: string;
  /** PEM, SubjectPublicKeyInfo ("PUBLIC KEY"). Either this or `certificate`. */
  readonly publicKey?: string;
  /** PEM, one certificate. Only its key counts: no date, no issuer, no purpose. */
  readonly certificate?: string;
}

export interface SigningOptions {
  /** 1 to 8, each another key. */
  readonly signers: readonly SignerOptions[];
  /** How many of them have to sign a manifest, 1 to their number; default 1. Above 1 AWS's own documents are refused: they have one signature. */
  readonly threshold?: number;
}

export interface Signer {
  /** 16 hexadecimal digits: the first 8 bytes of SHA-256 of the SubjectPublicKeyInfo. */
  readonly keyId: string;
  readonly key: PublicKey;
}

/**
 * Before anything is opened. Keeps nothing.
 *
 * @param where  named in errors, for example "firmware"
 * @returns      what it was given
 * @throws       AgentError "agent/options" naming the option, and the signer where it is one
 */
export function checkSigners<Options extends SigningOptions>(
  options: Options,
  where: string,
): Options {
  const { signers, threshold = 1 } = options;
  const list = `options.${where}.signers`;
  if (!Array.isArray(signers) || signers.length < 1 || signers.length > limits.signatures)
    refuse(`${list} are not 1 to ${limits.signatures}`);
  const keys: Uint8Array[] = [];
  for (const [i, signer] of signers.entries()) {
    const info = checkSigner(signer, `${list}[${i}]`);
    const twin = keys.findIndex(known => isEqual(known, info));
    if (twin >= 0) refuse(`${list}[${i}] has the key of ${list}[${twin}]`);
    const { name } = signer;
    const namesake = signers.findIndex(other => other.name === name);
    if (name !== undefined && namesake < i)
      refuse(`${list}[${i}].name "${name}" is that of ${list}[${namesake}]`);
    keys.push(info);
  }
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > signers.length)
    refuse(`options.${where}.threshold ${threshold} is not 1 to ${signers.length}`);
  return options;
}

function refuse(reason: string, cause?: AgentError): never {
  throw new AgentError("agent/options", reason, { cause });
}

/** @returns SubjectPublicKeyInfo */
function checkSigner(signer: SignerOptions, where: string): Uint8Array {
  const { name, publicKey, certificate } = signer;
  if (name !== undefined && (typeof name !== "string" || name.length < 1 || name.length > 256))
    refuse(`${where}.name is not 1 to 256 characters`);
  if ((publicKey === undefined) === (certificate === undefined))
    refuse(`${where} has to have either publicKey or certificate`);
  try {
    const info = keyInfoOf(signer, where);
    if (keyOf(info) === undefined)
      refuse(
        `${where}: a key of this kind or size is not taken, only P-256, P-384, RSA 2048 to 4096`,
      );
    return info;
  } catch (cause) {
    if (!(cause instanceof AgentError) || cause.code === "agent/options") throw cause;
    return refuse(cause.message, cause);
  }
}

/** @throws AgentError "trust/…" */
function keyInfoOf({ publicKey, certificate }: SignerOptions, where: string): Uint8Array {
  const isCertificate = certificate !== undefined;
  const label = isCertificate ? "CERTIFICATE" : "PUBLIC KEY";
  const at = `${where}.${isCertificate ? "certificate" : "publicKey"}`;
  const [der, other] = parsePem((certificate ?? publicKey)!, label, at);
  if (other !== undefined) throw new AgentError("trust/pem", `${at}: more than one ${label}`);
  return isCertificate ? keyInfoIn(der!, at) : der!;
}

/** @param der certificate @see RFC 5280 4.1 */
function keyInfoIn(der: Uint8Array, where: string): Uint8Array {
  parseCertificate(der, where);
  const fields = new DerReader(der, where).enter(tag.sequence).enter(tag.sequence);
  // Version, serial number, signature, issuer, validity, subject.
  for (let i = 0; i < 6; i++) fields.next();
  return fields.next(tag.sequence).encoded;
}

function keyOf(info: Uint8Array): PublicKey | undefined {
  const reader = new DerReader(info, "public key");
  const { content } = reader.next(tag.sequence);
  reader.end();
  return parsePublicKey(content);
}

/** Decodes one signer that `checkSigners` has taken. */
export function readSigner(signer: SignerOptions, crypto: Pick<Crypto, "digest">): Signer {
  const info = keyInfoOf(signer, "signer");
  const keyId = toHex(crypto.digest("SHA-256", info).subarray(0, 8));
  return { keyId, key: keyOf(info)! };
}

/**
 * Who may have signed a file that AWS's document vouches for.
 *
 * @param name  `certfile`; undefined: any of them
 * @throws      AgentError "ota/untrusted" when none has that name
 */
export function signersNamed(
  signers: readonly SignerOptions[],
  name: string | undefined,
): readonly SignerOptions[] {
  if (name === undefined) return signers;
  const named = signers.filter(signer => signer.name === name);
  if (named.length === 0)
    throw new AgentError("ota/untrusted", `signer ${told(name)} is not known to this firmware`);
  return named;
}
