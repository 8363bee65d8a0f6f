// Performs what provisioning decides: saves the record first, then makes keys, asks, registers, adopts, retires.

import {
  createCertificateTopic,
  type Operation,
  provisioningFilters,
  provisionTopic,
} from "../cloud/topics.js";
import { AgentError, type ErrorCode } from "../errors.js";
import type { KeyPair, TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import { Requests } from "../mqtt/requests.js";
import type { CheckedOptions } from "../options.js";
import { type Credentials, credentialsOf } from "../trust/credentials.js";
import { certificationRequest } from "../trust/csr.js";
import { validFrom } from "../trust/validity.js";
import { toHex } from "../util/bytes.js";
import type { Wiring } from "../wiring.js";
import { type Configuration, keepConfiguration, readConfiguration } from "./configuration.js";
import { type Credential, CredentialStore } from "./credentials.js";
import { type Enrolling, withDefaults } from "./enrolling.js";
import {
  certificateRequest,
  parseCertified,
  parseRegistered,
  parseRejected,
  registerRequest,
} from "./messages.js";
import {
  isOnTrial,
  needsClaim,
  notProvisioned,
  type ProvisioningEffect,
  type ProvisioningEvent,
  type ProvisioningRecord,
  type Slot,
  stateOf,
  step,
} from "./provisioning.js";

/** How a server turns a certificate away. */
const refusals: readonly ErrorCode[] = Object.freeze([
  "connection/refused",
  "mqtt/refused",
  "mqtt/unanswered",
]);

const dayMs = 86_400_000;
/** Where reports about the identity go, among the product's channels. */
const reportChannel = "identity";

export class Provisioner {
  readonly #wiring: Wiring;
  readonly #options: CheckedOptions;
  #pending: Requests | undefined;
  #record: ProvisioningRecord;
  #retry: TimerHandle | undefined;
  /** A publish is on its way that the identity on trial has to see acknowledged. */
  #isProving = false;
  #reports = 0;
  /** Flash has the record. */
  #isSaved = true;
  /** Ticks before which no age is a reason to ask: a refusal, or a clock that is ahead, would be one with every link. */
  #restUntil = 0;
  #configuration: Configuration | undefined;

  constructor(wiring: Wiring, options: CheckedOptions) {
    this.#wiring = wiring;
    this.#options = options;
    this.#record = this.load();
  }

  /** Made when needed: most devices, most of their lives, have nothing to ask for. */
  private get requests(): Requests {
    this.#pending ??= new Requests(this.#wiring.host.timer, this.#wiring);
    return this.#pending;
  }

  private get store(): CredentialStore {
    return new CredentialStore(this.#wiring.store);
  }

  get record(): ProvisioningRecord {
    return this.#record;
  }

  get isClaim(): boolean {
    return needsClaim(this.#record);
  }

  /** Names the identity to dial with; another name, another credential. */
  get identityName(): string {
    const { identity, enrollment } = this.#record;
    if (this.isClaim) return "claim";
    return `${isOnTrial(this.#record) ? enrollment!.slot : identity!.slot}`;
  }

  get thingName(): string | undefined {
    const { identity, enrollment } = this.#record;
    return (isOnTrial(this.#record) ? enrollment!.thingName : undefined) ?? identity?.thingName;
  }

  /** To dial with. @throws AgentError "storage/damaged" */
  get credentials(): Credentials {
    const { claim, own } = this.#options;
    const { identity, enrollment } = this.#record;
    if (this.isClaim) return credentialsOf(claim!.claim, "identity.claim");
    const slot = isOnTrial(this.#record) ? enrollment!.slot : identity!.slot;
    if (slot === "given") return credentialsOf(own!, "identity");
    const { keyPair, certificates } = this.store.readCredential(slot);
    return { certificates, key: keyPair.privateKey };
  }

  get hasIdentity(): boolean {
    return this.#record.identity !== undefined;
  }

  /** Whether one that is to take the place of the identity in force is on trial. */
  get isReplacing(): boolean {
    return isOnTrial(this.#record) && this.#record.identity !== undefined;
  }

  /** The reply topics, while something is asked for over the link that dials as `identityName`. */
  get filters(): readonly string[] {
    const state = stateOf(this.#record);
    const isAsking = state === "wanted" || state === "keyed" || state === "certified";
    return isAsking ? provisioningFilters(this.enrolling, this.operation) : [];
  }

  /** What the template's DeviceConfiguration said, of the last registration. */
  get configuration(): Configuration {
    this.#configuration ??= readConfiguration(this.#wiring);
    return this.#configuration;
  }

  /** What was in flash when the machine started may be damaged by now: then all begins anew. */
  resume(): void {
    const { identity, enrollment } = this.#record;
    if (identity === undefined && enrollment === undefined) this.event({ type: "begun" });
  }

  /** Asks for another identity. @returns whether that was news */
  renew(via: "claim" | "identity"): boolean {
    if (this.#record.enrollment !== undefined) return false;
    this.tryStep(() => this.event({ type: "wanted", via }));
    return this.#record.enrollment !== undefined;
  }

  event(event: ProvisioningEvent): void {
    const { record, effects } = step(this.#record, event);
    if (record !== this.#record) {
      this.#isSaved = this.save(record, event);
      const before = this.#record;
      this.#record = record;
      this.tell(event, before);
    }
    for (const effect of effects)
      if (this.#isSaved || effect.type !== "erase") this.perform(effect);
  }

  /** All topics of the link are subscribed. */
  onSubscribed(): void {
    if (isOnTrial(this.#record)) {
      if (this.isReplacing) return this.prove();
      this.event({ type: "held" });
    }
    if (this.filters.length > 0) {
      if (!this.#pending?.isWaiting) this.ready();
    } else if (!this.isClaim) this.settled();
  }

  /** The identity in force has its link, and nothing else is on its way. */
  private settled(): void {
    this.reportRetired();
    this.renewOfAge();
    const { enrollment, retired } = this.#record;
    if (!enrollment && !retired && !this.#retry && this.#isSaved) this.#wiring.rest();
  }

  /** A reply may come twice; only the one that is waited for counts. */
  onMessage(topic: string, payload: Uint8Array): void {
    const { template, format } = this.enrolling;
    const isRegister = topic.startsWith(provisionTopic(template, format));
    if (stateOf(this.#record) !== (isRegister ? "certified" : "keyed")) return;
    this.requests.answered();
    this.tryStep(() => this.event(this.attemptReply(topic, payload, isRegister)));
  }

  /**
   * The link has ended. A refusal of the identity on trial counts, and so does an end instead of its acknowledgement: a broker
   * closes on a subscription as well.
   *
   * @param wasOnline CONNACK had arrived
   */
  onLost(error: AgentError, wasOnline: boolean): void {
    this.quiet();
    const isAnswer = refusals.includes(error.code) || (wasOnline && this.isReplacing);
    if (isOnTrial(this.#record) && isAnswer) this.event({ type: "rejected", error });
  }

  /** There is no link: nothing is waited for any more. */
  quiet(): void {
    this.#isProving = false;
    this.#pending?.answered();
    this.#wiring.host.timer.clear(this.#retry);
    this.#retry = undefined;
  }

  private load(): ProvisioningRecord {
    const { own } = this.#options;
    let record = notProvisioned;
    try {
      record = this.checked(this.store.read() ?? notProvisioned);
    } catch (error) {
      // A medium that does not answer has not lost anything: to be tried again.
      if (!(error instanceof AgentError) || error.code === "storage/write") throw error;
      this.attempt("what cannot be read could not be kept aside", () => this.store.keepAside());
      this.#wiring.emit({ type: "fault", error });
    }
    const isGiven = record.identity === undefined || record.identity.slot === "given";
    if (own === undefined || !isGiven) return record;
    // As AWS names certificates.
    const certificateId = toHex(
      this.#wiring.host.crypto.digest("SHA-256", credentialsOf(own, "identity").certificates[0]!),
    );
    return { ...record, identity: { slot: "given", thingName: own.thingName, certificateId } };
  }

  /** An identity to come whose key was lost with the power begins anew; one in force that is damaged is no identity. */
  private checked(record: ProvisioningRecord): ProvisioningRecord {
    const { identity, enrollment } = record;
    if (identity !== undefined && identity.slot !== "given") {
      this.store.readCredential(identity.slot);
    }
    if (enrollment === undefined || enrollment.state === "wanted") return record;
    if (enrollment.state === "keyed" && !this.makesKeys) return record;
    try {
      const { certificates } = this.store.readCredential(enrollment.slot);
      if (enrollment.state === "keyed" || certificates.length > 0) return record;
    } catch (error) {
      this.#wiring.emit({ type: "fault", error: error as AgentError });
    }
    const { via, slot } = enrollment;
    return { ...record, enrollment: { state: "wanted", via, slot } };
  }

  /**
   * What has proved itself, and what was refused, can be found out again; everything else must be in flash before it is acted
   * upon.
   *
   * @returns whether flash has it: otherwise no key may be erased, the record before needs them all
   */
  private save(record: ProvisioningRecord, { type }: ProvisioningEvent): boolean {
    try {
      this.store.write(record);
      return true;
    } catch (cause) {
      const error = new AgentError("storage/write", "identity: not saved", { cause });
      if (type !== "held" && type !== "reported" && type !== "rejected") throw error;
      this.#wiring.emit({ type: "fault", error });
      return false;
    }
  }

  private tell(event: ProvisioningEvent, before: ProvisioningRecord): void {
    const emit = (status: Parameters<Wiring["emit"]>[0]) => this.#wiring.emit(status);
    if (event.type === "keyMade" && this.makesKeys) emit({ type: "keyMade" });
    if (event.type === "certified") emit({ type: "certified", certificateId: event.certificateId });
    if (event.type === "registered") emit({ type: "registered", thingName: event.thingName });
    if (event.type !== "held") return;
    const { thingName, certificateId } = this.#record.identity!;
    if (before.identity === undefined) emit({ type: "provisioned", thingName });
    else emit({ type: "rotated", certificateId, retired: before.identity.certificateId });
  }

  private perform(effect: ProvisioningEffect): void {
    const wiring = this.#wiring;
    switch (effect.type) {
      case "makeKey":
        return this.makeKey();
      case "requestCertificate":
        return this.requestCertificate();
      case "register": {
        const { template, format, parameters } = this.enrolling;
        const request = registerRequest(
          format,
          this.#record.enrollment!.ownershipToken!,
          parameters,
        );
        return this.request(provisionTopic(template, format), request);
      }
      case "adopt":
        return wiring.adopt();
      case "forgetClaim":
        return this.attempt("identity.forgetClaim threw", () =>
          this.#options.claim?.forgetClaim?.(),
        );
      case "erase":
        // The product, told that this identity is in force or that one is given up, has asked for another: its key is there.
        if (this.#record.enrollment !== undefined) return;
        return this.attempt("a key that is of no more use could not be erased", () =>
          this.store.erase(effect.slot),
        );
      case "drop":
        return wiring.drop(effect.error);
      case "later":
        wiring.emit({ type: "fault", error: effect.error });
        return this.after(limits.rotationRetryMs, () => this.ready());
      case "givenUp":
        this.#restUntil = wiring.host.clock.ticks() + dayMs;
        wiring.emit({ type: "rotationFailed", error: effect.error });
        return this.after(dayMs, () => this.renewOfAge());
      case "report":
        return this.reportRetired();
    }
  }

  private get enrolling(): Enrolling {
    return withDefaults(this.#options.enrolling!);
  }

  private get makesKeys(): boolean {
    return this.enrolling.keys === "device";
  }

  private get operation(): Operation {
    return this.makesKeys ? "create-from-csr" : "create";
  }

  private makeKey(): void {
    const { slot } = this.#record.enrollment!;
    if (this.makesKeys) {
      const keyPair = this.enrolling.keyPair ?? this.#wiring.host.crypto.generateKeyPair();
      this.store.writeCredential(slot, { keyPair, certificates: [] });
    }
    this.event({ type: "keyMade", slot });
  }

  /** Where the certificate is to go: beside its key, but not over it as long as the other place is free. */
  private get target(): Slot {
    const { identity, enrollment } = this.#record;
    if (identity !== undefined && identity.slot !== "given") return enrollment!.slot;
    return enrollment!.slot === 0 ? 1 : 0;
  }

  private get ownKey(): KeyPair | undefined {
    if (!this.makesKeys) return undefined;
    return this.store.readCredential(this.#record.enrollment!.slot).keyPair;
  }

  /** A flash that would not keep the certificate is found out before one is asked for. */
  private requestCertificate(): void {
    const { host } = this.#wiring;
    const { format } = this.enrolling;
    const topic = createCertificateTopic(this.operation, format);
    const keyPair = this.ownKey;
    const nothing = new Uint8Array(0);
    this.store.probe(this.target, keyPair ?? { privateKey: nothing, publicKey: nothing });
    if (keyPair === undefined) return this.request(topic, nothing);
    const { privateKey, publicKey } = keyPair;
    const sign = (message: Uint8Array) => host.crypto.sign(privateKey, message);
    const csr = certificationRequest(host.system.id, publicKey, sign);
    return this.request(topic, certificateRequest(format, csr));
  }

  private request(topic: string, payload: Uint8Array): void {
    this.requests.send(this.#wiring.session, topic, payload, () => {
      const error = new AgentError("provisioning/timeout", `${topic}: no answer`);
      this.event({ type: "rejected", error });
    });
  }

  private ready(): void {
    this.tryStep(() => this.event({ type: "ready", now: this.#wiring.now }));
  }

  /** While an identity is in force no failure to get another may cost its link, or it would cost every one. */
  private tryStep(work: () => void): void {
    try {
      work();
    } catch (cause) {
      const { identity, enrollment } = this.#record;
      if (identity === undefined || this.isClaim || isOnTrial(this.#record)) throw cause;
      const error =
        cause instanceof AgentError
          ? cause
          : new AgentError("agent/fault", "another identity cannot be had", { cause });
      if (enrollment === undefined) this.#wiring.emit({ type: "rotationFailed", error });
      else this.event({ type: "rejected", error });
    }
  }

  /** A reply that cannot be used counts as a refusal: it is spaced and bounded like one. */
  private attemptReply(topic: string, payload: Uint8Array, isRegister: boolean): ProvisioningEvent {
    try {
      return this.onReply(topic, payload, isRegister);
    } catch (error) {
      if (!(error instanceof AgentError) || error.kind === "storage") throw error;
      return { type: "rejected", error };
    }
  }

  private onReply(topic: string, payload: Uint8Array, isRegister: boolean): ProvisioningEvent {
    const { format } = this.enrolling;
    if (topic.endsWith("/rejected")) {
      const request = isRegister ? "provision" : this.operation;
      return { type: "rejected", error: parseRejected(format, payload, request) };
    }
    if (isRegister) {
      const { thingName, configuration } = parseRegistered(format, payload);
      this.#configuration = keepConfiguration(this.#wiring, this.configuration, configuration);
      return { type: "registered", thingName };
    }
    const keyPair = this.ownKey;
    const certified = parseCertified(format, payload, keyPair?.publicKey);
    const { certificates, certificateId, ownershipToken } = certified;
    const slot = this.target;
    const credential: Credential = { keyPair: keyPair ?? certified.keyPair!, certificates };
    this.store.writeCredential(slot, credential);
    return { type: "certified", slot, certificateId, ownershipToken, now: this.#wiring.now };
  }

  /** The identity on trial has to see a publish acknowledged; the cloud learns whose turn it is. */
  private prove(): void {
    if (this.#isProving) return;
    const { certificateId } = this.#record.enrollment!;
    this.#isProving = true;
    this.#wiring.publish(
      reportChannel,
      { certificateId: certificateId! },
      () => {
        this.#isProving = false;
        this.event({ type: "held" });
        this.settled();
      },
      error => this.#wiring.drop(error),
    );
  }

  /** The cloud may switch the certificate before this one off. */
  private reportRetired(): void {
    const { identity, retired } = this.#record;
    if (retired === undefined || this.#reports >= limits.reportAttempts) return;
    this.#reports++;
    this.#wiring.publish(
      reportChannel,
      { certificateId: identity!.certificateId, retired },
      () => {
        this.event({ type: "reported" });
        this.settled();
      },
      error => this.#wiring.emit({ type: "fault", error }),
    );
  }

  /** Looks once a day whether the certificate has reached the age at which the product wants another. */
  private renewOfAge(): void {
    const { rotateAfterDays } = this.#options;
    if (rotateAfterDays === undefined || this.#record.enrollment !== undefined) return;
    this.after(dayMs, () => this.renewOfAge());
    this.attempt("the certificate's age could not be told, or no other be asked for", () => {
      const { now, host } = this.#wiring;
      const issued = validFrom(this.credentials.certificates[0]!, "certificate");
      const isOld = now !== undefined && now - issued >= rotateAfterDays * dayMs;
      if (!isOld || host.clock.ticks() < this.#restUntil) return;
      this.#restUntil = host.clock.ticks() + dayMs;
      this.#wiring.renew();
    });
  }

  private after(delayMs: number, work: () => void): void {
    const { timer } = this.#wiring.host;
    timer.clear(this.#retry);
    this.#retry = timer.set(() => this.#wiring.enter(work), delayMs);
  }

  /** What may fail without keeping the device from its link. */
  private attempt(message: string, work: () => void): void {
    try {
      work();
    } catch (cause) {
      const error = new AgentError("agent/fault", message, { cause });
      this.#wiring.emit({ type: "fault", error });
    }
  }
}
