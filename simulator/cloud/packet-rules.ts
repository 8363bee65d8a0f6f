// What AWS IoT takes in a packet beyond the wire format: names, lengths, QoS (developer guide "mqtt", quota page).
// Pure; permissions are the connection's business.

import type { IConnectPacket, IPublishPacket, ISubscribePacket } from "mqtt-packet";
import { MalformedPacket } from "./frames.js";
import type { BrokerLimits } from "./limits.js";
import type { Message } from "./session.js";
import { isText, isTopicFilter, isTopicName, isWithinLimits } from "./topics.js";

/** At most 128 bytes, not starting with `$`; empty ones are for MQTT 5 only (assumed for 3.1.1). */
export function isClientId(clientId: string, limits: BrokerLimits): boolean {
  const isShort = Buffer.byteLength(clientId) <= limits.clientIdBytes;
  return isShort && isText(clientId) && !clientId.startsWith("$");
}

/** The will of a CONNECT, copied. @throws MalformedPacket */
export function willOf({ will }: IConnectPacket, limits: BrokerLimits): Message | undefined {
  if (will === undefined) return undefined;
  const { topic, payload, qos = 0, retain = false } = will;
  if (qos > 1) throw new MalformedPacket(`will with QoS ${qos}`);
  checkTopic(topic, retain, limits);
  return { topic, payload: Buffer.from(payload), qos: qos === 1 ? 1 : 0, retain };
}

/** @throws MalformedPacket */
export function checkPublish(packet: IPublishPacket, limits: BrokerLimits): void {
  // No PUBREC is ever sent; closing at once rather than after a while is assumed.
  if (packet.qos === 2) throw new MalformedPacket("PUBLISH with QoS 2");
  checkTopic(packet.topic, packet.retain, limits);
  const bytes = packet.payload.length;
  if (bytes > limits.payloadBytes) {
    throw new MalformedPacket(`payload of ${bytes} bytes, at most ${limits.payloadBytes}`);
  }
}

/** @throws MalformedPacket: closing is assumed, the quota page only says that the whole request is rejected */
export function checkSubscribe(packet: ISubscribePacket, limits: BrokerLimits): void {
  const count = packet.subscriptions.length;
  if (count < 1 || count > limits.filtersPerSubscribe) {
    throw new MalformedPacket(
      `SUBSCRIBE with ${count} filters, 1 to ${limits.filtersPerSubscribe}`,
    );
  }
  for (const { topic, qos } of packet.subscriptions) {
    // No SUBACK is sent for QoS 2; closing at once is assumed.
    if (qos > 1) throw new MalformedPacket("SUBSCRIBE with QoS 2");
    if (!isTopicFilter(topic)) throw new MalformedPacket(`"${topic}" is not a topic filter`);
    checkLength(topic, limits);
  }
}

function checkTopic(topic: string, retain: boolean, limits: BrokerLimits): void {
  if (!isTopicName(topic)) throw new MalformedPacket(`"${topic}" is not a topic name`);
  checkLength(topic, limits);
  if (retain && topic.startsWith("$")) throw new MalformedPacket("RETAIN on a reserved topic");
}

function checkLength(topic: string, limits: BrokerLimits): void {
  if (isWithinLimits(topic, limits)) return;
  const { topicBytes, topicSlashes } = limits;
  throw new MalformedPacket(
    `"${topic}" has more than ${topicBytes} bytes or ${topicSlashes} slashes`,
  );
}
