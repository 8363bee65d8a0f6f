// Performs what the shadow decides: saves the values first, then asks, reports and tells the product.
import { shadowTopic } from "../cloud/topics.js";
import { AgentError } from "../errors.js";
import { readPair, writePair } from "../util/sealed.js";
import type { Wiring } from "../wiring.js";
import {
  encodeValues,
  getRequest,
  parseAccepted,
  parseDelta,
  parseDocument,
  parseRejected,
  parseValues,
  type Reply,
  updateRequest,
} from "./messages.js";
import type { Schema, Value, Values } from "./schema.js";
import {
  type ShadowEffect,
  type ShadowEvent,
  type ShadowRecord,
  startingFrom,
  step,
} from "./shadow.js";
import type { ShadowState } from "./table.js";

/** Who wants to know; the product's settings. */
export interface SettingsListener {
  onChange: ((changed: Values) => void) | undefined;
}

export class Follower {
  readonly #schema: Schema;
  /** Set by whoever made it. */
  listener: SettingsListener | undefined;
  #wiring: Wiring | undefined;
  #record: ShadowRecord;
  #clientToken: string | undefined;
  #tokens = 0;

  constructor(schema: Schema) {
    this.#schema = schema;
    this.#record = startingFrom(parseValues(undefined, schema));
  }

  get values(): Values {
    return this.#record.values;
  }

  /** The agent starts: what was stored comes into force. */
  open(wiring: Wiring): void {
    this.#wiring = wiring;
    try {
      const stored = readPair(wiring.store, "settings");
      this.#record = startingFrom(parseValues(stored, this.#schema));
    } catch (cause) {
      const message = "settings: the stored values cannot be read, defaults are used";
      wiring.emit({ type: "fault", error: new AgentError("storage/damaged", message, { cause }) });
    }
    this.#tellStored(wiring);
  }

  /** The product starts from its defaults: what differs from them is news to it. */
  #tellStored(wiring: Wiring): void {
    const stored: Record<string, Value> = {};
    for (const name of Object.keys(this.#schema)) {
      const value = this.values[name]!;
      if (value !== this.#schema[name]!.default) stored[name] = value;
    }
    if (Object.keys(stored).length > 0) this.#tell(stored, wiring);
  }

  /** Whether what storage holds is known. */
  get isOpen(): boolean {
    return this.#wiring !== undefined;
  }

  /** The topics of the replies are subscribed, perhaps with others, perhaps again. */
  subscribed(): void {
    if (this.#record.state === "idle") this.event({ type: "subscribed" });
  }

  event(event: ShadowEvent): void {
    const before = this.#record.values;
    const { record, effects } = step(this.#schema, this.#record, event);
    this.#record = record;
    if (record.values !== before) this.#save(before);
    for (const effect of effects) this.#perform(effect, this.#wiring!);
  }

  /** An unchanged value writes nothing; a flash that refuses keeps the values in memory and says so. */
  #save(before: Values): void {
    const { values } = this.#record;
    if (!this.#wiring || Object.keys(values).every(name => before[name] === values[name])) return;
    try {
      writePair(this.#wiring.store, "settings", encodeValues(values));
    } catch (cause) {
      const message = "settings: not saved, they hold until the next restart";
      this.#wiring.emit({
        type: "fault",
        error: new AgentError("storage/write", message, { cause }),
      });
    }
  }

  #perform(effect: ShadowEffect, wiring: Wiring): void {
    switch (effect.type) {
      case "get":
        return this.#request("get", getRequest(this.#newToken(wiring)), wiring);
      case "update":
        wiring.emit({ type: "reported", values: effect.reported });
        return this.#request(
          "update",
          updateRequest(effect.reported, this.#newToken(wiring)),
          wiring,
        );
      case "apply":
        return this.#apply(effect.changed, wiring);
      case "fault":
        return wiring.emit({ type: "settingRefused", name: effect.name, reason: effect.reason });
      case "report":
        return wiring.emit({ type: "fault", error: effect.error });
      case "drop":
        return wiring.drop(effect.error);
    }
  }

  #request(operation: "get" | "update", payload: Uint8Array, wiring: Wiring): void {
    // The product has stopped the agent when it was told.
    if (this.#record.state === "idle") return;
    const topic = shadowTopic(wiring.thingName!, operation);
    wiring.requests.send(wiring.session, topic, payload, () => this.event({ type: "timeout" }));
  }

  #apply(changed: Values, wiring: Wiring): void {
    wiring.emit({ type: "settings", changed, version: this.#record.version });
    this.#tell(changed, wiring);
  }

  #tell(changed: Values, wiring: Wiring): void {
    try {
      this.listener?.onChange?.(changed);
    } catch (cause) {
      const message = `settings.onChange threw for ${Object.keys(changed).join(", ")}`;
      wiring.emit({ type: "fault", error: new AgentError("agent/fault", message, { cause }) });
    }
  }

  #newToken(wiring: Wiring): string {
    this.#clientToken = `${wiring.tokenPrefix}-${++this.#tokens}`;
    return this.#clientToken;
  }

  onMessage(topic: string, payload: Uint8Array): void {
    const suffix = topic.slice(shadowTopic(this.#wiring!.thingName!, "").length);
    if (suffix === "update/delta") {
      // While the document is on its way a delta is old news, and what stands in it of no interest.
      if (this.#record.state !== "following") return;
      return this.event(parseDelta(payload, this.#schema));
    }
    if (suffix === "get/accepted") this.#answered("reading", parseDocument(payload, this.#schema));
    else if (suffix === "get/rejected") this.#answered("reading", parseRejected(payload, "get"));
    else if (suffix === "update/accepted") this.#answered("following", parseAccepted(payload));
    else if (suffix === "update/rejected")
      this.#answered("following", parseRejected(payload, "update"));
  }

  /** Every subscriber sees every reply: only the one to our own pending request counts, and only to what it asked. */
  #answered(state: ShadowState, reply: Reply): void {
    if (this.#clientToken === undefined || reply.clientToken !== this.#clientToken) return;
    if (this.#record.state !== state) return;
    this.#clientToken = undefined;
    this.#wiring!.requests.answered();
    this.event(reply.event);
  }
}
