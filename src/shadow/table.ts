// The classic shadow, seen from the device: read on every connect, then follow.
import { deepFreeze, type Table } from "../util/machine.js";

export type ShadowState = "idle" | "reading" | "following";
export type ShadowEventName =
  | "subscribed"
  | "document"
  | "absent"
  | "delta"
  | "changed"
  | "accepted"
  | "conflict"
  | "rejected"
  | "timeout"
  | "lost";

export const shadowTable: Table<ShadowState, ShadowEventName> = deepFreeze({
  idle: { subscribed: "reading", delta: "idle", changed: "idle", lost: "idle" },
  reading: {
    document: "following",
    absent: "following",
    delta: "reading",
    changed: "reading",
    rejected: "reading",
    timeout: "reading",
    lost: "idle",
  },
  following: {
    delta: "following",
    changed: "following",
    accepted: "following",
    conflict: "reading",
    rejected: "following",
    timeout: "reading",
    lost: "idle",
  },
});
