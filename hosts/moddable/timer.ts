// Timers of any length on the SDK's 32-bit ones.
import NativeTimer from "timer";
import type { Timer, TimerHandle } from "../../src/host.js";
import { guard, report } from "./guard.js";

/** Longest wait given to the SDK at once, about twelve days. */
const maxMs = 2 ** 30;

class Handle {
  native: object | undefined;
}

/** What a callback throws is traced; the timer goes on. */
export class NativeTimers implements Timer {
  set(callback: () => void, delayMs: number): TimerHandle {
    const handle = new Handle();
    wait(handle, checked(delayMs, 0), () => {
      handle.native = undefined;
      callback();
    });
    return handle;
  }

  repeat(callback: () => void, intervalMs: number): TimerHandle {
    const handle = new Handle();
    const interval = checked(intervalMs, Number.MIN_VALUE);
    const again = (): void => {
      wait(handle, interval, again);
      callback();
    };
    wait(handle, interval, again);
    return handle;
  }

  clear(handle: TimerHandle | undefined): void {
    if (!(handle instanceof Handle) || handle.native === undefined) return;
    NativeTimer.clear(handle.native);
    handle.native = undefined;
  }
}

function wait(handle: Handle, delayMs: number, callback: () => void): void {
  const part = Math.min(delayMs, maxMs);
  const rest = delayMs - part;
  handle.native = NativeTimer.set(() => {
    guard(
      () => {
        if (rest > 0) wait(handle, rest, callback);
        else callback();
      },
      error => report("timer", error),
    );
  }, part);
}

function checked(milliseconds: number, least: number): number {
  if (!(milliseconds >= least)) throw new RangeError(`timer: ${milliseconds} ms`);
  return Math.ceil(milliseconds);
}
