// Desired and reported settings, as decisions. Level-triggered: a document read on connect says all, a delta is a hint.
import type { Scalar, unsupported } from "../codec/json.js";
import { AgentError } from "../errors.js";
import type { Step } from "../util/machine.js";
import { faultOf, type Schema, type Value, type Values } from "./schema.js";
import { type ShadowState, shadowTable } from "./table.js";

/** Members of a document as read: absent, a scalar, or something no setting can be. */
export type Members = { readonly [name: string]: Scalar | typeof unsupported | undefined };

export interface ShadowRecord {
  readonly state: ShadowState;
  /** What is in force on the device; the only part that survives a restart. */
  readonly values: Values;
  /** What the cloud is known to have as reported. */
  readonly reported: Members;
  /** Version of the last document or delta acted upon. */
  readonly version: number;
  /** Values of the update that waits for its answer. */
  readonly updating: Values | undefined;
  /** Reads without an answer in a row; the link is dropped when they do not end. */
  readonly failures: number;
}

export type ShadowEvent =
  | { readonly type: "subscribed" | "absent" | "accepted" | "conflict" | "timeout" | "lost" }
  | {
      readonly type: "document";
      readonly desired: Members;
      readonly reported: Members;
      readonly version: number;
    }
  | { readonly type: "delta"; readonly desired: Members; readonly version: number }
  /** The product set these itself. */
  | { readonly type: "changed"; readonly values: Values }
  | { readonly type: "rejected"; readonly error: AgentError };

export type ShadowEffect =
  | { readonly type: "get" }
  | { readonly type: "update"; readonly reported: Values }
  /** The cloud wants these; they are in the record already. */
  | { readonly type: "apply"; readonly changed: Values }
  | { readonly type: "fault"; readonly name: string; readonly reason: string }
  | { readonly type: "report"; readonly error: AgentError }
  | { readonly type: "drop"; readonly error: AgentError };

type Result = Step<ShadowRecord, ShadowEffect>;

const maxFailures = 3;

export function startingFrom(values: Values): ShadowRecord {
  return { state: "idle", values, reported: {}, version: 0, updating: undefined, failures: 0 };
}

/** Decides, never acts. */
export function step(schema: Schema, record: ShadowRecord, event: ShadowEvent): Result {
  const state = shadowTable[record.state][event.type];
  if (state === undefined) {
    throw new AgentError("agent/illegal-event", `shadow: ${event.type} in ${record.state}`);
  }
  const next = { ...record, state };
  switch (event.type) {
    case "subscribed":
      return {
        record: { ...next, version: 0, updating: undefined, failures: 0 },
        effects: [{ type: "get" }],
      };
    case "document": {
      const { reported, version } = event;
      return settled(
        converge(schema, { ...next, reported, version, updating: undefined }, event.desired),
      );
    }
    case "absent":
      return report({ ...next, reported: {}, updating: undefined, failures: 0 }, []);
    case "delta":
      if (record.state !== "following") return { record: next, effects: [] };
      // Older than what is known: late, or the shadow was made anew. Only the document can tell.
      if (event.version < record.version) return read(next);
      return converge(
        schema,
        { ...next, version: event.version, reported: without(record.reported, event.desired) },
        event.desired,
      );
    case "changed":
      return report({ ...next, values: { ...record.values, ...event.values } }, []);
    case "accepted":
      return report(
        {
          ...next,
          reported: { ...record.reported, ...record.updating },
          updating: undefined,
          failures: 0,
        },
        [],
      );
    case "lost":
      return { record: { ...next, updating: undefined, failures: 0 }, effects: [] };
    case "conflict":
      return readAgain(next, new AgentError("shadow/rejected", "shadow update: version conflict"));
    case "timeout":
      return readAgain(next, new AgentError("shadow/timeout", "shadow: no answer"));
    case "rejected":
      // A report the cloud refuses for good is not repeated unchanged; a refused read is a refused connection.
      if (state === "reading") return readAgain(next, event.error);
      return {
        record: {
          ...next,
          reported: { ...record.reported, ...record.updating },
          updating: undefined,
        },
        effects: [{ type: "report", error: event.error }],
      };
  }
}

/** Failures are over when nothing is left to report; until then they go on counting, or two writers would race for ever. */
function settled({ record, effects }: Result): Result {
  return { record: record.updating ? record : { ...record, failures: 0 }, effects };
}

function read(record: ShadowRecord): Result {
  return {
    record: { ...record, state: "reading", updating: undefined },
    effects: [{ type: "get" }],
  };
}

function readAgain(record: ShadowRecord, error: AgentError): Result {
  const failures = record.failures + 1;
  const next = { ...record, state: "reading" as const, updating: undefined, failures };
  if (failures >= maxFailures) return { record: next, effects: [{ type: "drop", error }] };
  return { record: next, effects: [{ type: "get" }] };
}

/** Takes what is desired, valid and new into force, then reports what the cloud does not know. */
function converge(schema: Schema, record: ShadowRecord, desired: Members): Result {
  const effects: ShadowEffect[] = [];
  const changed: Record<string, Value> = {};
  for (const name of Object.keys(schema)) {
    const wanted = desired[name];
    if (wanted === undefined || wanted === record.values[name]) continue;
    const reason = faultOf(schema[name]!, wanted);
    if (reason) effects.push({ type: "fault", name, reason });
    else changed[name] = wanted as Value;
  }
  if (Object.keys(changed).length > 0) effects.push({ type: "apply", changed });
  return report({ ...record, values: { ...record.values, ...changed } }, effects);
}

/** One update at a time, with only what differs; what changes meanwhile follows its answer. */
function report(record: ShadowRecord, effects: readonly ShadowEffect[]): Result {
  if (record.state !== "following" || record.updating) return { record, effects };
  const reported: Record<string, Value> = {};
  for (const name of Object.keys(record.values)) {
    const value = record.values[name]!;
    if (record.reported[name] !== value) reported[name] = value;
  }
  if (Object.keys(reported).length === 0) return { record, effects };
  return {
    record: { ...record, updating: reported },
    effects: [...effects, { type: "update", reported }],
  };
}

/** A delta says that the cloud has something else as reported: what was believed of these names is void. */
function without(reported: Members, differing: Members): Members {
  const rest: Record<string, Members[string]> = { ...reported };
  for (const name of Object.keys(differing))
    if (differing[name] !== undefined) rest[name] = undefined;
  return rest;
}
