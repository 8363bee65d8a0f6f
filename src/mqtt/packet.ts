// MQTT 3.1.1 packets the agent sends, as bytes. Knows no connection.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { concat, toUtf8 } from "../util/bytes.js";

/** Control packet types, under the names ECMA-419's MQTT client gives them. */
export const operation = Object.freeze({
  CONNECT: 1,
  CONNACK: 2,
  PUBLISH: 3,
  PUBACK: 4,
  SUBSCRIBE: 8,
  SUBACK: 9,
  UNSUBSCRIBE: 10,
  UNSUBACK: 11,
  PINGREQ: 12,
  PINGRESP: 13,
  DISCONNECT: 14,
});

export type QoS = 0 | 1;

export interface Will {
  readonly topic: string;
  readonly message: Uint8Array;
  readonly QoS?: QoS;
  readonly retain?: boolean;
}

export interface ConnectFields {
  readonly id: string;
  readonly clean: boolean;
  /** Milliseconds; sent as whole seconds. */
  readonly keepAlive: number;
  readonly user?: string | undefined;
  readonly password?: Uint8Array | undefined;
  readonly will?: Will | undefined;
}

export interface PublishFields {
  readonly topic: string;
  readonly QoS?: QoS;
  /** Needed when QoS is 1. */
  readonly id?: number;
  readonly duplicate?: boolean;
  readonly retain?: boolean;
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 255);
}

function prefixed(bytes: Uint8Array): Uint8Array {
  if (bytes.length > 0xffff)
    throw new AgentError("mqtt/limit", `field of ${bytes.length} bytes, at most 65535`);
  return concat([uint16(bytes.length), bytes]);
}

/** Remaining Length, 1 to 4 bytes (MQTT 3.1.1 section 2.2.3). */
function remainingLength(length: number): number[] {
  if (length > 268_435_455)
    throw new AgentError("mqtt/limit", `packet of ${length} bytes, at most 268435455`);
  const bytes: number[] = [];
  do {
    const digit = length % 128;
    length = Math.floor(length / 128);
    bytes.push(length > 0 ? digit | 0x80 : digit);
  } while (length > 0);
  return bytes;
}

function packet(firstByte: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = concat(parts);
  return concat([Uint8Array.of(firstByte, ...remainingLength(body.length)), body]);
}

export function encodeConnect(fields: ConnectFields): Uint8Array {
  const { will } = fields;
  const flags =
    (fields.clean ? 0x02 : 0) |
    (will ? 0x04 | ((will.QoS ?? 0) << 3) | (will.retain ? 0x20 : 0) : 0) |
    (fields.password ? 0x40 : 0) |
    (fields.user !== undefined ? 0x80 : 0);
  const parts = [
    Uint8Array.of(0, 4, 77, 81, 84, 84, 4, flags),
    uint16(Math.min(0xffff, Math.ceil(fields.keepAlive / 1000))),
    prefixed(toUtf8(fields.id)),
  ];
  if (will) parts.push(prefixed(toUtf8(will.topic)), prefixed(will.message));
  if (fields.user !== undefined) parts.push(prefixed(toUtf8(fields.user)));
  if (fields.password) parts.push(prefixed(fields.password));
  return packet(operation.CONNECT << 4, ...parts);
}

/** Everything of a PUBLISH before its payload of `byteLength` bytes, which follows in as many writes as it takes. */
export function encodePublishHeader(fields: PublishFields, byteLength: number): Uint8Array {
  const qos = fields.QoS ?? 0;
  const first =
    (operation.PUBLISH << 4) | (fields.duplicate ? 8 : 0) | (qos << 1) | (fields.retain ? 1 : 0);
  const topic = prefixed(toUtf8(fields.topic));
  const id = qos > 0 ? uint16(fields.id ?? 0) : new Uint8Array(0);
  const length = remainingLength(topic.length + id.length + byteLength);
  return concat([Uint8Array.of(first, ...length), topic, id]);
}

export function encodePuback(id: number): Uint8Array {
  return packet(operation.PUBACK << 4, uint16(id));
}

export interface SubscribeItem {
  readonly topic: string;
  readonly QoS?: QoS;
}

export function encodeSubscribe(id: number, items: readonly SubscribeItem[]): Uint8Array {
  const parts = [uint16(id)];
  for (const item of items) parts.push(prefixed(toUtf8(item.topic)), Uint8Array.of(item.QoS ?? 0));
  return packet((operation.SUBSCRIBE << 4) | 2, ...parts);
}

export function encodeUnsubscribe(id: number, items: readonly SubscribeItem[]): Uint8Array {
  return packet(
    (operation.UNSUBSCRIBE << 4) | 2,
    uint16(id),
    ...items.map(item => prefixed(toUtf8(item.topic))),
  );
}

export function encodeEmpty(type: number): Uint8Array {
  return Uint8Array.of(type << 4, 0);
}

/**
 * A topic name one may publish to: what the broker would close the link for is refused here.
 *
 * @throws AgentError "mqtt/limit"
 */
export function checkTopic(topic: string): void {
  const bytes = toUtf8(topic).length;
  if (bytes === 0 || bytes > 256)
    throw new AgentError("mqtt/limit", `topic of ${bytes} bytes, 1 to 256 are taken`);
  if (/[+#\0]/.test(topic))
    throw new AgentError("mqtt/limit", `topic ${JSON.stringify(topic)} has a wildcard or NUL`);
  const slashes = topic.startsWith("$aws/") ? 0 : topic.split("/").length - 1;
  if (slashes > limits.topicSlashes) {
    throw new AgentError(
      "mqtt/limit",
      `topic ${topic} has ${slashes} slashes, at most ${limits.topicSlashes} are taken`,
    );
  }
}
