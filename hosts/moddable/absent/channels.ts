// In the place of src/parts/channels.ts: an agent that is given channels says what to include.

import { type Absent, missing, type Replaces } from "skerry/hosts/moddable/absent/missing";
import type * as part from "../../../src/parts/channels.js";
import type * as standIn from "./channels.js";

export type Check = Replaces<typeof part, typeof standIn>;

export const Channels: typeof part.Channels = class {
  constructor() {
    missing("options.telemetry.channels", "channels");
  }
} as Absent;
