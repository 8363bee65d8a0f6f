// Channels with windows and thresholds. A firmware without this part has a stand-in for this module.
export { Channels } from "../telemetry/channels.js";
