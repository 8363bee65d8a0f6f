// The Device Shadow service: requests on `$aws/things/{thing}/shadow/...`, answers as broker messages.
// Merge and delta are in shadow-document, checks in shadow-request.

import * as v from "valibot";
import type { Clock } from "./environment.js";
import { CloudError } from "./errors.js";
import { type Json, type JsonObject, newObject, withoutPrototypes } from "./json.js";
import { shadowLimits } from "./limits.js";
import {
  deltaOf,
  mergeState,
  type Section,
  type Sections,
  type Shadow,
  sizeOf,
  stampOf,
} from "./shadow-document.js";
import {
  parseQuery,
  parseUpdate,
  type ShadowError,
  shadowErrors,
  stateError,
  type UpdateRequest,
} from "./shadow-request.js";
import type { Store } from "./store.js";

const jsonObject = v.custom<JsonObject>(
  value => typeof value === "object" && value !== null && !Array.isArray(value),
  "Expected an object",
);
const section = v.object({ state: jsonObject, metadata: jsonObject });
const shadowSchema = v.object({
  version: v.pipe(v.number(), v.integer(), v.minValue(1)),
  sections: v.object({
    desired: v.exactOptional(section),
    reported: v.exactOptional(section),
  }),
  /** Epoch milliseconds; such a record only remembers the version. */
  deletedAt: v.exactOptional(v.number()),
});
type ShadowRecord = v.InferOutput<typeof shadowSchema>;

/** Kinds of record that shadows keep in the store. */
export const shadowSchemas = { shadow: shadowSchema } as const;

export interface ShadowChange {
  readonly thing: string;
  /** Undefined for the classic shadow. */
  readonly name: string | undefined;
  readonly version: number;
  readonly desired: JsonObject | undefined;
  readonly reported: JsonObject | undefined;
  readonly delta: JsonObject | undefined;
}

export interface ShadowsOptions {
  readonly store: Store;
  readonly clock: Clock;
  publish(topic: string, payload: Uint8Array): void;
  onChange(change: ShadowChange): void;
}

interface Address {
  readonly thing: string;
  readonly name: string | undefined;
  readonly prefix: string;
  /** As the 404 message names it. */
  readonly key: string;
}

type Operation = "get" | "update" | "delete";
type Answer = JsonObject | ShadowError;

const topicPattern =
  /^\$aws\/things\/([a-zA-Z0-9:_-]{1,128})\/shadow(?:\/name\/([$a-zA-Z0-9:_-]{1,64}))?\/(get|update|delete)$/;

function addressOf(thing: string, name: string | undefined): Address {
  const prefix = `$aws/things/${thing}/shadow${name === undefined ? "" : `/name/${name}`}`;
  return { thing, name, prefix, key: name === undefined ? thing : `${thing}~${name}` };
}

function isError(answer: Answer): answer is ShadowError {
  return "code" in answer;
}

/** The states of both sections; absent ones are absent. */
function statesOf(sections: Sections, member: keyof Section): JsonObject {
  const states = newObject();
  if (sections.desired !== undefined) states.desired = sections.desired[member];
  if (sections.reported !== undefined) states.reported = sections.reported[member];
  return states;
}

function documentOf({ sections, version }: Shadow): JsonObject {
  const state = statesOf(sections, "state");
  const metadata = statesOf(sections, "metadata");
  return { state, metadata, version };
}

export class Shadows {
  readonly #options: ShadowsOptions;
  readonly #records: Map<string, ShadowRecord>;

  constructor(options: ShadowsOptions) {
    this.#options = options;
    this.#records = new Map(options.store.list("shadow", shadowSchema));
  }

  /** Whether this is a request topic; a registered thing is not required (conflict 38 of the sources). */
  static isRequest(topic: string): boolean {
    return topicPattern.test(topic);
  }

  /** Answers a request that came over MQTT; its answers are ordinary messages, QoS 1 capped by the grant. */
  handle(topic: string, payload: Uint8Array): void {
    const [, thing, name, operation] = topicPattern.exec(topic) ?? [];
    if (thing === undefined) return;
    const address = addressOf(thing, name);
    if (operation === "update") this.#handleUpdate(address, payload);
    else this.#handleQuery(address, operation === "get" ? "get" : "delete", payload);
  }

  /** The classic shadow as GET answers it; undefined when there is none. */
  read(thing: string): JsonObject | undefined {
    const answer = this.#get(addressOf(thing, undefined));
    return isError(answer) ? undefined : answer;
  }

  /** A REST-like update of desired; emits the same messages (assumed: accepted and documents too). */
  updateDesired(thing: string, desired: JsonObject): number {
    const request = newObject();
    request.desired = withoutPrototypes(desired);
    const address = addressOf(thing, undefined);
    const error = topicPattern.test(`${address.prefix}/update`)
      ? stateError(request)
      : { code: 400, message: "Invalid thing name" };
    const answer =
      error ?? this.#update(address, { state: request, version: undefined }, undefined);
    if (isError(answer)) {
      const message = `The shadow of ${thing} was not updated: ${answer.message}.`;
      throw new CloudError("cloud/shadow-rejected", message);
    }
    return answer.version as number;
  }

  #handleUpdate(address: Address, payload: Uint8Array): void {
    const parsed = parseUpdate(payload);
    const { clientToken } = parsed;
    const answer = parsed.ok ? this.#update(address, parsed.request, clientToken) : parsed.error;
    if (isError(answer)) this.#reject(address, "update", answer, clientToken);
  }

  #handleQuery(address: Address, operation: "get" | "delete", payload: Uint8Array): void {
    const parsed = parseQuery(payload);
    const { clientToken } = parsed;
    if (!parsed.ok) return this.#reject(address, operation, parsed.error, clientToken);
    const answer = operation === "get" ? this.#get(address) : this.#delete(address);
    if (isError(answer)) this.#reject(address, operation, answer, clientToken);
    else this.#send(`${address.prefix}/${operation}/accepted`, answer, clientToken);
  }

  #get(address: Address): Answer {
    const shadow = this.#find(address);
    if (shadow === undefined) return this.#missing(address);
    const document = documentOf(shadow);
    const delta = deltaOf(shadow.sections);
    if (delta !== undefined) (document.state as JsonObject).delta = delta.state;
    return { ...document, timestamp: this.#seconds() };
  }

  /** The deleted version is remembered, so that a new shadow continues after it (conflict 10: prev + 1). */
  #delete(address: Address): Answer {
    const shadow = this.#find(address);
    if (shadow === undefined) return this.#missing(address);
    const version = shadow.version + 1;
    this.#put(address, { version, sections: {}, deletedAt: this.#options.clock.now() });
    this.#changed(address, { version, sections: {} }, undefined);
    return { version, timestamp: this.#seconds() };
  }

  /** Emits delta, documents and accepted, in gg-shadow's order, when the answer is no error. */
  #update(address: Address, request: UpdateRequest, clientToken: string | undefined): Answer {
    const previous = this.#find(address);
    const conflict = this.#conflict(address, previous, request.version);
    if (conflict !== undefined) return conflict;
    const timestamp = this.#seconds();
    const sections = mergeState(previous?.sections ?? {}, request.state, timestamp);
    if (sizeOf(sections) > shadowLimits.documentBytes) return shadowErrors.tooLarge;
    const version = (previous?.version ?? this.#lastVersion(address)) + 1;
    const current = { version, sections };
    this.#put(address, current);
    const delta = deltaOf(sections);
    const { prefix } = address;
    if (delta !== undefined) {
      this.#send(`${prefix}/update/delta`, { version, timestamp, ...delta }, clientToken);
    }
    const documents = {
      previous: previous === undefined ? null : documentOf(previous),
      current: documentOf(current),
      timestamp,
    };
    this.#send(`${prefix}/update/documents`, documents, clientToken);
    const accepted = acceptedOf(request, version, timestamp);
    this.#send(`${prefix}/update/accepted`, accepted, clientToken);
    this.#changed(address, current, delta?.state);
    return accepted;
  }

  /** For a missing shadow (conflict 12): no version, 1, or the deleted one. */
  #conflict(
    address: Address,
    previous: Shadow | undefined,
    version: number | undefined,
  ): ShadowError | undefined {
    if (previous === undefined && this.#isFull(address)) return shadowErrors.internal;
    if (version === undefined) return undefined;
    if (previous !== undefined) {
      return version === previous.version ? undefined : shadowErrors.versionConflict;
    }
    const isFirst = version === 1 || version === this.#lastVersion(address);
    return isFirst ? undefined : shadowErrors.versionConflict;
  }

  #isFull(address: Address): boolean {
    return this.#records.size >= shadowLimits.shadows && !this.#records.has(address.key);
  }

  #find(address: Address): ShadowRecord | undefined {
    const record = this.#records.get(address.key);
    return record?.deletedAt === undefined ? record : undefined;
  }

  /** 0, or the version of a shadow deleted less than 48 hours ago. */
  #lastVersion(address: Address): number {
    const record = this.#records.get(address.key);
    if (record?.deletedAt === undefined) return 0;
    const age = this.#options.clock.now() - record.deletedAt;
    return age < shadowLimits.deletionMemoryMs ? record.version : 0;
  }

  #put(address: Address, record: ShadowRecord): void {
    this.#records.set(address.key, record);
    this.#options.store.put("shadow", address.key, record);
  }

  #changed({ thing, name }: Address, shadow: Shadow, delta: JsonObject | undefined): void {
    const { version, sections } = shadow;
    const desired = sections.desired?.state;
    const reported = sections.reported?.state;
    this.#options.onChange({ thing, name, version, desired, reported, delta });
  }

  #missing(address: Address): ShadowError {
    return { code: 404, message: `No shadow exists with name: '${address.key}'` };
  }

  #reject(address: Address, operation: Operation, error: ShadowError, token?: string): void {
    const { code, message } = error;
    const body = { code, message, timestamp: this.#seconds() };
    this.#send(`${address.prefix}/${operation}/rejected`, body, token);
  }

  #send(topic: string, body: Record<string, Json>, clientToken: string | undefined): void {
    const document = clientToken === undefined ? body : { ...body, clientToken };
    this.#options.publish(topic, Buffer.from(JSON.stringify(document)));
  }

  #seconds(): number {
    return Math.floor(this.#options.clock.now() / 1000);
  }
}

/** The echo of the request with a timestamp for each of its members, nulls included. */
function acceptedOf(request: UpdateRequest, version: number, timestamp: number): JsonObject {
  const state = request.state as Json;
  return { state, metadata: stampOf(state, timestamp), version, timestamp };
}
