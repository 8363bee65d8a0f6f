// Fleet provisioning over MQTT (developer guide "fleet-provision-api"), JSON and CBOR payloads.
// Answers go straight to the asking connection; nothing here passes the broker.

import * as v from "valibot";
import type { Authority, IssuedCertificate } from "./authority.js";
import type { Client } from "./broker-types.js";
import type { Clock, PendingWork, Random, Timer } from "./environment.js";
import { askHook, type Hook } from "./hook.js";
import { provisioningLimits } from "./limits.js";
import { arnPrefix } from "./policy.js";
import { type Format, readRequest, writeAnswer } from "./provisioning-format.js";
import { register } from "./registration.js";
import type { Certificate, Registry } from "./registry.js";
import { notFound, Rejection, rejectionOf } from "./rejection.js";
import type { Store } from "./store.js";
import { evaluateTemplate, type TemplateBody } from "./template.js";
import { hashOf, WaitingCertificates } from "./waiting.js";

export type ProvisioningEvent =
  | {
      readonly type: "certificateIssued";
      readonly certificateId: string;
      readonly clientId: string;
      readonly by: "csr" | "keys";
    }
  | {
      readonly type: "thingRegistered";
      readonly thingName: string;
      readonly certificateId: string;
      readonly templateName: string;
      readonly clientId: string;
    }
  | {
      /** By the cloud itself: its hour is over. */
      readonly type: "certificateExpired";
      readonly certificateId: string;
    }
  | {
      readonly type: "provisioningRefused";
      readonly clientId: string;
      readonly topic: string;
      readonly statusCode: number;
      readonly errorCode: string;
      readonly errorMessage: string;
      readonly parameters: Readonly<Record<string, string>>;
    };

export interface ProvisioningOptions {
  readonly authority: Authority;
  readonly registry: Registry;
  readonly store: Store;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly random: Random;
  readonly pending: PendingWork;
  /** Whether this device may become a thing. */
  readonly hook: Hook;
  onEvent(event: ProvisioningEvent): void;
}

const topicPattern =
  /^\$aws\/(?:certificates\/(create|create-from-csr)|provisioning-templates\/([0-9A-Za-z_-]{1,36})\/provision)\/(json|cbor)$/;

/** One request, and where its answer goes. */
interface Request {
  readonly topic: string;
  readonly format: Format;
  readonly payload: Uint8Array;
  readonly client: Client;
  /** Set for RegisterThing. */
  readonly template: string | undefined;
  readonly operation: string | undefined;
}

const csrRequest = v.object({ certificateSigningRequest: v.string() });
const registerRequest = v.object({
  certificateOwnershipToken: v.string(),
  parameters: v.optional(v.record(v.string(), v.string()), {}),
});
type RegisterRequest = v.InferOutput<typeof registerRequest>;
type Parameters = RegisterRequest["parameters"];

export class Provisioning {
  readonly #options: ProvisioningOptions;
  readonly #inFlight = new WeakMap<Client, number>();
  readonly #waiting: WaitingCertificates;
  #isClosed = false;

  constructor(options: ProvisioningOptions) {
    this.#options = options;
    const { registry, clock, timer, onEvent } = options;
    const onExpired = (certificateId: string): void =>
      onEvent({ type: "certificateExpired", certificateId });
    this.#waiting = new WaitingCertificates({ registry, clock, timer, onExpired });
  }

  static isRequest(topic: string): boolean {
    return topicPattern.test(topic);
  }

  /** Answers on `{topic}/accepted` or `{topic}/rejected`, later; never throws. */
  handle(topic: string, payload: Uint8Array, client: Client): void {
    const [, operation, template, format] = topicPattern.exec(topic) ?? [];
    const asked = format === "cbor" ? "cbor" : "json";
    const request: Request = { topic, format: asked, payload, client, template, operation };
    const inFlight = this.#inFlight.get(client) ?? 0;
    if (inFlight >= provisioningLimits.requestsInFlight) {
      return this.#reject(request, new Rejection(429, "Throttled", "Too many requests"), {});
    }
    this.#inFlight.set(client, inFlight + 1);
    const work = this.#answer(request).finally(() => {
      this.#inFlight.set(client, (this.#inFlight.get(client) ?? 1) - 1);
    });
    this.#options.pending.track(work);
  }

  /** No certificate expires after this; who still waits for a hook gets no answer. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.close();
  }

  async #answer(request: Request): Promise<void> {
    const { topic, format, payload, client, template, operation } = request;
    let parameters: Parameters = {};
    try {
      let body: object;
      if (template !== undefined) {
        const asked = readRequest(format, payload, registerRequest);
        parameters = asked.parameters;
        body = await this.#register(template, asked, client);
      } else if (operation === "create") body = await this.#createKeys(request);
      else body = await this.#createFromCsr(request);
      client.reply(`${topic}/accepted`, writeAnswer(format, body));
    } catch (error) {
      this.#reject(request, rejectionOf(error), parameters);
    }
  }

  async #createFromCsr({ format, payload, client }: Request): Promise<object> {
    const { certificateSigningRequest } = readRequest(format, payload, csrRequest);
    this.#checkRoom();
    const issued = await this.#options.authority.issueFromCsr(certificateSigningRequest);
    return this.#admit(issued, client, "csr");
  }

  /** The request is empty; an empty map is accepted too. */
  async #createKeys({ format, payload, client }: Request): Promise<object> {
    if (payload.length > 0) readRequest(format, payload, v.object({}));
    this.#checkRoom();
    const { privateKey, ...issued } = await this.#options.authority.issueWithKeys();
    return { ...(await this.#admit(issued, client, "keys")), privateKey };
  }

  #checkRoom(): void {
    if (this.#waiting.size < provisioningLimits.pendingCertificates) return;
    throw new Rejection(429, "Throttled", "Too many certificates wait for RegisterThing");
  }

  /** The certificate is PENDING_ACTIVATION until RegisterThing; on disk before the device hears of it. */
  async #admit(issued: IssuedCertificate, client: Client, by: "csr" | "keys"): Promise<object> {
    const { registry, clock, random, store, onEvent } = this.#options;
    const token = Buffer.from(random(192)).toString("base64url");
    const certificate: Certificate = {
      ...issued,
      kind: "device",
      status: "PENDING_ACTIVATION",
      createdAt: clock.now(),
      exclusive: false,
      policies: [],
      ownership: {
        tokenHash: hashOf(token),
        expiresAt: clock.now() + provisioningLimits.tokenLifeMs,
      },
    };
    registry.putCertificate(certificate);
    if (!this.#isClosed) this.#waiting.add(certificate);
    await store.saved();
    onEvent({ type: "certificateIssued", certificateId: issued.id, clientId: client.clientId, by });
    return {
      certificateId: issued.id,
      certificatePem: issued.pem,
      certificateOwnershipToken: token,
    };
  }

  async #register(name: string, request: RegisterRequest, client: Client): Promise<object> {
    const { registry, clock, store, onEvent } = this.#options;
    const { certificateOwnershipToken: token } = request;
    const template = this.#template(name);
    const parameters = await this.#askHook(name, request, this.#owned(token), client);
    // The hook took its time: the token may have been used or have expired meanwhile.
    const certificate = this.#owned(token);
    const plan = evaluateTemplate(template, parameters, certificate.id);
    const asker = registry.certificate(client.identity.certificateId);
    register(registry, plan, certificate, asker, clock.now());
    this.#waiting.remove(token);
    await store.saved();
    onEvent({
      type: "thingRegistered",
      thingName: plan.thing.name,
      certificateId: certificate.id,
      templateName: name,
      clientId: client.clientId,
    });
    return { deviceConfiguration: plan.deviceConfiguration, thingName: plan.thing.name };
  }

  #template(name: string): TemplateBody {
    const template = this.#options.registry.template(name);
    if (template === undefined) throw notFound(`Template ${name} does not exist`);
    return template;
  }

  #owned(token: string): Certificate {
    const certificate = this.#isClosed ? undefined : this.#waiting.find(token);
    // Assumed: one that the owner revoked meanwhile cannot be activated by its token.
    if (certificate !== undefined && certificate.status !== "REVOKED") return certificate;
    const message = "The certificate ownership token is unknown, used or expired";
    throw new Rejection(400, "InvalidCertificateOwnershipToken", message);
  }

  #askHook(
    templateName: string,
    { parameters }: RegisterRequest,
    certificate: Certificate,
    { clientId, identity }: Client,
  ): Promise<Parameters> {
    const { hook, timer, pending } = this.#options;
    const request = {
      claimCertificateId: identity.certificateId,
      certificateId: certificate.id,
      certificatePem: certificate.pem,
      templateArn: `${arnPrefix}provisioningtemplate/${templateName}`,
      clientId,
      parameters,
    };
    return askHook(hook, request, timer, pending);
  }

  #reject({ topic, format, client }: Request, rejection: Rejection, parameters: Parameters): void {
    const { statusCode, errorCode, message: errorMessage } = rejection;
    const body = { statusCode, errorCode, errorMessage };
    client.reply(`${topic}/rejected`, writeAnswer(format, body));
    const { clientId } = client;
    this.#options.onEvent({ type: "provisioningRefused", clientId, topic, parameters, ...body });
  }
}
