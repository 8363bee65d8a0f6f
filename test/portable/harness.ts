// Checks that need nothing but src, so that they run on every engine: Node, XS, a board.
import { AgentError, type ErrorKind } from "../../src/errors.js";

export interface Case {
  readonly name: string;
  readonly run: () => void;
}

/** All checks that the imported case files have named, in order. */
export const cases: Case[] = [];

/** Names one check. */
export function check(name: string, run: () => void): void {
  cases.push({ name, run });
}

export function equal(actual: unknown, expected: unknown, where = "value"): void {
  if (!Object.is(actual, expected))
    throw new Error(`${where} is ${String(actual)}, expected ${String(expected)}`);
}

/** `work` must throw an AgentError of this kind. */
export function refuses(work: () => unknown, kind: ErrorKind): void {
  let result: unknown;
  try {
    result = work();
  } catch (error) {
    if (error instanceof AgentError && error.kind === kind) return;
    throw error;
  }
  throw new Error(`nothing was refused, the result is ${String(result)}`);
}

/** As `refuses` what is wrong with the product's own doing, and the reason names `part`. */
export function refusesWith(part: string, work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof AgentError) || error.kind !== "config") throw error;
    equal(error.message.includes(part), true, `"${part}" in "${error.message}"`);
    return;
  }
  throw new Error(`nothing was refused: ${part}`);
}
