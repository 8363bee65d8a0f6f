// Timers of any length on the SDK's 32-bit ones, in the order they are due.
import NativeTimer from "timer";
import type { Timer, TimerHandle } from "../../src/host.js";
import { MonotonicClock } from "./clock.js";
import { guard, report } from "./guard.js";

/** Longest wait given to the SDK at once, about twelve days. */
const maxMs = 2 ** 30;

class Handle {
  /** Let go when it is due or cleared: who keeps the handle does not keep what it was for. */
  work: (() => void) | undefined;
  native: object | undefined;
  /** Ticks. */
  dueAt = 0;

  constructor(work: () => void) {
    this.work = work;
  }
}

/** What a callback throws is traced; the timer goes on. */
export class NativeTimers implements Timer {
  readonly #clock = new MonotonicClock();
  readonly #pending = new Set<Handle>();

  set(callback: () => void, delayMs: number): TimerHandle {
    const handle = new Handle(callback);
    this.#wait(handle, checked(delayMs, 0));
    return handle;
  }

  repeat(callback: () => void, intervalMs: number): TimerHandle {
    const interval = checked(intervalMs, Number.MIN_VALUE);
    const work = () => {
      handle.work = work;
      this.#wait(handle, interval);
      callback();
    };
    const handle = new Handle(work);
    this.#wait(handle, interval);
    return handle;
  }

  clear(handle: TimerHandle | undefined): void {
    if (!(handle instanceof Handle) || !this.#pending.delete(handle)) return;
    NativeTimer.clear(handle.native);
    handle.native = undefined;
    handle.work = undefined;
  }

  #wait(handle: Handle, delayMs: number): void {
    handle.dueAt = this.#clock.ticks() + delayMs;
    this.#pending.add(handle);
    this.#arm(handle, delayMs);
  }

  #arm(handle: Handle, delayMs: number): void {
    handle.native = NativeTimer.set(() => this.#onNative(handle), Math.min(delayMs, maxMs));
  }

  /** Of several that are late the platform may call the one first that was set first. */
  #onNative(handle: Handle): void {
    handle.native = undefined;
    const leftMs = handle.dueAt - this.#clock.ticks();
    if (leftMs > 0) {
      guard(
        () => this.#arm(handle, Math.ceil(leftMs)),
        error => report("timer", error),
      );
      return;
    }
    const earlier = [...this.#pending].filter(({ dueAt }) => dueAt < handle.dueAt);
    for (const each of earlier.sort((a, b) => a.dueAt - b.dueAt)) this.#run(each);
    this.#run(handle);
  }

  /** Unless it has been cleared by one that ran before it. */
  #run(handle: Handle): void {
    if (!this.#pending.has(handle)) return;
    const { work } = handle;
    this.clear(handle);
    guard(work!, error => report("timer", error));
  }
}

function checked(milliseconds: number, least: number): number {
  if (!(milliseconds >= least)) throw new RangeError(`timer: ${milliseconds} ms`);
  return Math.ceil(milliseconds);
}
