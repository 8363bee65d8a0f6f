// The machine in the guest's eyes: the owner's system, except for restart and sleep, which end this guest.

import type { Retained, System } from "../../src/host.js";
import type { Bridge } from "./bridge.js";

export function createSystem(bridge: Bridge): System {
  const retained: Retained = {
    read: () => {
      const { value, bytes } = bridge.request("system.retained.read");
      return value === true ? bytes : undefined;
    },
    write: bytes => void bridge.request("system.retained.write", [], bytes),
  };
  const sleep = (delayMs: number) => {
    bridge.request("system.sleep", [delayMs]);
    throw new Error("system: asleep");
  };
  const resetReason = bridge.request("system.resetReason").value as System["resetReason"] | null;
  return {
    id: bridge.request("system.id").value as string,
    ...(resetReason && { resetReason }),
    restart: () => {
      bridge.request("system.restart");
      throw new Error("system: restarting");
    },
    freeHeapBytes: () =>
      (bridge.request("system.freeHeapBytes").value as number | null) ?? undefined,
    ...(bridge.request("system.canSleep").value === true && { sleep, retained }),
  };
}
