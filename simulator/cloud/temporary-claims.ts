// Claims by trusted users (developer guide "provision-wo-cert"): an installer's app asks for one, hands it to the device.

import type { Authority, PemIdentity } from "./authority.js";
import type { Clock, Timer } from "./environment.js";
import { CloudError } from "./errors.js";
import { provisioningLimits } from "./limits.js";
import type { Certificate, Registry } from "./registry.js";
import type { Store } from "./store.js";

/** What CreateProvisioningClaim answers with. */
export interface TemporaryClaim extends PemIdentity {
  readonly certificateId: string;
  /** Epoch ms; from then on the certificate is refused. */
  readonly expiresAt: number;
}

export interface TemporaryClaimsOptions {
  readonly authority: Authority;
  readonly registry: Registry;
  readonly store: Store;
  readonly clock: Clock;
  readonly timer: Timer;
}

export class TemporaryClaims {
  readonly #options: TemporaryClaimsOptions;
  readonly #alarms = new Map<string, object>();

  constructor(options: TemporaryClaimsOptions) {
    this.#options = options;
    for (const each of options.registry.certificates()) this.#forgetLater(each);
  }

  /**
   * A certificate that may provision with this template, and with no other, for five minutes.
   *
   * @throws CloudError "cloud/not-found"
   */
  async create(template: string): Promise<TemporaryClaim> {
    const { authority, registry, store, clock } = this.#options;
    if (registry.template(template) === undefined) {
      throw new CloudError("cloud/not-found", `Template ${template} does not exist.`);
    }
    const createdAt = clock.now();
    const expiresAt = createdAt + provisioningLimits.temporaryClaimMs;
    const { id, certificate, key } = await authority.issueClaim(new Date(expiresAt));
    const record: Certificate = {
      id,
      pem: certificate,
      kind: "claim",
      status: "ACTIVE",
      createdAt,
      exclusive: false,
      policies: [],
      temporary: { template, expiresAt },
    };
    registry.putCertificate(record);
    this.#forgetLater(record);
    await store.saved();
    return { certificateId: id, certificate, key, expiresAt };
  }

  close(): void {
    for (const alarm of this.#alarms.values()) this.#options.timer.clear(alarm);
    this.#alarms.clear();
  }

  /**
   * Who connected with it in time may go on for another five minutes; then its sessions end.
   * Assumed: the guide counts those from the connect, here they count from the certificate's end.
   */
  #forgetLater({ id, temporary }: Certificate): void {
    if (temporary === undefined) return;
    const { clock, timer, registry } = this.#options;
    const endsAt = temporary.expiresAt + provisioningLimits.temporarySessionMs;
    const forget = (): void => {
      this.#alarms.delete(id);
      registry.removeCertificate(id);
    };
    this.#alarms.set(id, timer.set(forget, Math.max(0, endsAt - clock.now())));
  }
}
