// Deep sleep: wake, sample, append, and decide whether this is the time to connect. What is to survive sleep is 62 bytes of
// retained memory, so that no flash is written for a wake-up.
import { AgentError } from "../errors.js";
import { crc32 } from "../util/crc32.js";

/** When a device that sleeps between its samples connects. */
export interface DutyCyclePolicy {
  /** From one sample to the next, 1 to 86,400. */
  readonly sampleSeconds: number;
  /** The device is heard of, and what waits is sent, at least so often: 1 to 2,678,400. */
  readonly connectEverySeconds: number;
  /** So many records waiting are reason to connect; from 1 on. */
  readonly maxWaitingRecords: number;
  /** So many bytes waiting are; from 1 on. */
  readonly maxWaitingBytes: number;
  /** Dials in 24 hours, 1 to 1,440; the last quarter of them is for alerts. */
  readonly budgetConnectsPerDay: number;
  /** A link is given so long, dialing included, before the device sleeps again: 10 to 3600, default 120. */
  readonly linkSeconds?: number;
}

/** What a device has to know after sleep. Times are ms since the cycle began, asleep or awake. */
export interface DutyCycleState {
  readonly elapsedMs: number;
  /** The last link that did all it was made for; undefined before the first. */
  readonly connectedAtMs: number | undefined;
  /** The last dial. */
  readonly dialedAtMs: number | undefined;
  /** Dials since the day began; days are 24 hours of `elapsedMs`. */
  readonly dialsToday: number;
  /** Dials in a row that came to nothing. */
  readonly failures: number;
  /** 0 to 255, drawn with the last failure: what spreads a fleet that failed together. */
  readonly chance: number;
  /** Records waiting of the classes alert, telemetry and bulk. */
  readonly waiting: readonly [alert: number, telemetry: number, bulk: number];
  readonly waitingBytes: number;
  /** The oldest record that waits; undefined when none does. */
  readonly oldestAtMs: number | undefined;
  /** Of the sleep that was begun; 0 while awake, so that a crash adds nothing. */
  readonly sleepMs: number;
  /** Epoch ms when it began; undefined while awake, and when the clock was not set. */
  readonly sleptAt: number | undefined;
}

export type DutyCycleEvent =
  /** Time has passed, asleep or awake. */
  | { readonly type: "passed"; readonly ms: number }
  /** What comes next is sleep. @param at epoch ms, undefined while the clock is not set */
  | { readonly type: "sleeping"; readonly ms: number; readonly at: number | undefined }
  /** The program has started anew: after the sleep, before its end, or after a crash. */
  | { readonly type: "woke"; readonly at: number | undefined }
  /** A record was put in the outbox; 0 is alert, 1 telemetry, 2 bulk. */
  | { readonly type: "appended"; readonly priority: 0 | 1 | 2; readonly bytes: number }
  /** The outbox was asked: after a start without retained memory, or when a link has drained it. */
  | {
      readonly type: "counted";
      readonly waiting: DutyCycleState["waiting"];
      readonly bytes: number;
      /** Of the oldest record; undefined when none waits, or its age is not known. */
      readonly oldestAgeMs: number | undefined;
    }
  | { readonly type: "dialing" }
  /** A link was held and did what it was made for; what still waits is told by `counted`. */
  | { readonly type: "connected" }
  /** No link, or one that was lost too early. @param chance uniform in [0, 1) */
  | { readonly type: "failed"; readonly chance: number };

export type Why =
  /** An alert waits. */
  | "alert"
  /** Enough waits to be worth a link. */
  | "full"
  /** What waits has waited long enough. */
  | "age"
  /** The device has to be heard of, and to hear. */
  | "contact"
  /** Not yet: there is nothing to connect for. */
  | "nothing due"
  /** Not yet: the last dial failed. */
  | "backoff"
  /** Not yet: the day's dials are spread over it, or used up. */
  | "budget";

export interface DutyCycleDecision {
  readonly connect: boolean;
  readonly why: Why;
  /** From now to the next sample; ask again once a link is done with. */
  readonly sleepMs: number;
}

const dayMs = 86_400_000;
/** An alert waits so many cycles at most after a failure, however many there were. */
const longestAlertBackoff = 8;

/** The beginning: the first wake-up connects. */
export const newDutyCycle: DutyCycleState = Object.freeze({
  elapsedMs: 0,
  connectedAtMs: undefined,
  dialedAtMs: undefined,
  dialsToday: 0,
  failures: 0,
  chance: 0,
  waiting: Object.freeze([0, 0, 0] as const),
  waitingBytes: 0,
  oldestAtMs: undefined,
  sleepMs: 0,
  sleptAt: undefined,
});

/** @throws AgentError "agent/options" naming the option and the value */
export function checkDutyCycle(policy: DutyCyclePolicy): DutyCyclePolicy {
  const bounds = {
    sampleSeconds: 86_400,
    connectEverySeconds: 2_678_400,
    maxWaitingRecords: 0xffff_ffff,
    maxWaitingBytes: 0xffff_ffff,
    budgetConnectsPerDay: 1440,
  } as const;
  for (const name of Object.keys(bounds) as (keyof typeof bounds)[]) {
    const value = policy[name];
    if (!Number.isInteger(value) || value < 1 || value > bounds[name]) {
      throw new AgentError(
        "agent/options",
        `options.dutyCycle.${name} ${value} is not 1 to ${bounds[name]}`,
      );
    }
  }
  const { linkSeconds = 120 } = policy;
  if (!Number.isInteger(linkSeconds) || linkSeconds < 10 || linkSeconds > 3600)
    throw new AgentError(
      "agent/options",
      `options.dutyCycle.linkSeconds ${linkSeconds} is not 10 to 3600`,
    );
  return policy;
}

/** Whether to connect now, in a wake-up whose samples are in the outbox. */
export function decide(policy: DutyCyclePolicy, state: DutyCycleState): DutyCycleDecision {
  const sampleMs = policy.sampleSeconds * 1000;
  const sleepMs = sampleMs - (state.elapsedMs % sampleMs);
  const reason = reasonOf(policy, state);
  const obstacle = reason && obstacleOf(policy, state, reason);
  return {
    connect: reason !== undefined && obstacle === undefined,
    why: obstacle ?? reason ?? "nothing due",
    sleepMs,
  };
}

function reasonOf(policy: DutyCyclePolicy, state: DutyCycleState): Why | undefined {
  const { elapsedMs, connectedAtMs, oldestAtMs, waiting, waitingBytes } = state;
  const everyMs = policy.connectEverySeconds * 1000;
  const isOver = (atMs: number | undefined) => atMs !== undefined && elapsedMs - atMs >= everyMs;
  if (waiting[0] > 0) return "alert";
  const records = waiting[0] + waiting[1] + waiting[2];
  if (records >= policy.maxWaitingRecords || waitingBytes >= policy.maxWaitingBytes) return "full";
  if (records > 0 && isOver(oldestAtMs)) return "age";
  return connectedAtMs === undefined || isOver(connectedAtMs) ? "contact" : undefined;
}

function obstacleOf(policy: DutyCyclePolicy, state: DutyCycleState, reason: Why): Why | undefined {
  const { elapsedMs, dialedAtMs, dialsToday } = state;
  const isAlert = reason === "alert";
  const sinceMs = dialedAtMs === undefined ? Infinity : elapsedMs - dialedAtMs;
  if (sinceMs < backoffMs(policy, state, isAlert)) return "backoff";
  const budget = policy.budgetConnectsPerDay;
  if (isAlert) return dialsToday < budget ? undefined : "budget";
  const ordinary = budget - reserveOf(budget);
  return dialsToday < ordinary && sinceMs >= dayMs / ordinary ? undefined : "budget";
}

/** Dials a day that are kept for alerts; of a single one none. */
function reserveOf(budget: number): number {
  return budget === 1 ? 0 : Math.ceil(budget / 4);
}

/** Cycles double with each failure up to `connectEverySeconds`; of them half at least, the rest by chance. */
function backoffMs(policy: DutyCyclePolicy, state: DutyCycleState, isAlert: boolean): number {
  const { failures, chance } = state;
  if (failures === 0) return 0;
  const { sampleSeconds, connectEverySeconds } = policy;
  const most = Math.max(1, Math.ceil(connectEverySeconds / sampleSeconds));
  const bound = isAlert ? Math.min(most, longestAlertBackoff) : most;
  const cycles = Math.min(bound, 2 ** Math.min(failures - 1, 30));
  return cycles * sampleSeconds * 1000 * (0.5 + chance / 512);
}

/** What has become of the state. Never refuses: what cannot be counted any more stays at the bound. */
export function step(state: DutyCycleState, event: DutyCycleEvent): DutyCycleState {
  switch (event.type) {
    case "passed":
      return pass(state, event.ms);
    case "sleeping":
      return { ...state, sleepMs: Math.min(0xffff_ffff, Math.round(event.ms)), sleptAt: event.at };
    case "woke":
      return { ...pass(state, sleptMs(state, event.at)), sleepMs: 0, sleptAt: undefined };
    case "appended": {
      const { waiting, waitingBytes, oldestAtMs = state.elapsedMs } = state;
      const [alert, telemetry, bulk] = waiting.map((records, priority) =>
        bounded(records + (priority === event.priority ? 1 : 0)),
      ) as [number, number, number];
      return {
        ...state,
        waiting: [alert, telemetry, bulk],
        waitingBytes: bounded(waitingBytes + event.bytes),
        oldestAtMs,
      };
    }
    case "counted":
      return count(state, event);
    case "dialing":
      return {
        ...state,
        dialedAtMs: state.elapsedMs,
        dialsToday: Math.min(0xffff, state.dialsToday + 1),
      };
    case "connected":
      return { ...state, connectedAtMs: state.elapsedMs, failures: 0 };
    case "failed":
      return {
        ...state,
        failures: Math.min(255, state.failures + 1),
        chance: Math.floor(event.chance * 256) & 255,
      };
  }
}

/**
 * How long the sleep was. With a clock that was set before and after, something else may have woken the device: then it was
 * shorter. A tenth too short is the clock of the sleep, and was meant to be all of it: or the same sample would be taken twice.
 */
function sleptMs({ sleepMs, sleptAt }: DutyCycleState, at: number | undefined): number {
  if (at === undefined || sleptAt === undefined) return sleepMs;
  const ms = at - sleptAt;
  return ms < 0.9 * sleepMs ? Math.max(0, ms) : Math.min(Math.max(sleepMs, ms), 1.25 * sleepMs);
}

function pass(state: DutyCycleState, ms: number): DutyCycleState {
  // Clocks that go on through sleep are coarse; one that goes back would be worse.
  const elapsedMs = Math.min(longestMs, state.elapsedMs + Math.max(0, Math.round(ms)));
  const isSameDay = Math.floor(elapsedMs / dayMs) === Math.floor(state.elapsedMs / dayMs);
  return { ...state, elapsedMs, dialsToday: isSameDay ? state.dialsToday : 0 };
}

function count(
  state: DutyCycleState,
  { waiting, bytes, oldestAgeMs }: DutyCycleEvent & { type: "counted" },
): DutyCycleState {
  const { elapsedMs } = state;
  const [alert, telemetry, bulk] = waiting;
  const isEmpty = alert + telemetry + bulk === 0;
  return {
    ...state,
    waiting: [bounded(alert), bounded(telemetry), bounded(bulk)],
    waitingBytes: bounded(bytes),
    oldestAtMs: isEmpty ? undefined : Math.max(0, Math.round(elapsedMs - (oldestAgeMs ?? 0))),
  };
}

function bounded(value: number): number {
  return Math.min(0xffff_ffff, Math.max(0, Math.round(value)));
}

// Retained memory, big-endian: magic 2, version 1, failures 1, chance 1, 1 to spare, dials today 2, elapsed, connected, dialed
// and oldest 6 each, records 4 each, bytes 4, sleep 4, its begin 6, CRC-32 of all before 4. A time that is undefined is all ones.

const magic = 0x5343;
const version = 2;
const checkedBytes = 58;
export const retainedBytes = checkedBytes + 4;
const undefinedMs = 2 ** 48 - 1;
const longestMs = undefinedMs - 1;

export function encodeDutyCycle(state: DutyCycleState): Uint8Array {
  const bytes = new Uint8Array(retainedBytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, magic);
  view.setUint8(2, version);
  view.setUint8(3, state.failures);
  view.setUint8(4, state.chance);
  view.setUint16(6, state.dialsToday);
  putMs(view, 8, state.elapsedMs);
  putMs(view, 14, state.connectedAtMs);
  putMs(view, 20, state.dialedAtMs);
  putMs(view, 26, state.oldestAtMs);
  for (let i = 0; i < 3; i++) view.setUint32(32 + 4 * i, state.waiting[i]!);
  view.setUint32(44, state.waitingBytes);
  view.setUint32(48, state.sleepMs);
  putMs(view, 52, state.sleptAt);
  view.setUint32(checkedBytes, crc32(bytes.subarray(0, checkedBytes)));
  return bytes;
}

/** @returns undefined for what was never written, not wholly, or by another version: then the cycle begins anew */
export function decodeDutyCycle(bytes: Uint8Array | undefined): DutyCycleState | undefined {
  if (bytes === undefined || bytes.length < retainedBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, retainedBytes);
  if (view.getUint16(0) !== magic || view.getUint8(2) !== version) return undefined;
  if (view.getUint32(checkedBytes) !== crc32(bytes.subarray(0, checkedBytes))) return undefined;
  return {
    elapsedMs: msAt(view, 8) ?? 0,
    connectedAtMs: msAt(view, 14),
    dialedAtMs: msAt(view, 20),
    dialsToday: view.getUint16(6),
    failures: view.getUint8(3),
    chance: view.getUint8(4),
    waiting: [view.getUint32(32), view.getUint32(36), view.getUint32(40)],
    waitingBytes: view.getUint32(44),
    oldestAtMs: msAt(view, 26),
    sleepMs: view.getUint32(48),
    sleptAt: msAt(view, 52),
  };
}

function putMs(view: DataView, at: number, ms = undefinedMs): void {
  view.setUint16(at, Math.floor(ms / 2 ** 32));
  view.setUint32(at + 2, ms % 2 ** 32);
}

function msAt(view: DataView, at: number): number | undefined {
  const ms = view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2);
  return ms === undefinedMs ? undefined : ms;
}
