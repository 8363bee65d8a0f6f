// What happens, in lines a person can read: one for each event, with a mark at each milestone.
import * as v from "valibot";
import type { AgentStatus } from "../src/index.js";
import type { CloudEvent } from "./cloud/cloud.js";
import type { BootEvent } from "./fleet/device.js";
import type { OutageEvent, OutageFigures } from "./fleet/outage.js";
import type { Counts } from "./fleet/recorder.js";

export type Mark = "milestone" | "trouble" | "plain";

export interface Line {
  readonly mark: Mark;
  readonly text: string;
}

const marks: Record<Mark, string> = { milestone: "✔", trouble: "✖", plain: "·" };

/** `12:34:56.789  device  ✔ text` */
export function format(at: Date, who: "cloud" | "device", { mark, text }: Line): string {
  return `${at.toISOString().slice(11, 23)}  ${who.padEnd(6)}  ${marks[mark]} ${text}`;
}

const plain = (text: string): Line => ({ mark: "plain", text });
const milestone = (text: string): Line => ({ mark: "milestone", text });
const trouble = (text: string): Line => ({ mark: "trouble", text });
const list = (values: object | undefined) =>
  Object.entries(values ?? {})
    .map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(" ") || "nothing";
const short = (id: string) => id.slice(0, 12);

/** @returns undefined for what says nothing new to a person */
export function lineOfStatus(status: AgentStatus): Line | undefined {
  switch (status.type) {
    case "keyMade":
      return milestone("made its own P-256 key");
    case "waiting":
      return plain(`dials in ${status.inMs} ms: power or network has just come back`);
    case "connecting":
      return plain(
        `connecting with ${status.as === "claim" ? "the claim" : "its own certificate"}, attempt ${status.attempt}`,
      );
    case "online":
      return milestone(
        `online as ${status.clientId} with ${status.as === "claim" ? "the claim" : "its own certificate"}, MQTT ${status.protocolVersion === 5 ? "5" : "3.1.1"}`,
      );
    case "offline":
      return trouble(`offline: ${status.error.message}; dials again in ${status.retryInMs} ms`);
    case "certified":
      return milestone(`has certificate ${short(status.certificateId)}…`);
    case "registered":
      return milestone(`is registered as ${status.thingName}`);
    case "provisioned":
      return milestone("provisioned: the claim is dropped");
    case "settings":
      return milestone(`settings${of(status)} changed by the cloud: ${list(status.changed)}`);
    case "reported":
      return plain(`reports${of(status)} ${list(status.values)}`);
    case "settingRefused":
      return trouble(
        `desired ${status.name}${of(status)}: ${[status.verdict, status.reason].filter(Boolean).join(", ")}`,
      );
    case "telemetry":
      return plain(
        `telemetry "${status.channel}" acknowledged, ${status.byteLength} bytes${status.dropped > 0 ? `; ${status.dropped} dropped so far, for want of room` : ""}`,
      );
    case "telemetryRefused":
      return trouble(
        status.error.code === "outbox/full"
          ? `telemetry "${status.channel}" is not kept: its share of the flash is full; the cloud will be told`
          : `telemetry "${status.channel}" refused: ${status.error.message}`,
      );
    case "moved":
      return milestone(`moved to ${status.endpoint}:${status.port}`);
    case "firmwareConfirmed":
      return milestone(`firmware ${status.version} is confirmed: its trial is over, it stays`);
    case "firmwareReverted":
      return trouble(`firmware ${status.version} is given up: ${status.cause}`);
    case "job":
      return lineOfJob(status);
    case "fault":
      return trouble(`${status.error.code}: ${status.error.message}`);
    case "stopped":
      return plain("stopped");
  }
}

function lineOfJob(status: Extract<AgentStatus, { type: "job" }>): Line {
  const job = `job ${status.jobId}`;
  switch (status.state) {
    case "queued":
      return plain(`${job} is for it: ${status.operation || "it cannot be read"}`);
    case "deferred":
      return plain(`${job} waits for its ${status.about}, ${status.seconds} s`);
    case "started":
      return plain(`${job} runs${status.attempt === 1 ? "" : `, attempt ${status.attempt}`}`);
    case "progress":
      return plain(`${job}: ${stepOf(status.details)}`);
    case "ended": {
      const text = `${job} is over: ${status.status}${status.reason && `, ${status.reason}`}`;
      return status.status === "SUCCEEDED" ? milestone(text) : trouble(text);
    }
  }
}

/** What an update tells the cloud in AWS's words, and any other job in its own. */
function stepOf(details: { readonly [name: string]: string }): string {
  const { receive, self_test: trial } = details;
  if (trial === "ready")
    return "the new image is whole and signed by a known key; restarts into it";
  if (trial === "active") return "the new image runs, on trial";
  return receive === undefined
    ? list(details)
    : `downloads, ${receive.replace("/", " of ")} blocks`;
}

/** What becomes of the machine, before any program runs. */
export function lineOfBoot(event: BootEvent): Line {
  if (event.type === "crashed")
    return trouble(`the program has ended: ${event.error.message.split("\n", 1)[0]}`);
  const { slot, version, isOnTrial, after } = event;
  const what = `slot ${slot}, version ${version}`;
  if (after === undefined) return plain(`starts from ${what}${isOnTrial ? ", on trial" : ""}`);
  if (after === "revert") return trouble(`restarted into ${what}: the image on trial is given up`);
  return isOnTrial
    ? milestone(`restarted into ${what}, on trial`)
    : plain(`restarted into ${what}`);
}

/** Which shadow, unless it is the classic one. */
function of({ shadow }: { readonly shadow?: string }): string {
  return shadow === undefined ? "" : ` (shadow "${shadow}")`;
}

/** As a URL has it: an IPv6 address stands in brackets. */
function authorityOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

export function lineOfCloud(event: CloudEvent): Line | undefined {
  switch (event.type) {
    case "listening":
      return milestone(`listening on ${authorityOf(event)}, mutual TLS`);
    case "restListening":
      return milestone(`REST on http://${authorityOf(event)}, signatures unchecked`);
    case "uploadsListening":
      return milestone(`objects on http://${authorityOf(event)}, as S3, signatures unchecked`);
    case "downloadsListening":
      return milestone(`presigned downloads on https://${authorityOf(event)}`);
    case "otaUpdateChanged":
      return event.errorMessage === undefined
        ? milestone(`OTA update ${event.otaUpdateId}: ${event.status}`)
        : trouble(`OTA update ${event.otaUpdateId}: ${event.status}: ${event.errorMessage}`);
    case "clientConnected":
      return plain(
        `${event.clientId} connected with ${event.certificate === "claim" ? "the claim" : `certificate ${short(event.certificateId)}…`}, MQTT ${event.protocolVersion === 5 ? "5" : "3.1.1"}`,
      );
    case "clientDisconnected":
      return plain(
        `${event.clientId} disconnected: ${event.reason}${event.detail ? ` (${event.detail})` : ""}`,
      );
    case "connectionRefused":
      return trouble(
        `connection refused: ${event.reason}${event.detail ? ` (${event.detail})` : ""}`,
      );
    case "certificateIssued":
      return milestone(`issued certificate ${short(event.certificateId)}… to ${event.clientId}`);
    case "thingRegistered":
      return milestone(`registered ${event.thingName}`);
    case "certificateRegistered":
      return milestone(
        `met certificate ${short(event.certificateId)}… of authority ${short(event.authorityId)}…: ${event.status}${event.thingName ? `, ${event.thingName}` : ""}`,
      );
    case "justInTimeRefused":
      return trouble(
        `cannot provision certificate ${short(event.certificateId)}…: ${event.errorMessage}`,
      );
    case "certificateExpired":
      return plain(`deleted certificate ${short(event.certificateId)}…: nobody registered it`);
    case "certificateRetired":
      return milestone(
        `retired certificate ${short(event.retired)}… of ${event.thingName}: ${short(event.certificateId)}… took over`,
      );
    case "provisioningRefused":
      return trouble(`provisioning refused: ${event.errorCode}: ${event.errorMessage}`);
    case "shadowUpdated":
      return plain(
        `shadow ${event.name === undefined ? "" : `"${event.name}" `}of ${event.thing} is version ${event.version}: reported ${list(event.reported)}${event.delta ? `, still wanted ${list(event.delta)}` : ""}`,
      );
    case "jobCreated":
      return milestone(
        `job ${event.jobId} is ${event.status === "SCHEDULED" ? "scheduled" : "made"} for ${event.things} ${event.things === 1 ? "thing" : "things"}`,
      );
    case "jobEnded":
      return lineOfJobEnd(event);
    case "jobExecutionChanged":
      return lineOfExecution(event);
    case "message":
      return lineOfMessage(event.topic, Buffer.from(event.payload).toString("utf8"));
    case "storeFailed":
      return trouble(event.error.message);
  }
}

function lineOfJobEnd(event: Extract<CloudEvent, { type: "jobEnded" }>): Line {
  const { jobId, status, reasonCode } = event;
  if (status === "COMPLETED") return milestone(`job ${jobId} is completed`);
  const text = `job ${jobId} is ${status.toLowerCase()}`;
  return status === "DELETED"
    ? plain(text)
    : trouble(`${text}${reasonCode ? `: ${reasonCode}` : ""}`);
}

/** `job "blink" on node-1 is in progress: step=2` */
function lineOfExecution(event: Extract<CloudEvent, { type: "jobExecutionChanged" }>): Line {
  const { jobId, thing, executionNumber, status, statusDetails } = event;
  const which = executionNumber === 1 ? "" : `, try ${executionNumber}`;
  const details = Object.keys(statusDetails).length === 0 ? "" : `: ${list(statusDetails)}`;
  const text = `job ${jobId} on ${thing}${which} ${executionWords[status]}${details}`;
  if (status === "SUCCEEDED") return milestone(text);
  return status === "QUEUED" || status === "IN_PROGRESS" ? plain(text) : trouble(text);
}

const executionWords = {
  QUEUED: "is queued",
  IN_PROGRESS: "is in progress",
  SUCCEEDED: "succeeded",
  FAILED: "failed",
  TIMED_OUT: "took too long",
  REJECTED: "was rejected",
  REMOVED: "is withdrawn: it left the group",
  CANCELED: "is canceled",
} as const;

function lineOfMessage(topic: string, payload: string): Line {
  const message = parsed(payload);
  if (v.is(gapReport, message)) {
    return trouble(
      `received ${topic}: the device reports as not kept: ${describeGaps(message.gaps)}`,
    );
  }
  if (v.is(alert, message)) {
    const { alert: name, value, side, threshold } = message;
    return message.state === "raised"
      ? trouble(`received ${topic}: alert: ${name} ${value} is ${side} ${threshold}`)
      : milestone(`received ${topic}: alert is over: ${name} ${value}`);
  }
  return milestone(`received ${topic} ${payload.slice(0, 200)}`);
}

function parsed(payload: string): unknown {
  try {
    return JSON.parse(payload);
  } catch {
    return undefined;
  }
}

const word = v.pipe(v.string(), v.maxLength(64));
const epochMs = v.pipe(v.number(), v.minValue(0), v.maxValue(8.64e15));
/** What the agent sends on its channel `gaps`. */
const gapReport = v.object({
  gaps: v.pipe(
    v.array(v.object({ class: word, reason: word, count: v.number(), from: epochMs, to: epochMs })),
    v.minLength(1),
    v.maxLength(20),
  ),
});
/** What a threshold sends. */
const alert = v.object({
  alert: word,
  state: v.picklist(["raised", "cleared"]),
  side: word,
  threshold: v.number(),
  value: v.number(),
});

/** `201 telemetry (full, 01-01 00:00:20 to 01-01 00:33:40)` */
function describeGaps(gaps: v.InferOutput<typeof gapReport>["gaps"]): string {
  return gaps
    .map(
      gap =>
        `${gap.count} ${gap.class} (${gap.reason}, ${momentOf(gap.from)} to ${momentOf(gap.to)})`,
    )
    .join(", ");
}

function momentOf(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(-19, -5).replace("T", " ");
}

/** What happens in virtual time, while the rest goes on in the real one. */
export function lineOfOutage(event: OutageEvent): Line {
  switch (event.type) {
    case "cablePulled":
      return trouble(`virtual time: the cable is out, for ${event.minutes} minutes`);
    case "restarted":
      return plain(
        `virtual time: starts again in the middle, ${totalOf(event.sent)} messages sent`,
      );
    case "reconnected":
      return plain(`virtual time: the cable is back, ${totalOf(event.sent)} messages sent`);
    case "gapsTold":
      return trouble(
        `virtual time: the device reports as not kept: ${describeGaps([...event.gaps])}`,
      );
    case "drained":
      return event.isComplete
        ? milestone(`virtual time: ${event.seconds} s later all is accounted for`)
        : trouble(`virtual time: ${event.seconds} s later something is missing`);
  }
}

function totalOf({ alert, telemetry, bulk }: Counts): number {
  return alert + telemetry + bulk;
}

/** What was sent, and what became of it. */
export function describeOutage({ classes, gaps }: OutageFigures): string {
  const all = Object.values(classes);
  const sum = (name: "sent" | "received" | "told" | "doubles") =>
    all.reduce((total, figures) => total + figures[name], 0);
  const told = gaps.map(({ class: name, reason, count }) => ` + ${count} ${name} told (${reason})`);
  const sign = sum("received") + sum("told") === sum("sent") ? "=" : "≠";
  const order = all.every(({ isInOrder }) => isInOrder) ? "in order" : "NOT in order";
  return `${sum("sent")} sent ${sign} ${sum("received")} received${told.join("")}; ${sum("doubles")} doubles, each class ${order}`;
}
