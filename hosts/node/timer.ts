// Timers on Node, on one of its own at a time. Those overflow after 24 days, may fire a millisecond early and, when late, out of
// order; these do none of it.

import type { Timer } from "../../src/host.js";

/** The longest delay `setTimeout` takes; a longer one would fire at once. */
const longestMs = 0x7fff_ffff;

interface Entry {
  readonly callback: () => void;
  /** Undefined for one that fires once. */
  readonly intervalMs: number | undefined;
  dueAt: number;
}

export function createTimer(): Timer {
  const queue = new TimerQueue();
  return {
    set: (callback, delayMs) => queue.add(callback, delayMs, undefined),
    repeat: (callback, intervalMs) => queue.add(callback, intervalMs, intervalMs),
    clear: handle => queue.remove(handle),
  };
}

class TimerQueue {
  /** By due time; equal ones in the order they were set. */
  readonly #entries: Entry[] = [];
  #timeout: NodeJS.Timeout | undefined;

  add(callback: () => void, delayMs: number, intervalMs: number | undefined): Entry {
    const entry = { callback, intervalMs, dueAt: performance.now() + delayMs };
    this.#insert(entry);
    this.#arm();
    return entry;
  }

  remove(handle: object | undefined): void {
    const index = this.#entries.indexOf(handle as Entry);
    if (index < 0) return;
    this.#entries.splice(index, 1);
    this.#arm();
  }

  #insert(entry: Entry): void {
    const later = this.#entries.findIndex(other => other.dueAt > entry.dueAt);
    this.#entries.splice(later < 0 ? this.#entries.length : later, 0, entry);
  }

  #arm(): void {
    clearTimeout(this.#timeout);
    const first = this.#entries[0];
    if (first === undefined) return;
    const leftMs = Math.ceil(first.dueAt - performance.now());
    const delayMs = Math.min(Math.max(leftMs, 0), longestMs);
    this.#timeout = setTimeout(() => this.#fire(performance.now()), delayMs);
  }

  /** An exception leaves as Node lets it; the other timers stay armed. */
  #fire(now: number): void {
    try {
      for (let entry = this.#takeDue(now); entry !== undefined; entry = this.#takeDue(now)) {
        entry.callback();
      }
    } finally {
      this.#arm();
    }
  }

  /** A repeat that fell behind goes on from now: it never fires in bursts. */
  #takeDue(now: number): Entry | undefined {
    const entry = this.#entries[0];
    if (entry === undefined || entry.dueAt > now) return undefined;
    this.#entries.shift();
    if (entry.intervalMs !== undefined) {
      const next = entry.dueAt + entry.intervalMs;
      entry.dueAt = next > now ? next : now + entry.intervalMs;
      this.#insert(entry);
    }
    return entry;
  }
}
