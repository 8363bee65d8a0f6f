// In the place of src/parts/jobs.ts: an agent that is asked for its jobs says what to include.

import { type Absent, missing, type Replaces } from "skerry/hosts/moddable/absent/missing";
import type * as part from "../../../src/parts/jobs.js";
import type * as standIn from "./jobs.js";

export type Check = Replaces<typeof part, typeof standIn>;

export const Jobs: typeof part.Jobs = class {
  constructor() {
    missing("agent.jobs", "jobs");
  }
} as Absent;

export const operationHandler: typeof part.operationHandler = () => missing("agent.jobs", "jobs");

export const inWindow: typeof part.inWindow = () => missing("inWindow", "jobs");
