// Time, timers and chance as the cloud sees them, so that a virtual world can drive it.

import { randomBytes } from "node:crypto";

export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
}

export interface Timer {
  /** Calls back once, no earlier than `delayMs` from now and never from inside this call. */
  set(callback: () => void, delayMs: number): object;
  /** Harmless for a handle that has fired or was cleared before. */
  clear(handle: object): void;
}

/** @returns `byteLength` bytes. Ids, tokens and serial numbers come from here; keys never do. */
export type Random = (byteLength: number) => Uint8Array;

export const systemClock: Clock = { now: () => Date.now() };

export const systemTimer: Timer = {
  set: (callback, delayMs) => setTimeout(callback, delayMs),
  clear: handle => clearTimeout(handle as NodeJS.Timeout),
};

export const systemRandom: Random = byteLength => randomBytes(byteLength);

/** Lower-case hex of `byteLength` random bytes. */
export function randomHex(random: Random, byteLength: number): string {
  return Buffer.from(random(byteLength)).toString("hex");
}

/** Counts asynchronous work, so that virtual time can wait until none is left. */
export class PendingWork {
  readonly #work = new Set<Promise<unknown>>();

  /** Follows `work` to its end; its failure stays the caller's. */
  track<T>(work: Promise<T>): Promise<T> {
    const settled = work.then(
      () => undefined,
      () => undefined,
    );
    this.#work.add(settled);
    settled.finally(() => this.#work.delete(settled));
    return work;
  }

  /** Resolves when nothing is pending, work started meanwhile included. */
  async idle(): Promise<void> {
    while (this.#work.size > 0) {
      await Promise.all(this.#work);
    }
  }
}
