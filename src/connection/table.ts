// What a connection may go through. `refused` is an answer, `lost` is weather.
import { deepFreeze, type Table } from "../util/machine.js";

export type ConnectionState = "offline" | "connecting" | "online" | "waiting" | "draining";
export type ConnectionEventName =
  | "start"
  | "spread"
  | "accepted"
  | "refused"
  | "takenOver"
  | "lost"
  | "due"
  | "networkBack"
  | "switch"
  | "stop"
  | "drained";

export const connectionTable: Table<ConnectionState, ConnectionEventName> = deepFreeze({
  offline: { start: "connecting", spread: "waiting", stop: "offline" },
  connecting: {
    accepted: "online",
    refused: "waiting",
    takenOver: "waiting",
    lost: "waiting",
    stop: "offline",
  },
  online: {
    lost: "waiting",
    refused: "waiting",
    takenOver: "waiting",
    switch: "draining",
    stop: "draining",
  },
  waiting: { due: "connecting", networkBack: "waiting", switch: "connecting", stop: "offline" },
  draining: {
    start: "draining",
    drained: "offline",
    lost: "offline",
    refused: "offline",
    takenOver: "offline",
    stop: "draining",
  },
});
