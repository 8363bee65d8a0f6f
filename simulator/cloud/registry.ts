// Things, certificates, policies and provisioning templates, and who may do what with them.

import * as v from "valibot";
import type { Clock } from "./environment.js";
import { CloudError } from "./errors.js";
import { type PolicyDocument, PolicySet, parsePolicy, policySchema } from "./policy.js";
import { provisioningPolicy } from "./provisioning-policy.js";
import type { Store } from "./store.js";
import { parseTemplate, type TemplateBody, templateSchema } from "./template.js";

export type CertificateStatus = "PENDING_ACTIVATION" | "ACTIVE" | "INACTIVE" | "REVOKED";

/** UpdateCertificate refuses the others: they are the service's to give. */
export type SettableStatus = Exclude<CertificateStatus, "PENDING_ACTIVATION">;

const certificateSchema = v.object({
  id: v.string(),
  pem: v.string(),
  kind: v.picklist(["claim", "device"]),
  status: v.picklist(["PENDING_ACTIVATION", "ACTIVE", "INACTIVE", "REVOKED"]),
  createdAt: v.number(),
  thing: v.exactOptional(v.string()),
  /** Attached as EXCLUSIVE_THING: the thing counts whatever the client id. */
  exclusive: v.boolean(),
  policies: v.array(v.string()),
  /** SHA-256 of the ownership token, until it is used or expires. */
  ownership: v.exactOptional(v.object({ tokenHash: v.string(), expiresAt: v.number() })),
  /** A trusted user's claim: for one template, refused at connect once it has expired. */
  temporary: v.exactOptional(v.object({ template: v.string(), expiresAt: v.number() })),
  /** The registered authority that signed it; absent: this cloud's own. */
  authorityId: v.exactOptional(v.string()),
});
const authoritySchema = v.object({
  id: v.string(),
  pem: v.string(),
  createdAt: v.number(),
  allowAutoRegistration: v.boolean(),
  /** Just-in-time provisioning; absent: registration only. */
  template: v.exactOptional(templateSchema),
});
const thingSchema = v.object({
  name: v.string(),
  attributes: v.record(v.string(), v.string()),
  createdAt: v.number(),
});
const policyRecordSchema = v.object({ name: v.string(), document: policySchema });
const templateRecordSchema = v.object({ name: v.string(), body: templateSchema });

export type Certificate = Readonly<v.InferOutput<typeof certificateSchema>>;
/** A certificate authority of the owner ("register-CA-cert"). */
export type RegisteredAuthority = Readonly<v.InferOutput<typeof authoritySchema>>;
export type Thing = Readonly<v.InferOutput<typeof thingSchema>>;

/** Kinds of record that the registry keeps in the store. */
export const registrySchemas = {
  certificate: certificateSchema,
  thing: thingSchema,
  policy: policyRecordSchema,
  template: templateRecordSchema,
  authority: authoritySchema,
} as const;

/** One client as the policies see it; decisions follow every registry change at once. */
export interface Identity {
  readonly certificateId: string;
  readonly kind: Certificate["kind"];
  /** The thing the certificate is attached to, whatever the client id. */
  readonly attachedThing: string | undefined;
  /** Set only when the certificate is attached exclusively. */
  readonly exclusiveThing: string | undefined;
  allows(action: string, resource: string): boolean;
}

/** Reasons as in the authentication log ("cwl-format"). */
export type CertificateRefusal =
  | "DEVICE_CERTIFICATE_NOT_REGISTERED"
  | "DEVICE_CERTIFICATE_INACTIVE"
  | "DEVICE_CERTIFICATE_REVOKED";

export class Registry {
  readonly #store: Store;
  readonly #certificates: Map<string, Certificate>;
  readonly #things: Map<string, Thing>;
  readonly #policies: Map<string, PolicyDocument>;
  readonly #templates: Map<string, TemplateBody>;
  readonly #authorities: Map<string, RegisteredAuthority>;
  readonly #clock: Clock;
  /** Called when a certificate stops being ACTIVE: its sessions must end. */
  onDeactivated: (certificateId: string) => void = () => undefined;
  #revision = 0;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#authorities = new Map(store.list("authority", authoritySchema));
    this.#certificates = new Map(store.list("certificate", certificateSchema));
    this.#things = new Map(store.list("thing", thingSchema));
    const policies = store.list("policy", policyRecordSchema);
    this.#policies = new Map(policies.map(([name, record]) => [name, record.document]));
    const templates = store.list("template", templateRecordSchema);
    this.#templates = new Map(templates.map(([name, record]) => [name, record.body]));
  }

  certificate(id: string): Certificate | undefined {
    return this.#certificates.get(id);
  }

  certificates(): readonly Certificate[] {
    return [...this.#certificates.values()];
  }

  thing(name: string): Thing | undefined {
    return this.#things.get(name);
  }

  things(): readonly Thing[] {
    return [...this.#things.values()];
  }

  hasPolicy(name: string): boolean {
    return this.#policies.has(name);
  }

  template(name: string): TemplateBody | undefined {
    return this.#templates.get(name);
  }

  authorities(): readonly RegisteredAuthority[] {
    return [...this.#authorities.values()];
  }

  putAuthority(authority: RegisteredAuthority): void {
    this.#authorities.set(authority.id, authority);
    this.#store.put("authority", authority.id, authority);
  }

  putCertificate(certificate: Certificate): void {
    const before = this.#certificates.get(certificate.id);
    this.#certificates.set(certificate.id, certificate);
    this.#store.put("certificate", certificate.id, certificate);
    this.#revision++;
    if (before?.status === "ACTIVE" && certificate.status !== "ACTIVE") {
      this.onDeactivated(certificate.id);
    }
  }

  /** Live sessions end when the status leaves ACTIVE. @returns false when there is no such certificate */
  setCertificateStatus(id: string, status: SettableStatus): boolean {
    const certificate = this.#certificates.get(id);
    if (certificate === undefined) return false;
    this.putCertificate({ ...certificate, status });
    return true;
  }

  removeCertificate(id: string): void {
    if (!this.#certificates.delete(id)) return;
    this.#store.remove("certificate", id);
    this.#revision++;
    this.onDeactivated(id);
  }

  putThing(thing: Thing): void {
    this.#things.set(thing.name, thing);
    this.#store.put("thing", thing.name, thing);
    this.#revision++;
  }

  /** @throws CloudError "cloud/invalid-policy" */
  putPolicy(name: string, document: unknown): void {
    const parsed = parsePolicy(name, document);
    this.#policies.set(name, parsed);
    this.#store.put("policy", name, { name, document: parsed });
    this.#revision++;
  }

  /** @throws CloudError "cloud/invalid-template" */
  putTemplate(name: string, body: unknown): void {
    if (!/^[0-9A-Za-z_-]{1,36}$/.test(name)) {
      throw new CloudError("cloud/invalid-template", `Template name "${name}" is not allowed.`);
    }
    const parsed = parseTemplate(name, body);
    this.#templates.set(name, parsed);
    this.#store.put("template", name, { name, body: parsed });
  }

  /** Why a certificate may not connect; undefined when it may. */
  refusal(id: string | undefined): CertificateRefusal | undefined {
    const certificate = id === undefined ? undefined : this.#certificates.get(id);
    if (certificate === undefined) return "DEVICE_CERTIFICATE_NOT_REGISTERED";
    // Over TLS its own dates end it first; the reason is assumed.
    const expiresAt = certificate.temporary?.expiresAt;
    if (expiresAt !== undefined && expiresAt <= this.#clock.now()) {
      return "DEVICE_CERTIFICATE_INACTIVE";
    }
    if (certificate.status === "REVOKED") return "DEVICE_CERTIFICATE_REVOKED";
    return certificate.status === "ACTIVE" ? undefined : "DEVICE_CERTIFICATE_INACTIVE";
  }

  /** Who connects with this certificate under this client id. */
  identify(id: string, clientId: string, address: string): Identity {
    const certificate = this.#certificates.get(id);
    let revision = -1;
    let policies = new PolicySet([], {});
    return {
      certificateId: id,
      kind: certificate?.kind ?? "device",
      attachedThing: certificate?.thing,
      exclusiveThing: certificate?.exclusive ? certificate.thing : undefined,
      allows: (action, resource) => {
        if (revision !== this.#revision) {
          revision = this.#revision;
          policies = this.#policySet(id, clientId, address);
        }
        return policies.allows(action, resource);
      },
    };
  }

  /** Thing lookup: the client id names the thing, unless the certificate is exclusive ("thing-policy-variables"). */
  #policySet(id: string, clientId: string, address: string): PolicySet {
    const certificate = this.#certificates.get(id);
    if (certificate?.status !== "ACTIVE") return new PolicySet([], {});
    const counts = certificate.exclusive || certificate.thing === clientId;
    const thing = counts ? certificate.thing : undefined;
    const documents = certificate.policies.flatMap(name => this.#policies.get(name) ?? []);
    if (certificate.temporary !== undefined) {
      documents.push(provisioningPolicy(certificate.temporary.template));
    }
    const attributes = thing === undefined ? {} : (this.#things.get(thing)?.attributes ?? {});
    return new PolicySet(documents, {
      ...Object.fromEntries(
        Object.entries(attributes).map(([key, value]) => [
          `iot:Connection.Thing.Attributes[${key}]`,
          value,
        ]),
      ),
      "iot:ClientId": clientId,
      "aws:SourceIp": address,
      "iot:Connection.Thing.ThingName": thing,
      "iot:Connection.Thing.IsAttached": String(thing !== undefined),
    });
  }
}
