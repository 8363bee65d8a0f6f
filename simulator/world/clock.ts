// Virtual time: nothing happens but what a timer asked for, in order of due time, then of asking.
import type { Clock, Timer, TimerHandle } from "../../src/host.js";

interface Entry {
  dueAt: number;
  readonly order: number;
  readonly intervalMs: number | undefined;
  readonly callback: () => void;
}

/** Where virtual time begins unless told otherwise: 2026-01-01T00:00:00Z. */
export const epochMs = Date.UTC(2026, 0, 1);

export class VirtualClock implements Clock, Timer {
  readonly #pending = new Set<Entry>();
  readonly #startAt: number;
  /** Work on other threads that must end before time may go on. */
  readonly #idle: () => Promise<void>;
  #ticks = 0;
  #orders = 0;

  constructor(options: { readonly startAt?: number; readonly idle?: () => Promise<void> } = {}) {
    this.#startAt = options.startAt ?? epochMs;
    this.#idle = options.idle ?? (() => Promise.resolve());
  }

  ticks(): number {
    return this.#ticks;
  }

  now(): number {
    return this.#startAt + this.#ticks;
  }

  set(callback: () => void, delayMs: number): TimerHandle {
    return this.#add(callback, delayMs, undefined);
  }

  repeat(callback: () => void, intervalMs: number): TimerHandle {
    return this.#add(callback, intervalMs, intervalMs);
  }

  clear(handle: TimerHandle | undefined): void {
    this.#pending.delete(handle as Entry);
  }

  /** Timers that wait: a leak shows here. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Lets time pass until `isDone` or the limit.
   *
   * @returns whether `isDone` came true
   */
  async runUntil(isDone: () => boolean, limitMs: number): Promise<boolean> {
    const endAt = this.#ticks + limitMs;
    for (;;) {
      await this.#idle();
      if (isDone()) return true;
      const entry = this.#first();
      if (!entry || entry.dueAt > endAt) {
        this.#ticks = endAt;
        return isDone();
      }
      this.#fire(entry);
    }
  }

  /** Lets `durationMs` pass. */
  async run(durationMs: number): Promise<void> {
    await this.runUntil(() => false, durationMs);
  }

  #add(callback: () => void, delayMs: number, intervalMs: number | undefined): Entry {
    const entry = { dueAt: this.#ticks + delayMs, order: this.#orders++, intervalMs, callback };
    this.#pending.add(entry);
    return entry;
  }

  #first(): Entry | undefined {
    let first: Entry | undefined;
    for (const entry of this.#pending) {
      if (
        !first ||
        entry.dueAt < first.dueAt ||
        (entry.dueAt === first.dueAt && entry.order < first.order)
      )
        first = entry;
    }
    return first;
  }

  #fire(entry: Entry): void {
    this.#ticks = Math.max(this.#ticks, entry.dueAt);
    if (entry.intervalMs === undefined) this.#pending.delete(entry);
    else entry.dueAt += entry.intervalMs;
    entry.callback();
  }
}
