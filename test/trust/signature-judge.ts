// One question about a signature and its answer, in a form that also crosses into a guest engine.
import type { CurveName } from "../../src/host.js";
import { parsePublicKey, type SignatureScheme } from "../../src/trust/algorithm.js";
import { DerReader } from "../../src/trust/der-reader.js";
import { isSignature, parseEcdsa, type Verifier } from "../../src/trust/signature.js";
import { type Counts, countMutants, type Range } from "./mutants.js";

export interface SignatureVector {
  readonly title: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly key: Uint8Array;
  readonly scheme: SignatureScheme;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  readonly expected: Verdict;
}

export type Verdict = "right" | "wrong" | "no key";

/** @returns a verdict; anything thrown is named in words, and equals none. */
export function verdictOf(
  { key: der, scheme, message, signature: own }: SignatureVector,
  crypto: Verifier,
  signature = own,
): string {
  try {
    const key = parsePublicKey(new DerReader(der, "key").next(0x30).content);
    if (key === undefined) return "no key";
    return isSignature(crypto, { key, scheme, message, signature }) ? "right" : "wrong";
  } catch (error) {
    return `thrown: ${String(error)}`;
  }
}

export function verdictsOfMutants(vector: SignatureVector, crypto: Verifier, range: Range): Counts {
  return countMutants(vector.signature, range, mutant => verdictOf(vector, crypto, mutant));
}

/** Whether the mutants of an ECDSA signature are one at all: nothing is calculated. */
export function readingsOfMutants({ signature, key }: SignatureVector, range: Range): Counts {
  const curve: CurveName = key.length < 100 ? "P-256" : "P-384";
  return countMutants(signature, range, mutant =>
    parseEcdsa(curve, mutant) === undefined ? "malformed" : "well formed",
  );
}
