// A shadow seen from the device: read on every connect, then followed.
import { deepFreeze, type Table } from "../util/machine.js";

/** `waiting`: the service asked for patience. `halted`: what it has cannot be read, until something in it changes. */
export type ShadowState = "idle" | "reading" | "following" | "waiting" | "halted";
export type ShadowEventName =
  | "subscribed"
  | "turn"
  | "document"
  | "absent"
  | "unreadable"
  | "garbled"
  | "delta"
  | "foreign"
  | "deleted"
  | "changed"
  | "applied"
  | "retry"
  | "accepted"
  | "conflict"
  | "refused"
  | "busy"
  | "due"
  | "timeout"
  | "lost";

export const shadowTable: Table<ShadowState, ShadowEventName> = deepFreeze({
  idle: {
    subscribed: "reading",
    turn: "idle",
    garbled: "idle",
    delta: "idle",
    foreign: "idle",
    deleted: "idle",
    changed: "idle",
    applied: "idle",
    retry: "idle",
    lost: "idle",
  },
  reading: {
    turn: "reading",
    document: "following",
    absent: "following",
    unreadable: "halted",
    garbled: "reading",
    delta: "reading",
    foreign: "reading",
    deleted: "reading",
    changed: "reading",
    applied: "reading",
    retry: "reading",
    accepted: "reading",
    conflict: "reading",
    refused: "reading",
    busy: "waiting",
    due: "reading",
    timeout: "reading",
    lost: "idle",
  },
  following: {
    turn: "following",
    garbled: "reading",
    delta: "following",
    foreign: "following",
    deleted: "reading",
    changed: "following",
    applied: "following",
    retry: "reading",
    accepted: "following",
    conflict: "reading",
    refused: "following",
    busy: "waiting",
    due: "following",
    timeout: "reading",
    lost: "idle",
  },
  waiting: {
    turn: "waiting",
    garbled: "waiting",
    delta: "waiting",
    foreign: "waiting",
    deleted: "waiting",
    changed: "waiting",
    applied: "waiting",
    retry: "waiting",
    due: "reading",
    lost: "idle",
  },
  halted: {
    turn: "halted",
    garbled: "reading",
    delta: "reading",
    foreign: "reading",
    deleted: "reading",
    changed: "halted",
    applied: "halted",
    retry: "reading",
    due: "halted",
    lost: "idle",
  },
});
