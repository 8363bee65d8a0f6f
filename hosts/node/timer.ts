// Timers on Node. Its own ones overflow after 24 days and may fire a millisecond early; these do neither.

import type { Timer, TimerHandle } from "../../src/host.js";

/** The longest delay `setTimeout` takes; a longer one would fire at once. */
const longestMs = 0x7fff_ffff;

export function createTimer(): Timer {
  return {
    set: (callback, delayMs) => new Wait(callback, delayMs, undefined),
    repeat: (callback, intervalMs) => new Wait(callback, intervalMs, intervalMs),
    clear: (handle: TimerHandle | undefined) => {
      if (handle instanceof Wait) handle.clear();
    },
  };
}

class Wait {
  readonly #callback: () => void;
  readonly #intervalMs: number | undefined;
  #dueAt: number;
  #timeout: NodeJS.Timeout | undefined;

  constructor(callback: () => void, delayMs: number, intervalMs: number | undefined) {
    this.#callback = callback;
    this.#intervalMs = intervalMs;
    this.#dueAt = performance.now() + delayMs;
    this.#arm();
  }

  clear(): void {
    clearTimeout(this.#timeout);
    this.#timeout = undefined;
  }

  #arm(): void {
    const left = Math.ceil(this.#dueAt - performance.now());
    this.#timeout = setTimeout(() => this.#look(), Math.min(Math.max(left, 0), longestMs));
  }

  /** A repeat that fell behind goes on from now: it never fires in bursts. */
  #look(): void {
    const now = performance.now();
    if (now < this.#dueAt) {
      this.#arm();
      return;
    }
    this.#timeout = undefined;
    if (this.#intervalMs !== undefined) {
      const next = this.#dueAt + this.#intervalMs;
      this.#dueAt = next > now ? next : now + this.#intervalMs;
      this.#arm();
    }
    this.#callback();
  }
}
