// Why an ESP32 has started, from the number that ESP-IDF gives.
import type { System } from "../../src/host.js";

export type ResetReason = System["resetReason"];

/** @param reason an `esp_reset_reason_t`. @returns undefined for the reason that ESP-IDF calls unknown */
export function resetReasonOf(reason: number): ResetReason {
  switch (reason) {
    case 0:
      return undefined;
    case 1:
    // A brownout or a glitch of the supply: the neighbours have had it too.
    case 9:
    case 14:
      return "powerOn";
    case 3:
      return "restart";
    case 5:
    case 6:
    case 7:
      return "watchdog";
    case 8:
      return "deepSleep";
    default:
      return "other";
  }
}
