// One question about a job document and its answer, in a form that also crosses into a guest engine.
import { AgentError } from "../../src/errors.js";
import { readOffer } from "../../src/ota/document.js";
import { isImageTrusted, type ManifestCrypto, readManifest } from "../../src/ota/manifest.js";
import type { ManifestOffer } from "../../src/ota/offer.js";
import type { SigningOptions } from "../../src/ota/signers.js";
import { toHex } from "../../src/util/bytes.js";
import { type Counts, countMutants, type Range } from "../trust/mutants.js";

export interface UpdateVector {
  readonly title: string;
  /** Job document. */
  readonly document: Uint8Array;
  readonly signing: SigningOptions;
  /** SHA-256 of the file that was downloaded, for documents without a manifest. */
  readonly digest: Uint8Array;
  /** "manifest" or "file" when it is trusted, a code otherwise. */
  readonly expected: string;
}

/** @returns what is trusted, or the code of the refusal; anything else that is thrown is named in words, and equals none. */
export function outcomeOf(
  { document: own, signing, digest }: UpdateVector,
  crypto: ManifestCrypto,
  document = own,
): string {
  return answerOf(() => {
    const offer = readOffer(document);
    if (offer.kind === "plain")
      return isImageTrusted(offer, digest, signing, crypto) ? "file" : "ota/signature";
    readManifest(offer, signing, crypto);
    return "manifest";
  });
}

function answerOf(work: () => string): string {
  try {
    return work();
  } catch (error) {
    if (error instanceof AgentError) return error.code;
    return `thrown: ${String(error)}`;
  }
}

/** The document as a whole: much of it, where the bytes are for example, nobody has signed. */
export function outcomesOfDocuments(
  vector: UpdateVector,
  crypto: ManifestCrypto,
  range: Range,
): Counts {
  const original = manifestIn(vector.document);
  return countMutants(vector.document, range, mutant => {
    const outcome = outcomeOf(vector, crypto, mutant);
    // Whatever else has changed, this has not.
    return outcome === "manifest" && manifestIn(mutant) !== original ? "another" : outcome;
  });
}

function manifestIn(document: Uint8Array): string {
  const offer = readOffer(document);
  return offer.kind === "manifest" ? toHex(offer.manifest) : "";
}

/** Only what is signed. */
export function outcomesOfManifests(
  { document, signing }: UpdateVector,
  crypto: ManifestCrypto,
  range: Range,
): Counts {
  const offer = readOffer(document) as ManifestOffer;
  return countMutants(offer.manifest, range, manifest =>
    answerOf(() => {
      readManifest({ ...offer, manifest }, signing, crypto);
      return "manifest";
    }),
  );
}

/** The manifest's parser alone: whoever asks has every signature taken for right. */
export function outcomesOfReadings(vector: UpdateVector, range: Range): Counts {
  const believing: ManifestCrypto = {
    digest: () => new Uint8Array(32),
    verifyEcdsaDigest: () => true,
    rsaPublic: () => new Uint8Array(256),
  };
  // The key's id is then that of no bytes.
  const offer = readOffer(vector.document) as ManifestOffer;
  const signatures = offer.signatures.map(each => ({ ...each, keyId: "0".repeat(16) }));
  return countMutants(offer.manifest, range, manifest =>
    answerOf(() => {
      readManifest({ ...offer, manifest, signatures }, vector.signing, believing);
      return "manifest";
    }),
  );
}
