// When to join, when to ask for the time, when to wait and how long; never gives up. Pure: time and chance come with the events.
import { AgentError } from "../../../src/errors.js";
import { type Backoff, fullJitter } from "../../../src/util/backoff.js";
import type { Step } from "../../../src/util/machine.js";
import type { Fault } from "./fault.js";
import { type NetworkState, networkTable } from "./table.js";

export interface NetworkRecord {
  readonly state: NetworkState;
  /** Joins without a lasting success. */
  readonly attempt: number;
  /** Rounds of questions for the time without an answer. */
  readonly unanswered: number;
  /** Ticks of the address. */
  readonly addressedAt: number;
}

/** `chance` is uniform in [0, 1). */
export type NetworkEvent =
  | { readonly type: "start" | "stop" | "associated" | "due" }
  | { readonly type: "addressed"; readonly ticks: number }
  | { readonly type: "told" | "untold" | "late"; readonly chance: number }
  | {
      readonly type: "lost";
      readonly fault: Fault;
      readonly ticks: number;
      readonly chance: number;
    };

export type NetworkEffect =
  | { readonly type: "join" | "leave" | "ask" | "hush" | "cancelWait" }
  /** `late` after it, unless another event comes first. */
  | { readonly type: "deadline"; readonly delayMs: number }
  /** `due` after it. */
  | { readonly type: "wait"; readonly delayMs: number };

export const networkAtRest: NetworkRecord = Object.freeze({
  state: "off",
  attempt: 0,
  unanswered: 0,
  addressedAt: 0,
});

export const networkLimits = Object.freeze({
  /** A scan of all channels takes three seconds, a handshake less; then the SDK's word has been lost. */
  joinMs: 30_000,
  /** DHCP sends its question again after 1, 3, 7 and 15 seconds. */
  addressMs: 20_000,
  /** An address held this long counts as a success: only then the backoff starts again from its base. */
  stableMs: 60_000,
  /** The least time between two rounds of questions for the time. */
  leastPauseMs: 1000,
  /** A crystal is wrong by seconds a day at most; spread over a quarter, so that a fleet does not ask at once. */
  timeHoldsMs: 43_200_000,
});

export const joinBackoff: Backoff = Object.freeze({ baseMs: 1000, capMs: 60_000 });
/** A password that is wrong stays wrong until somebody acts; access points lock out who guesses. */
export const passwordBackoff: Backoff = Object.freeze({ baseMs: 5000, capMs: 300_000 });
/** The servers are other people's. */
export const timeBackoff: Backoff = Object.freeze({ baseMs: 4000, capMs: 120_000 });

type Result = Step<NetworkRecord, NetworkEffect>;

/** Decides, never acts. */
export function step(record: NetworkRecord, event: NetworkEvent): Result {
  const state = networkTable[record.state][event.type];
  if (state === undefined) {
    throw new AgentError("agent/illegal-event", `network: ${event.type} in ${record.state}`);
  }
  const next = { ...record, state };
  switch (event.type) {
    case "start":
      return started(record, next);
    case "stop":
      return { record: { ...networkAtRest }, effects: before(record, ["leave"]) };
    case "associated":
      return {
        record: next,
        effects: before(record, [], { type: "deadline", delayMs: networkLimits.addressMs }),
      };
    case "addressed":
      return {
        record: { ...next, unanswered: 0, addressedAt: event.ticks },
        effects: before(record, ["ask"]),
      };
    case "told":
      return { record: { ...next, unanswered: 0 }, effects: [wait(holds(event.chance))] };
    case "untold": {
      const { leastPauseMs } = networkLimits;
      const delayMs = leastPauseMs + fullJitter(timeBackoff, record.unanswered, event.chance);
      return { record: { ...next, unanswered: record.unanswered + 1 }, effects: [wait(delayMs)] };
    }
    case "late":
      return retry(record, next, record.attempt, lateFault(record.state), event.chance, ["leave"]);
    case "lost":
      return retry(record, next, attemptsAt(record, event.ticks), event.fault, event.chance);
    case "due":
      return state === "joining" ? join(next) : { record: next, effects: [{ type: "ask" }] };
  }
}

/** Whether there is an address. */
export function hasAddress(state: NetworkState): boolean {
  return state === "timing" || state === "untimed" || state === "online";
}

/** What has taken too long. */
export function lateFault(state: NetworkState): Fault {
  return state === "addressing" ? "address" : "absent";
}

/** Wanted anew, perhaps with another Wi-Fi: at once, and as if for the first time. */
function started(record: NetworkRecord, next: NetworkRecord): Result {
  const fresh = { ...next, attempt: 0, unanswered: 0 };
  const first = before(
    record,
    record.state === "off" || record.state === "waiting" ? [] : ["leave"],
  );
  const { record: joined, effects } = join(fresh);
  return { record: joined, effects: [...first, ...effects] };
}

function join(record: NetworkRecord): Result {
  const { joinMs } = networkLimits;
  return { record, effects: [{ type: "deadline", delayMs: joinMs }, { type: "join" }] };
}

function retry(
  record: NetworkRecord,
  next: NetworkRecord,
  attempt: number,
  fault: Fault,
  chance: number,
  first: readonly ("leave" | "hush")[] = [],
): Result {
  const backoff = fault === "password" ? passwordBackoff : joinBackoff;
  const delayMs = fullJitter(backoff, attempt, chance);
  return {
    record: { ...next, attempt: attempt + 1 },
    effects: before(record, first, wait(delayMs)),
  };
}

/** Who asks for the time is silenced, and whoever waits waits no more. */
function before(
  { state }: NetworkRecord,
  types: readonly ("leave" | "ask" | "hush")[],
  last?: NetworkEffect,
): readonly NetworkEffect[] {
  const effects: NetworkEffect[] = [{ type: "cancelWait" }];
  if (state === "timing") effects.push({ type: "hush" });
  for (const type of types) effects.push({ type });
  if (last) effects.push(last);
  return effects;
}

function attemptsAt(record: NetworkRecord, ticks: number): number {
  const held = hasAddress(record.state) && ticks - record.addressedAt >= networkLimits.stableMs;
  return held ? 0 : record.attempt;
}

function holds(chance: number): number {
  return Math.floor(networkLimits.timeHoldsMs * (1 - chance / 4));
}

function wait(delayMs: number): NetworkEffect {
  return { type: "wait", delayMs };
}
