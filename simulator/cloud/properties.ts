// MQTT 5 properties as bytes: each section is read strictly (MQTT 5 2.2.2) before the packet library sees the packet,
// and user properties keep their order ("mqtt": receivers get them as they were sent).

import { MalformedPacket, reason } from "./reasons.js";

export type UserProperty = readonly [name: string, value: string];

/** What a client may send, under the packet library's names; absent is undefined. */
export interface Properties {
  readonly payloadFormatIndicator?: boolean;
  readonly messageExpiryInterval?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  readonly subscriptionIdentifier?: number;
  readonly sessionExpiryInterval?: number;
  readonly authenticationMethod?: string;
  readonly requestProblemInformation?: boolean;
  readonly receiveMaximum?: number;
  readonly topicAliasMaximum?: number;
  readonly topicAlias?: number;
  readonly maximumPacketSize?: number;
  readonly userProperties: readonly UserProperty[];
}

export const noProperties: Properties = Object.freeze({ userProperties: Object.freeze([]) });

type Place = "connect" | "will" | "publish" | "puback" | "subscribe" | "unsubscribe" | "disconnect";
type Kind = "flag" | "int16" | "int32" | "var" | "string" | "binary";

interface Definition {
  readonly name: string;
  readonly kind: Kind;
  readonly places: readonly Place[];
}

const define = (name: string, kind: Kind, ...places: Place[]): Definition =>
  Object.freeze({ name, kind, places });

const userProperty = 0x26;
/** MQTT 5 2.2.2.2, the part that a client may send. */
const definitions: ReadonlyMap<number, Definition> = new Map([
  [0x01, define("payloadFormatIndicator", "flag", "publish", "will")],
  [0x02, define("messageExpiryInterval", "int32", "publish", "will")],
  [0x03, define("contentType", "string", "publish", "will")],
  [0x08, define("responseTopic", "string", "publish", "will")],
  [0x09, define("correlationData", "binary", "publish", "will")],
  [0x0b, define("subscriptionIdentifier", "var", "publish", "subscribe")],
  [0x11, define("sessionExpiryInterval", "int32", "connect", "disconnect")],
  [0x15, define("authenticationMethod", "string", "connect")],
  [0x16, define("authenticationData", "binary", "connect")],
  [0x17, define("requestProblemInformation", "flag", "connect")],
  [0x18, define("willDelayInterval", "int32", "will")],
  [0x19, define("requestResponseInformation", "flag", "connect")],
  [0x1f, define("reasonString", "string", "puback", "disconnect")],
  [0x21, define("receiveMaximum", "int16", "connect")],
  [0x22, define("topicAliasMaximum", "int16", "connect")],
  [0x23, define("topicAlias", "int16", "publish")],
  [0x27, define("maximumPacketSize", "int32", "connect")],
]);

const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Walks one packet; every read is within it. */
class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(count: number): Uint8Array {
    if (count > this.#bytes.length - this.#at) {
      throw new MalformedPacket("a field reaches past the end of its packet");
    }
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  number(byteLength: number): number {
    return this.take(byteLength).reduce((value, byte) => value * 256 + byte, 0);
  }

  varint(): number {
    let value = 0;
    for (let index = 0; index < 4; index++) {
      const byte = this.number(1);
      value += (byte & 0x7f) * 128 ** index;
      if (byte < 0x80) return value;
    }
    throw new MalformedPacket("a length has more than four bytes");
  }

  binary(): Uint8Array {
    return this.take(this.number(2));
  }

  string(): string {
    const bytes = this.binary();
    try {
      const found = text.decode(bytes);
      if (!found.includes("\u0000")) return found;
    } catch {
      // The same answer as for U+0000: neither may be sent (MQTT 5 1.5.4).
    }
    throw new MalformedPacket("a text is not UTF-8 that may be sent");
  }

  flag(name: string): boolean {
    const byte = this.number(1);
    if (byte > 1) throw new MalformedPacket(`${name} is ${byte}`, reason.protocolError);
    return byte === 1;
  }
}

function readValue(cursor: Cursor, { name, kind }: Definition): unknown {
  switch (kind) {
    case "flag":
      return cursor.flag(name);
    case "int16":
      return cursor.number(2);
    case "int32":
      return cursor.number(4);
    case "var":
      return cursor.varint();
    case "string":
      return cursor.string();
    case "binary":
      return cursor.binary().slice();
  }
}

/** One section, length included; the cursor stands behind it afterwards. */
function section(packet: Cursor, place: Place): Properties {
  const cursor = new Cursor(packet.take(packet.varint()));
  const found: Record<string, unknown> = {};
  const userProperties: UserProperty[] = [];
  while (!cursor.isAtEnd) {
    const id = cursor.varint();
    if (id === userProperty) {
      userProperties.push([cursor.string(), cursor.string()]);
      continue;
    }
    const definition = definitions.get(id);
    if (definition === undefined || !definition.places.includes(place)) {
      throw new MalformedPacket(`property ${id} does not belong here`);
    }
    const { name } = definition;
    if (name in found) throw new MalformedPacket(`${name} is given twice`, reason.protocolError);
    found[name] = readValue(cursor, definition);
  }
  // The table gives each name the kind that its type above says.
  return { ...found, userProperties } as Properties;
}

/** A section that may be left out together with the reason code before it. */
function optionalSection(cursor: Cursor, place: Place): Properties {
  if (cursor.isAtEnd) return noProperties;
  cursor.take(1);
  if (cursor.isAtEnd) return noProperties;
  const properties = section(cursor, place);
  if (!cursor.isAtEnd) throw new MalformedPacket("bytes follow the properties");
  return properties;
}

export interface PacketProperties {
  readonly own: Properties;
  readonly will: Properties;
}

export const withoutProperties: PacketProperties = Object.freeze({
  own: noProperties,
  will: noProperties,
});

const willFlag = 0x04;

function ofConnect(cursor: Cursor): PacketProperties {
  cursor.binary();
  cursor.take(1);
  const flags = cursor.number(1);
  cursor.take(2);
  const own = section(cursor, "connect");
  if ((flags & willFlag) === 0) return { own, will: noProperties };
  cursor.binary();
  return { own, will: section(cursor, "will") };
}

function ofPublish(cursor: Cursor, flags: number): Properties {
  cursor.binary();
  if ((flags & 0x06) !== 0) cursor.take(2);
  return section(cursor, "publish");
}

/** @param frame exactly one packet of an MQTT 5 client. @throws MalformedPacket */
export function readProperties(frame: Uint8Array): PacketProperties {
  const cursor = new Cursor(frame);
  const first = cursor.number(1);
  cursor.varint();
  const only = (own: Properties): PacketProperties => ({ own, will: noProperties });
  switch (first >> 4) {
    case 1:
      return ofConnect(cursor);
    case 3:
      return only(ofPublish(cursor, first));
    case 4:
      cursor.take(2);
      return only(optionalSection(cursor, "puback"));
    case 8:
      cursor.take(2);
      return only(section(cursor, "subscribe"));
    case 10:
      cursor.take(2);
      return only(section(cursor, "unsubscribe"));
    case 14:
      return only(optionalSection(cursor, "disconnect"));
    default:
      return withoutProperties;
  }
}

export interface ProtocolName {
  readonly name: string;
  readonly version: number;
}

/** What a CONNECT says it speaks. @throws MalformedPacket */
export function protocolOf(connect: Uint8Array): ProtocolName {
  const cursor = new Cursor(connect);
  cursor.take(1);
  cursor.varint();
  return { name: cursor.string(), version: cursor.number(1) };
}
