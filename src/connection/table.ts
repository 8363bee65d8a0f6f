// What a connection may go through. `refused` is an answer, `lost` is weather.
import { deepFreeze, type Table } from "../util/machine.js";

export type ConnectionState = "offline" | "connecting" | "online" | "waiting" | "draining";
export type ConnectionEventName =
  | "start"
  | "accepted"
  | "refused"
  | "lost"
  | "due"
  | "switch"
  | "stop"
  | "drained";

export const connectionTable: Table<ConnectionState, ConnectionEventName> = deepFreeze({
  offline: { start: "connecting", stop: "offline" },
  connecting: { accepted: "online", refused: "waiting", lost: "waiting", stop: "offline" },
  online: { lost: "waiting", refused: "waiting", switch: "draining", stop: "draining" },
  waiting: { due: "connecting", switch: "connecting", stop: "offline" },
  draining: {
    start: "draining",
    drained: "offline",
    lost: "offline",
    refused: "offline",
    stop: "draining",
  },
});
