// What AWS IoT takes in a packet beyond the wire format: names, lengths, QoS (developer guide "mqtt", quota page).
// Pure; permissions are the connection's business. What is thrown ends the connection, a fault may be answered.

import type { IPublishPacket } from "mqtt-packet";
import type { BrokerLimits } from "./limits.js";
import type { Properties } from "./properties.js";
import { type Fault, MalformedPacket, reason } from "./reasons.js";
import type { Message, MessageProperties } from "./session.js";
import { isText, isTopicName, isWithinLimits } from "./topics.js";

/** At most 128 bytes, not starting with `$`; empty ones are for MQTT 5 only (assumed for 3.1.1). */
export function isClientId(clientId: string, limits: BrokerLimits): boolean {
  const isShort = Buffer.byteLength(clientId) <= limits.clientIdBytes;
  return isShort && isText(clientId) && !clientId.startsWith("$");
}

/** @throws MalformedPacket */
export function checkPublish(
  packet: IPublishPacket,
  properties: Properties,
  limits: BrokerLimits,
): void {
  // No PUBREC is ever sent; closing at once rather than after a while is assumed for MQTT 3.1.1.
  if (packet.qos === 2) throw new MalformedPacket("PUBLISH with QoS 2", reason.qosNotSupported);
  checkIdentifier(properties);
  const bytes = packet.payload.length;
  if (bytes <= limits.payloadBytes) return;
  const detail = `payload of ${bytes} bytes, at most ${limits.payloadBytes}`;
  throw new MalformedPacket(detail, reason.packetTooLarge);
}

/** Subscription identifiers are not available ("mqtt"); that PUBLISH is treated as SUBSCRIBE is assumed. */
export function checkIdentifier({ subscriptionIdentifier }: Properties): void {
  if (subscriptionIdentifier === undefined) return;
  throw new MalformedPacket("a subscription identifier", reason.identifiersNotSupported);
}

/**
 * Topic and properties of a PUBLISH or a will.
 *
 * @returns why they are well formed and yet not taken. @throws MalformedPacket
 */
export function messageFault(
  topic: string,
  retain: boolean,
  properties: Properties,
  limits: BrokerLimits,
): Fault | undefined {
  if (!isTopicName(topic)) throw new MalformedPacket(`"${topic}" is not a topic name`);
  if (!isWithinLimits(topic, limits)) {
    return fault(reason.topicInvalid, tooLong(topic, limits));
  }
  if (retain && topic.startsWith("$")) {
    return fault(reason.topicInvalid, "RETAIN on a reserved topic");
  }
  return propertiesFault(properties, limits);
}

/** The quota page says "rejected"; 0x97 for it is assumed. */
export function propertiesFault(properties: Properties, limits: BrokerLimits): Fault | undefined {
  const { responseTopic, correlationData, contentType = "", userProperties } = properties;
  // The response topic must not have wildcards ("mqtt").
  if (responseTopic !== undefined && !isTopicName(responseTopic)) {
    throw new MalformedPacket(`"${responseTopic}" is not a topic name`, reason.protocolError);
  }
  if ((correlationData?.length ?? 0) > limits.correlationDataBytes) {
    return fault(
      reason.quotaExceeded,
      `correlation data over ${limits.correlationDataBytes} bytes`,
    );
  }
  if (Buffer.byteLength(contentType) > limits.contentTypeBytes) {
    return fault(reason.quotaExceeded, `content type over ${limits.contentTypeBytes} bytes`);
  }
  const bytes = userProperties.reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value),
    0,
  );
  if (bytes <= limits.userPropertiesBytes) return undefined;
  return fault(reason.quotaExceeded, `user properties over ${limits.userPropertiesBytes} bytes`);
}

export function fault(code: number, detail: string): Fault {
  return { code, reason: "CLIENT_ERROR", detail };
}

/** The part that goes to subscribers; undefined when there is none. */
export function forwarded(properties: Properties): MessageProperties | undefined {
  const { payloadFormatIndicator, contentType, responseTopic, correlationData } = properties;
  const { userProperties } = properties;
  const rest = { payloadFormatIndicator, contentType, responseTopic, correlationData };
  const given = Object.entries(rest).filter(([, value]) => value !== undefined);
  if (given.length === 0 && userProperties.length === 0) return undefined;
  return { ...Object.fromEntries(given), userProperties };
}

/** 1 to 604,800 s; what lies outside is moved to the nearer end ("mqtt"). Undefined: never expires. */
export function expirySeconds(properties: Properties, limits: BrokerLimits): number | undefined {
  const { messageExpiryInterval: asked } = properties;
  if (asked === undefined) return undefined;
  const { messageExpiryMinSeconds, messageExpiryMaxSeconds } = limits;
  return Math.min(Math.max(asked, messageExpiryMinSeconds), messageExpiryMaxSeconds);
}

/** A message as it goes to subscribers; its lifetime starts now. */
export function toMessage(
  message: Pick<Message, "topic" | "payload" | "qos" | "retain">,
  properties: Properties,
  limits: BrokerLimits,
  now: number,
): Message {
  const carried = forwarded(properties);
  const seconds = expirySeconds(properties, limits);
  return {
    ...message,
    ...(carried === undefined ? {} : { properties: carried }),
    ...(seconds === undefined ? {} : { expiresAt: now + seconds * 1000 }),
  };
}

export function tooLong(topic: string, { topicBytes, topicSlashes }: BrokerLimits): string {
  return `"${topic}" has more than ${topicBytes} bytes or ${topicSlashes} slashes`;
}
