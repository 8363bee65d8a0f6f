// In the place of src/parts/shadow.ts: an agent that is asked for settings says what to include.

import { type Absent, missing, type Replaces } from "skerry/hosts/moddable/absent/missing";
import type * as part from "../../../src/parts/shadow.js";
import type * as standIn from "./shadow.js";

export type Check = Replaces<typeof part, typeof standIn>;

export const Settings: typeof part.Settings = class {
  constructor() {
    missing("agent.settings", "shadow");
  }
} as Absent;

export const Follower: typeof part.Follower = class {
  constructor() {
    missing("agent.settings", "shadow");
  }
} as Absent;

export const Shadows: typeof part.Shadows = class {
  constructor() {
    missing("agent.settings", "shadow");
  }
} as Absent;

export const DeviceState: typeof part.DeviceState = class {
  constructor() {
    missing("options.deviceState", "shadow");
  }
} as Absent;

export const leavesOf: typeof part.leavesOf = () => missing("agent.settings", "shadow");
