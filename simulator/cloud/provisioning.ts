// Fleet provisioning over MQTT (developer guide "fleet-provision-api"), JSON payloads.
// Answers go straight to the asking connection; nothing here passes the broker.

import { createHash } from "node:crypto";
import * as v from "valibot";
import type { Authority, IssuedCertificate } from "./authority.js";
import type { Client } from "./broker-types.js";
import type { Clock, PendingWork, Random } from "./environment.js";
import { messageOf } from "./errors.js";
import { parseJson } from "./json.js";
import { provisioningLimits } from "./limits.js";
import type { Certificate, Registry } from "./registry.js";
import { CsrError } from "./signing-request.js";
import type { Store } from "./store.js";
import { evaluateTemplate, type ProvisioningPlan, TemplateError } from "./template.js";

/** What a pre-provisioning hook is asked. */
export interface HookRequest {
  readonly claimCertificateId: string;
  readonly certificateId: string;
  readonly certificatePem: string;
  readonly templateName: string;
  readonly clientId: string;
  readonly parameters: Readonly<Record<string, string>>;
}

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
  readonly random: Random;
  readonly pending: PendingWork;
  /** The pre-provisioning hook: whether this device may become a thing. */
  allow(request: HookRequest): boolean;
  onEvent(event: ProvisioningEvent): void;
}

const topicPattern =
  /^\$aws\/(?:certificates\/(create|create-from-csr)|provisioning-templates\/([0-9A-Za-z_-]{1,36})\/provision)\/json$/;

const csrRequest = v.object({ certificateSigningRequest: v.string() });
const registerRequest = v.object({
  certificateOwnershipToken: v.string(),
  parameters: v.optional(v.record(v.string(), v.string()), {}),
});
type RegisterRequest = v.InferOutput<typeof registerRequest>;

/** Goes to the device as it is. Only ACCESS_DENIED is named in the guide; other codes are assumed. */
class Rejection extends Error {
  readonly statusCode: number;
  readonly errorCode: string;
  constructor(statusCode: number, errorCode: string, message: string) {
    super(message);
    this.statusCode = statusCode;
    this.errorCode = errorCode;
  }
}

const invalid = (message: string): Rejection => new Rejection(400, "InvalidParameters", message);
const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex");

export class Provisioning {
  readonly #options: ProvisioningOptions;
  readonly #inFlight = new WeakMap<Client, number>();
  /** Certificates that wait for RegisterThing, by the hash of their token, oldest first. */
  readonly #waiting: Map<string, Certificate>;

  constructor(options: ProvisioningOptions) {
    this.#options = options;
    const owned = options.registry.certificates().flatMap(certificate => {
      const hash = certificate.ownership?.tokenHash;
      return hash === undefined ? [] : [[hash, certificate] as const];
    });
    this.#waiting = new Map(owned.sort((a, b) => a[1].createdAt - b[1].createdAt));
  }

  static isRequest(topic: string): boolean {
    return topicPattern.test(topic);
  }

  /** Answers on `{topic}/accepted` or `{topic}/rejected`, later; never throws. */
  handle(topic: string, payload: Uint8Array, client: Client): void {
    const inFlight = this.#inFlight.get(client) ?? 0;
    if (inFlight >= provisioningLimits.requestsInFlight) {
      return this.#reject(topic, client, new Rejection(429, "Throttled", "Too many requests"), {});
    }
    this.#inFlight.set(client, inFlight + 1);
    const work = this.#answer(topic, payload, client).finally(() => {
      this.#inFlight.set(client, (this.#inFlight.get(client) ?? 1) - 1);
    });
    this.#options.pending.track(work);
  }

  async #answer(topic: string, payload: Uint8Array, client: Client): Promise<void> {
    const [, operation, template] = topicPattern.exec(topic) ?? [];
    let parameters: Readonly<Record<string, string>> = {};
    try {
      this.#forgetExpired();
      let body: object;
      if (template !== undefined) {
        const request = read(payload, registerRequest);
        parameters = request.parameters;
        body = await this.#register(template, request, client);
      } else if (operation === "create") body = await this.#createKeys(payload, client);
      else body = await this.#createFromCsr(payload, client);
      client.reply(`${topic}/accepted`, Buffer.from(JSON.stringify(body)));
    } catch (error) {
      this.#reject(topic, client, rejectionOf(error), parameters);
    }
  }

  async #createFromCsr(payload: Uint8Array, client: Client): Promise<object> {
    const { certificateSigningRequest } = read(payload, csrRequest);
    this.#checkRoom();
    const issued = await this.#options.authority.issueFromCsr(certificateSigningRequest);
    return this.#admit(issued, client, "csr");
  }

  /** The request is empty; `{}` is accepted too. */
  async #createKeys(payload: Uint8Array, client: Client): Promise<object> {
    if (payload.length > 0) read(payload, v.object({}));
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
    const expiresAt = clock.now() + provisioningLimits.tokenLifeMs;
    const certificate: Certificate = {
      ...issued,
      kind: "device",
      status: "PENDING_ACTIVATION",
      createdAt: clock.now(),
      exclusive: false,
      policies: [],
      ownership: { tokenHash: hashOf(token), expiresAt },
    };
    registry.putCertificate(certificate);
    this.#waiting.set(hashOf(token), certificate);
    await store.saved();
    onEvent({ type: "certificateIssued", certificateId: issued.id, clientId: client.clientId, by });
    return {
      certificateId: issued.id,
      certificatePem: issued.pem,
      certificateOwnershipToken: token,
    };
  }

  async #register(name: string, request: RegisterRequest, client: Client): Promise<object> {
    const { registry, store, onEvent } = this.#options;
    const template = registry.template(name);
    if (template === undefined) {
      throw new Rejection(404, "ResourceNotFound", `Template ${name} does not exist`);
    }
    const tokenHash = hashOf(request.certificateOwnershipToken);
    const certificate = this.#waiting.get(tokenHash);
    if (certificate === undefined) {
      const message = "The certificate ownership token is unknown, used or expired";
      throw new Rejection(400, "InvalidCertificateOwnershipToken", message);
    }
    this.#askHook(name, request, certificate, client);
    const plan = evaluateTemplate(template, request.parameters, certificate.id);
    this.#carryOut(plan, certificate);
    this.#waiting.delete(tokenHash);
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

  #askHook(
    templateName: string,
    { parameters }: RegisterRequest,
    certificate: Certificate,
    { clientId, identity }: Client,
  ): void {
    const allowed = this.#options.allow({
      claimCertificateId: identity.certificateId,
      certificateId: certificate.id,
      certificatePem: certificate.pem,
      templateName,
      clientId,
      parameters,
    });
    if (!allowed) {
      throw new Rejection(
        403,
        "ACCESS_DENIED",
        "The pre-provisioning hook did not allow this device",
      );
    }
  }

  /** All checks come first, so that a refusal changes nothing. */
  #carryOut(plan: ProvisioningPlan, certificate: Certificate): void {
    const { registry, clock } = this.#options;
    const missing = plan.policies.find(name => !registry.hasPolicy(name));
    if (missing !== undefined) {
      throw new Rejection(404, "ResourceNotFound", `Policy ${missing} does not exist`);
    }
    const { name, attributes, attributesOverride } = plan.thing;
    const existing = registry.thing(name);
    if (existing === undefined) {
      registry.putThing({ name, attributes, createdAt: clock.now() });
    } else if (attributesOverride === "FAIL") {
      throw new Rejection(409, "ResourceConflict", `Thing ${name} exists already`);
    } else if (attributesOverride !== "DO_NOTHING") {
      const kept = attributesOverride === "MERGE" ? existing.attributes : {};
      registry.putThing({ ...existing, attributes: { ...kept, ...attributes } });
    }
    const { ownership: _used, ...rest } = certificate;
    registry.putCertificate({
      ...rest,
      status: plan.certificate.active ? "ACTIVE" : "INACTIVE",
      thing: name,
      exclusive: plan.certificate.exclusive,
      policies: [...plan.policies],
    });
  }

  /** A certificate that was not registered within the hour is deleted ("fleet-provision-api"). */
  #forgetExpired(): void {
    const now = this.#options.clock.now();
    for (const [tokenHash, { id, ownership }] of this.#waiting) {
      if (ownership !== undefined && ownership.expiresAt > now) return;
      this.#waiting.delete(tokenHash);
      this.#options.registry.removeCertificate(id);
    }
  }

  #reject(
    topic: string,
    client: Client,
    { statusCode, errorCode, message: errorMessage }: Rejection,
    parameters: Readonly<Record<string, string>>,
  ): void {
    const body = { statusCode, errorCode, errorMessage };
    client.reply(`${topic}/rejected`, Buffer.from(JSON.stringify(body)));
    const { clientId } = client;
    this.#options.onEvent({ type: "provisioningRefused", clientId, topic, parameters, ...body });
  }
}

/** Deep enough for any request; deeper JSON is refused unread. */
const requestDepth = 8;

function read<S extends v.GenericSchema>(payload: Uint8Array, schema: S): v.InferOutput<S> {
  const parsed = parseJson(payload, requestDepth);
  if (!parsed.ok) throw invalid("The payload is not valid JSON");
  const result = v.safeParse(schema, parsed.value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw invalid(`${v.getDotPath(issue) ?? "payload"}: ${issue.message}`);
}

function rejectionOf(error: unknown): Rejection {
  if (error instanceof Rejection) return error;
  if (error instanceof CsrError || error instanceof TemplateError) return invalid(error.message);
  return new Rejection(500, "InternalError", messageOf(error));
}
