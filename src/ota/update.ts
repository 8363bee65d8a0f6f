// One update, as decisions: fetched, verified, tried, and confirmed or taken back.
import { AgentError } from "../errors.js";
import type { Step } from "../util/machine.js";
import { type UpdateState, updateTable } from "./table.js";
import { compareVersions } from "./version.js";

/** Which execution of which job. */
export interface JobKey {
  readonly jobId: string;
  readonly executionNumber: number;
}

/** What survives restarts: written before the slots are switched, and when it is known what became of it. */
export interface Install extends JobKey {
  readonly phase: "switching" | "confirmed" | "reverted";
  /** The slot, and the version, that ran when the image was chosen. */
  readonly slot: string;
  readonly from: string;
  /** What the manifest says; empty where nothing vouches for a version. */
  readonly to: string;
  /** SHA-256 of what was signed and offered, hexadecimal: `nameOf`. */
  readonly identity: string;
  /** SHA-256 of the image, hexadecimal: a file that is signed again is the same one. Empty in records of older firmware. */
  readonly digest: string;
  /** Raises the floor when the image is confirmed; empty where it does not. */
  readonly minimumVersion: string;
  /** Why it was taken back; empty while nobody knows. */
  readonly cause: string;
  /** Epoch ms at which that was seen; 0 without a clock. */
  readonly revertedAt: number;
  /** Of an image before this one the platform says that it was taken back: until this one is known to be what starts. */
  readonly isAfterRevert: boolean;
}

export interface UpdateRecord {
  readonly state: UpdateState;
  readonly install?: Install | undefined;
}

export type UpdateEvent =
  | {
      readonly type:
        | "fetched"
        | "verified"
        | "announced"
        | "switched"
        | "well"
        | "unwell"
        | "settled";
    }
  /** The machine has started. */
  | ({ readonly type: "opened"; readonly install: Install | undefined } & Running)
  /** A job wants this image; its document was judged. */
  | ({
      readonly type: "offered";
      readonly identity: string;
      /** Where it is known before it is fetched. */
      readonly digest: string | undefined;
      readonly now: number | undefined;
    } & JobKey)
  /** The product agrees: the slots may be switched. */
  | { readonly type: "allowed"; readonly install: Install }
  /** The image on trial does not hold. */
  | { readonly type: "givenUp"; readonly cause: string }
  | { readonly type: "failed"; readonly error: AgentError }
  | { readonly type: "cancelled" };

/** What runs. */
export interface Running {
  readonly running: string;
  readonly isOnTrial: boolean;
  readonly hasReverted: boolean;
  readonly version: string;
  /** Epoch ms. */
  readonly now: number | undefined;
  /** Why the machine started, where it tells. */
  readonly resetReason: string | undefined;
  /** Whether an image need not be newer than the one before. */
  readonly allowDowngrade: boolean;
}

export type UpdateEffect =
  /** `stop`: what was fetched so far stays in the slot. */
  | { readonly type: "fetch" | "stop" | "verify" | "announce" | "ask" | "switch" }
  /** The trial begins: health is looked at, and a deadline runs. */
  | { readonly type: "watch" }
  /** The job is told that its image is on trial. */
  | { readonly type: "active" }
  /** The floor is raised, for good. */
  | { readonly type: "keep" }
  | { readonly type: "revert" }
  | { readonly type: "succeed" }
  | { readonly type: "fail"; readonly error: AgentError };

type Result = Step<UpdateRecord, UpdateEffect>;

/** An image that was taken back is not tried again for so long. */
const retryMs = 86_400_000;
/** Why an image is taken back with which nothing is wrong: it may be tried again at once. */
export const endedFromOutside = "the job was cancelled, or its time was over";

/** Decides, never acts. */
export function step(record: UpdateRecord, event: UpdateEvent): Result {
  const state = updateTable[record.state][event.type];
  if (state === undefined) {
    throw new AgentError("agent/illegal-event", `ota: ${event.type} in ${record.state}`);
  }
  const next: UpdateRecord = { state, install: record.install };
  switch (event.type) {
    case "opened":
      return opened(event);
    case "offered":
      return offered(record, next, event);
    case "fetched":
      return { record: next, effects: [{ type: "verify" }] };
    case "verified":
      return { record: next, effects: [{ type: "announce" }] };
    case "announced":
      return { record: next, effects: [{ type: "ask" }] };
    case "allowed":
      return { record: { state, install: event.install }, effects: [{ type: "switch" }] };
    case "switched":
      return { record: { state, install: ownRevert(record.install!) }, effects: [] };
    case "well":
    case "unwell":
      return { record: next, effects: [] };
    case "settled":
      return confirmed(record.install);
    case "givenUp":
      return givenUp(record.install, event.cause);
    case "failed": {
      const effects: UpdateEffect[] = [{ type: "stop" }, { type: "fail", error: event.error }];
      if (record.state !== "restarting") return { record: next, effects };
      // It was to be tried, and the platform would not: remembered like one that was.
      const { message } = event.error;
      const install = { ...record.install!, phase: "reverted", cause: message } as const;
      return { record: { state, install }, effects };
    }
    case "cancelled":
      return { record: next, effects: state === "idle" ? [{ type: "stop" }] : [] };
  }
}

function opened(event: Extract<UpdateEvent, { type: "opened" }>): Result {
  const { install, running, isOnTrial, hasReverted } = event;
  const isSwitched = install?.phase === "switching" && install.slot !== running;
  if (isOnTrial) {
    // An image that came by another way is tried as well.
    const trouble = isSwitched ? troubleOf(install, event) : undefined;
    const known = isSwitched ? ownRevert(install) : install;
    if (trouble !== undefined) return givenUp(known, trouble);
    return { record: { state: "trial", install: known }, effects: [{ type: "watch" }] };
  }
  // The power went between confirmation and its record.
  if (isSwitched) return confirmed(install);
  if (install?.phase !== "switching") return { record: { state: "idle", install }, effects: [] };
  // Nor, as far as is known, had the slots been switched: the job begins again, with what is in the slot.
  if (!hasReverted || install.isAfterRevert)
    return { record: { state: "idle", install: undefined }, effects: [] };
  const why = event.resetReason === undefined ? "" : `, reset: ${event.resetReason}`;
  const cause = install.cause || `the new image did not last until it was confirmed${why}`;
  const reverted = { ...install, phase: "reverted", cause, revertedAt: event.now ?? 0 } as const;
  return { record: { state: "idle", install: reverted }, effects: [] };
}

/** What the platform tells of is this image, from now on. */
function ownRevert(install: Install): Install {
  return install.isAfterRevert ? { ...install, isAfterRevert: false } : install;
}

/** What the image says of itself, against what was said of it. */
function troubleOf(install: Install, { version, allowDowngrade }: Running): string | undefined {
  const { from, to } = install;
  if (to !== "") {
    return to === version ? undefined : `the image is version ${version}, its manifest says ${to}`;
  }
  if (allowDowngrade || (compareVersions(version, from) ?? 0) > 0) return undefined;
  return `version ${version} is not newer than ${from}`;
}

function offered(
  { install: before }: UpdateRecord,
  next: UpdateRecord,
  event: Extract<UpdateEvent, { type: "offered" }>,
): Result {
  if (next.state !== "fetching") return { record: next, effects: [{ type: "active" }] };
  const { identity, digest, now } = event;
  const install = clocked(before, now);
  const isSameJob =
    install?.jobId === event.jobId &&
    install.executionNumber === event.executionNumber &&
    install.identity === identity;
  const idle: UpdateRecord = { state: "idle", install };
  if (isSameJob && install.phase === "confirmed")
    return { record: idle, effects: [{ type: "succeed" }] };
  if (isSameJob && install.phase === "reverted")
    return { record: idle, effects: [{ type: "fail", error: revertedError(install.cause) }] };
  const error = triedBefore(install, digest, now);
  if (error) return { record: idle, effects: [{ type: "fail", error }] };
  return { record: { ...next, install }, effects: [{ type: "fetch" }] };
}

/** Where nobody knew the time, the day begins with the first time it is known. */
function clocked(install: Install | undefined, now: number | undefined): Install | undefined {
  if (install?.phase !== "reverted" || install.revertedAt !== 0 || now === undefined)
    return install;
  return { ...install, revertedAt: now };
}

/**
 * @param digest of the image, as in `Install`
 * @param now    epoch ms
 * @returns      AgentError "ota/reverted" for an image that was taken back less than a day ago
 */
export function triedBefore(
  install: Install | undefined,
  digest: string | undefined,
  now: number | undefined,
): AgentError | undefined {
  if (install?.phase !== "reverted" || install.digest !== digest) return undefined;
  const { revertedAt, cause } = install;
  if (cause === endedFromOutside) return undefined;
  const isLongAgo = now !== undefined && revertedAt !== 0 && now - revertedAt >= retryMs;
  if (isLongAgo) return undefined;
  return revertedError(`${cause}; the same image is not tried again for a day`);
}

function confirmed(install: Install | undefined): Result {
  if (install?.phase !== "switching")
    return { record: { state: "idle", install }, effects: [{ type: "keep" }] };
  const record = { state: "idle", install: { ...install, phase: "confirmed" } } as const;
  return { record, effects: [{ type: "keep" }, { type: "succeed" }] };
}

/** The record says why before the machine restarts into the image that has to tell it. */
function givenUp(install: Install | undefined, cause: string): Result {
  const told = install?.phase === "switching" ? { ...install, cause } : install;
  return { record: { state: "restarting", install: told }, effects: [{ type: "revert" }] };
}

function revertedError(cause: string): AgentError {
  return new AgentError("ota/reverted", `reverted: ${cause}`);
}
