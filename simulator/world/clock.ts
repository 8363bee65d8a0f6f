// Virtual time: nothing happens but what a timer asked for, in order of due time, then of asking.
import type { Clock, Timer, TimerHandle } from "../../src/host.js";

interface Entry {
  dueAt: number;
  readonly order: number;
  /** Waits for its time; what was cleared stays in the queue until its turn. */
  isPending: boolean;
  readonly intervalMs: number | undefined;
  readonly callback: () => void;
}

/** Where virtual time begins unless told otherwise: 2026-01-01T00:00:00Z. */
export const epochMs = Date.UTC(2026, 0, 1);

export class VirtualClock implements Clock, Timer {
  /** A binary heap: whoever is due next is first. */
  readonly #queue: Entry[] = [];
  #pending = 0;
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
    const entry = handle as Entry | undefined;
    if (!entry?.isPending) return;
    entry.isPending = false;
    this.#pending--;
  }

  /** Timers that wait: a leak shows here. */
  get pending(): number {
    return this.#pending;
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
    const dueAt = this.#ticks + delayMs;
    const entry = { dueAt, order: this.#orders++, isPending: true, intervalMs, callback };
    this.#pending++;
    this.#push(entry);
    return entry;
  }

  #first(): Entry | undefined {
    while (this.#queue[0]?.isPending === false) this.#shift();
    return this.#queue[0];
  }

  /** @param entry the first of the queue */
  #fire(entry: Entry): void {
    this.#ticks = Math.max(this.#ticks, entry.dueAt);
    this.#shift();
    if (entry.intervalMs === undefined) this.clear(entry);
    else {
      entry.dueAt += entry.intervalMs;
      this.#push(entry);
    }
    entry.callback();
  }

  #push(entry: Entry): void {
    const queue = this.#queue;
    let at = queue.push(entry) - 1;
    for (
      let above = (at - 1) >> 1;
      at > 0 && isBefore(entry, queue[above]!);
      above = (at - 1) >> 1
    ) {
      queue[at] = queue[above]!;
      at = above;
    }
    queue[at] = entry;
  }

  #shift(): void {
    const queue = this.#queue;
    const last = queue.pop()!;
    if (queue.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below + 1 < queue.length && isBefore(queue[below + 1]!, queue[below]!)) below++;
      if (below >= queue.length || isBefore(last, queue[below]!)) break;
      queue[at] = queue[below]!;
      at = below;
    }
    queue[at] = last;
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.dueAt < other.dueAt || (one.dueAt === other.dueAt && one.order < other.order);
}
