// What a product hands to the agent, and one check of it before anything is opened.
import type { Endpoint } from "./connection/endpoints.js";
import type { Host } from "./host.js";
import { limits } from "./limits.js";
import type { MQTTClientConstructor } from "./mqtt/client.js";
import { checkTopic, type ProtocolVersion, type QoS } from "./mqtt/packet.js";
import type { CheckedFirmware, FirmwareOptions } from "./ota/firmware.js";
import { Channels } from "./parts/channels.js";
import { checkOutbox } from "./parts/outbox.js";
import { checkEnrolling } from "./parts/provisioning.js";
import { checkFirmware } from "./parts/updates.js";
import type { EnrollingOptions } from "./provisioning/enrolling.js";
import type { DeviceStateOptions } from "./shadow/device-state.js";
import type { AgentStatus } from "./status.js";
import type { ChannelsOptions } from "./telemetry/channels.js";
import type { OutboxSettings } from "./telemetry/outgoing.js";
import { checkTopicTemplate, type TopicOptions, topicOf } from "./telemetry/topics.js";
import { anchorsOf, type CertificateAndKey, credentialsOf } from "./trust/credentials.js";
import { toUtf8 } from "./util/bytes.js";
import { refuse, wholeNumber } from "./util/checked.js";
import { lean } from "./util/machine.js";

/** Fleet provisioning: with a claim all boards share, or one that an installer's tool was given for some minutes. */
export interface ClaimIdentity extends EnrollingOptions {
  readonly claim: CertificateAndKey;
  /** Called once the own identity has held a session: wipe the claim wherever the product keeps it. */
  readonly forgetClaim?: () => void;
}

/** A certificate the device already has, made in a factory for example. */
export interface OwnIdentity extends CertificateAndKey {
  readonly thingName: string;
}

export interface RotationOptions {
  /** Days after the certificate's begin at which another one is asked for; never by itself when absent. 1 to 36,500. */
  readonly afterDays?: number;
  /** How to ask, over the identity's own link; default as the identity itself was asked for. */
  readonly enrolling?: EnrollingOptions;
}

/** Where to connect. */
export interface EndpointOptions {
  /** Host name of the AWS IoT data endpoint, or of a local cloud. */
  readonly endpoint: string;
  /** Default 8883. */
  readonly port?: number;
  /** Protocols offered by ALPN; default `x-amzn-mqtt-ca` on port 443, none elsewhere. */
  readonly applicationLayerProtocolNegotiation?: readonly string[];
}

export interface AgentOptions extends EndpointOptions {
  readonly host: Host;
  /** PEM; nothing but these is trusted. */
  readonly trustAnchors: readonly string[];
  /** When the firmware was built, epoch ms: no certificate is judged at an earlier moment. */
  readonly builtAt?: number;
  readonly identity: ClaimIdentity | OwnIdentity;
  readonly rotation?: RotationOptions;
  /** Seconds, 30 to 1200; default 60. */
  readonly keepAliveSeconds?: number;
  readonly telemetry?: TelemetryOptions;
  /** Keeps telemetry on a partition of raw flash until it is acknowledged; in memory, within bounds, when absent. */
  readonly outbox?: OutboxSettings;
  /** What runs, and who may replace it. */
  readonly firmware?: FirmwareOptions;
  /** Reports firmware version, reset reason, connection and free heap in a named shadow of their own; not at all when absent. */
  readonly deviceState?: DeviceStateOptions;
  readonly mqtt?: MQTTOptions;
  readonly onStatus?: (status: AgentStatus) => void;
}

export interface TelemetryOptions extends TopicOptions {
  /** Channels with windows, thresholds or a priority; others are sent as they come. */
  readonly channels?: ChannelsOptions;
}

export interface MQTTOptions {
  /** The client class; default is the agent's own. Another one is taken to speak MQTT 3.1.1. */
  readonly io?: MQTTClientConstructor;
  /** 4 is MQTT 3.1.1; default 5, and 4 where the broker does not take it. */
  readonly protocolVersion?: ProtocolVersion;
  /** How long the broker keeps the session of a device that is away, in MQTT 5: 0 to 604,800; default 3600, as AWS in 3.1.1. */
  readonly sessionExpirySeconds?: number;
  /** Sent with CONNECT in MQTT 5. */
  readonly userProperties?: readonly (readonly [name: string, value: string])[];
  /** What the broker says for a device that is gone without a word; of the own identity. */
  readonly will?: {
    /** `{thing}` is replaced. */
    readonly topic: string;
    readonly message: string;
    readonly QoS?: QoS;
    readonly retain?: boolean;
  };
}

/** The options with their defaults. PEM texts stay as the product has them, often in flash: they are decoded for each dial. */
export interface CheckedOptions {
  readonly host: Host;
  readonly endpoint: Endpoint;
  readonly trustAnchors: readonly string[];
  readonly builtAt: number | undefined;
  readonly claim: ClaimIdentity | undefined;
  readonly own: OwnIdentity | undefined;
  /** How to ask for an identity; undefined when nobody said so. */
  readonly enrolling: EnrollingOptions | undefined;
  readonly rotateAfterDays: number | undefined;
  readonly keepAliveMs: number;
  readonly telemetryTopic: string;
  readonly channels: Channels | undefined;
  readonly outbox: OutboxSettings | undefined;
  readonly firmwareVersion: string;
  /** Undefined where no firmware is taken. */
  readonly updates: CheckedFirmware | undefined;
  readonly deviceState: DeviceStateOptions | undefined;
  readonly mqtt: MQTTClientConstructor | undefined;
  /** Undefined: what the broker takes. */
  readonly protocolVersion: ProtocolVersion | undefined;
  readonly sessionExpirySeconds: number;
  readonly userProperties: MQTTOptions["userProperties"];
  readonly will: MQTTOptions["will"];
  readonly onStatus: (status: AgentStatus) => void;
}

/** What the service speaks on port 443 has to be named (AWS IoT developer guide, "protocols"). */
const mqttOn443 = "x-amzn-mqtt-ca";

/** @throws AgentError "agent/options" or "trust/pem" naming the option and the value */
export function checkOptions(options: AgentOptions): CheckedOptions {
  const { host, identity, mqtt = {} } = options;
  if (!host) refuse("host is missing");
  const endpoint = checkEndpoint(options);
  const keepAliveMs =
    wholeNumber(options.keepAliveSeconds ?? 60, 30, 1200, "keepAliveSeconds") * 1000;
  const { sessionExpirySeconds = 3600 } = mqtt;
  wholeNumber(sessionExpirySeconds, 0, 604_800, "mqtt.sessionExpirySeconds");
  const protocolVersion = mqtt.protocolVersion ?? (mqtt.io ? 4 : undefined);
  if (protocolVersion !== undefined) wholeNumber(protocolVersion, 4, 5, "mqtt.protocolVersion");
  const { builtAt } = options;
  if (builtAt !== undefined) wholeNumber(builtAt, 0, limits.latestTime, "builtAt");
  if (!identity) refuse("identity is missing");
  if (!options.trustAnchors?.length) refuse("trustAnchors is empty: no server could be trusted");
  anchorsOf(options.trustAnchors);
  const channels = checkChannels(options.telemetry?.channels);
  // The agent has channels of its own: no template is for one alone.
  const thingName = "thingName" in identity ? identity.thingName : undefined;
  const telemetryTopic = checkTopicTemplate(options.telemetry ?? {}, [], thingName);
  const firmwareVersion = options.firmware?.version ?? "unknown";
  if (!/^[!-~]{1,64}$/.test(firmwareVersion))
    refuse(`firmware.version "${firmwareVersion}" is not 1 to 64 visible ASCII characters`);
  if (mqtt.will) checkOne(topicOf(mqtt.will.topic, "thing"), "mqtt.will.topic");
  checkTexts(mqtt);
  return lean({
    host,
    endpoint,
    builtAt,
    trustAnchors: options.trustAnchors,
    claim: "template" in identity ? checkClaim(identity) : undefined,
    own: "template" in identity ? undefined : checkOwn(identity),
    enrolling: enrollingOf(options),
    rotateAfterDays:
      options.rotation?.afterDays === undefined
        ? undefined
        : wholeNumber(options.rotation.afterDays, 1, 36_500, "rotation.afterDays"),
    keepAliveMs,
    telemetryTopic,
    channels,
    outbox: options.outbox && checkOutbox(options.outbox),
    firmwareVersion,
    updates: checkFirmware(options.firmware, options.trustAnchors, host),
    deviceState: options.deviceState,
    mqtt: mqtt.io,
    protocolVersion,
    sessionExpirySeconds,
    userProperties: mqtt.userProperties,
    will: mqtt.will,
    onStatus: options.onStatus ?? (() => undefined),
  });
}

/** What CONNECT could not carry would be found out with every dial. */
function checkTexts({ will, userProperties = [] }: MQTTOptions): void {
  const texts = userProperties.flat();
  if (will) texts.push(will.message);
  for (const text of texts) {
    let length: number;
    try {
      ({ length } = toUtf8(text));
    } catch (cause) {
      return refuse(`mqtt.will.message or mqtt.userProperties: ${(cause as Error).message}`);
    }
    if (length > 0xffff) {
      refuse(`mqtt.will.message or mqtt.userProperties: ${length} bytes, at most 65535 are taken`);
    }
  }
}

function checkOne(topic: string, name: string): void {
  try {
    checkTopic(topic);
  } catch (cause) {
    refuse(`${name}: ${(cause as Error).message}`);
  }
}

/** @throws AgentError "agent/options" */
export function checkEndpoint({
  endpoint,
  port = 8883,
  applicationLayerProtocolNegotiation: protocols = port === 443 ? [mqttOn443] : [],
}: EndpointOptions): Endpoint {
  if (typeof endpoint !== "string" || !/^[A-Za-z0-9.:-]{1,253}$/.test(endpoint)) {
    refuse(`endpoint "${endpoint}" is not a host name`);
  }
  wholeNumber(port, 1, 65535, "port");
  for (const name of protocols) {
    if (!/^[!-~]{1,255}$/.test(name)) {
      refuse(`applicationLayerProtocolNegotiation "${name}" is not a protocol's name`);
    }
  }
  return { host: endpoint, port, protocols };
}

/** What the agent says of itself, beside the product's channels. */
const ownChannels: readonly string[] = Object.freeze(["gaps", "identity"]);

function checkChannels(channels: ChannelsOptions | undefined): Channels | undefined {
  if (channels === undefined) return undefined;
  for (const name of ownChannels)
    if (Object.hasOwn(channels, name)) refuse(`telemetry.channels: "${name}" is the agent's own`);
  return new Channels(channels);
}

function enrollingOf({ identity, rotation }: AgentOptions): EnrollingOptions | undefined {
  if ("template" in identity) checkEnrolling(identity, "identity");
  const enrolling = rotation?.enrolling;
  if (enrolling === undefined) {
    if ("template" in identity) return identity;
    if (rotation)
      refuse("rotation.enrolling is missing: nobody said how to ask for another identity");
    return undefined;
  }
  checkEnrolling(enrolling, "rotation.enrolling");
  // A device that has no identity yet asks as its claim says.
  if ("template" in identity) refuse("rotation.enrolling is only for an identity that was given");
  return enrolling;
}

function checkClaim(identity: ClaimIdentity): ClaimIdentity {
  if (!identity.claim) refuse("identity.claim is missing");
  credentialsOf(identity.claim, "identity.claim");
  return identity;
}

function checkOwn(identity: OwnIdentity): OwnIdentity {
  if (!/^[a-zA-Z0-9:_-]{1,128}$/.test(identity.thingName))
    refuse(`identity.thingName "${identity.thingName}" is not a thing name`);
  credentialsOf(identity, "identity");
  return identity;
}
