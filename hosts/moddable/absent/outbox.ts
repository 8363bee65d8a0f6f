// In the place of src/parts/outbox.ts: an agent that is given an outbox says what to include.

import { type Absent, missing, type Replaces } from "skerry/hosts/moddable/absent/missing";
import type * as part from "../../../src/parts/outbox.js";
import type * as standIn from "./outbox.js";

export type Check = Replaces<typeof part, typeof standIn>;

export const Outgoing: typeof part.Outgoing = class {
  constructor() {
    missing("options.outbox", "outbox");
  }
} as Absent;

export const checkOutbox: typeof part.checkOutbox = () => missing("options.outbox", "outbox");
