// How a device comes by its identity and by the next one (AWS fleet provisioning), as decisions. A cut anywhere leaves a
// record from which `begun` goes on; the identity in force is given up only for one that has held a session.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import type { Step } from "../util/machine.js";
import { type EnrollmentState, enrollmentTable } from "./table.js";

/** Where a credential (key and certificate) is kept; there are two places. */
export type Slot = 0 | 1;

/** The identity in force: it has held a session, or came with the product. */
export interface Identity {
  readonly slot: Slot | "given";
  readonly certificateId: string;
  readonly thingName: string;
}

/** The identity to come. */
export interface Enrollment {
  readonly state: Exclude<EnrollmentState, "none">;
  /** What it is earned with. */
  readonly via: "claim" | "identity";
  readonly slot: Slot;
  readonly certificateId?: string;
  /** Proves to RegisterThing who asked for the certificate. */
  readonly ownershipToken?: string;
  /** Epoch ms until which the token lives; absent when the clock was not set. */
  readonly tokenUntil?: number;
  readonly thingName?: string;
  /** In a row, of what the state asks for. */
  readonly refusals?: number;
}

/** All that survives a restart. */
export interface ProvisioningRecord {
  readonly identity?: Identity;
  readonly enrollment?: Enrollment;
  /**
   * Certificate id that is not needed any more, until the cloud has been told: of the identity before this one, or of one to
   * come that was given up.
   */
  readonly retired?: string;
}

export type ProvisioningEvent =
  /** The machine has started. */
  | { readonly type: "begun" }
  /** Another identity is asked for, to be earned with the one in force or with the claim. */
  | { readonly type: "wanted"; readonly via: "claim" | "identity" }
  /** A key is in `slot`. */
  | { readonly type: "keyMade"; readonly slot: Slot }
  /** The link to enroll over is up, and the reply topics are subscribed. */
  | { readonly type: "ready"; readonly now: number | undefined }
  /** Key and certificate are in `slot`. */
  | {
      readonly type: "certified";
      readonly slot: Slot;
      readonly certificateId: string;
      readonly ownershipToken: string;
      readonly now: number | undefined;
    }
  | { readonly type: "registered"; readonly thingName: string }
  | { readonly type: "rejected"; readonly error: AgentError }
  /** The identity to come has held a session. */
  | { readonly type: "held" }
  /** The cloud knows that the identity before is not needed. */
  | { readonly type: "reported" };

export type ProvisioningEffect =
  | { readonly type: "makeKey" | "requestCertificate" | "register" | "adopt" | "forgetClaim" }
  /** The link there is is that of the identity in force: tell the cloud over it what is retired. */
  | { readonly type: "report" }
  /** The credential in this place is of no more use. */
  | { readonly type: "erase"; readonly slot: Slot }
  /** Try again later: by a new link, or after a while on the same. */
  | { readonly type: "drop" | "later"; readonly error: AgentError }
  /** The identity to come is given up; the one in force stays. */
  | { readonly type: "givenUp"; readonly error: AgentError };

export const notProvisioned: ProvisioningRecord = Object.freeze({});

export function stateOf(record: ProvisioningRecord): EnrollmentState {
  return record.enrollment?.state ?? "none";
}

/** Whether the identity to come is the one to dial with. */
export function isOnTrial(record: ProvisioningRecord): boolean {
  return record.enrollment?.state === "registered";
}

/** Whether the claim is the one to dial with. */
export function needsClaim(record: ProvisioningRecord): boolean {
  if (isOnTrial(record)) return false;
  return record.identity === undefined || record.enrollment?.via === "claim";
}

type Result = Step<ProvisioningRecord, ProvisioningEffect>;

/** Decides, never acts. */
export function step(record: ProvisioningRecord, event: ProvisioningEvent): Result {
  const state = enrollmentTable[stateOf(record)][event.type];
  if (state === undefined) {
    const message = `provisioning: ${event.type} in ${stateOf(record)}`;
    throw new AgentError("agent/illegal-event", message);
  }
  const { identity, enrollment } = record;
  switch (event.type) {
    case "begun":
      return begun(record);
    case "wanted": {
      if (enrollment !== undefined) return { record, effects: [] };
      const wanted = { state: "wanted", via: event.via, slot: otherSlot(identity) } as const;
      return { record: { ...record, enrollment: wanted }, effects: [{ type: "makeKey" }] };
    }
    case "keyMade":
      return { record: { ...record, enrollment: keyed(enrollment!, event.slot) }, effects: [] };
    case "ready":
      return ready(record, event.now);
    case "certified": {
      const { slot, certificateId, ownershipToken, now } = event;
      const until = now === undefined ? {} : { tokenUntil: Math.floor(now) + limits.tokenLifeMs };
      const { via } = enrollment!;
      const certified = { state: "certified", via, slot, certificateId, ownershipToken } as const;
      return {
        record: { ...record, enrollment: { ...certified, ...until } },
        effects: [{ type: "register" }],
      };
    }
    case "registered": {
      const { via, slot, certificateId } = enrollment!;
      const { thingName } = event;
      return {
        record: {
          ...record,
          enrollment: { state: "registered", via, slot, certificateId: certificateId!, thingName },
        },
        effects: [{ type: "adopt" }],
      };
    }
    case "rejected":
      return enrollment === undefined ? { record, effects: [] } : rejected(record, event.error);
    case "held":
      return isOnTrial(record) ? held(record) : { record, effects: [] };
    case "reported":
      return reported(record);
  }
}

/** Another identity may have been asked for meanwhile. */
function reported(record: ProvisioningRecord): Result {
  const { retired, ...rest } = record;
  return { record: retired === undefined ? record : rest, effects: [] };
}

function otherSlot(identity: Identity | undefined): Slot {
  return identity?.slot === 0 ? 1 : 0;
}

/** A given identity is in neither place. */
function eraseAllBut({ slot }: Identity): readonly ProvisioningEffect[] {
  const places: readonly Slot[] = [0, 1];
  return places.filter(place => place !== slot).map(place => ({ type: "erase", slot: place }));
}

function keyed({ via }: Enrollment, slot: Slot): Enrollment {
  return { state: "keyed", via, slot };
}

function begun(record: ProvisioningRecord): Result {
  const { identity, enrollment } = record;
  if (enrollment === undefined) {
    if (identity === undefined) return step(record, { type: "wanted", via: "claim" });
    if (identity.slot === "given") return { record, effects: eraseAllBut(identity) };
    // A cut may have come between saving the identity, forgetting the claim and erasing the one before.
    return { record, effects: [{ type: "forgetClaim" }, ...eraseAllBut(identity)] };
  }
  if (enrollment.state === "wanted") return { record, effects: [{ type: "makeKey" }] };
  // RegisterThing may have been done before the restart and its answer lost: then the first refusal settles it.
  const refusals = limits.registerAttempts - 1;
  if (enrollment.state !== "certified" || enrollment.refusals === refusals)
    return { record, effects: [] };
  return { record: { ...record, enrollment: { ...enrollment, refusals } }, effects: [] };
}

function ready(record: ProvisioningRecord, now: number | undefined): Result {
  const enrollment = record.enrollment!;
  const ask = { type: "requestCertificate" } as const;
  // Its key could not be made or kept before.
  if (enrollment.state === "wanted") return { record, effects: [{ type: "makeKey" }, ask] };
  if (enrollment.state === "keyed") return { record, effects: [ask] };
  const { tokenUntil } = enrollment;
  const isStale = tokenUntil !== undefined && now !== undefined && now > tokenUntil;
  if (!isStale) return { record, effects: [{ type: "register" }] };
  // The service has deleted the certificate by now, unless it was registered.
  return {
    record: { ...record, ...surplus(record), enrollment: keyed(enrollment, enrollment.slot) },
    effects: [ask],
  };
}

/** How often each state is refused before what it asks for is given up. */
function rejected(record: ProvisioningRecord, error: AgentError): Result {
  const enrollment = record.enrollment!;
  const { state, via, slot } = enrollment;
  const { identity } = record;
  const refusals = (enrollment.refusals ?? 0) + 1;
  const counted = { ...record, enrollment: { ...enrollment, refusals } };
  const trials = identity === undefined ? limits.adoptAttempts : limits.trialAttempts;
  const most = state === "registered" ? trials : limits.registerAttempts;
  if (via === "identity" && identity !== undefined && refusals >= most) {
    const { enrollment: _, ...rest } = record;
    // On trial there is no such link: the next one tells.
    const told = state === "registered" ? [] : [{ type: "report" } as const];
    return {
      record: { ...rest, ...surplus(record) },
      effects: [{ type: "givenUp", error }, ...eraseAllBut(identity), ...told],
    };
  }
  const effects = waiting(state, via, error);
  // With a claim there is nothing to go back to: the key stays, and asks for as long as it takes.
  if ((state === "keyed" || state === "wanted") && via === "claim") return { record, effects };
  if (refusals < most) return { record: counted, effects };
  return {
    record: { ...record, ...surplus(record), enrollment: keyed(enrollment, slot) },
    effects,
  };
}

/** A certificate that is given up may be active: RegisterThing was done, and its answer lost. */
function surplus({ enrollment, retired }: ProvisioningRecord): Pick<ProvisioningRecord, "retired"> {
  const newest = enrollment?.certificateId ?? retired;
  return newest === undefined ? {} : { retired: newest };
}

function waiting(
  state: EnrollmentState,
  via: "claim" | "identity",
  error: AgentError,
): readonly ProvisioningEffect[] {
  // The link has ended by itself.
  if (state === "registered") return [];
  return [{ type: via === "claim" ? "drop" : "later", error }];
}

function held(record: ProvisioningRecord): Result {
  const { slot, certificateId, thingName } = record.enrollment!;
  const identity = { slot, certificateId: certificateId!, thingName: thingName! };
  const retired = record.identity?.certificateId ?? record.retired;
  return {
    record: { identity, ...(retired === undefined ? {} : { retired }) },
    effects: [{ type: "forgetClaim" }, ...eraseAllBut(identity)],
  };
}
