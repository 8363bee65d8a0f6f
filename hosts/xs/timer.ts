// Timers in the guest: the owner arms them and sends an event for each that is due.

import type { Timer, TimerHandle } from "../../src/host.js";
import type { Bridge } from "./bridge.js";

interface Entry {
  readonly id: number;
  readonly callback: () => void;
  readonly repeats: boolean;
}

export function createTimer(bridge: Bridge): Timer {
  const entries = new Map<number, Entry>();
  bridge.on("timer", ([id]) => {
    const entry = entries.get(id as number);
    if (entry === undefined) return;
    if (!entry.repeats) entries.delete(entry.id);
    entry.callback();
  });
  const arm = (callback: () => void, delayMs: number, repeats: boolean): TimerHandle => {
    const entry = { id: bridge.id(), callback, repeats };
    bridge.request(repeats ? "timer.repeat" : "timer.set", [entry.id, delayMs]);
    entries.set(entry.id, entry);
    return entry;
  };
  return {
    set: (callback, delayMs) => arm(callback, delayMs, false),
    repeat: (callback, intervalMs) => arm(callback, intervalMs, true),
    clear: handle => {
      const { id } = (handle ?? {}) as Partial<Entry>;
      if (id !== undefined && entries.delete(id)) bridge.request("timer.clear", [id]);
    },
  };
}
