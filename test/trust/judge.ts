// One question to path validation and its outcome, in a form that also crosses into a guest engine.
import { AgentError, type ErrorCode } from "../../src/errors.js";
import { type PathQuestion, validatePath } from "../../src/trust/path.js";
import type { Verifier } from "../../src/trust/signature.js";

export type Outcome = "accepted" | ErrorCode;

export interface Vector {
  readonly title: string;
  readonly chain: readonly Uint8Array[];
  readonly anchors: readonly Uint8Array[];
  readonly purpose: "server" | "codeSigning";
  readonly serverName: string;
  readonly now: number;
  readonly expected: Outcome;
  /** Why OpenSSL is not asked: its rule is another one. */
  readonly apart?: string;
}

/** @returns what became of it; anything but an AgentError is named in words, and equals no outcome. */
export function outcomeOf(vector: Vector, crypto: Verifier, chain = vector.chain): string {
  const { anchors, now, purpose, serverName } = vector;
  const common = { chain, anchors, now, crypto };
  const question: PathQuestion =
    purpose === "server" ? { ...common, purpose, serverName } : { ...common, purpose };
  try {
    validatePath(question);
    return "accepted";
  } catch (error) {
    return error instanceof AgentError ? error.code : `not an AgentError: ${String(error)}`;
  }
}

/** Certificate `index` of the chain, cut after each length, and with one bit of each octet changed. */
export function mutantsOf(original: Uint8Array, from: number, to: number): Uint8Array[] {
  const mutants: Uint8Array[] = [];
  for (let at = from; at < Math.min(to, original.length); at++) {
    mutants.push(original.slice(0, at));
    mutants.push(original.map((octet, i) => (i === at ? octet ^ (1 << (at % 8)) : octet)));
  }
  return mutants;
}

/** How often each outcome came, over all mutants of certificate `index` from octet `from` up to `to`. */
export function outcomesOfMutants(
  vector: Vector,
  crypto: Verifier,
  { index, from, to }: { readonly index: number; readonly from: number; readonly to: number },
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const mutant of mutantsOf(vector.chain[index]!, from, to)) {
    const chain = vector.chain.map((der, i) => (i === index ? mutant : der));
    const outcome = outcomeOf(vector, crypto, chain);
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}
