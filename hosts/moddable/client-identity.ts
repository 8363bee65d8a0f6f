// Who the client is in a handshake: its certificates, and a private key that belongs to the first of them.
import { AgentError } from "../../src/errors.js";
import { type PublicKey, parsePublicKey } from "../../src/trust/algorithm.js";
import { tag } from "../../src/trust/der.js";
import { DerReader } from "../../src/trust/der-reader.js";
import { isEqual } from "../../src/util/bytes.js";
import { type PrivateKey, parsePrivateKey } from "./pkcs8.js";
import { type Power, signRsa } from "./rsa-signature.js";

/** What is calculated elsewhere. */
export interface KeyArithmetic {
  /** The public point of a scalar of P-256, uncompressed. */
  pointOf(scalar: Uint8Array): Uint8Array;
  /** ECDSA on P-256 over a SHA-256 digest, as strict DER. */
  signEcdsa(scalar: Uint8Array, digest: Uint8Array): Uint8Array;
  readonly power: Power;
}

/** The chain has to fit one record. */
const maxBytes = 4096;

export class ClientIdentity {
  readonly certificates: readonly Uint8Array[];
  readonly #key: PrivateKey | undefined;
  readonly #arithmetic: KeyArithmetic;

  /**
   * @param certificates  DER, the client's own first; none when it has none to show, and then the key is not looked at
   * @param key           PKCS#8, DER
   * @throws              AgentError "agent/options" whose cause says more: a key that is not taken or belongs to another certificate
   */
  constructor(certificates: readonly Uint8Array[], key: Uint8Array, arithmetic: KeyArithmetic) {
    this.certificates = certificates;
    this.#arithmetic = arithmetic;
    const [own] = certificates;
    if (own === undefined) return;
    const bytes = certificates.reduce((sum, certificate) => sum + certificate.length + 3, 7);
    if (bytes > maxBytes) throw unfit(`client certificates: ${bytes} bytes, at most ${maxBytes}`);
    this.#key = inOptions("client key", () => parsePrivateKey(key));
    const publicKey = inOptions("client certificate", () => publicKeyOf(own));
    if (!isPair(publicKey, this.#key, arithmetic)) {
      throw unfit("client key does not belong to the client certificate");
    }
  }

  /** Undefined: there is no certificate to show. */
  get kind(): PrivateKey["kind"] | undefined {
    return this.#key?.kind;
  }

  /** @param digest SHA-256. @returns ECDSA as DER, or PKCS#1 v1.5. */
  sign(digest: Uint8Array): Uint8Array {
    const key = this.#key;
    if (key === undefined) throw unfit("there is no client key");
    return key.kind === "ec"
      ? this.#arithmetic.signEcdsa(key.scalar, digest)
      : signRsa(key, digest, this.#arithmetic.power);
  }
}

function isPair(
  publicKey: PublicKey | undefined,
  key: PrivateKey,
  { pointOf }: KeyArithmetic,
): boolean {
  if (key.kind === "ec") {
    const point = pointOf(key.scalar);
    const isWhole = key.point === undefined || isEqual(key.point, point);
    return isWhole && publicKey?.kind === "ec" && isEqual(publicKey.point, point);
  }
  if (publicKey?.kind !== "rsa") return false;
  return isEqual(publicKey.modulus, key.modulus) && isEqual(publicKey.exponent, key.exponent);
}

/** Only the key is looked at: an own certificate may be of version 1, and is the server's to judge. @see RFC 5280 4.1 */
function publicKeyOf(certificate: Uint8Array): PublicKey | undefined {
  const body = new DerReader(certificate, "certificate").enter(tag.sequence).enter(tag.sequence);
  body.optional(0xa0);
  body.integer();
  // Algorithm, issuer, validity, subject.
  for (let i = 0; i < 4; i++) body.next(tag.sequence);
  return parsePublicKey(body.next(tag.sequence).content);
}

function inOptions<Result>(what: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    throw unfit(`${what}: ${cause instanceof Error ? cause.message : "cannot be read"}`, cause);
  }
}

function unfit(message: string, cause?: unknown): AgentError {
  return new AgentError("agent/options", `tls: ${message}`, { cause });
}
