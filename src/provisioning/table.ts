// From the claim every board shares to an identity of its own. Each state is saved before anything is done about it.
import { deepFreeze, type Table } from "../util/machine.js";

export type ProvisioningState = "blank" | "keyed" | "certified" | "registered" | "provisioned";
export type ProvisioningEventName =
  | "begun"
  | "keyMade"
  | "ready"
  | "certified"
  | "registered"
  | "rejected"
  | "held";

/**
 * blank: no key · keyed: own key, no certificate · certified: own certificate, not yet active · registered: active, not
 * yet used · provisioned: the own identity has held a session, the claim is not used again.
 */
export const provisioningTable: Table<ProvisioningState, ProvisioningEventName> = deepFreeze({
  blank: { begun: "blank", keyMade: "keyed" },
  keyed: { begun: "keyed", ready: "keyed", certified: "certified", rejected: "keyed" },
  certified: {
    begun: "certified",
    ready: "certified",
    registered: "registered",
    rejected: "certified",
  },
  registered: { begun: "registered", rejected: "registered", held: "provisioned" },
  provisioned: { begun: "provisioned", held: "provisioned" },
});
