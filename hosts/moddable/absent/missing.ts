// What a stand-in says: a part is asked for that was not linked.
import { AgentError } from "../../../src/errors.js";

/** @throws AgentError "agent/options" always: what was asked for, and the manifest that has it */
export function missing(what: string, manifest: string): never {
  const where = `include skerry's manifests/${manifest}.json`;
  throw new AgentError("agent/options", `${what}: not part of this firmware; ${where}`);
}

/** A class whose constructor throws can be taken for any. */
export type Absent = new (...args: never[]) => never;

/** Compiles when `StandIn` has all that importers of `Part` find there. */
export type Replaces<Part, StandIn extends Part> = StandIn;
