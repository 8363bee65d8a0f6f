// From a claim, or from an identity that grows old, to a new identity. Each state is saved before anything is done about it.
import { deepFreeze, type Table } from "../util/machine.js";

export type EnrollmentState = "none" | "wanted" | "keyed" | "certified" | "registered";
export type EnrollmentEventName =
  | "begun"
  | "wanted"
  | "keyMade"
  | "ready"
  | "certified"
  | "registered"
  | "rejected"
  | "held"
  | "reported";

/**
 * Of the identity to come. none: nothing is to come · wanted: it has no key · keyed: own key, no certificate · certified:
 * own certificate, not yet active · registered: active, on trial. With the first session held it is the one in force.
 */
export const enrollmentTable: Table<EnrollmentState, EnrollmentEventName> = deepFreeze({
  none: { begun: "none", wanted: "wanted", held: "none", reported: "none", rejected: "none" },
  wanted: {
    begun: "wanted",
    wanted: "wanted",
    keyMade: "keyed",
    ready: "wanted",
    rejected: "wanted",
    held: "wanted",
    reported: "wanted",
  },
  keyed: {
    begun: "keyed",
    wanted: "keyed",
    ready: "keyed",
    certified: "certified",
    rejected: "keyed",
    held: "keyed",
    reported: "keyed",
  },
  certified: {
    begun: "certified",
    wanted: "certified",
    ready: "certified",
    registered: "registered",
    rejected: "certified",
    held: "certified",
    reported: "certified",
  },
  registered: {
    begun: "registered",
    wanted: "registered",
    rejected: "registered",
    held: "none",
    reported: "registered",
  },
});
