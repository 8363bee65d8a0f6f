// The job of a device, seen from the device: one at a time, whatever the link does.
import { deepFreeze, type Table } from "../util/machine.js";

/**
 * `idle`: none is in hand. `judging`: handler and gates are asked. `deferred`: a gate is closed. `starting`: saved, and not told
 * to the service or not handed to the handler yet. `running`: the handler has it. `ended`: the outcome is saved and to be told.
 * `restarting`: saved; the handler prepares, and nothing happens any more.
 */
export type JobState =
  | "idle"
  | "judging"
  | "deferred"
  | "starting"
  | "running"
  | "ended"
  | "restarting";

export type JobEventName =
  | "subscribed"
  | "lost"
  | "hint"
  | "next"
  | "own"
  | "gone"
  | "start"
  | "defer"
  | "reject"
  | "accepted"
  | "mismatch"
  | "illegal"
  | "refused"
  | "unreadable"
  | "busy"
  | "due"
  | "paced"
  | "renew"
  | "report"
  | "refresh"
  | "progressed"
  | "kept"
  | "restart"
  | "finished";

/** Where a reply may say that all is otherwise, `step` goes elsewhere: back to `idle` when the execution is over. */
export const jobTable: Table<JobState, JobEventName> = deepFreeze({
  idle: {
    subscribed: "idle",
    lost: "idle",
    hint: "idle",
    next: "judging",
    start: "idle",
    defer: "idle",
    reject: "idle",
    refused: "idle",
    unreadable: "idle",
    busy: "idle",
    due: "idle",
    paced: "idle",
  },
  judging: {
    subscribed: "judging",
    lost: "idle",
    hint: "judging",
    start: "starting",
    defer: "deferred",
    reject: "ended",
    due: "judging",
    paced: "judging",
  },
  deferred: {
    subscribed: "deferred",
    lost: "idle",
    hint: "deferred",
    next: "judging",
    refused: "deferred",
    unreadable: "deferred",
    busy: "deferred",
    due: "idle",
    paced: "deferred",
  },
  starting: {
    subscribed: "starting",
    lost: "starting",
    hint: "starting",
    next: "starting",
    own: "starting",
    gone: "idle",
    accepted: "running",
    mismatch: "starting",
    illegal: "starting",
    refused: "starting",
    unreadable: "starting",
    busy: "starting",
    due: "starting",
    paced: "starting",
    finished: "ended",
  },
  running: {
    subscribed: "running",
    lost: "running",
    hint: "running",
    next: "running",
    own: "running",
    gone: "idle",
    accepted: "running",
    mismatch: "running",
    illegal: "running",
    refused: "running",
    unreadable: "running",
    busy: "running",
    due: "running",
    paced: "running",
    renew: "running",
    report: "running",
    refresh: "running",
    progressed: "running",
    kept: "running",
    restart: "restarting",
    finished: "ended",
  },
  ended: {
    subscribed: "ended",
    lost: "ended",
    hint: "ended",
    next: "ended",
    own: "ended",
    gone: "idle",
    accepted: "idle",
    mismatch: "ended",
    illegal: "ended",
    refused: "ended",
    unreadable: "ended",
    busy: "ended",
    due: "ended",
    paced: "ended",
  },
  restarting: {
    subscribed: "restarting",
    lost: "restarting",
    hint: "restarting",
    due: "restarting",
    paced: "restarting",
    kept: "restarting",
    finished: "ended",
  },
});
