// CONNECT, read by AWS's rules into what a connection needs to know; CONNACK of MQTT 5 ("mqtt", quota page).
// Pure; certificates and permissions are the connection's business.

import type { IConnackPacket, IConnectPacket } from "mqtt-packet";
import type { ProtocolVersion } from "./frames.js";
import type { BrokerLimits } from "./limits.js";
import { isClientId, messageFault, propertiesFault, toMessage } from "./packet-rules.js";
import type { PacketProperties, Properties } from "./properties.js";
import { ConnectRefused, type Fault, MalformedPacket, reason } from "./reasons.js";
import type { Message } from "./session.js";

export interface Will {
  readonly topic: string;
  readonly retain: boolean;
  /** The message as published at `now`: its lifetime starts when the client is gone ("mqtt"). */
  messageAt(now: number): Message;
}

export interface ConnectRequest {
  readonly version: ProtocolVersion;
  /** Empty: to be assigned. */
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly keepAliveAsked: number;
  /** What holds; the connection ends after 1.5 times that. */
  readonly keepAliveSeconds: number;
  readonly sessionExpiryAsked: number;
  readonly sessionExpirySeconds: number;
  readonly will: Will | undefined;
  /** QoS 1 messages the client takes without acknowledging. */
  readonly receiveMaximum: number;
  /** Bytes of a packet to the client. */
  readonly maximumPacketSize: number;
  readonly topicAliasMaximum: number;
}

/** @throws ConnectRefused */
export function readConnect(
  packet: IConnectPacket,
  { own, will }: PacketProperties,
  version: ProtocolVersion,
  limits: BrokerLimits,
): ConnectRequest {
  const { clientId, clean = true, keepalive = 0 } = packet;
  checkClientId(clientId, version, limits);
  const { receiveMaximum = 65_535, maximumPacketSize = limits.packetBytes } = own;
  checkLimits(receiveMaximum, maximumPacketSize, limits);
  // Enhanced authentication needs AUTH, which AWS does not take; the code for it is assumed.
  if (own.authenticationMethod !== undefined) {
    throw new ConnectRefused("PROTOCOL_ERROR", reason.notAuthorized, "an authentication method");
  }
  refuseFor(propertiesFault(own, limits));
  const sessionExpiryAsked = expiryAsked(own, version, clean, limits);
  return {
    version,
    clientId,
    cleanStart: clean,
    keepAliveAsked: keepalive,
    keepAliveSeconds: keepAlive(keepalive, limits),
    sessionExpiryAsked,
    sessionExpirySeconds: Math.min(sessionExpiryAsked, limits.sessionExpiryMs / 1000),
    will: willOf(packet, will, limits),
    receiveMaximum,
    maximumPacketSize,
    topicAliasMaximum: Math.min(own.topicAliasMaximum ?? 0, limits.topicAliases),
  };
}

function checkClientId(clientId: string, version: ProtocolVersion, limits: BrokerLimits): void {
  if ((version === 5 && clientId === "") || isClientId(clientId, limits)) return;
  throw new ConnectRefused("IDENTIFIER_REJECTED", reason.clientIdInvalid);
}

/** A client that takes packets of less than 512 bytes is refused (quota page); the code is assumed. */
function checkLimits(receiveMaximum: number, packetSize: number, limits: BrokerLimits): void {
  if (receiveMaximum === 0) throw refusal("a receive maximum of 0");
  if (packetSize >= limits.clientPacketBytesMin) return;
  throw refusal(`maximum packet size ${packetSize}, at least ${limits.clientPacketBytesMin}`);
}

/** CONNACK has no word for these in the guide's list, so it is the unspecified one. */
function refusal(detail: string, code: number = reason.unspecified): ConnectRefused {
  return new ConnectRefused("PROTOCOL_ERROR", code, detail);
}

function refuseFor(fault: Fault | undefined): void {
  if (fault !== undefined) throw refusal(fault.detail, fault.code);
}

/** MQTT 5: absent is 0. MQTT 3.1.1: nothing, or the account's limit. */
function expiryAsked(
  { sessionExpiryInterval = 0 }: Properties,
  version: ProtocolVersion,
  clean: boolean,
  limits: BrokerLimits,
): number {
  if (version === 5) return sessionExpiryInterval;
  return clean ? 0 : limits.sessionExpiryMs / 1000;
}

/** 0 and more than 1200 count as 1200, less than 30 as 30 ("mqtt"). */
function keepAlive(asked: number, limits: BrokerLimits): number {
  const { keepAliveMinSeconds, keepAliveMaxSeconds } = limits;
  const wanted = asked === 0 ? keepAliveMaxSeconds : asked;
  return Math.min(Math.max(wanted, keepAliveMinSeconds), keepAliveMaxSeconds);
}

/**
 * The will, copied. Its delay interval is not among the properties of the guide and is ignored: assumed.
 *
 * @throws ConnectRefused
 */
function willOf(
  { will }: IConnectPacket,
  properties: Properties,
  limits: BrokerLimits,
): Will | undefined {
  if (will === undefined) return undefined;
  const { topic, qos = 0, retain = false } = will;
  if (qos > 1) throw refusal(`will with QoS ${qos}`, reason.qosNotSupported);
  refuseFor(wellFormed(() => messageFault(topic, retain, properties, limits)));
  const message: Message = {
    topic,
    payload: Buffer.from(will.payload),
    qos: qos === 1 ? 1 : 0,
    retain,
  };
  return { topic, retain, messageAt: now => toMessage(message, properties, limits, now) };
}

/** An ill-formed will topic is refused like one that is not accepted: assumed. */
function wellFormed(judge: () => Fault | undefined): Fault | undefined {
  try {
    return judge();
  } catch (error) {
    if (!(error instanceof MalformedPacket)) throw error;
    throw refusal(error.message, reason.topicInvalid);
  }
}

/** What CONNACK tells an MQTT 5 client that is let in. */
export function connackProperties(
  request: ConnectRequest,
  assignedClientId: string | undefined,
  limits: BrokerLimits,
): NonNullable<IConnackPacket["properties"]> {
  const { keepAliveAsked, keepAliveSeconds, sessionExpiryAsked, sessionExpirySeconds } = request;
  return {
    ...(sessionExpiryAsked === sessionExpirySeconds
      ? {}
      : { sessionExpiryInterval: sessionExpirySeconds }),
    receiveMaximum: limits.receiveMaximum,
    maximumQoS: 1,
    retainAvailable: true,
    maximumPacketSize: limits.packetBytes,
    ...(assignedClientId === undefined ? {} : { assignedClientIdentifier: assignedClientId }),
    topicAliasMaximum: limits.topicAliases,
    wildcardSubscriptionAvailable: true,
    subscriptionIdentifiersAvailable: false,
    // Shared subscriptions are documented, that CONNACK says so is assumed.
    sharedSubscriptionAvailable: true,
    ...(keepAliveAsked === keepAliveSeconds ? {} : { serverKeepAlive: keepAliveSeconds }),
  };
}
