// Certificates of an owner's own authority that the cloud sees for the first time: just-in-time provisioning and
// registration (developer guide "jit-provisioning", "auto-register-device-cert").

import "reflect-metadata";
import { X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { certificateId } from "./authority.js";
import type { Peer } from "./broker-types.js";
import type { Clock } from "./environment.js";
import { CloudError, messageOf } from "./errors.js";
import { arnPrefix } from "./policy.js";
import { register } from "./registration.js";
import type { Certificate, CertificateStatus, RegisteredAuthority, Registry } from "./registry.js";
import { evaluateTemplate, parseTemplate, type TemplateBody } from "./template.js";

/** RegisterCACertificate in SNI_ONLY mode: no verification certificate is asked for. */
export interface AuthorityRegistration {
  /** PEM; its key has signed the device certificates themselves. */
  readonly certificate: string;
  /** Default true. */
  readonly allowAutoRegistration?: boolean;
  /** Makes it provisioning; without, certificates stay PENDING_ACTIVATION until the API activates them. */
  readonly templateBody?: unknown;
}

export type JustInTimeEvent =
  | {
      readonly type: "certificateRegistered";
      readonly certificateId: string;
      readonly authorityId: string;
      readonly status: CertificateStatus;
      readonly thingName: string | undefined;
    }
  | {
      /** The template cannot be carried out for this certificate; it stays PENDING_ACTIVATION. */
      readonly type: "justInTimeRefused";
      readonly certificateId: string;
      readonly authorityId: string;
      readonly errorMessage: string;
    };

export interface JustInTimeOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  publish(topic: string, payload: Uint8Array): void;
  onEvent(event: JustInTimeEvent): void;
}

export class JustInTime {
  readonly #options: JustInTimeOptions;

  constructor(options: JustInTimeOptions) {
    this.#options = options;
  }

  /** @returns the certificate id of the authority. @throws CloudError "cloud/invalid-authority", "cloud/invalid-template" */
  registerAuthority(registration: AuthorityRegistration): string {
    const { certificate, allowAutoRegistration = true, templateBody } = registration;
    const { registry, clock } = this.#options;
    const id = authorityId(certificate);
    if (registry.authorities().some(each => each.id === id)) {
      throw new CloudError("cloud/invalid-authority", `The authority ${id} is registered already.`);
    }
    registry.putAuthority({
      id,
      pem: certificate,
      createdAt: clock.now(),
      allowAutoRegistration,
      ...(templateBody === undefined ? {} : { template: justInTimeTemplate(templateBody) }),
    });
    return id;
  }

  /**
   * Judges who connects: a new certificate of a registered authority, or one still pending.
   *
   * @returns whether this connection has to be dropped for it; the next one is judged by what the certificate is then
   */
  arrived({ certificateId, certificatePem }: Peer): boolean {
    const { registry } = this.#options;
    const known = certificateId === undefined ? undefined : registry.certificate(certificateId);
    if (known !== undefined) return this.#again(known);
    if (certificatePem === undefined) return false;
    const found = this.#signerOf(certificatePem);
    if (found === undefined || found.id !== certificateId) return false;
    const { id, authority } = found;
    const certificate: Certificate = {
      id,
      pem: certificatePem,
      kind: "device",
      status: "PENDING_ACTIVATION",
      createdAt: this.#options.clock.now(),
      exclusive: false,
      policies: [],
      authorityId: authority.id,
    };
    registry.putCertificate(certificate);
    this.#admit(certificate, authority);
    return true;
  }

  /** Registration is announced each time a pending certificate connects; that provisioning is tried again is assumed. */
  #again(certificate: Certificate): boolean {
    if (certificate.status !== "PENDING_ACTIVATION") return false;
    const authority = this.#options.registry
      .authorities()
      .find(each => each.id === certificate.authorityId);
    if (authority === undefined) return false;
    this.#admit(certificate, authority);
    return true;
  }

  #admit(certificate: Certificate, authority: RegisteredAuthority): void {
    if (authority.template === undefined) return this.#announce(certificate, authority);
    const { registry, clock, onEvent } = this.#options;
    try {
      const subject = subjectParameters(certificate.pem);
      const plan = evaluateTemplate(authority.template, subject, certificate.id);
      const { status, thing } = register(registry, plan, certificate, undefined, clock.now());
      onEvent({
        type: "certificateRegistered",
        certificateId: certificate.id,
        authorityId: authority.id,
        status,
        thingName: thing,
      });
    } catch (error) {
      onEvent({
        type: "justInTimeRefused",
        certificateId: certificate.id,
        authorityId: authority.id,
        errorMessage: messageOf(error),
      });
    }
  }

  /** What an owner's rule hears, to activate the certificate or not. Times are epoch ms: assumed. */
  #announce({ id, status, createdAt }: Certificate, authority: RegisteredAuthority): void {
    const { clock, publish, onEvent } = this.#options;
    const body = {
      certificateId: id,
      caCertificateId: authority.id,
      timestamp: clock.now(),
      certificateStatus: status,
      awsAccountId: arnPrefix.split(":")[4],
      certificateRegistrationTimestamp: createdAt,
    };
    publish(
      `$aws/events/certificates/registered/${authority.id}`,
      Buffer.from(JSON.stringify(body)),
    );
    onEvent({
      type: "certificateRegistered",
      certificateId: id,
      authorityId: authority.id,
      status,
      thingName: undefined,
    });
  }

  /** Undefined when no registered authority has signed it, or its time is not now. */
  #signerOf(pem: string): { id: string; authority: RegisteredAuthority } | undefined {
    const leaf = readable(pem);
    const now = this.#options.clock.now();
    if (leaf === undefined) return undefined;
    if (now < Date.parse(leaf.validFrom) || now > Date.parse(leaf.validTo)) return undefined;
    const authority = this.#options.registry
      .authorities()
      .find(each => each.allowAutoRegistration && hasSigned(each.pem, leaf));
    return authority && { id: certificateId(leaf.raw), authority };
  }
}

function readable(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function hasSigned(authorityPem: string, leaf: X509Certificate): boolean {
  const authority = new X509Certificate(authorityPem);
  return leaf.checkIssued(authority) && leaf.verify(authority.publicKey);
}

function authorityId(pem: string): string {
  const certificate = readable(pem);
  if (certificate?.ca) return certificateId(certificate.raw);
  const message = "The certificate cannot be read, or is none of an authority.";
  throw new CloudError("cloud/invalid-authority", message);
}

/** "jit-provisioning": neither Mappings nor DeviceConfiguration. */
function justInTimeTemplate(body: unknown): TemplateBody {
  const template = parseTemplate("of the authority", body);
  if (template.Mappings === undefined && template.DeviceConfiguration === undefined) {
    return template;
  }
  const message = "A just-in-time template has neither Mappings nor DeviceConfiguration.";
  throw new CloudError("cloud/invalid-template", message);
}

/** Attributes of the subject that a template may declare, by object identifier. */
const subjectAttributes = Object.freeze({
  CommonName: "2.5.4.3",
  SerialNumber: "2.5.4.5",
  Country: "2.5.4.6",
  StateName: "2.5.4.8",
  Organization: "2.5.4.10",
  OrganizationalUnit: "2.5.4.11",
  DistinguishedNameQualifier: "2.5.4.46",
});

/** Those the subject has; a template that declares another fails for want of it. Of several, the first: assumed. */
function subjectParameters(pem: string): Record<string, string> {
  const { subjectName } = new x509.X509Certificate(pem);
  return Object.fromEntries(
    Object.entries(subjectAttributes).flatMap(([name, identifier]) => {
      const [value] = subjectName.getField(identifier);
      return value === undefined ? [] : [[`AWS::IoT::Certificate::${name}`, value]];
    }),
  );
}
