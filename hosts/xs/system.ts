// The machine in the guest's eyes: the owner's system, except for a restart, which ends this guest.

import type { System } from "../../src/host.js";
import type { Bridge } from "./bridge.js";

export function createSystem(bridge: Bridge): System {
  return {
    id: bridge.request("system.id").value as string,
    restart: () => {
      bridge.request("system.restart");
      throw new Error("system: restarting");
    },
    freeHeapBytes: () =>
      (bridge.request("system.freeHeapBytes").value as number | null) ?? undefined,
  };
}
