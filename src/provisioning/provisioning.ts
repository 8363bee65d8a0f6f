// Provisioning by claim (AWS fleet provisioning), as decisions. A cut anywhere leaves a record from which `begun` goes on.
import { AgentError } from "../errors.js";
import type { KeyPair } from "../host.js";
import { limits } from "../limits.js";
import type { Step } from "../util/machine.js";
import { type ProvisioningState, provisioningTable } from "./table.js";

/** All that survives a restart: one value in storage, so that every change is whole. */
export interface ProvisioningRecord {
  readonly state: ProvisioningState;
  readonly keyPair?: KeyPair;
  /** DER, own certificate first. */
  readonly certificates?: readonly Uint8Array[];
  readonly certificateId?: string;
  /** Proves to RegisterThing who asked for the certificate; lives one hour. */
  readonly ownershipToken?: string;
  readonly thingName?: string;
  /** Refusals of RegisterThing for this certificate. */
  readonly refusals?: number;
}

export type ProvisioningEvent =
  | { readonly type: "begun" | "ready" | "held" }
  | { readonly type: "keyMade"; readonly keyPair: KeyPair }
  | {
      readonly type: "certified";
      readonly certificates: readonly Uint8Array[];
      readonly certificateId: string;
      readonly ownershipToken: string;
    }
  | { readonly type: "registered"; readonly thingName: string }
  | { readonly type: "rejected"; readonly error: AgentError };

export type ProvisioningEffect =
  | { readonly type: "makeKey" | "requestCertificate" | "register" | "adopt" | "forgetClaim" }
  | { readonly type: "drop"; readonly error: AgentError };

export const notProvisioned: ProvisioningRecord = Object.freeze({ state: "blank" });

/** Whether the own identity is to be used, not the claim. */
export function hasIdentity(record: ProvisioningRecord): boolean {
  return record.state === "registered" || record.state === "provisioned";
}

/**
 * Decides, never acts. `begun`: the machine has started. `ready`: the claim's link is up and the reply topics are
 * subscribed. `held`: the own identity has held a session. A rejection drops the link, whose backoff spaces the retries.
 */
export function step(
  record: ProvisioningRecord,
  event: ProvisioningEvent,
): Step<ProvisioningRecord, ProvisioningEffect> {
  const state = provisioningTable[record.state][event.type];
  if (state === undefined) {
    throw new AgentError("agent/illegal-event", `provisioning: ${event.type} in ${record.state}`);
  }
  switch (event.type) {
    case "begun":
      // A cut may have come between saving "provisioned" and forgetting the claim.
      if (state === "provisioned") return { record, effects: [{ type: "forgetClaim" }] };
      return { record: resumed(record), effects: state === "blank" ? [{ type: "makeKey" }] : [] };
    case "keyMade":
      return { record: { state, keyPair: event.keyPair }, effects: [] };
    case "ready":
      return { record, effects: [{ type: state === "keyed" ? "requestCertificate" : "register" }] };
    case "certified": {
      const { certificates, certificateId, ownershipToken } = event;
      return {
        record: { state, keyPair: record.keyPair!, certificates, certificateId, ownershipToken },
        effects: [{ type: "register" }],
      };
    }
    case "registered": {
      const { keyPair, certificates, certificateId } = record;
      return {
        record: {
          state,
          keyPair: keyPair!,
          certificates: certificates!,
          certificateId: certificateId!,
          thingName: event.thingName,
        },
        effects: [{ type: "adopt" }],
      };
    }
    case "rejected":
      return rejected(record, event.error);
    case "held":
      if (record.state === state) return { record, effects: [] };
      return { record: { ...record, state }, effects: [{ type: "forgetClaim" }] };
  }
}

/**
 * A token from before a restart may have been used up already: RegisterThing may have been done and its answer lost.
 * Then the first refusal settles it.
 */
function resumed(record: ProvisioningRecord): ProvisioningRecord {
  const refusals = limits.registerAttempts - 1;
  return record.state !== "certified" || record.refusals === refusals
    ? record
    : { ...record, refusals };
}

/** After some refusals, of RegisterThing or of the own identity that has never held a session, the certificate is given up: its token may have expired, and the service deletes it then. */
function rejected(
  record: ProvisioningRecord,
  error: AgentError,
): Step<ProvisioningRecord, ProvisioningEffect> {
  const isOwn = record.state === "registered";
  const effects: readonly ProvisioningEffect[] = isOwn ? [] : [{ type: "drop", error }];
  if (record.state === "keyed") return { record, effects };
  const refusals = (record.refusals ?? 0) + 1;
  if (refusals >= (isOwn ? limits.adoptAttempts : limits.registerAttempts))
    return { record: { state: "keyed", keyPair: record.keyPair! }, effects };
  return { record: { ...record, refusals }, effects };
}
