// What an application or a console may observe of an agent.
import type { AgentError } from "./errors.js";
import type { Values } from "./shadow/schema.js";
import type { Why } from "./telemetry/duty-cycle.js";

export type AgentStatus =
  | { readonly type: "keyMade" }
  /** The power has come back, perhaps for a whole fleet, or the network has: the next dial comes at a time of its own. */
  | { readonly type: "waiting"; readonly inMs: number }
  /** Dialing as the claim or with the own identity; `attempt` counts from 1 since the last stable success. */
  | { readonly type: "connecting"; readonly as: "claim" | "device"; readonly attempt: number }
  | {
      readonly type: "online";
      readonly as: "claim" | "device";
      readonly clientId: string;
      readonly sessionPresent: boolean;
      /** 4 is MQTT 3.1.1. */
      readonly protocolVersion: 4 | 5;
    }
  /** The link is gone and will be dialed again. */
  | { readonly type: "offline"; readonly error: AgentError; readonly retryInMs: number }
  | { readonly type: "certified"; readonly certificateId: string }
  | { readonly type: "registered"; readonly thingName: string }
  /** The own identity has held a session; the claim is not used any more. */
  | { readonly type: "provisioned"; readonly thingName: string }
  /** Another identity has taken the place of the one before, whose certificate is reported as retired. */
  | { readonly type: "rotated"; readonly certificateId: string; readonly retired: string }
  /** Another identity could not be had, or was turned away; the one in force stays. */
  | { readonly type: "rotationFailed"; readonly error: AgentError }
  /** The product has put in force what the cloud wants, all of it at once; groups are objects. `shadow` is absent for the classic one. */
  | {
      readonly type: "settings";
      readonly shadow?: string;
      readonly changed: Values;
      readonly version: number;
    }
  | { readonly type: "reported"; readonly shadow?: string; readonly values: Values }
  /** A desired value is not put in force, the one before stays; `name` is `group.name` in a group. */
  | {
      readonly type: "settingRefused";
      readonly shadow?: string;
      readonly name: string;
      /** "out of range", "wrong type", "unknown", "deferred" or "failed". */
      readonly verdict: string;
      /** Empty where the verdict says all. */
      readonly reason: string;
    }
  | {
      readonly type: "telemetry";
      readonly channel: string;
      readonly byteLength: number;
      readonly dropped: number;
    }
  /** It is not sent, or not again: the broker refused it, the outbox has no room for it, or it cannot be put into a message. */
  | { readonly type: "telemetryRefused"; readonly channel: string; readonly error: AgentError }
  /** The agent has moved: a session was held at this endpoint, which is the one to come back to. */
  | { readonly type: "moved"; readonly endpoint: string; readonly port: number }
  /** A new image of the firmware was on trial, and stays. */
  | { readonly type: "firmwareConfirmed"; readonly version: string }
  /** A new image of the firmware does not stay: the machine restarts into the one before. */
  | { readonly type: "firmwareReverted"; readonly version: string; readonly cause: string }
  /** A job was found in the queue; the operation is empty where the document cannot be read. */
  | {
      readonly type: "job";
      readonly state: "queued";
      readonly jobId: string;
      readonly operation: string;
    }
  /** A gate is closed. */
  | {
      readonly type: "job";
      readonly state: "deferred";
      readonly jobId: string;
      readonly about: "start" | "restart";
      readonly seconds: number;
    }
  /** Its handler was called. */
  | {
      readonly type: "job";
      readonly state: "started";
      readonly jobId: string;
      readonly attempt: number;
    }
  | {
      readonly type: "job";
      readonly state: "progress";
      readonly jobId: string;
      readonly details: { readonly [name: string]: string };
    }
  /** Over; the service is told as soon as it can be. */
  | {
      readonly type: "job";
      readonly state: "ended";
      readonly jobId: string;
      /** CANCELED also where it was removed, or has timed out. */
      readonly status: "SUCCEEDED" | "FAILED" | "REJECTED" | "CANCELED";
      /** Empty where none was given. */
      readonly reason: string;
    }
  /** Something went wrong that did not end the link. */
  | { readonly type: "fault"; readonly error: AgentError }
  | { readonly type: "stopped" }
  /** A wake-up ends: with a link first, or without; and why, or why not. */
  | { readonly type: "cycle"; readonly connect: boolean; readonly why: Why }
  /** The last word before deep sleep. */
  | { readonly type: "sleeping"; readonly delayMs: number };
