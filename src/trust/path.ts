// Whether a certificate is to be believed: path validation (RFC 5280 6) from a leaf to an anchor that the product has pinned.
import { AgentError, type ErrorCode } from "../errors.js";
import { isEqual } from "../util/bytes.js";
import type { PublicKey } from "./algorithm.js";
import { type Certificate, parseCertificate } from "./certificate.js";
import { keyUsage } from "./extensions.js";
import { isNamed, isWithin } from "./names.js";
import { isSignature, type Verifier } from "./signature.js";

interface Question {
  /** DER, the certificate in question first, the others in any order; 8 and 16 KB at most. Any may be of no use, none malformed. */
  readonly chain: readonly Uint8Array[];
  /** DER; nothing else is trusted. One that is expired or does not fit disturbs no other; none may be malformed. */
  readonly anchors: readonly Uint8Array[];
  /** Epoch milliseconds, a finite number: without a clock no date can be checked. */
  readonly now: number;
  readonly crypto: Verifier;
}

/** @param serverName DNS name in ASCII, or IPv4 or IPv6 address as text */
export type PathQuestion = Question &
  (
    | { readonly purpose: "server"; readonly serverName: string }
    | { readonly purpose: "codeSigning" }
  );

/** Certificates from leaf to anchor, both included. */
const maxPath = 5;
/** Certificates given beside the anchors: a path, and what a server sends along for others. */
const maxGiven = 8;
const maxAnchors = 8;
/** All that is given: what one message of the handshake can hold. */
const maxGivenBytes = 16_384;
const maxSignatureChecks = 16;
/** Names against subtrees of constraints, over all that is looked at: anybody can send thousands of both. */
const maxNameChecks = 1024;

const purposes = Object.freeze({
  server: "2b06010505070301",
  codeSigning: "2b06010505070303",
});
const anyPurpose = "551d2500";

/**
 * Looks for a path from the first certificate to an anchor, over the others in whatever order they came. Every certificate on
 * it, the anchor included, is within its dates, has no critical extension that is unknown and keys and algorithms that are
 * taken; every issuer has signed, may sign certificates at its depth, for this purpose and for the names below it.
 *
 * @returns  the first certificate's public key; whether a point is on its curve is asked when it verifies something
 * @throws   AgentError whose code "trust/…" names the reason; when several paths fail, that of the one that came nearest
 */
export function validatePath(question: PathQuestion): PublicKey {
  const { chain, anchors, now } = question;
  if (!Number.isFinite(now)) throw new AgentError("trust/clock", `trust: now is ${now}`);
  if (chain.length === 0) throw new AgentError("trust/certificate", "trust: no certificate");
  if (chain.length > maxGiven || anchors.length > maxAnchors) {
    const count = `${chain.length} certificates, ${anchors.length} anchors`;
    throw new AgentError("trust/chain-length", `trust: ${count}, at most ${maxGiven} are taken`);
  }
  const bytes = chain.reduce((sum, { length }) => sum + length, 0);
  if (bytes > maxGivenBytes) {
    throw new AgentError(
      "trust/chain-length",
      `trust: ${bytes} bytes of certificates, at most ${maxGivenBytes} are taken`,
    );
  }
  const given = chain.map((der, i) => parseCertificate(der, `certificate ${i}`));
  const trusted = anchors.map((der, i) => parseCertificate(der, `anchor ${i}`));
  const leaf = given[0]!;
  const key = checkLeaf(leaf, question);
  new Search(question, given.slice(1), trusted).follow(leaf);
  return key;
}

function checkLeaf(leaf: Certificate, question: PathQuestion): PublicKey {
  const key = checkCertificate(leaf, question.now, "certificate 0");
  if (leaf.keyUsage !== undefined && (leaf.keyUsage & keyUsage.digitalSignature) === 0) {
    throw new AgentError("trust/key-usage", "certificate 0: not for signatures");
  }
  // Code has to be signed by a certificate made for that; a server's may leave its purpose open.
  const isFor =
    question.purpose === "server"
      ? serves(leaf, "server")
      : leaf.purposes?.includes(purposes.codeSigning) === true;
  if (!isFor) throw new AgentError("trust/purpose", `certificate 0: not for ${question.purpose}`);
  if (question.purpose === "server" && !isNamed(leaf, question.serverName)) {
    throw new AgentError("trust/wrong-name", `certificate 0: not for ${question.serverName}`);
  }
  return key;
}

function serves(certificate: Certificate, purpose: PathQuestion["purpose"]): boolean {
  const { purposes: found } = certificate;
  return found === undefined || found.includes(purposes[purpose]) || found.includes(anyPurpose);
}

/** What holds for every certificate of a path. @returns its key */
function checkCertificate(certificate: Certificate, now: number, where: string): PublicKey {
  const { notBefore, notAfter, unknownCritical, publicKey, scheme } = certificate;
  if (unknownCritical !== undefined) {
    throw new AgentError("trust/critical-extension", `${where}: extension ${unknownCritical}`);
  }
  if (publicKey === undefined) throw new AgentError("trust/algorithm", `${where}: key`);
  if (scheme === undefined) throw new AgentError("trust/algorithm", `${where}: signature`);
  if (now < notBefore) {
    throw new AgentError("trust/not-yet-valid", `${where}: from ${notBefore} on, now ${now}`);
  }
  if (now > notAfter) {
    throw new AgentError("trust/expired", `${where}: until ${notAfter}, now ${now}`);
  }
  return publicKey;
}

/** Depth first, anchors before the others; bounded by the path's length and by the signatures checked. */
class Search {
  readonly #question: PathQuestion;
  readonly #given: readonly Certificate[];
  readonly #anchors: readonly Certificate[];
  #checks = 0;
  #nameChecks = 0;
  #failure: AgentError | undefined;

  constructor(
    question: PathQuestion,
    given: readonly Certificate[],
    anchors: readonly Certificate[],
  ) {
    this.#question = question;
    this.#given = given;
    this.#anchors = anchors;
  }

  /** @throws the failure that says most */
  follow(leaf: Certificate): void {
    if (this.reaches([leaf])) return;
    throw (
      this.#failure ??
      new AgentError("trust/unknown-authority", "trust: no path leads to an anchor")
    );
  }

  /** Without functions of its own and copies of the path: each step down the path would hold them. */
  private reaches(path: Certificate[]): boolean {
    const { issuer } = path[path.length - 1]!;
    for (let i = 0; i < this.#anchors.length; i++) {
      const anchor = this.#anchors[i]!;
      if (isEqual(anchor.subject, issuer) && this.hasIssued(anchor, path, `anchor ${i}`))
        return true;
    }
    for (let i = 0; i < this.#given.length; i++) {
      const next = this.#given[i]!;
      if (path.includes(next) || !isEqual(next.subject, issuer)) continue;
      // An anchor has to follow as well.
      if (path.length + 2 > maxPath) this.fail(tooLong());
      else if (this.hasIssued(next, path, `certificate ${i + 1}`)) {
        path.push(next);
        if (this.reaches(path)) return true;
        path.pop();
      }
    }
    return false;
  }

  /** Whether `issuer` has issued the last certificate of `path` and may be above all of them. */
  private hasIssued(issuer: Certificate, path: readonly Certificate[], where: string): boolean {
    const { now, purpose, crypto } = this.#question;
    try {
      const key = checkCertificate(issuer, now, where);
      checkIssuer(issuer, path, where);
      this.checkNames(issuer, path, where);
      if (!serves(issuer, purpose)) {
        throw new AgentError("trust/purpose", `${where}: not for ${purpose}`);
      }
      const { scheme, signed, signature } = path[path.length - 1]!;
      if (++this.#checks > maxSignatureChecks) throw tooLong();
      const question = { key, scheme: scheme!, message: signed, signature };
      if (isSignature(crypto, question)) return true;
      throw new AgentError("trust/signature", `${where}: has not signed ${describe(path)}`);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      return this.fail(error);
    }
  }

  private checkNames(
    { nameConstraints }: Certificate,
    path: readonly Certificate[],
    where: string,
  ): void {
    if (nameConstraints === undefined) return;
    const spend = () => {
      if (++this.#nameChecks > maxNameChecks) throw tooLong();
    };
    const isFine = path.every(
      (each, i) => (i > 0 && isSelfIssued(each)) || isWithin(each, nameConstraints, spend),
    );
    if (!isFine) {
      const why = `${where}: not allowed to issue for these names`;
      throw new AgentError("trust/name-constraints", why);
    }
  }

  /** Keeps the first failure, but a wrong signature only until another is found: keys change under the same name. */
  private fail(error: AgentError): false {
    if (this.#failure === undefined || this.#failure.code === "trust/signature") {
      this.#failure = error;
    }
    return false;
  }
}

function describe(path: readonly Certificate[]): string {
  return path.length === 1 ? "certificate 0" : `the one ${path.length - 1} above certificate 0`;
}

function tooLong(): AgentError {
  const bounds = `${maxPath} certificates, ${maxSignatureChecks} signatures and ${maxNameChecks} comparisons of names`;
  return new AgentError("trust/chain-length", `trust: no path within ${bounds}`);
}

function checkIssuer(issuer: Certificate, path: readonly Certificate[], where: string): void {
  const refused = (code: ErrorCode, why: string) => new AgentError(code, `${where}: ${why}`);
  if (!issuer.isAuthority) throw refused("trust/not-authority", "is no authority");
  if (issuer.keyUsage !== undefined && (issuer.keyUsage & keyUsage.keyCertSign) === 0) {
    throw refused("trust/key-usage", "may not sign certificates");
  }
  const [, ...between] = path;
  const depth = between.filter(each => !isSelfIssued(each)).length;
  if (issuer.pathLength !== undefined && depth > issuer.pathLength) {
    throw refused("trust/path-length", `${depth} below it, ${issuer.pathLength} allowed`);
  }
}

/** Not counted in path lengths, and free of name constraints when it is not the leaf. @see RFC 5280 6.1 */
function isSelfIssued({ issuer, subject }: Certificate): boolean {
  return isEqual(issuer, subject);
}
