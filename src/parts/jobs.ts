// Jobs, and those of the agent's own. A firmware without this part has a stand-in for this module.
export { Jobs } from "../jobs/jobs.js";
export { inWindow } from "../jobs/window.js";
export { operationHandler } from "../operations.js";
