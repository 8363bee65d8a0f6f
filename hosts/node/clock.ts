// Time on Node: the process's monotonic clock, and the machine's wall clock, which is trusted as set.

import type { Clock } from "../../src/host.js";

export function createClock(): Clock {
  return {
    ticks: () => Math.floor(performance.now()),
    now: () => Date.now(),
  };
}
