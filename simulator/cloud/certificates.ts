// The owner's side of certificates: what the control plane's certificate operations do (API reference of AWS IoT).

import { CloudError } from "./errors.js";
import type { Certificate, CertificateStatus, Registry, SettableStatus } from "./registry.js";

export interface CertificateInfo {
  readonly certificateId: string;
  readonly pem: string;
  readonly kind: Certificate["kind"];
  readonly status: CertificateStatus;
  readonly thingName: string | undefined;
  readonly policies: readonly string[];
  /** The registered authority that signed it; undefined: this cloud's own. */
  readonly authorityId: string | undefined;
  /** Epoch ms. */
  readonly createdAt: number;
}

const settable: ReadonlySet<string> = new Set(["ACTIVE", "INACTIVE", "REVOKED"]);

export class Certificates {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Trusted users' claims are not listed ("provision-wo-cert"). */
  list(): readonly CertificateInfo[] {
    return this.#registry
      .certificates()
      .filter(each => each.temporary === undefined)
      .map(infoOf);
  }

  get(id: string): CertificateInfo | undefined {
    const certificate = this.#registry.certificate(id);
    return certificate && infoOf(certificate);
  }

  /** Device certificates that are or may become good for a connection, and belong to no thing. */
  orphans(): readonly CertificateInfo[] {
    return this.list().filter(
      ({ kind, status, thingName }) =>
        kind === "device" &&
        thingName === undefined &&
        (status === "PENDING_ACTIVATION" || status === "ACTIVE"),
    );
  }

  /**
   * UpdateCertificate. Leaving ACTIVE ends the certificate's sessions: at once here, within minutes on AWS.
   *
   * @returns false when there is no such certificate
   * @throws  CloudError "cloud/invalid-status" for a status that is the service's to give
   */
  setStatus(id: string, status: SettableStatus): boolean {
    if (!settable.has(status)) {
      throw new CloudError("cloud/invalid-status", `A certificate cannot be set ${status}.`);
    }
    return this.#registry.setCertificateStatus(id, status);
  }

  /**
   * DeleteCertificate.
   *
   * @param options `force`: deactivates and detaches first, which on AWS are calls of their own
   * @returns false when there is no such certificate
   * @throws  CloudError "cloud/in-use" for one that is ACTIVE, or attached to a thing or a policy
   */
  delete(id: string, { force = false }: { readonly force?: boolean } = {}): boolean {
    const certificate = this.#registry.certificate(id);
    if (certificate === undefined) return false;
    const { status, thing, policies } = certificate;
    if (!force && (status === "ACTIVE" || thing !== undefined || policies.length > 0)) {
      const message = `Certificate ${id} is ${status} or attached: it cannot be deleted.`;
      throw new CloudError("cloud/in-use", message);
    }
    this.#registry.removeCertificate(id);
    return true;
  }

  /** AttachThingPrincipal. @throws CloudError "cloud/not-found" */
  attachThing(id: string, thingName: string, { exclusive = false } = {}): void {
    if (this.#registry.thing(thingName) === undefined) throw missing("Thing", thingName);
    this.#registry.putCertificate({ ...this.#need(id), thing: thingName, exclusive });
  }

  /** AttachPolicy; the same one twice is harmless. @throws CloudError "cloud/not-found" */
  attachPolicy(id: string, policy: string): void {
    if (!this.#registry.hasPolicy(policy)) throw missing("Policy", policy);
    const certificate = this.#need(id);
    const policies = [...new Set([...certificate.policies, policy])];
    this.#registry.putCertificate({ ...certificate, policies });
  }

  #need(id: string): Certificate {
    const certificate = this.#registry.certificate(id);
    if (certificate === undefined) throw missing("Certificate", id);
    return certificate;
  }
}

function missing(what: string, name: string): CloudError {
  return new CloudError("cloud/not-found", `${what} ${name} does not exist.`);
}

function infoOf(certificate: Certificate): CertificateInfo {
  const { id, pem, kind, status, thing, policies, authorityId, createdAt } = certificate;
  return {
    certificateId: id,
    pem,
    kind,
    status,
    thingName: thing,
    policies,
    authorityId,
    createdAt,
  };
}
