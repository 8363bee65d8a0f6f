// The slots for firmware in the guest: the owner's, except that a revert, as a restart, ends this guest.

import type { ImageDescription, Update } from "../../src/host.js";
import type { Bridge } from "./bridge.js";

/** @returns undefined when the owner's machine has none */
export function createUpdate(bridge: Bridge): Update | undefined {
  if (bridge.request("update.isThere").value !== true) return undefined;
  return {
    get running() {
      return bridge.request("update.running").value as string;
    },
    get isOnTrial() {
      return bridge.request("update.isOnTrial").value === true;
    },
    get hasReverted() {
      return bridge.request("update.hasReverted").value === true;
    },
    describe: () =>
      (bridge.request("update.describe").value as ImageDescription | null) ?? undefined,
    complete: () => void bridge.request("update.complete"),
    confirm: () => void bridge.request("update.confirm"),
    revert: () => {
      bridge.request("update.revert");
      throw new Error("system: restarting");
    },
  };
}
