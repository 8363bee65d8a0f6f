// Monotonic and wall time.
import { elapsed, ticks } from "skerry/platform/machine";
import type { Clock } from "../../src/host.js";

/** No firmware with this file is older: a wall clock before it has not been set. */
const earliest = Date.UTC(2025, 0, 1);

/** Epoch milliseconds, or undefined while the wall clock has not been set. */
export function wallClock(): number | undefined {
  const now = Date.now();
  return now >= earliest ? now : undefined;
}

/** Counts on across the wrap of the platform's counter, when asked at least once every 24 days. */
export class MonotonicClock implements Clock {
  #last = ticks();
  #total = 0;

  ticks(): number {
    const now = ticks();
    this.#total += Math.max(0, elapsed(this.#last, now));
    this.#last = now;
    return this.#total;
  }

  now(): number | undefined {
    return wallClock();
  }
}
