// Telemetry on flash until the cloud has it. A firmware without this part has a stand-in for this module.
export { checkOutbox, Outgoing } from "../telemetry/outgoing.js";
