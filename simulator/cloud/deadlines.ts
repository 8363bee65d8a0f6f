// Many times at which something is due, on one timer.

import type { Clock, Timer } from "./environment.js";
import { jobLimits } from "./limits.js";

interface Due {
  readonly at: number;
  readonly run: () => void;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #due = new Map<string, Due>();
  #alarm: { readonly handle: object; readonly at: number } | undefined;
  #isClosed = false;
  readonly #onFired: () => void;

  /** @param onFired called after all that was due has run */
  constructor(clock: Clock, timer: Timer, onFired: () => void) {
    this.#clock = clock;
    this.#timer = timer;
    this.#onFired = onFired;
  }

  /** Replaces what was due under that name; a time that is over is due at once, though never from inside this call. */
  set(name: string, at: number, run: () => void): void {
    this.#due.set(name, { at, run });
    this.#arm(at);
  }

  /** The timer may go off for nothing then. */
  delete(name: string): void {
    this.#due.delete(name);
  }

  close(): void {
    this.#isClosed = true;
    this.#due.clear();
    if (this.#alarm !== undefined) this.#timer.clear(this.#alarm.handle);
    this.#alarm = undefined;
  }

  #arm(at: number): void {
    if (this.#isClosed || (this.#alarm !== undefined && this.#alarm.at <= at)) return;
    if (this.#alarm !== undefined) this.#timer.clear(this.#alarm.handle);
    const inMs = Math.min(jobLimits.timerMs, Math.max(0, at - this.#clock.now()));
    this.#alarm = { handle: this.#timer.set(() => this.#fire(), inMs), at };
  }

  /** Earliest first; what is due later, or came due by this, waits for the next alarm. */
  #fire(): void {
    this.#alarm = undefined;
    const now = this.#clock.now();
    const due = [...this.#due].filter(([, { at }]) => at <= now);
    for (const [name, each] of due.sort(([, a], [, b]) => a.at - b.at)) {
      if (this.#due.get(name) !== each) continue; // an earlier one took it away
      this.#due.delete(name);
      each.run();
    }
    this.#onFired();
    let next: number | undefined;
    for (const { at } of this.#due.values()) if (next === undefined || at < next) next = at;
    if (next !== undefined) this.#arm(next);
  }
}
