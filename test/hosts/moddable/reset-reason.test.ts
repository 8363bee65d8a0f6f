import test from "ava";
import { resetReasonOf } from "../../../hosts/moddable/reset-reason.js";

test("ESP-IDF's reasons for a reset, by their numbers", t => {
  const reasons = Array.from({ length: 16 }, (_, reason) => resetReasonOf(reason));
  t.deepEqual(reasons, [
    undefined, // unknown
    "powerOn",
    "other", // external pin
    "restart",
    "other", // panic
    "watchdog", // interrupts
    "watchdog", // tasks
    "watchdog",
    "deepSleep",
    "powerOn", // brownout
    "other", // SDIO
    "other", // USB
    "other", // JTAG
    "other", // eFuse
    "powerOn", // glitch of the supply
    "other", // lockup
  ]);
});
