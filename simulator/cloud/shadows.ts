// The Device Shadow service: requests on `$aws/things/{thing}/shadow/...`, answers as broker messages.
// Merge and delta are in shadow-document, checks in shadow-request,
// what is kept in shadow-records.

import type { Clock } from "./environment.js";
import { CloudError } from "./errors.js";
import { type Json, type JsonObject, newObject, withoutPrototypes } from "./json.js";
import { type ShadowLimits, shadowLimits } from "./limits.js";
import { RequestRate } from "./request-rate.js";
import {
  deltaOf,
  mergeState,
  type Section,
  type Sections,
  type Shadow,
  sizeOf,
  stampOf,
} from "./shadow-document.js";
import { packageShadow } from "./shadow-package.js";
import { ShadowRecords, shadowKey } from "./shadow-records.js";
import {
  noSuchShadow,
  parseQuery,
  parseUpdate,
  type ShadowError,
  type ShadowErrorName,
  shadowErrors,
  stateError,
  type UpdateRequest,
} from "./shadow-request.js";
import type { Store } from "./store.js";

export { shadowSchemas } from "./shadow-records.js";

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
  readonly limits?: Partial<ShadowLimits>;
  /** Absent: a registered thing is not required (conflict 38 of the sources). Others get 404. */
  hasThing?(thing: string): boolean;
  publish(topic: string, payload: Uint8Array): void;
  onChange(change: ShadowChange): void;
}

export type ShadowOperation = "get" | "update" | "delete";

/** What a request is answered with; an error is a document too, and the token of the request is in either. */
export type ShadowAnswer = { readonly document: JsonObject } & (
  | { readonly ok: true }
  | { readonly ok: false; readonly error: ShadowError }
);

interface Address {
  readonly thing: string;
  readonly name: string | undefined;
  readonly prefix: string;
  readonly key: string;
}

type Outcome = JsonObject | ShadowError;

const thingPattern = "[a-zA-Z0-9:_-]{1,128}";
const namePattern = "[$a-zA-Z0-9:_-]{1,64}";
const topicPattern = new RegExp(
  `^\\$aws/things/(${thingPattern})/shadow(?:/name/(${namePattern}))?/(get|update|delete)$`,
);
const isThing = new RegExp(`^${thingPattern}$`);
const isName = new RegExp(`^${namePattern}$`);

export function isThingName(text: string): boolean {
  return isThing.test(text);
}

export function isShadowName(text: string): boolean {
  return isName.test(text);
}

function addressOf(thing: string, name: string | undefined): Address {
  const prefix = `$aws/things/${thing}/shadow${name === undefined ? "" : `/name/${name}`}`;
  return { thing, name, prefix, key: shadowKey(thing, name) };
}

function isError(outcome: Outcome): outcome is ShadowError {
  return "code" in outcome;
}

function withToken(body: JsonObject, clientToken: string | undefined): JsonObject {
  return clientToken === undefined ? body : { ...body, clientToken };
}

/** The states of both sections; absent ones are absent. */
function statesOf(sections: Sections, member: keyof Section): JsonObject {
  const states = newObject();
  if (sections.desired !== undefined) states.desired = sections.desired[member];
  if (sections.reported !== undefined) states.reported = sections.reported[member];
  return states;
}

/** The reserved shadow has no metadata: assumed to mean that the member is absent. */
function documentOf({ sections, version }: Shadow, { name }: Address): JsonObject {
  const state = statesOf(sections, "state");
  if (name === packageShadow) return { state, version };
  return { state, metadata: statesOf(sections, "metadata"), version };
}

export class Shadows {
  readonly #options: ShadowsOptions;
  readonly #limits: ShadowLimits;
  readonly #records: ShadowRecords;
  readonly #rate: RequestRate;
  #fault: ShadowError | undefined;

  constructor(options: ShadowsOptions) {
    this.#options = options;
    this.#limits = { ...shadowLimits, ...options.limits };
    this.#records = new ShadowRecords(options.store, options.clock, this.#limits);
    this.#rate = new RequestRate(this.#limits.requestsPerSecond);
  }

  static isRequest(topic: string): boolean {
    return topicPattern.test(topic);
  }

  /** Answers a request that came over MQTT; its answers are ordinary messages, QoS 1 capped by the grant. */
  handle(topic: string, payload: Uint8Array): void {
    const [, thing, name, operation] = topicPattern.exec(topic) ?? [];
    if (thing === undefined) return;
    const address = addressOf(thing, name);
    const answer = this.#perform(operation as ShadowOperation, address, payload);
    if (answer.ok && operation !== "get") return; // said with the change
    const outcome = answer.ok ? "accepted" : "rejected";
    this.#send(`${address.prefix}/${operation}/${outcome}`, answer.document);
  }

  /**
   * Answers a request that came over REST; who listens on MQTT hears of a change as if it had come there, and
   * nothing of a failure. Assumed for `accepted` and `documents`: the guide names `delta` only.
   */
  request(
    operation: ShadowOperation,
    thing: string,
    name: string | undefined,
    payload: Uint8Array,
  ): ShadowAnswer {
    return this.#perform(operation, addressOf(thing, name), payload);
  }

  /** Names of a thing's named shadows; empty for a thing nobody knows. */
  names(thing: string): readonly string[] {
    return this.#records.names(thing);
  }

  /** From now on every request is answered with this error; undefined ends it. For trying devices. */
  fail(name: ShadowErrorName | undefined): void {
    this.#fault = name === undefined ? undefined : shadowErrors[name];
  }

  /** A shadow as GET answers it; undefined when there is none. */
  read(thing: string, name?: string): JsonObject | undefined {
    const outcome = this.#get(addressOf(thing, name));
    return isError(outcome) ? undefined : outcome;
  }

  /** The owner's update of desired: neither throttled nor failed on purpose. */
  updateDesired(thing: string, desired: JsonObject, name?: string): number {
    const state = newObject();
    state.desired = withoutPrototypes(desired);
    const address = addressOf(thing, name);
    const error = topicPattern.test(`${address.prefix}/update`)
      ? stateError(state, this.#limits, name)
      : { code: 400, message: "Invalid thing name" };
    const outcome = error ?? this.#update(address, { state, version: undefined }, undefined);
    if (isError(outcome)) {
      const message = `The shadow of ${thing} was not updated: ${outcome.message}.`;
      throw new CloudError("cloud/shadow-rejected", message);
    }
    return outcome.version as number;
  }

  /** Changes and says so; an answer that changed nothing is for the caller to say. */
  #perform(operation: ShadowOperation, address: Address, payload: Uint8Array): ShadowAnswer {
    const parsed =
      operation === "update"
        ? parseUpdate(payload, this.#limits, address.name)
        : parseQuery(payload, this.#limits);
    const { clientToken } = parsed;
    const refusal = this.#refusal(address) ?? (parsed.ok ? undefined : parsed.error);
    const outcome = refusal ?? this.#operate(operation, address, parsed.request, clientToken);
    if (!isError(outcome)) return { ok: true, document: withToken(outcome, clientToken) };
    const { code, message } = outcome;
    const body = { code, message, timestamp: this.#seconds() };
    return { ok: false, error: outcome, document: withToken(body, clientToken) };
  }

  #refusal({ thing }: Address): ShadowError | undefined {
    if (this.#fault !== undefined) return this.#fault;
    if (!this.#rate.admits(thing, this.#options.clock.now())) return shadowErrors.tooManyRequests;
    const isKnown = this.#options.hasThing?.(thing) ?? true;
    return isKnown ? undefined : shadowErrors.thingNotFound;
  }

  #operate(
    operation: ShadowOperation,
    address: Address,
    request: UpdateRequest | undefined,
    clientToken: string | undefined,
  ): Outcome {
    if (request !== undefined) return this.#update(address, request, clientToken);
    return operation === "get" ? this.#get(address) : this.#delete(address, clientToken);
  }

  #get(address: Address): Outcome {
    const shadow = this.#records.find(address.key);
    if (shadow === undefined) return noSuchShadow(address.key);
    const document = documentOf(shadow, address);
    const delta = deltaOf(shadow.sections);
    if (delta !== undefined) (document.state as JsonObject).delta = delta.state;
    return { ...document, timestamp: this.#seconds() };
  }

  /** Conflict 10 of the sources: the answer has the next version, a new shadow the one after it. */
  #delete(address: Address, clientToken: string | undefined): Outcome {
    const shadow = this.#records.find(address.key);
    if (shadow === undefined) return noSuchShadow(address.key);
    const version = shadow.version + 1;
    this.#records.delete(address.key, version);
    const accepted = { version, timestamp: this.#seconds() };
    this.#send(`${address.prefix}/delete/accepted`, withToken(accepted, clientToken));
    this.#changed(address, { version, sections: {} }, undefined);
    return accepted;
  }

  /** Emits delta, documents and accepted, in gg-shadow's order, when the outcome is no error. */
  #update(address: Address, request: UpdateRequest, clientToken: string | undefined): Outcome {
    const { prefix, key } = address;
    const previous = this.#records.find(key);
    const conflict = this.#conflict(key, previous, request.version);
    if (conflict !== undefined) return conflict;
    const timestamp = this.#seconds();
    const sections = mergeState(previous?.sections ?? {}, request.state, timestamp);
    if (sizeOf(sections) > this.#limits.documentBytes) return shadowErrors.tooLarge;
    const version = (previous?.version ?? this.#records.lastVersion(key)) + 1;
    const current = { version, sections };
    this.#records.put(key, current);
    const delta = deltaOf(sections);
    if (delta !== undefined) {
      const body = { version, timestamp, ...delta };
      this.#send(`${prefix}/update/delta`, withToken(body, clientToken));
    }
    const documents = {
      previous: previous === undefined ? null : documentOf(previous, address),
      current: documentOf(current, address),
      timestamp,
    };
    this.#send(`${prefix}/update/documents`, withToken(documents, clientToken));
    const accepted = acceptedOf(request, address, { version, timestamp });
    this.#send(`${prefix}/update/accepted`, withToken(accepted, clientToken));
    this.#changed(address, current, delta?.state);
    return accepted;
  }

  /** For a missing shadow (conflict 12): no version, 1, or the deleted one. */
  #conflict(
    key: string,
    previous: Shadow | undefined,
    version: number | undefined,
  ): ShadowError | undefined {
    if (previous === undefined && !this.#records.hasRoom(key)) return shadowErrors.internal;
    if (version === undefined) return undefined;
    if (previous !== undefined) {
      return version === previous.version ? undefined : shadowErrors.versionConflict;
    }
    const deleted = this.#records.lastVersion(key);
    const isNext = version === 1 || (deleted > 0 && version === deleted);
    return isNext ? undefined : shadowErrors.versionConflict;
  }

  #changed({ thing, name }: Address, shadow: Shadow, delta: JsonObject | undefined): void {
    const { version, sections } = shadow;
    const desired = sections.desired?.state;
    const reported = sections.reported?.state;
    this.#options.onChange({ thing, name, version, desired, reported, delta });
  }

  #send(topic: string, body: JsonObject): void {
    this.#options.publish(topic, Buffer.from(JSON.stringify(body)));
  }

  #seconds(): number {
    return Math.floor(this.#options.clock.now() / 1000);
  }
}

/** The echo of the request with a timestamp for each of its members, nulls included. */
function acceptedOf(
  request: UpdateRequest,
  { name }: Address,
  { version, timestamp }: { readonly version: number; readonly timestamp: number },
): JsonObject {
  const state = request.state as Json;
  if (name === packageShadow) return { state, version, timestamp };
  return { state, metadata: stampOf(state, timestamp), version, timestamp };
}
