// Performs what provisioning decides: saves the record first, then makes keys, asks, registers, adopts.
import { createCertificateTopic, provisionTopic } from "../cloud/topics.js";
import { AgentError, type ErrorCode } from "../errors.js";
import type { ClaimIdentity } from "../options.js";
import type { AgentStatus } from "../status.js";
import { certificationRequest } from "../trust/csr.js";
import type { Wiring } from "../wiring.js";
import {
  certificateRequest,
  encodeRecord,
  parseCertified,
  parseRecord,
  parseRegistered,
  parseRejected,
  registerRequest,
} from "./messages.js";
import {
  notProvisioned,
  type ProvisioningEffect,
  type ProvisioningEvent,
  type ProvisioningRecord,
  step,
} from "./provisioning.js";

/** How a server turns a certificate away. */
const refusals: readonly ErrorCode[] = Object.freeze([
  "connection/refused",
  "mqtt/refused",
  "mqtt/unanswered",
]);

export class Provisioner {
  readonly #wiring: Wiring;
  readonly #claim: ClaimIdentity;
  #record: ProvisioningRecord;

  constructor(wiring: Wiring, claim: ClaimIdentity) {
    this.#wiring = wiring;
    this.#claim = claim;
    this.#record = this.#load();
  }

  get record(): ProvisioningRecord {
    return this.#record;
  }

  #load(): ProvisioningRecord {
    const { store } = this.#wiring;
    const stored = store.read("identity");
    if (!stored) return notProvisioned;
    try {
      return parseRecord(new Uint8Array(stored));
    } catch (error) {
      // Nothing is thrown away: what could not be read is kept aside, and the claim earns a new identity.
      this.#attempt("identity.bad could not be kept", () =>
        store.write("identity.bad", new Uint8Array(stored)),
      );
      this.#wiring.emit({ type: "fault", error: error as AgentError });
      return notProvisioned;
    }
  }

  event(event: ProvisioningEvent): void {
    const { record, effects } = step(this.#record, event);
    if (record !== this.#record) {
      this.#save(record, event);
      this.#record = record;
      this.#tell(event);
    }
    for (const effect of effects) this.#perform(effect);
  }

  /** That an identity has proved itself can be found out again; everything else must be in flash before it is acted upon. */
  #save(record: ProvisioningRecord, event: ProvisioningEvent): void {
    try {
      this.#wiring.store.write("identity", encodeRecord(record));
    } catch (cause) {
      const error = new AgentError("storage/write", "identity: not saved", { cause });
      if (event.type !== "held") throw error;
      this.#wiring.emit({ type: "fault", error });
    }
  }

  #tell(event: ProvisioningEvent): void {
    const emit = (status: AgentStatus) => this.#wiring.emit(status);
    if (event.type === "keyMade") emit({ type: "keyMade" });
    if (event.type === "certified") emit({ type: "certified", certificateId: event.certificateId });
    if (event.type === "registered") emit({ type: "registered", thingName: event.thingName });
    if (event.type === "held") emit({ type: "provisioned", thingName: this.#record.thingName! });
  }

  #perform(effect: ProvisioningEffect): void {
    const { host } = this.#wiring;
    const claim = this.#claim;
    switch (effect.type) {
      case "makeKey":
        return this.event({ type: "keyMade", keyPair: host.crypto.generateKeyPair() });
      case "requestCertificate":
        // A flash that would not keep the certificate is found out before one is asked for.
        this.#save(this.#record, { type: "ready" });
        return this.#request(createCertificateTopic, certificateRequest(this.#csr()));
      case "register": {
        const request = registerRequest(this.#record.ownershipToken!, claim.parameters);
        return this.#request(provisionTopic(claim.template), request);
      }
      case "adopt":
        return this.#wiring.adopt();
      case "forgetClaim":
        return this.#attempt("identity.forgetClaim threw", () => claim.forgetClaim?.());
      case "drop":
        return this.#wiring.drop(effect.error);
    }
  }

  /** What may fail without keeping the device from its link. */
  #attempt(message: string, work: () => void): void {
    try {
      work();
    } catch (cause) {
      this.#wiring.emit({
        type: "fault",
        error: new AgentError("agent/fault", message, { cause }),
      });
    }
  }

  #csr(): Uint8Array {
    const { crypto, system } = this.#wiring.host;
    const { privateKey, publicKey } = this.#record.keyPair!;
    return certificationRequest(system.id, publicKey, message => crypto.sign(privateKey, message));
  }

  #request(topic: string, payload: Uint8Array): void {
    const { requests, session } = this.#wiring;
    requests.send(session, topic, payload, () => {
      const error = new AgentError("provisioning/timeout", `${topic}: no answer`);
      this.event({ type: "rejected", error });
    });
  }

  /** A reply may come twice; only the one that is waited for counts. */
  onMessage(topic: string, payload: Uint8Array): void {
    const isRegister = topic.startsWith(provisionTopic(this.#claim.template));
    if (this.#record.state !== (isRegister ? "certified" : "keyed")) return;
    this.#wiring.requests.answered();
    this.event(this.#parse(topic, payload, isRegister));
  }

  /** A reply that cannot be used counts as a refusal: it is spaced and bounded like one. */
  #parse(topic: string, payload: Uint8Array, isRegister: boolean): ProvisioningEvent {
    try {
      if (topic.endsWith("/rejected")) {
        return parseRejected(payload, isRegister ? "provision" : "create-from-csr");
      }
      return isRegister ? parseRegistered(payload) : parseCertified(payload, this.#record.keyPair!);
    } catch (error) {
      if (error instanceof AgentError) return { type: "rejected", error };
      throw error;
    }
  }

  /** The link as the own identity ended before the identity had ever held a session. */
  onLost(error: AgentError): void {
    const isAnswer = refusals.includes(error.code);
    if (this.#record.state === "registered" && isAnswer) this.event({ type: "rejected", error });
  }
}
