// What an update may go through, on the image that fetches it and on the one that is tried.
import { deepFreeze, type Table } from "../util/machine.js";

export type UpdateState =
  /** Nothing runs; what became of the last update is in the record. */
  | "idle"
  | "fetching"
  /** The slot is read back and judged. */
  | "verifying"
  /** The cloud is told that the image is good. */
  | "announcing"
  /** The product is asked whether now is a time to restart. */
  | "waiting"
  /** The next start runs the other image. */
  | "restarting"
  /** This image runs on trial: not connected, or not healthy. */
  | "trial"
  /** Connected, answered and healthy, for a while. */
  | "settling";

export type UpdateEventName =
  | "opened"
  | "offered"
  | "fetched"
  | "verified"
  | "announced"
  | "allowed"
  | "switched"
  | "well"
  | "unwell"
  | "settled"
  | "givenUp"
  | "failed"
  | "cancelled";

export const updateTable: Table<UpdateState, UpdateEventName> = deepFreeze({
  idle: { opened: "idle", offered: "fetching", cancelled: "idle" },
  fetching: { fetched: "verifying", failed: "idle", cancelled: "idle" },
  verifying: { verified: "announcing", failed: "idle", cancelled: "idle" },
  announcing: { announced: "waiting", failed: "idle", cancelled: "idle" },
  waiting: { allowed: "restarting", failed: "idle", cancelled: "idle" },
  restarting: { switched: "restarting", failed: "idle", cancelled: "restarting" },
  trial: { offered: "trial", well: "settling", unwell: "trial", givenUp: "restarting" },
  settling: {
    offered: "settling",
    well: "settling",
    unwell: "trial",
    settled: "idle",
    givenUp: "restarting",
  },
});
