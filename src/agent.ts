// Owns the parts: saves what a step decided, then performs its effects, and tells the product what happens.
import {
  createCertificateTopic,
  provisioningFilters,
  provisionTopic,
  shadowFilters,
  shadowTopic,
} from "./cloud/topics.js";
import { Link, type LinkIdentity } from "./connection/link.js";
import { AgentError } from "./errors.js";
import type { KeyValue, TimerHandle } from "./host.js";
import { limits } from "./limits.js";
import type { QoS } from "./mqtt/packet.js";
import { Session } from "./mqtt/session.js";
import { type AgentOptions, type CheckedOptions, checkOptions } from "./options.js";
import {
  certificateRequest,
  encodeRecord,
  parseCertified,
  parseRejected as parseProvisioningRejected,
  parseRecord,
  parseRegistered,
  registerRequest,
} from "./provisioning/messages.js";
import {
  hasIdentity,
  notProvisioned,
  type ProvisioningEffect,
  type ProvisioningEvent,
  type ProvisioningRecord,
  step as provisioningStep,
} from "./provisioning/provisioning.js";
import { Settings } from "./settings.js";
import {
  encodeValues,
  getRequest,
  parseAccepted,
  parseDelta,
  parseDocument,
  parseRejected as parseShadowRejected,
  parseValues,
  type Reply,
  updateRequest,
} from "./shadow/messages.js";
import { checkSchema, type Schema } from "./shadow/schema.js";
import {
  type ShadowEffect,
  type ShadowEvent,
  type ShadowRecord,
  step as shadowStep,
  startingFrom,
} from "./shadow/shadow.js";
import type { AgentStatus } from "./status.js";
import { encodeSample, type Readings, TelemetryQueue } from "./telemetry/telemetry.js";
import { certificationRequest } from "./trust/csr.js";

export class Agent {
  readonly telemetry: {
    /**
     * Sends readings as one JSON message, with the time of this call; kept in memory, within bounds, until the link takes it.
     *
     * @throws AgentError "telemetry/limit" or "codec/json" for what cannot be sent
     */
    send(channel: string, readings: Readings, options?: { readonly QoS?: QoS }): void;
  };
  readonly #options: CheckedOptions;
  readonly #link: Link;
  readonly #queue = new TelemetryQueue();
  #store: KeyValue | undefined;
  #settings: Settings | undefined;
  #provisioning: ProvisioningRecord = notProvisioned;
  #shadow: ShadowRecord = startingFrom({});
  #identity: LinkIdentity | undefined;
  #replyTimer: TimerHandle | undefined;
  #clientToken: string | undefined;
  #tokens = 0;
  #boot = "";
  #observerFault: unknown;

  /** @throws AgentError "agent/options" or "trust/pem" */
  constructor(options: AgentOptions) {
    const checked = checkOptions(options);
    this.#options = checked;
    this.telemetry = {
      send: (channel, readings, more) => this.#send(channel, readings, more?.QoS ?? 1),
    };
    const { host, endpoint, port, trustAnchors, keepAliveMs, mqtt } = checked;
    this.#link = new Link({
      host,
      mqtt,
      endpoint,
      port,
      trustAnchors,
      keepAliveMs,
      identity: () => this.#identityToUse(),
      enter: work => this.#enter(work),
      onDialing: (identity, attempt) =>
        this.#emit({ type: "connecting", as: identity.as, attempt }),
      onOnline: (identity, sessionPresent) =>
        this.#emit({
          type: "online",
          as: identity.as,
          clientId: identity.clientId,
          sessionPresent,
        }),
      onLost: (error, retryInMs) => this.#onLost(error, retryInMs),
      onStopped: () => this.#emit({ type: "stopped" }),
    });
  }

  /** Name of this device in the registry; undefined until it has been provisioned. */
  get thingName(): string | undefined {
    return this.#options.own?.thingName ?? this.#provisioning.thingName;
  }

  /** What `onStatus` threw last, for a debugger: the agent goes on without it. */
  get observerFault(): unknown {
    return this.#observerFault;
  }

  /**
   * Declares the settings the device's classic shadow holds. Once, before `start`.
   *
   * @throws AgentError "agent/options" for a name or default that cannot be
   */
  settings<const S extends Schema>(schema: S): Settings<S> {
    if (this.#settings || this.#store)
      throw new AgentError("agent/options", "settings are declared once, before start");
    checkSchema(schema);
    this.#shadow = startingFrom(parseValues(undefined, schema));
    const settings = new Settings<S>(
      schema,
      () => this.#shadow.values,
      values => this.#shadowEvent({ type: "changed", values }),
    );
    this.#settings = settings as unknown as Settings;
    return settings;
  }

  /** Reads what storage holds and connects. A second call does nothing while running. */
  start(): void {
    this.#enter(() => {
      if (!this.#store) this.#open();
      this.#link.start();
    });
  }

  /** Ends the link in good order; status "stopped" follows. `start` goes on. */
  stop(): void {
    this.#enter(() => this.#link.stop());
  }

  // -- entry from outside --

  /** Whatever the host or the product starts runs in here: on a device an exception that left it would be a restart. */
  #enter(work: () => void): void {
    try {
      work();
    } catch (cause) {
      const error =
        cause instanceof AgentError
          ? cause
          : new AgentError(
              "agent/fault",
              `agent: ${cause instanceof Error ? cause.message : "fault"}`,
              { cause },
            );
      this.#emit({ type: "fault", error });
      this.#link.drop(error);
    }
  }

  #emit(status: AgentStatus): void {
    try {
      this.#options.onStatus(status);
    } catch (cause) {
      this.#observerFault = cause;
    }
  }

  #open(): void {
    const { host } = this.#options;
    this.#store = host.keyValue.open({ path: "skerry" });
    this.#boot = Array.from(host.crypto.random(4), byte => byte.toString(16).padStart(2, "0")).join(
      "",
    );
    if (this.#settings) this.#shadow = startingFrom(this.#readSettings(this.#settings.schema));
    if (!this.#options.claim) return;
    this.#provisioning = this.#readIdentity();
    this.#provisioningEvent({ type: "begun" });
  }

  #readIdentity(): ProvisioningRecord {
    const stored = this.#store!.read("identity");
    if (!stored) return notProvisioned;
    try {
      return parseRecord(new Uint8Array(stored));
    } catch (error) {
      // Nothing is thrown away: what could not be read is kept aside, and the claim earns a new identity.
      this.#store!.write("identity.bad", new Uint8Array(stored));
      this.#emit({ type: "fault", error: error as AgentError });
      return notProvisioned;
    }
  }

  #readSettings(schema: Schema): ShadowRecord["values"] {
    const stored = this.#store!.read("settings");
    try {
      return parseValues(stored && new Uint8Array(stored), schema);
    } catch (cause) {
      const error = new AgentError(
        "storage/damaged",
        "settings: the stored values cannot be read, defaults are used",
        { cause },
      );
      this.#emit({ type: "fault", error });
      return parseValues(undefined, schema);
    }
  }

  // -- link --

  #identityToUse(): LinkIdentity {
    const { own, claim, host } = this.#options;
    const as = own || hasIdentity(this.#provisioning) ? "device" : "claim";
    if (this.#identity?.as !== as) {
      const filters =
        as === "claim"
          ? provisioningFilters(claim!.template)
          : this.#settings
            ? shadowFilters(this.thingName!)
            : [];
      const { keyPair, certificates } = this.#provisioning;
      this.#identity = {
        as,
        clientId: as === "claim" ? host.system.id : this.thingName!,
        clean: as === "claim",
        credentials:
          own?.credentials ??
          (as === "claim"
            ? claim!.credentials
            : { certificates: certificates!, key: keyPair!.privateKey }),
        session: new Session(filters, {
          onMessage: (topic, payload) => this.#onMessage(topic, payload),
          onOversize: (topic, byteLength) =>
            this.#fault(
              new AgentError(
                "mqtt/limit",
                `${topic}: ${byteLength} bytes, at most ${limits.messageBytes} are taken`,
              ),
            ),
          onSubscribed: () => this.#onSubscribed(as),
          onRefused: topic =>
            this.#fault(new AgentError("mqtt/subscribe", `SUBSCRIBE ${topic}: refused`)),
          onRoom: () => this.#drain(),
        }),
      };
    }
    return this.#identity;
  }

  #fault(error: AgentError): void {
    this.#emit({ type: "fault", error });
  }

  #onSubscribed(as: "claim" | "device"): void {
    if (as === "claim") return this.#provisioningEvent({ type: "ready" });
    if (this.#options.claim) this.#provisioningEvent({ type: "held" });
    if (this.#settings) this.#shadowEvent({ type: "subscribed" });
    this.#drain();
  }

  #onLost(error: AgentError, retryInMs: number): void {
    this.#options.host.timer.clear(this.#replyTimer);
    this.#shadowEvent({ type: "lost" });
    this.#emit({ type: "offline", error, retryInMs });
  }

  #request(topic: string, payload: Uint8Array, onTimeout: () => void): void {
    const { timer } = this.#options.host;
    timer.clear(this.#replyTimer);
    this.#replyTimer = timer.set(() => this.#enter(onTimeout), limits.replyMs);
    this.#identity!.session.publish({ topic, payload, QoS: 1 });
  }

  #onMessage(topic: string, payload: Uint8Array): void {
    if (this.#identity!.as === "claim") this.#onProvisioningMessage(topic, payload);
    else if (this.#settings) this.#onShadowMessage(topic, payload, this.#settings.schema);
  }

  // -- provisioning --

  #provisioningEvent(event: ProvisioningEvent): void {
    const { record, effects } = provisioningStep(this.#provisioning, event);
    const isNew = record !== this.#provisioning;
    if (isNew) {
      this.#store!.write("identity", encodeRecord(record));
      this.#provisioning = record;
    }
    if (isNew) this.#emitProvisioning(event);
    for (const effect of effects) this.#performProvisioning(effect);
  }

  #emitProvisioning(event: ProvisioningEvent): void {
    if (event.type === "keyMade") this.#emit({ type: "keyMade" });
    if (event.type === "certified")
      this.#emit({ type: "certified", certificateId: event.certificateId });
    if (event.type === "registered") this.#emit({ type: "registered", thingName: event.thingName });
    if (event.type === "held") this.#emit({ type: "provisioned", thingName: this.thingName! });
  }

  #performProvisioning(effect: ProvisioningEffect): void {
    const { host, claim } = this.#options;
    const { keyPair, ownershipToken } = this.#provisioning;
    const timedOut = () =>
      this.#provisioningEvent({
        type: "rejected",
        error: new AgentError("provisioning/timeout", "provisioning: no answer"),
      });
    switch (effect.type) {
      case "makeKey":
        return this.#provisioningEvent({ type: "keyMade", keyPair: host.crypto.generateKeyPair() });
      case "requestCertificate": {
        const { privateKey, publicKey } = keyPair!;
        const csr = certificationRequest(host.system.id, publicKey, message =>
          host.crypto.sign(privateKey, message),
        );
        return this.#request(createCertificateTopic, certificateRequest(csr), timedOut);
      }
      case "register":
        return this.#request(
          provisionTopic(claim!.template),
          registerRequest(ownershipToken!, claim!.parameters),
          timedOut,
        );
      case "adopt":
        return this.#link.switch();
      case "forgetClaim":
        return claim!.forgetClaim?.();
      case "drop":
        return this.#link.drop(effect.error);
    }
  }

  #onProvisioningMessage(topic: string, payload: Uint8Array): void {
    const isRegister = topic.startsWith(provisionTopic(this.#options.claim!.template));
    // A reply may come twice; only the one that is waited for counts.
    if (this.#provisioning.state !== (isRegister ? "certified" : "keyed")) return;
    this.#options.host.timer.clear(this.#replyTimer);
    if (topic.endsWith("/rejected")) {
      const request = isRegister ? "provision" : "create-from-csr";
      this.#provisioningEvent(parseProvisioningRejected(payload, request));
    } else this.#provisioningEvent(isRegister ? parseRegistered(payload) : parseCertified(payload));
  }

  // -- shadow --

  #shadowEvent(event: ShadowEvent): void {
    const before = this.#shadow;
    const { record, effects } = shadowStep(this.#settings?.schema ?? {}, before, event);
    this.#shadow = record;
    if (record.values !== before.values) this.#saveSettings(before, record);
    for (const effect of effects) this.#performShadow(effect);
  }

  /** An unchanged value writes nothing; a full flash keeps the values in memory and says so. */
  #saveSettings(before: ShadowRecord, record: ShadowRecord): void {
    const names = Object.keys(record.values);
    if (!this.#store || names.every(name => before.values[name] === record.values[name])) return;
    try {
      this.#store.write("settings", encodeValues(record.values));
    } catch (cause) {
      this.#fault(
        new AgentError("storage/write", "settings: not saved, they hold until the next restart", {
          cause,
        }),
      );
    }
  }

  #performShadow(effect: ShadowEffect): void {
    switch (effect.type) {
      case "get":
        return this.#request(
          shadowTopic(this.thingName!, "get"),
          getRequest(this.#newToken()),
          () => this.#shadowEvent({ type: "timeout" }),
        );
      case "update":
        this.#emit({ type: "reported", values: effect.reported });
        return this.#request(
          shadowTopic(this.thingName!, "update"),
          updateRequest(effect.reported, this.#newToken()),
          () => this.#shadowEvent({ type: "timeout" }),
        );
      case "apply":
        return this.#apply(effect.changed);
      case "fault":
        return this.#emit({ type: "settingRefused", name: effect.name, reason: effect.reason });
      case "report":
        return this.#fault(effect.error);
      case "drop":
        return this.#link.drop(effect.error);
    }
  }

  #apply(changed: ShadowRecord["values"]): void {
    this.#emit({ type: "settings", changed, version: this.#shadow.version });
    try {
      this.#settings?.onChange?.(changed);
    } catch (cause) {
      this.#fault(
        new AgentError(
          "agent/fault",
          `settings.onChange threw for ${Object.keys(changed).join(", ")}`,
          { cause },
        ),
      );
    }
  }

  #newToken(): string {
    this.#clientToken = `${this.#boot}-${++this.#tokens}`;
    return this.#clientToken;
  }

  #onShadowMessage(topic: string, payload: Uint8Array, schema: Schema): void {
    const suffix = topic.slice(shadowTopic(this.thingName!, "").length);
    if (suffix === "update/delta") return this.#shadowEvent(parseDelta(payload, schema));
    if (suffix === "get/accepted") this.#answered(parseDocument(payload, schema));
    else if (suffix === "get/rejected") this.#answered(parseShadowRejected(payload, "get"));
    else if (suffix === "update/accepted") this.#answered(parseAccepted(payload));
    else if (suffix === "update/rejected") this.#answered(parseShadowRejected(payload, "update"));
  }

  /** Every subscriber sees every reply: only the one to our own pending request counts. */
  #answered(reply: Reply): void {
    if (this.#clientToken === undefined || reply.clientToken !== this.#clientToken) return;
    this.#clientToken = undefined;
    this.#options.host.timer.clear(this.#replyTimer);
    this.#shadowEvent(reply.event);
  }

  // -- telemetry --

  #send(channel: string, readings: Readings, QoS: QoS): void {
    this.#queue.push(encodeSample(channel, readings, this.#options.host.clock.now(), QoS));
    this.#enter(() => this.#drain());
  }

  #drain(): void {
    const identity = this.#identity;
    if (!this.#link.isOnline || identity?.as !== "device") return;
    while (identity.session.hasRoom) {
      const sample = this.#queue.shift();
      if (!sample) return;
      const { channel, payload, QoS } = sample;
      const topic = this.#options.telemetryTopic
        .replace("{thing}", this.thingName!)
        .replace("{channel}", channel);
      identity.session.publish({
        topic,
        payload,
        QoS,
        keep: true,
        onAcknowledged: () =>
          this.#emit({
            type: "telemetry",
            channel,
            byteLength: payload.length,
            dropped: this.#queue.dropped,
          }),
      });
    }
  }
}
