// How long a client may be silent: first until its CONNECT, then 1.5 times its keep-alive.

import type { Clock, Timer } from "./environment.js";

export interface SilenceOptions {
  readonly clock: Clock;
  readonly timer: Timer;
  /** Called once. */
  onSilent(): void;
}

/** One timer per connection; traffic only moves the moment it looks at. */
export class Silence {
  readonly #options: SilenceOptions;
  #allowedMs: number;
  #heardAt: number;
  #handle: object | undefined;

  constructor(options: SilenceOptions, allowedMs: number) {
    this.#options = options;
    this.#allowedMs = allowedMs;
    this.#heardAt = options.clock.now();
    this.#watch(allowedMs);
  }

  heard(): void {
    this.#heardAt = this.#options.clock.now();
  }

  /** From now on; what was heard before counts. */
  allow(ms: number): void {
    this.stop();
    this.#allowedMs = ms;
    this.#watch(ms);
  }

  /** May be called twice. */
  stop(): void {
    if (this.#handle !== undefined) this.#options.timer.clear(this.#handle);
    this.#handle = undefined;
  }

  #watch(delayMs: number): void {
    this.#handle = this.#options.timer.set(() => {
      const remaining = this.#heardAt + this.#allowedMs - this.#options.clock.now();
      if (remaining > 0) this.#watch(remaining);
      else this.#options.onSilent();
    }, delayMs);
  }
}
