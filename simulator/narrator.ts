// What happens, in lines a person can read: one for each event, with a mark at each milestone.
import type { AgentStatus } from "../src/index.js";
import type { CloudEvent } from "./cloud/cloud.js";

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
      return plain(`dials in ${status.inMs} ms: the power has just come back`);
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
      return plain(`telemetry "${status.channel}" acknowledged, ${status.byteLength} bytes`);
    case "telemetryRefused":
      return trouble(`telemetry "${status.channel}" refused: ${status.error.message}`);
    case "moved":
      return milestone(`moved to ${status.endpoint}:${status.port}`);
    case "fault":
      return trouble(`${status.error.code}: ${status.error.message}`);
    case "stopped":
      return plain("stopped");
  }
}

/** Which shadow, unless it is the classic one. */
function of({ shadow }: { readonly shadow?: string }): string {
  return shadow === undefined ? "" : ` (shadow "${shadow}")`;
}

export function lineOfCloud(event: CloudEvent): Line | undefined {
  switch (event.type) {
    case "listening":
      return milestone(`listening on ${event.host}:${event.port}, mutual TLS`);
    case "restListening":
      return milestone(
        `REST data plane on http://${event.host}:${event.port}, signatures unchecked`,
      );
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
    case "message":
      return milestone(
        `received ${event.topic} ${Buffer.from(event.payload).toString("utf8").slice(0, 200)}`,
      );
    case "storeFailed":
      return trouble(event.error.message);
  }
}
