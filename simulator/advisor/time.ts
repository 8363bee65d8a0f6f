// Time as an examination sees it: virtual or real, the cases do not know which.
import type { TimerHandle } from "../../src/host.js";
import type { VirtualClock } from "../world/clock.js";

export interface Time {
  /** Milliseconds since an arbitrary start. */
  ticks(): number;
  set(callback: () => void, delayMs: number): TimerHandle;
  /** Lets time pass until `isDone` or the limit. @returns whether `isDone` came true */
  until(isDone: () => boolean, limitMs: number): Promise<boolean>;
}

export function virtualTime(clock: VirtualClock): Time {
  return {
    ticks: () => clock.ticks(),
    set: (callback, delayMs) => clock.set(callback, delayMs),
    until: (isDone, limitMs) => clock.runUntil(isDone, limitMs),
  };
}

/** The computer's. Whoever changes what `until` waits for calls `wake`. */
export class RealTime implements Time {
  #onWake: () => void = () => undefined;

  ticks(): number {
    return performance.now();
  }

  set(callback: () => void, delayMs: number): TimerHandle {
    return setTimeout(() => {
      callback();
      this.wake();
    }, delayMs);
  }

  wake(): void {
    this.#onWake();
  }

  async until(isDone: () => boolean, limitMs: number): Promise<boolean> {
    const endAt = this.ticks() + limitMs;
    for (;;) {
      if (isDone()) return true;
      const leftMs = endAt - this.ticks();
      if (leftMs <= 0) return false;
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, leftMs);
        this.#onWake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
