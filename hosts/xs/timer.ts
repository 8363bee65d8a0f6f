// Timers in the guest: the owner arms them and sends an event for each that is due.

import type { Timer, TimerHandle } from "../../src/host.js";
import type { Bridge } from "./bridge.js";

interface Entry {
  readonly id: number;
  /** Let go when it is due or cleared: who keeps the handle does not keep what it was for. */
  callback: (() => void) | undefined;
  readonly repeats: boolean;
}

export function createTimer(bridge: Bridge): Timer {
  const entries = new Map<number, Entry>();
  const forget = (entry: Entry) => {
    entry.callback = undefined;
    return entries.delete(entry.id);
  };
  bridge.on("timer", ([id]) => {
    const entry = entries.get(id as number);
    if (entry === undefined) return;
    const { callback } = entry;
    if (!entry.repeats) forget(entry);
    callback?.();
  });
  const arm = (callback: () => void, delayMs: number, repeats: boolean): TimerHandle => {
    const entry: Entry = { id: bridge.id(), callback, repeats };
    bridge.request(repeats ? "timer.repeat" : "timer.set", [entry.id, delayMs]);
    entries.set(entry.id, entry);
    return entry;
  };
  return {
    set: (callback, delayMs) => arm(callback, delayMs, false),
    repeat: (callback, intervalMs) => arm(callback, intervalMs, true),
    clear: handle => {
      const entry = handle as Entry | undefined;
      if (entry && forget(entry)) bridge.request("timer.clear", [entry.id]);
    },
  };
}
