// Certificates that wait for RegisterThing, by the hash of their ownership token.
// The token proves ownership of its certificate; the guide binds it to nothing else, so any client of the account may bring it.

import { createHash } from "node:crypto";
import type { Clock, Timer } from "./environment.js";
import type { Certificate, Registry } from "./registry.js";

export interface WaitingOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly timer: Timer;
  /** The hour is over: the certificate has been deleted. */
  onExpired(certificateId: string): void;
}

interface Entry {
  readonly certificateId: string;
  readonly expiresAt: number;
}

export const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex");

export class WaitingCertificates {
  readonly #options: WaitingOptions;
  /** By token hash, oldest first. */
  readonly #entries = new Map<string, Entry>();
  #alarm: object | undefined;

  constructor(options: WaitingOptions) {
    this.#options = options;
    const owned = options.registry.certificates().filter(each => each.ownership !== undefined);
    for (const each of owned.sort((a, b) => a.createdAt - b.createdAt)) this.add(each);
  }

  get size(): number {
    return this.#entries.size;
  }

  add({ id, ownership }: Certificate): void {
    if (ownership === undefined) return;
    const { tokenHash, expiresAt } = ownership;
    this.#entries.set(tokenHash, { certificateId: id, expiresAt });
    this.#arm();
  }

  /** @returns undefined for a token that is unknown, used or expired, or whose certificate is gone */
  find(token: string): Certificate | undefined {
    this.#forgetExpired();
    const entry = this.#entries.get(hashOf(token));
    return entry && this.#options.registry.certificate(entry.certificateId);
  }

  /** The token works once. */
  remove(token: string): void {
    this.#entries.delete(hashOf(token));
  }

  close(): void {
    if (this.#alarm !== undefined) this.#options.timer.clear(this.#alarm);
    this.#alarm = undefined;
  }

  #arm(): void {
    if (this.#alarm !== undefined) return;
    const [first] = this.#entries.values();
    if (first === undefined) return;
    const { clock, timer } = this.#options;
    const inMs = Math.max(0, first.expiresAt - clock.now());
    this.#alarm = timer.set(() => {
      this.#alarm = undefined;
      this.#forgetExpired();
      this.#arm();
    }, inMs);
  }

  /** What was not activated and attached within the hour is deleted ("fleet-provision-api"). */
  #forgetExpired(): void {
    const { clock, registry, onExpired } = this.#options;
    const now = clock.now();
    for (const [tokenHash, { certificateId, expiresAt }] of this.#entries) {
      if (expiresAt > now) return;
      this.#entries.delete(tokenHash);
      if (registry.certificate(certificateId)?.thing !== undefined) continue;
      registry.removeCertificate(certificateId);
      onExpired(certificateId);
    }
  }
}
