// Sleep between samples. A firmware without this part has a stand-in for this module.
export { DutyCycle } from "../telemetry/cycle.js";
