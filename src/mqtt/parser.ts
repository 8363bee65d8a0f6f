// MQTT packets the broker sends, 3.1.1 and 5, from bytes in pieces of any size. Every length is checked before anything is kept;
// a payload is never collected here, only passed on.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { fromUtf8 } from "../util/bytes.js";
import { deepFreeze } from "../util/machine.js";
import { operation, type ProtocolVersion, type QoS } from "./packet.js";
import { type Properties, PropertyReader, parseProperties } from "./properties.js";
import { reasonOfReturnCode } from "./reasons.js";

/** A reason code is MQTT 5's, in both versions: 0 success, from 128 on a refusal. Properties are there in MQTT 5. */
export interface Connack {
  readonly operation: 2;
  readonly sessionPresent: boolean;
  readonly reasonCode: number;
  readonly properties?: Properties | undefined;
}

export interface Publish {
  readonly operation: 3;
  readonly topic: string;
  readonly QoS: QoS;
  /** 1 to 65535 when QoS is 1, else undefined. */
  readonly id: number | undefined;
  readonly duplicate: boolean;
  readonly retain: boolean;
  /** Payload bytes that follow as "payload" events. */
  readonly byteLength: number;
  readonly properties?: Properties | undefined;
}

export interface Acknowledgement {
  readonly operation: 4 | 9 | 11;
  readonly id: number;
  /** PUBACK only. */
  readonly reasonCode?: number;
  /** A reason code for each filter; PUBACK, and UNSUBACK in MQTT 3.1.1, have none. */
  readonly payload?: readonly number[];
  readonly properties?: Properties | undefined;
}

/** MQTT 5: the server says why it ends the connection. */
export interface Disconnect {
  readonly operation: 14;
  readonly reasonCode: number;
  readonly properties?: Properties | undefined;
}

export interface Pingresp {
  readonly operation: 13;
}

export type Packet = Connack | Publish | Acknowledgement | Disconnect | Pingresp;

/** Bytes of the payload of the PUBLISH seen last; `remaining` are still to come. */
export interface Payload {
  readonly operation: 0;
  readonly bytes: Uint8Array;
  readonly remaining: number;
}

type Bound = readonly [type: number, least: number, most: number];

/** Type, and the smallest and largest body, of each packet a server may send; PUBLISH apart. */
const boundsOf4: readonly Bound[] = deepFreeze([
  [operation.CONNACK, 2, 2],
  [operation.PUBACK, 2, 2],
  [operation.SUBACK, 3, 2 + limits.subscribeFilters],
  [operation.UNSUBACK, 2, 2],
  [operation.PINGRESP, 0, 0],
]);

const boundsOf5: readonly Bound[] = deepFreeze([
  // Two bytes: the answer of a server that does not know the version.
  [operation.CONNACK, 2, limits.controlBytes],
  [operation.PUBACK, 2, limits.controlBytes],
  [operation.SUBACK, 4, limits.controlBytes],
  [operation.UNSUBACK, 4, limits.controlBytes],
  [operation.PINGRESP, 0, 0],
  [operation.DISCONNECT, 0, limits.controlBytes],
]);

type State =
  | "type"
  | "length"
  | "body"
  | "topicLength"
  | "topic"
  | "propertyLength"
  | "properties"
  | "payload";

const nothing = new Uint8Array(0);

export class PacketParser {
  readonly #version: ProtocolVersion;
  /** Topics by the alias the server gave them, for this connection. */
  #aliases: Map<number, string> | undefined;
  #properties: PropertyReader | undefined;
  #chunk: Uint8Array = nothing;
  #at = 0;
  #state: State = "type";
  #first = 0;
  #remaining = 0;
  #lengthBytes = 0;
  #propertyBytes = 0;
  /** Grows to what the packet at hand needs, within the bounds above and `limits.topicBytes`. */
  #body = nothing;
  #have = 0;
  #need = 0;

  constructor(version: ProtocolVersion = 4) {
    this.#version = version;
  }

  /** Takes the next piece; the one before must have been used up (`next` returned undefined). */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /**
   * @returns the next packet or piece of payload, or undefined when more bytes are needed
   * @throws  AgentError "mqtt/packet" or "codec/utf8": the stream is unusable from then on
   */
  next(): Packet | Payload | undefined {
    for (;;) {
      if (this.#state === "payload") return this.payload();
      if (this.#at >= this.#chunk.length) {
        // Let go of what is used up: a link idles with the last piece otherwise.
        this.#chunk = nothing;
        this.#at = 0;
        return undefined;
      }
      const result = this.byte(this.#chunk[this.#at++]!);
      if (result) return result;
    }
  }

  private payload(): Payload | undefined {
    const available = Math.min(this.#remaining, this.#chunk.length - this.#at);
    if (available === 0 && this.#remaining > 0) return undefined;
    const bytes = this.#chunk.subarray(this.#at, this.#at + available);
    this.#at += available;
    this.#remaining -= available;
    if (this.#remaining === 0) this.#state = "type";
    return { operation: 0, bytes, remaining: this.#remaining };
  }

  private byte(byte: number): Packet | undefined {
    switch (this.#state) {
      case "type":
        this.#first = byte;
        this.#remaining = 0;
        this.#lengthBytes = 0;
        this.#state = "length";
        return undefined;
      case "length":
        return this.length(byte);
      case "propertyLength":
        this.#remaining--;
        return this.propertyLength(byte);
      case "properties":
        this.#remaining--;
        this.#properties!.push(byte);
        return this.#properties!.isDone ? this.publish() : undefined;
      default:
        this.#body[this.#have++] = byte;
        this.#remaining--;
        return this.#have === this.#need ? this.filled() : undefined;
    }
  }

  private length(byte: number): Packet | undefined {
    this.#remaining += (byte & 0x7f) * 128 ** this.#lengthBytes++;
    if (byte & 0x80) {
      if (this.#lengthBytes === 4) fail("remaining length of more than 4 bytes");
      return undefined;
    }
    if (byte === 0 && this.#lengthBytes > 1) fail("remaining length is not in its shortest form");
    if (this.#first >> 4 === operation.PUBLISH) return this.startPublish();
    return this.startControl();
  }

  private expect(length: number): void {
    this.#body = length > 0 ? new Uint8Array(length) : nothing;
    this.#have = 0;
    this.#need = length;
  }

  private startControl(): Packet | undefined {
    const type = this.#first >> 4;
    const bounds = this.#version === 5 ? boundsOf5 : boundsOf4;
    const bound = bounds.find(row => row[0] === type);
    if (!bound) return fail(`packet type ${type} from a server`);
    if ((this.#first & 15) !== 0) fail(`flags ${this.#first & 15} in packet type ${type}`);
    if (this.#remaining < bound[1] || this.#remaining > bound[2]) {
      fail(
        `packet type ${type} of ${this.#remaining} bytes, ${bound[1]} to ${bound[2]} are possible`,
      );
    }
    this.expect(this.#remaining);
    this.#state = "body";
    return this.#need === 0 ? this.filled() : undefined;
  }

  private startPublish(): undefined {
    const qos = (this.#first >> 1) & 3;
    if (qos > 1) fail(`PUBLISH with QoS ${qos}, at most 1 was asked for`);
    if (qos === 0 && this.#first & 8) fail("PUBLISH with QoS 0 and DUP");
    if (this.#remaining < 3 + 2 * qos) fail(`PUBLISH of ${this.#remaining} bytes`);
    this.expect(2);
    this.#state = "topicLength";
    return undefined;
  }

  private filled(): Packet | undefined {
    if (this.#state === "topicLength") return this.startTopic();
    if (this.#state === "topic") {
      if (this.#version === 4) return this.publish();
      this.#state = "propertyLength";
      this.#lengthBytes = 0;
      this.#propertyBytes = 0;
      return undefined;
    }
    this.#state = "type";
    return this.control();
  }

  private startTopic(): undefined {
    const length = (this.#body[0]! << 8) | this.#body[1]!;
    if (length === 0 && this.#version === 4) fail("PUBLISH with an empty topic");
    if (length > limits.topicBytes)
      fail(`topic of ${length} bytes, at most ${limits.topicBytes} are read`);
    const idBytes = this.#first & 6 ? 2 : 0;
    const least = length + idBytes + (this.#version === 5 ? 1 : 0);
    if (least > this.#remaining)
      fail(`topic of ${length} bytes in a packet with ${this.#remaining} left`);
    this.expect(length + idBytes);
    this.#state = "topic";
    return this.#need === 0 ? (this.filled() as undefined) : undefined;
  }

  private propertyLength(byte: number): Packet | undefined {
    this.#propertyBytes += (byte & 0x7f) * 128 ** this.#lengthBytes++;
    if (byte & 0x80) {
      if (this.#lengthBytes === 4) fail("property length of more than 4 bytes");
      if (this.#remaining === 0) fail("property length is cut off");
      return undefined;
    }
    if (byte === 0 && this.#lengthBytes > 1) fail("property length is not in its shortest form");
    if (this.#propertyBytes > this.#remaining)
      fail(`properties of ${this.#propertyBytes} bytes in a packet with ${this.#remaining} left`);
    this.#properties = new PropertyReader(operation.PUBLISH, this.#propertyBytes);
    this.#state = "properties";
    return this.#properties.isDone ? this.publish() : undefined;
  }

  private publish(): Publish {
    const qos = this.#first & 6 ? 1 : 0;
    const topicBytes = this.#need - 2 * qos;
    const properties = this.#properties?.values;
    const topic = this.topic(fromUtf8(this.#body, 0, topicBytes), properties?.topicAlias);
    const id = qos ? this.id(topicBytes) : undefined;
    this.#state = "payload";
    this.#body = nothing;
    this.#properties = undefined;
    return {
      operation: operation.PUBLISH as 3,
      topic,
      QoS: qos,
      id,
      duplicate: (this.#first & 8) !== 0,
      retain: (this.#first & 1) !== 0,
      byteLength: this.#remaining,
      properties,
    };
  }

  /** @see MQTT 5 section 3.3.2.3.4 */
  private topic(topic: string, alias: number | undefined): string {
    if (/[+#\0]/.test(topic)) fail("PUBLISH to a topic with a wildcard or NUL");
    if (alias === undefined) return topic === "" ? fail("PUBLISH with an empty topic") : topic;
    if (alias > limits.topicAliases) fail(`topic alias ${alias}, at most ${limits.topicAliases}`);
    this.#aliases ??= new Map();
    if (topic !== "") this.#aliases.set(alias, topic);
    return this.#aliases.get(alias) ?? fail(`topic alias ${alias} stands for no topic`);
  }

  private control(): Packet {
    const type = this.#first >> 4;
    if (type === operation.PINGRESP) return { operation: 13 };
    const body = this.#body.subarray(0, this.#have);
    if (type === operation.CONNACK) return this.connack(body);
    if (type === operation.DISCONNECT) {
      return { operation: 14, reasonCode: body[0] ?? 0, ...this.rest(type, body, 1) };
    }
    const id = this.id(0);
    if (type === operation.PUBACK) {
      return { operation: 4, id, reasonCode: body[2] ?? 0, ...this.rest(type, body, 3) };
    }
    if (this.#version === 4 && type === operation.UNSUBACK) return { operation: 11, id };
    return this.granted(type as 9 | 11, id, body);
  }

  private connack(body: Uint8Array): Connack {
    const [flags, code] = body as unknown as [number, number];
    if (flags > 1) fail(`CONNACK flags ${flags}`);
    const sessionPresent = flags === 1;
    if (body.length > 2) {
      return {
        operation: 2,
        sessionPresent,
        reasonCode: code,
        ...this.rest(operation.CONNACK, body, 2),
      };
    }
    if (code > 5) fail(`CONNACK return code ${code}`);
    if (this.#version === 5 && code === 0) fail("CONNACK of MQTT 3.1.1");
    return { operation: 2, sessionPresent, reasonCode: reasonOfReturnCode(code) };
  }

  private granted(operation: 9 | 11, id: number, body: Uint8Array): Acknowledgement {
    const is5 = this.#version === 5;
    const { properties, end } = is5
      ? parseProperties(operation, body, 2)
      : { properties: undefined, end: 2 };
    const payload = Array.from(body.subarray(end));
    if (payload.length === 0 || payload.length > limits.subscribeFilters) {
      fail(`packet type ${operation} with ${payload.length} reason codes`);
    }
    for (const code of payload) {
      const isOne = is5 ? code >= 0x80 || code <= 1 || code === 0x11 : code <= 1 || code === 0x80;
      if (!isOne) fail(`packet type ${operation} with reason code ${code}`);
    }
    return { operation, id, payload, properties };
  }

  /** Properties that end a packet, and may be left out with all that would follow. */
  private rest(type: number, body: Uint8Array, from: number): { readonly properties?: Properties } {
    if (body.length <= from) return {};
    const { properties, end } = parseProperties(type, body, from);
    if (end !== body.length) fail(`packet type ${type} with ${body.length - end} bytes too many`);
    return { properties };
  }

  private id(at: number): number {
    const id = (this.#body[at]! << 8) | this.#body[at + 1]!;
    if (id === 0) fail("packet identifier 0");
    return id;
  }
}

function fail(reason: string): never {
  throw new AgentError("mqtt/packet", `MQTT: ${reason}`);
}
