// Time in the guest is the owner's time, virtual or real.

import type { Clock } from "../../src/host.js";
import type { Bridge } from "./bridge.js";

export function createClock(bridge: Bridge): Clock {
  return {
    ticks: () => bridge.request("clock.ticks").value as number,
    now: () => (bridge.request("clock.now").value as number | null) ?? undefined,
  };
}
