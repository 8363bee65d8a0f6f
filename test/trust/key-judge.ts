// What becomes of the neighbours of a private key when they are read, in a form that also crosses into a guest engine.
import { parsePrivateKey } from "../../hosts/moddable/pkcs8.js";
import { AgentError } from "../../src/errors.js";
import { type Counts, countMutants, type Range } from "./mutants.js";

/** @returns the code of the refusal, or the kind of key; anything else that is thrown is named in words. */
function readingOf(key: Uint8Array): string {
  try {
    return parsePrivateKey(key).kind;
  } catch (error) {
    return error instanceof AgentError ? error.code : `not an AgentError: ${String(error)}`;
  }
}

export function readingsOfKeys(key: Uint8Array, range: Range): Counts {
  return countMutants(key, range, readingOf);
}
