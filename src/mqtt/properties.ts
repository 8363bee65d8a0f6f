// MQTT 5 properties (section 2.2.2.2): one table says what each identifier holds and in which packets it may stand.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { concat, fromUtf8, toUtf8 } from "../util/bytes.js";
import { deepFreeze } from "../util/machine.js";

/** Names of the standard in camel case; times in seconds, sizes in bytes. */
export interface Properties {
  readonly payloadFormatIndicator?: number;
  readonly messageExpiryInterval?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  readonly sessionExpiryInterval?: number;
  readonly assignedClientIdentifier?: string;
  readonly serverKeepAlive?: number;
  readonly reasonString?: string;
  readonly receiveMaximum?: number;
  readonly topicAliasMaximum?: number;
  readonly topicAlias?: number;
  readonly maximumQoS?: number;
  readonly maximumPacketSize?: number;
  /** Names may come more than once. */
  readonly userProperties?: readonly (readonly [name: string, value: string])[];
}

type Kind = "flag" | "uint16" | "uint32" | "string" | "binary" | "pair";
type Row = readonly [id: number, name: string, kind: Kind, packets: readonly number[]];

const connect = 1;
const connack = 2;
const publish = 3;
const disconnect = 14;

/** What is not here was not asked for, and so may not come. */
const rows: readonly Row[] = deepFreeze([
  [1, "payloadFormatIndicator", "flag", [publish]],
  [2, "messageExpiryInterval", "uint32", [publish]],
  [3, "contentType", "string", [publish]],
  [8, "responseTopic", "string", [publish]],
  [9, "correlationData", "binary", [publish]],
  [17, "sessionExpiryInterval", "uint32", [connect, connack, disconnect]],
  [18, "assignedClientIdentifier", "string", [connack]],
  [19, "serverKeepAlive", "uint16", [connack]],
  [26, "responseInformation", "string", [connack]],
  [28, "serverReference", "string", [connack, disconnect]],
  [31, "reasonString", "string", [connack, 4, 9, 11, disconnect]],
  [33, "receiveMaximum", "uint16", [connect, connack]],
  [34, "topicAliasMaximum", "uint16", [connect, connack]],
  [35, "topicAlias", "uint16", [publish]],
  [36, "maximumQoS", "flag", [connack]],
  [37, "retainAvailable", "flag", [connack]],
  [38, "userProperties", "pair", [connect, connack, publish, 4, 9, 11, disconnect]],
  [39, "maximumPacketSize", "uint32", [connect, connack]],
  [40, "wildcardSubscriptionAvailable", "flag", [connack]],
  [41, "subscriptionIdentifiersAvailable", "flag", [connack]],
  [42, "sharedSubscriptionAvailable", "flag", [connack]],
]);

/** Where 0 says nothing that could be meant. */
const neverZero = Object.freeze(["receiveMaximum", "topicAlias", "maximumPacketSize"]);

export function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 255);
}

/** Bytes after their length in two octets. */
export function prefixed(bytes: Uint8Array): Uint8Array {
  if (bytes.length > 0xffff)
    throw new AgentError("mqtt/limit", `field of ${bytes.length} bytes, at most 65535`);
  return concat([uint16(bytes.length), bytes]);
}

/** A Variable Byte Integer, 1 to 4 bytes (MQTT 3.1.1 section 2.2.3). */
export function variable(value: number): Uint8Array {
  if (value > 268_435_455)
    throw new AgentError("mqtt/limit", `packet of ${value} bytes, at most 268435455`);
  const bytes: number[] = [];
  do {
    const digit = value % 128;
    value = Math.floor(value / 128);
    bytes.push(value > 0 ? digit | 0x80 : digit);
  } while (value > 0);
  return Uint8Array.from(bytes);
}

/** The properties with their length before them. */
export function encodeProperties(properties: Properties = {}): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [id, name, kind] of rows) {
    const value = properties[name as keyof Properties];
    if (value === undefined) continue;
    for (const each of kind === "pair" ? (value as readonly unknown[]) : [value]) {
      parts.push(Uint8Array.of(id), encodeValue(kind, each));
    }
  }
  const body = concat(parts);
  return concat([variable(body.length), body]);
}

function encodeValue(kind: Kind, value: unknown): Uint8Array {
  switch (kind) {
    case "flag":
      return Uint8Array.of(value as number);
    case "uint16":
      return uint16(value as number);
    case "uint32":
      return concat([uint16((value as number) >>> 16), uint16((value as number) & 0xffff)]);
    case "string":
      return prefixed(toUtf8(value as string));
    case "binary":
      return prefixed(value as Uint8Array);
    case "pair":
      return concat((value as readonly string[]).map(each => prefixed(toUtf8(each))));
  }
}

const lengthBytes = 2;

/** Reads the properties of one packet byte by byte; texts beyond `limits.propertyBytes` altogether are passed over. */
export class PropertyReader {
  readonly #type: number;
  readonly #values: Record<string, unknown> = {};
  #left: number;
  #kept = 0;
  #row: Row | undefined;
  #isLength = false;
  /** The field at hand; undefined when it is passed over. */
  #field: Uint8Array | undefined;
  #have = 0;
  #need = 0;
  #pairName: string | undefined;

  /** @param byteLength of all properties, without their length */
  constructor(type: number, byteLength: number) {
    this.#type = type;
    this.#left = byteLength;
  }

  get isDone(): boolean {
    return this.#left === 0;
  }

  get values(): Properties {
    return this.#values;
  }

  /** @throws AgentError "mqtt/packet" or "codec/utf8" */
  push(byte: number): void {
    this.#left--;
    if (this.#row === undefined) this.start(byte);
    else {
      if (this.#field) this.#field[this.#have] = byte;
      if (++this.#have === this.#need) this.filled();
    }
    if (this.#left === 0 && this.#row !== undefined) fail(`property ${this.#row[1]} is cut off`);
  }

  private start(id: number): void {
    const row = rows.find(each => each[0] === id);
    if (!row?.[3].includes(this.#type)) return fail(`property ${id} in packet type ${this.#type}`);
    if (row[2] !== "pair" && this.#values[row[1]] !== undefined) fail(`property ${row[1]} twice`);
    this.#row = row;
    this.#pairName = undefined;
    if (row[2] === "flag") this.expect(1);
    else if (row[2] === "uint32") this.expect(4);
    else if (row[2] === "uint16") this.expect(2);
    else this.expectLength();
  }

  private expectLength(): void {
    this.#isLength = true;
    this.expect(lengthBytes);
  }

  private expect(length: number): void {
    if (length > this.#left)
      fail(`property ${this.#row![1]} of ${length} bytes, ${this.#left} left`);
    this.#kept += length;
    this.#field =
      this.#isLength || length <= 4 || this.#kept <= limits.propertyBytes
        ? new Uint8Array(length)
        : undefined;
    this.#have = 0;
    this.#need = length;
  }

  private filled(): void {
    const field = this.#field;
    const [, name, kind] = this.#row!;
    if (this.#isLength) {
      this.#isLength = false;
      this.expect(numberOf(field!));
      if (this.#need === 0) this.filled();
      return;
    }
    if (kind === "pair") return this.pair(field === undefined ? "" : fromUtf8(field));
    if (field !== undefined) this.#values[name] = this.value(name, kind, field);
    this.#row = undefined;
  }

  private value(name: string, kind: Kind, field: Uint8Array): unknown {
    if (kind === "string") return fromUtf8(field);
    if (kind === "binary") return field;
    const value = numberOf(field);
    if ((kind === "flag" && value > 1) || (value === 0 && neverZero.includes(name))) {
      fail(`property ${name} is ${value}`);
    }
    return value;
  }

  private pair(text: string): void {
    if (this.#pairName === undefined) {
      this.#pairName = text;
      this.expectLength();
      return;
    }
    this.#row = undefined;
    if (this.#kept > limits.propertyBytes) return;
    this.#values.userProperties ??= [];
    (this.#values.userProperties as unknown[]).push([this.#pairName, text]);
  }
}

/** Reads all properties of a packet that is in memory. @returns them, and where they end */
export function parseProperties(
  type: number,
  bytes: Uint8Array,
  from: number,
): { readonly properties: Properties; readonly end: number } {
  let length = 0;
  let at = from;
  for (;;) {
    const byte = bytes[at];
    if (byte === undefined || at - from === 4)
      return fail(`property length in packet type ${type}`);
    length += (byte & 0x7f) * 128 ** (at++ - from);
    if (byte === 0 && at - from > 1) return fail("property length is not in its shortest form");
    if (byte < 0x80) break;
  }
  if (length > bytes.length - at) fail(`properties of ${length} bytes, ${bytes.length - at} left`);
  const reader = new PropertyReader(type, length);
  for (let i = 0; i < length; i++) reader.push(bytes[at + i]!);
  return { properties: reader.values, end: at + length };
}

function numberOf(bytes: Uint8Array): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

function fail(reason: string): never {
  throw new AgentError("mqtt/packet", `MQTT: ${reason}`);
}
