// Signed firmware. A firmware without this part has a stand-in for this module.
export { checkFirmware } from "../ota/firmware.js";
export { Health } from "../ota/health.js";
export { Updater } from "../ota/updater.js";
