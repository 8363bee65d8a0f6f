// One question to path validation and its outcome, in a form that also crosses into a guest engine.
import { AgentError, type ErrorCode } from "../../src/errors.js";
import { type PathQuestion, validatePath } from "../../src/trust/path.js";
import type { Verifier } from "../../src/trust/signature.js";
import { type Counts, countMutants, type Range } from "./mutants.js";

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

/** How often each outcome came, over the mutants of certificate `index`. */
export function outcomesOfMutants(
  vector: Vector,
  crypto: Verifier,
  { index, ...range }: Range & { readonly index: number },
): Counts {
  const chain = vector.chain.slice();
  return countMutants(vector.chain[index]!, range, mutant => {
    chain[index] = mutant;
    return outcomeOf(vector, crypto, chain);
  });
}
