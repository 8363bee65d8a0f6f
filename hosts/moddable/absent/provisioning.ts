// In the place of src/parts/provisioning.ts: an agent that is to earn an identity says what to include.

import { type Absent, missing, type Replaces } from "skerry/hosts/moddable/absent/missing";
import type * as part from "../../../src/parts/provisioning.js";
import type * as standIn from "./provisioning.js";

export type Check = Replaces<typeof part, typeof standIn>;

export const Provisioner: typeof part.Provisioner = class {
  constructor() {
    missing("options.identity.template", "provisioning");
  }
} as Absent;

export const checkEnrolling: typeof part.checkEnrolling = (_, where) =>
  missing(`options.${where}.template`, "provisioning");
