// In the place of src/parts/updates.ts: an agent that is given signers says what to include.

import { type Absent, missing, type Replaces } from "skerry/hosts/moddable/absent/missing";
import type * as part from "../../../src/parts/updates.js";
import type * as standIn from "./updates.js";

export type Check = Replaces<typeof part, typeof standIn>;

export const Updater: typeof part.Updater = class {
  constructor() {
    missing("options.firmware.signers", "updates");
  }
} as Absent;

export const Health: typeof part.Health = class {
  constructor() {
    missing("agent.health", "updates");
  }
} as Absent;

export const checkFirmware: typeof part.checkFirmware = options =>
  options?.signers === undefined ? undefined : missing("options.firmware.signers", "updates");
