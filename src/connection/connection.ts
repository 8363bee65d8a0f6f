// When to dial, when to wait and how long. Pure: time and chance arrive with the events.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { type Backoff, fullJitter } from "../util/backoff.js";
import type { Step } from "../util/machine.js";
import { type ConnectionState, connectionTable } from "./table.js";

export interface ConnectionRecord {
  readonly state: ConnectionState;
  /** Failures since the last stable success; sets how far the backoff has grown. */
  readonly attempt: number;
  /** Ticks when CONNACK arrived. */
  readonly onlineAt: number;
  /** Dial again, as another identity, once drained. */
  readonly again: boolean;
  /** While waiting: ticks of the next dial, where a network that is back may bring it forward; 0 where it may not. */
  readonly dueAt: number;
  /** Ticks before which no dial is brought forward again. */
  readonly patientUntil: number;
}

/** `chance` is uniform in [0, 1). */
export type ConnectionEvent =
  | { readonly type: "start" | "due" | "stop" | "drained" }
  /** A start together with many others: the first dial comes within `limits.spreadMs`. */
  | { readonly type: "spread"; readonly chance: number }
  | { readonly type: "accepted" | "switch"; readonly ticks: number }
  | { readonly type: "networkBack"; readonly ticks: number; readonly chance: number }
  | {
      readonly type: "lost" | "refused" | "takenOver";
      readonly ticks: number;
      readonly chance: number;
    };

export type ConnectionEffect =
  | { readonly type: "dial" | "cancelWait" | "disconnect" | "drop" }
  | { readonly type: "deadline" | "wait"; readonly delayMs: number };

export const connectionAtRest: ConnectionRecord = Object.freeze({
  state: "offline",
  attempt: 0,
  onlineAt: 0,
  again: false,
  dueAt: 0,
  patientUntil: 0,
});

/** The service takes one CONNECT a second and client id; the cap keeps a fleet's silence bearable. */
export const connectionBackoff: Backoff = Object.freeze({ baseMs: 1000, capMs: 120_000 });

type Result = Step<ConnectionRecord, ConnectionEffect>;

/** Decides, never acts. */
export function step(record: ConnectionRecord, event: ConnectionEvent): Result {
  const state = connectionTable[record.state][event.type];
  if (state === undefined) {
    throw new AgentError("agent/illegal-event", `connection: ${event.type} in ${record.state}`);
  }
  const from = record.state;
  switch (event.type) {
    case "start":
      // Started again while it says goodbye: that first.
      if (from === "draining") return { record: { ...record, again: true }, effects: [] };
      return dial({ ...record, state, again: false });
    case "spread": {
      const delayMs = Math.floor(limits.spreadMs * event.chance);
      return {
        record: { ...record, state, again: false, dueAt: 0 },
        effects: [{ type: "wait", delayMs }],
      };
    }
    case "due":
      return dial({ ...record, state, again: false });
    case "accepted":
      return {
        record: { ...record, state, onlineAt: event.ticks },
        effects: [{ type: "deadline", delayMs: 0 }],
      };
    case "lost":
    case "refused":
    case "takenOver":
      return from === "draining" ? drained({ ...record, state }) : wait(record, event);
    case "networkBack": {
      const delayMs = Math.floor(limits.networkBackMs * event.chance);
      const { dueAt, patientUntil } = record;
      const dueSooner = event.ticks + delayMs;
      if (event.ticks < patientUntil || dueAt <= dueSooner) return { record, effects: [] };
      return {
        record: { ...record, dueAt: dueSooner, patientUntil: event.ticks + limits.stableMs },
        effects: [{ type: "wait", delayMs }],
      };
    }
    case "switch":
      if (from === "waiting")
        return dial({ ...record, state, attempt: 0 }, [{ type: "cancelWait" }]);
      // A change of identity is no success: what is refused right after it, again and again, has to slow down.
      return drain({ ...record, state, attempt: attemptsAt(record, event.ticks), again: true });
    case "stop":
      // It says goodbye already, and once is enough: MQTT allows nothing after DISCONNECT.
      if (from === "draining") return { record: { ...record, again: false }, effects: [] };
      if (from === "online") return drain({ ...record, state, again: false });
      return {
        record: { ...record, state, again: false },
        effects:
          from === "connecting"
            ? [{ type: "drop" }]
            : from === "waiting"
              ? [{ type: "cancelWait" }]
              : [],
      };
    case "drained":
      return drained({ ...record, state });
  }
}

function dial(record: ConnectionRecord, before: readonly ConnectionEffect[] = []): Result {
  const effects: ConnectionEffect[] = [
    ...before,
    { type: "deadline", delayMs: limits.connectMs },
    { type: "dial" },
  ];
  return { record: { ...record, state: "connecting" }, effects };
}

function drain(record: ConnectionRecord): Result {
  return {
    record,
    effects: [{ type: "disconnect" }, { type: "deadline", delayMs: limits.drainMs }],
  };
}

function drained(record: ConnectionRecord): Result {
  if (record.again) return dial({ ...record, again: false }, [{ type: "drop" }]);
  return { record: { ...record, state: "offline" }, effects: [{ type: "drop" }] };
}

/**
 * A refusal waits at the cap: the same credentials will hardly be welcome a second later. Whose session was taken over waits
 * half of it at least: two devices under one name must not throw each other out all day.
 */
function wait(
  record: ConnectionRecord,
  event: ConnectionEvent & { type: "lost" | "refused" | "takenOver" },
): Result {
  const attempt = attemptsAt(record, event.ticks);
  const grown = event.type === "lost" ? attempt : atCap;
  const jitterMs = fullJitter(connectionBackoff, grown, event.chance);
  const half = connectionBackoff.capMs / 2;
  const delayMs = event.type === "takenOver" ? half + Math.floor(jitterMs / 2) : jitterMs;
  return {
    record: {
      ...record,
      state: "waiting",
      attempt: attempt + 1,
      dueAt: event.type === "lost" ? event.ticks + delayMs : 0,
    },
    effects: [{ type: "drop" }, { type: "wait", delayMs }],
  };
}

/** Failures as they count at the end of a link. */
function attemptsAt({ state, attempt, onlineAt }: ConnectionRecord, ticks: number): number {
  return state === "online" && ticks - onlineAt >= limits.stableMs ? 0 : attempt;
}

/** Attempts after which the backoff has surely reached its cap. */
const atCap = 30;
