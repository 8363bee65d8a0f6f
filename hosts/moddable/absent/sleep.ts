// In the place of src/parts/sleep.ts: an agent that is to sleep says what to include.

import { type Absent, missing, type Replaces } from "skerry/hosts/moddable/absent/missing";
import type * as part from "../../../src/parts/sleep.js";
import type * as standIn from "./sleep.js";

export type Check = Replaces<typeof part, typeof standIn>;

export const DutyCycle: typeof part.DutyCycle = class {
  constructor() {
    missing("agent.cycle", "sleep");
  }
} as Absent;
