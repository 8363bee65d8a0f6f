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
  #count = 0;
  readonly #waiting = new Set<() => void>();

  /** Follows `work` to its end; its failure stays the caller's. */
  track<T>(work: Promise<T>): Promise<T> {
    const settled = (): void => this.#done();
    this.#count++;
    work.then(settled, settled);
    return work;
  }

  /**
   * Waits, inside tracked work, for what may take its time: time goes on meanwhile.
   * What comes within one turn is still work; from `resume` on it is work again.
   */
  outside<T>(wait: (resume: (value: T) => void) => void): Promise<T> {
    return new Promise(resolve => {
      let isOutside = false;
      let isOver = false;
      wait(value => {
        if (isOver) return;
        isOver = true;
        if (isOutside) this.#count++;
        resolve(value);
      });
      setImmediate(() => {
        if (isOver) return;
        isOutside = true;
        this.#done();
      });
    });
  }

  /** Resolves when nothing is pending, work started meanwhile included. */
  async idle(): Promise<void> {
    while (this.#count > 0) await new Promise<void>(resolve => this.#waiting.add(resolve));
  }

  #done(): void {
    if (--this.#count > 0) return;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
