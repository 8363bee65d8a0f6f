// Settings and the device's own state in shadows. A firmware without this part has a stand-in for this module.
export { Settings } from "../settings.js";
export { DeviceState } from "../shadow/device-state.js";
export { Follower } from "../shadow/follower.js";
export { leavesOf } from "../shadow/schema.js";
export { Shadows } from "../shadow/shadows.js";
