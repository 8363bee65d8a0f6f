// What a product hands to the agent, and one check of it before anything is opened.
import { AgentError } from "./errors.js";
import type { Host } from "./host.js";
import { limits } from "./limits.js";
import type { MQTTClientConstructor } from "./mqtt/client.js";
import { checkTopic } from "./mqtt/packet.js";
import type { AgentStatus } from "./status.js";
import { parsePem } from "./trust/pem.js";

/** PEM texts. The key is PKCS#8 ("PRIVATE KEY"). */
export interface CertificateAndKey {
  readonly certificate: string;
  readonly key: string;
}

/** Fleet provisioning by claim: the device makes its own key and asks for a certificate. */
export interface ClaimIdentity {
  readonly template: string;
  readonly claim: CertificateAndKey;
  /** Template parameters, for example `{ SerialNumber: host.system.id }`. */
  readonly parameters: { readonly [name: string]: string };
  /** Called once the own identity has held a session: wipe the claim wherever the product keeps it. */
  readonly forgetClaim?: () => void;
}

/** A certificate the device already has. */
export interface OwnIdentity extends CertificateAndKey {
  readonly thingName: string;
}

export interface AgentOptions {
  readonly host: Host;
  /** Host name of the AWS IoT data endpoint, or of a local cloud. */
  readonly endpoint: string;
  /** Default 8883. */
  readonly port?: number;
  /** Protocols offered by ALPN; default `x-amzn-mqtt-ca` on port 443, none elsewhere. */
  readonly applicationLayerProtocolNegotiation?: readonly string[];
  /** PEM; nothing but these is trusted. */
  readonly trustAnchors: readonly string[];
  /** When the firmware was built, epoch ms: no certificate is judged at an earlier moment. */
  readonly builtAt?: number;
  readonly identity: ClaimIdentity | OwnIdentity;
  /** Seconds, 30 to 1200; default 60. */
  readonly keepAliveSeconds?: number;
  readonly telemetry?: {
    /** `{thing}` and `{channel}` are replaced; default `dt/{thing}/{channel}`. */
    readonly topic?: string;
  };
  /** The MQTT client class; default is the agent's own. */
  readonly mqtt?: { readonly io: MQTTClientConstructor };
  readonly onStatus?: (status: AgentStatus) => void;
}

/** DER, as the host's sockets take it. */
export interface Credentials {
  readonly certificates: readonly Uint8Array[];
  readonly key: Uint8Array;
}

/** The options with their defaults, PEM decoded. */
export interface CheckedOptions {
  readonly host: Host;
  readonly endpoint: string;
  readonly port: number;
  readonly protocols: readonly string[];
  readonly trustAnchors: readonly Uint8Array[];
  readonly builtAt: number | undefined;
  readonly claim: (ClaimIdentity & { readonly credentials: Credentials }) | undefined;
  readonly own: { readonly thingName: string; readonly credentials: Credentials } | undefined;
  readonly keepAliveMs: number;
  readonly telemetryTopic: string;
  readonly mqtt: MQTTClientConstructor | undefined;
  readonly onStatus: (status: AgentStatus) => void;
}

/** What the service speaks on port 443 has to be named (AWS IoT developer guide, "protocols"). */
const mqttOn443 = "x-amzn-mqtt-ca";

function fail(reason: string): never {
  throw new AgentError("agent/options", `options.${reason}`);
}

function credentialsOf(pem: CertificateAndKey, where: string): Credentials {
  return {
    certificates: parsePem(pem.certificate, "CERTIFICATE", `options.${where}.certificate`),
    key: parsePem(pem.key, "PRIVATE KEY", `options.${where}.key`)[0]!,
  };
}

/** The topic a template stands for. */
export function topicOf(template: string, thingName: string, channel: string): string {
  return template.replace("{thing}", thingName).replace("{channel}", channel);
}

/** @throws AgentError "agent/options" or "trust/pem" naming the option and the value */
export function checkOptions(options: AgentOptions): CheckedOptions {
  const { host, endpoint, identity } = options;
  if (!host) fail("host is missing");
  if (typeof endpoint !== "string" || !/^[A-Za-z0-9.:-]{1,253}$/.test(endpoint)) {
    fail(`endpoint "${endpoint}" is not a host name`);
  }
  const port = wholeNumber(options.port ?? 8883, 1, 65535, "port");
  const keepAliveMs =
    wholeNumber(options.keepAliveSeconds ?? 60, 30, 1200, "keepAliveSeconds") * 1000;
  const { builtAt } = options;
  if (builtAt !== undefined) wholeNumber(builtAt, 0, limits.latestTime, "builtAt");
  if (!identity) fail("identity is missing");
  if (!options.trustAnchors?.length) fail("trustAnchors is empty: no server could be trusted");
  const telemetryTopic = options.telemetry?.topic ?? "dt/{thing}/{channel}";
  if (!telemetryTopic.includes("{channel}"))
    fail(`telemetry.topic "${telemetryTopic}" has no {channel}`);
  try {
    checkTopic(topicOf(telemetryTopic, "thing", "channel"));
  } catch (cause) {
    fail(`telemetry.topic: ${(cause as Error).message}`);
  }
  return {
    host,
    endpoint,
    port,
    protocols: options.applicationLayerProtocolNegotiation ?? (port === 443 ? [mqttOn443] : []),
    builtAt,
    trustAnchors: options.trustAnchors.flatMap((pem, i) =>
      parsePem(pem, "CERTIFICATE", `options.trustAnchors[${i}]`),
    ),
    claim: "template" in identity ? checkClaim(identity) : undefined,
    own: "template" in identity ? undefined : checkOwn(identity),
    keepAliveMs,
    telemetryTopic,
    mqtt: options.mqtt?.io,
    onStatus: options.onStatus ?? (() => undefined),
  };
}

function checkClaim(identity: ClaimIdentity): ClaimIdentity & { credentials: Credentials } {
  if (!/^[0-9A-Za-z_-]{1,36}$/.test(identity.template))
    fail(`identity.template "${identity.template}" is not a template name`);
  if (!identity.claim) fail("identity.claim is missing");
  return { ...identity, credentials: credentialsOf(identity.claim, "identity.claim") };
}

function checkOwn(identity: OwnIdentity): { thingName: string; credentials: Credentials } {
  if (!/^[a-zA-Z0-9:_-]{1,128}$/.test(identity.thingName))
    fail(`identity.thingName "${identity.thingName}" is not a thing name`);
  return { thingName: identity.thingName, credentials: credentialsOf(identity, "identity") };
}

function wholeNumber(value: number, least: number, most: number, name: string): number {
  if (!Number.isInteger(value) || value < least || value > most)
    fail(`${name} ${value} is not ${least} to ${most}`);
  return value;
}
