// MQTT packets the agent sends, 3.1.1 and 5, as bytes. Knows no connection.
import { countedTopic } from "../cloud/topics.js";
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { concat, toUtf8 } from "../util/bytes.js";
import { encodeProperties, type Properties, prefixed, uint16, variable } from "./properties.js";

/** The protocol version of CONNECT: 4 is MQTT 3.1.1. */
export type ProtocolVersion = 4 | 5;

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
  /** Default 4. */
  readonly protocolVersion?: ProtocolVersion;
  readonly id: string;
  readonly clean: boolean;
  /** Milliseconds; sent as whole seconds. */
  readonly keepAlive: number;
  readonly user?: string | undefined;
  readonly password?: Uint8Array | undefined;
  readonly will?: Will | undefined;
  /** Of MQTT 5. */
  readonly properties?: Properties | undefined;
}

export interface PublishFields {
  readonly topic: string;
  readonly QoS?: QoS;
  /** Needed when QoS is 1. */
  readonly id?: number;
  readonly duplicate?: boolean;
  readonly retain?: boolean;
  /** Of MQTT 5; an empty object when there are none. */
  readonly properties?: Properties | undefined;
}

const nothing = new Uint8Array(0);

function packet(firstByte: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = concat(parts);
  return concat([Uint8Array.of(firstByte), variable(body.length), body]);
}

/** Properties stand in every packet of MQTT 5 and in none of 3.1.1. */
function propertiesFor(version: ProtocolVersion | undefined, properties?: Properties): Uint8Array {
  return version === 5 ? encodeProperties(properties) : nothing;
}

export function encodeConnect(fields: ConnectFields): Uint8Array {
  const { will, protocolVersion = 4 } = fields;
  const flags =
    (fields.clean ? 0x02 : 0) |
    (will ? 0x04 | ((will.QoS ?? 0) << 3) | (will.retain ? 0x20 : 0) : 0) |
    (fields.password ? 0x40 : 0) |
    (fields.user !== undefined ? 0x80 : 0);
  const parts = [
    Uint8Array.of(0, 4, 77, 81, 84, 84, protocolVersion, flags),
    uint16(Math.min(0xffff, Math.ceil(fields.keepAlive / 1000))),
    propertiesFor(protocolVersion, fields.properties),
    prefixed(toUtf8(fields.id)),
  ];
  if (will) {
    parts.push(
      propertiesFor(protocolVersion),
      prefixed(toUtf8(will.topic)),
      prefixed(will.message),
    );
  }
  if (fields.user !== undefined) parts.push(prefixed(toUtf8(fields.user)));
  if (fields.password) parts.push(prefixed(fields.password));
  return packet(operation.CONNECT << 4, ...parts);
}

/** Everything of a PUBLISH before its payload of `byteLength` bytes, which follows in as many writes as it takes. */
export function encodePublishHeader(
  fields: PublishFields,
  byteLength: number,
  version?: ProtocolVersion,
): Uint8Array {
  const qos = fields.QoS ?? 0;
  const first =
    (operation.PUBLISH << 4) | (fields.duplicate ? 8 : 0) | (qos << 1) | (fields.retain ? 1 : 0);
  const head = concat([
    prefixed(toUtf8(fields.topic)),
    qos > 0 ? uint16(fields.id ?? 0) : nothing,
    propertiesFor(version, fields.properties),
  ]);
  return concat([Uint8Array.of(first), variable(head.length + byteLength), head]);
}

/** Bytes of a PUBLISH beside its payload, at most: type, lengths, identifier, and in MQTT 5 the alias. */
export function publishOverhead(topic: string, properties: Properties | undefined): number {
  const more = properties === undefined ? 0 : encodeProperties(properties).length;
  return toUtf8(topic).length + 16 + more;
}

export function encodePuback(id: number): Uint8Array {
  return packet(operation.PUBACK << 4, uint16(id));
}

export interface SubscribeItem {
  readonly topic: string;
  readonly QoS?: QoS;
}

export function encodeSubscribe(
  id: number,
  items: readonly SubscribeItem[],
  version?: ProtocolVersion,
): Uint8Array {
  const parts = [uint16(id), propertiesFor(version)];
  for (const item of items) parts.push(encodeFilter(item), Uint8Array.of(item.QoS ?? 0));
  return packet((operation.SUBSCRIBE << 4) | 2, ...checked(items, parts));
}

export function encodeUnsubscribe(
  id: number,
  items: readonly SubscribeItem[],
  version?: ProtocolVersion,
): Uint8Array {
  const parts = [uint16(id), propertiesFor(version), ...items.map(encodeFilter)];
  return packet((operation.UNSUBSCRIBE << 4) | 2, ...checked(items, parts));
}

function encodeFilter({ topic }: SubscribeItem): Uint8Array {
  return prefixed(toUtf8(topic));
}

/** @throws AgentError "mqtt/limit" for more filters than the service takes in one packet */
function checked<Parts>(items: readonly SubscribeItem[], parts: Parts): Parts {
  if (items.length === 0 || items.length > limits.subscribeFilters) {
    throw new AgentError(
      "mqtt/limit",
      `${items.length} filters in one packet, 1 to ${limits.subscribeFilters} are taken`,
    );
  }
  return parts;
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
  const counted = countedTopic(topic);
  const bytes = toUtf8(counted).length;
  if (bytes === 0 || bytes > 256)
    throw new AgentError("mqtt/limit", `topic of ${bytes} bytes, 1 to 256 are taken`);
  if (/[+#\0]/.test(topic))
    throw new AgentError("mqtt/limit", `topic ${JSON.stringify(topic)} has a wildcard or NUL`);
  const slashes = counted.startsWith("$aws/") ? 0 : counted.split("/").length - 1;
  if (slashes > limits.topicSlashes) {
    throw new AgentError(
      "mqtt/limit",
      `topic ${topic} has ${slashes} slashes, at most ${limits.topicSlashes} are taken`,
    );
  }
}
