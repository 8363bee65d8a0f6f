// MQTT 3.1.1 packets the broker sends, from bytes in pieces of any size. Every length is checked before anything is kept;
// a payload is never collected here, only passed on.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { fromUtf8 } from "../util/bytes.js";
import { operation, type QoS } from "./packet.js";

export interface Connack {
  readonly operation: 2;
  readonly sessionPresent: boolean;
  /** 0 accepted, 1 to 5 refused (section 3.2.2.3). */
  readonly returnCode: number;
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
}

export interface Acknowledgement {
  readonly operation: 4 | 9 | 11;
  readonly id: number;
  /** SUBACK only: a return code for each filter. */
  readonly payload?: readonly number[];
}

export interface Pingresp {
  readonly operation: 13;
}

export type Packet = Connack | Publish | Acknowledgement | Pingresp;

/** Bytes of the payload of the PUBLISH seen last; `remaining` are still to come. */
export interface Payload {
  readonly operation: 0;
  readonly bytes: Uint8Array;
  readonly remaining: number;
}

/** Type, allowed flags, and the smallest and largest body of each packet a server may send; PUBLISH apart. */
const bounds: readonly (readonly [type: number, least: number, most: number])[] = Object.freeze([
  Object.freeze([operation.CONNACK, 2, 2] as const),
  Object.freeze([operation.PUBACK, 2, 2] as const),
  Object.freeze([operation.SUBACK, 3, 2 + limits.subscribeFilters] as const),
  Object.freeze([operation.UNSUBACK, 2, 2] as const),
  Object.freeze([operation.PINGRESP, 0, 0] as const),
]);

type State = "type" | "length" | "body" | "topicLength" | "topic" | "payload";

const nothing = new Uint8Array(0);

export class PacketParser {
  #chunk: Uint8Array = nothing;
  #at = 0;
  #state: State = "type";
  #first = 0;
  #remaining = 0;
  #lengthBytes = 0;
  /** Grows to what the packet at hand needs, within the bounds above and `limits.topicBytes`. */
  #body = nothing;
  #have = 0;
  #need = 0;

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
      if (this.#state === "payload") return this.#payload();
      if (this.#at >= this.#chunk.length) {
        // Let go of what is used up: a link idles with the last piece otherwise.
        this.#chunk = nothing;
        this.#at = 0;
        return undefined;
      }
      const result = this.#byte(this.#chunk[this.#at++]!);
      if (result) return result;
    }
  }

  #payload(): Payload | undefined {
    const available = Math.min(this.#remaining, this.#chunk.length - this.#at);
    if (available === 0 && this.#remaining > 0) return undefined;
    const bytes = this.#chunk.subarray(this.#at, this.#at + available);
    this.#at += available;
    this.#remaining -= available;
    if (this.#remaining === 0) this.#state = "type";
    return { operation: 0, bytes, remaining: this.#remaining };
  }

  #byte(byte: number): Packet | undefined {
    switch (this.#state) {
      case "type":
        this.#first = byte;
        this.#remaining = 0;
        this.#lengthBytes = 0;
        this.#state = "length";
        return undefined;
      case "length":
        return this.#length(byte);
      default:
        this.#body[this.#have++] = byte;
        this.#remaining--;
        return this.#have === this.#need ? this.#filled() : undefined;
    }
  }

  #length(byte: number): Packet | undefined {
    this.#remaining += (byte & 0x7f) * 128 ** this.#lengthBytes++;
    if (byte & 0x80) {
      if (this.#lengthBytes === 4) fail("remaining length of more than 4 bytes");
      return undefined;
    }
    if (byte === 0 && this.#lengthBytes > 1) fail("remaining length is not in its shortest form");
    if (this.#first >> 4 === operation.PUBLISH) return this.#startPublish();
    return this.#startControl();
  }

  #expect(length: number): void {
    this.#body = length > 0 ? new Uint8Array(length) : nothing;
    this.#have = 0;
    this.#need = length;
  }

  #startControl(): Packet | undefined {
    const type = this.#first >> 4;
    const bound = bounds.find(row => row[0] === type);
    if (!bound) return fail(`packet type ${type} from a server`);
    if ((this.#first & 15) !== 0) fail(`flags ${this.#first & 15} in packet type ${type}`);
    if (this.#remaining < bound[1] || this.#remaining > bound[2]) {
      fail(
        `packet type ${type} of ${this.#remaining} bytes, ${bound[1]} to ${bound[2]} are possible`,
      );
    }
    this.#expect(this.#remaining);
    this.#state = "body";
    return this.#need === 0 ? this.#filled() : undefined;
  }

  #startPublish(): undefined {
    const qos = (this.#first >> 1) & 3;
    if (qos > 1) fail(`PUBLISH with QoS ${qos}, at most 1 was asked for`);
    if (qos === 0 && this.#first & 8) fail("PUBLISH with QoS 0 and DUP");
    if (this.#remaining < 3 + 2 * qos) fail(`PUBLISH of ${this.#remaining} bytes`);
    this.#expect(2);
    this.#state = "topicLength";
    return undefined;
  }

  #filled(): Packet | undefined {
    if (this.#state === "topicLength") return this.#startTopic();
    if (this.#state === "topic") return this.#publish();
    this.#state = "type";
    return this.#control();
  }

  #startTopic(): undefined {
    const length = (this.#body[0]! << 8) | this.#body[1]!;
    if (length === 0) fail("PUBLISH with an empty topic");
    if (length > limits.topicBytes)
      fail(`topic of ${length} bytes, at most ${limits.topicBytes} are read`);
    const idBytes = this.#first & 6 ? 2 : 0;
    if (length + idBytes > this.#remaining)
      fail(`topic of ${length} bytes in a packet with ${this.#remaining} left`);
    this.#expect(length + idBytes);
    this.#state = "topic";
    return undefined;
  }

  #publish(): Publish {
    const qos = this.#first & 6 ? 1 : 0;
    const topicBytes = this.#need - 2 * qos;
    const topic = fromUtf8(this.#body, 0, topicBytes);
    if (/[+#\0]/.test(topic)) fail("PUBLISH to a topic with a wildcard or NUL");
    const id = qos ? this.#id(topicBytes) : undefined;
    this.#state = "payload";
    this.#body = nothing;
    return {
      operation: operation.PUBLISH as 3,
      topic,
      QoS: qos,
      id,
      duplicate: (this.#first & 8) !== 0,
      retain: (this.#first & 1) !== 0,
      byteLength: this.#remaining,
    };
  }

  #control(): Packet {
    const type = this.#first >> 4;
    if (type === operation.PINGRESP) return { operation: 13 };
    if (type === operation.CONNACK) {
      const flags = this.#body[0]!;
      const returnCode = this.#body[1]!;
      if (flags > 1) fail(`CONNACK flags ${flags}`);
      if (returnCode > 5) fail(`CONNACK return code ${returnCode}`);
      return { operation: 2, sessionPresent: flags === 1, returnCode };
    }
    const id = this.#id(0);
    if (type !== operation.SUBACK) return { operation: type as 4 | 11, id };
    const payload = Array.from(this.#body.subarray(2, this.#have));
    for (const code of payload) if (code > 1 && code !== 0x80) fail(`SUBACK return code ${code}`);
    return { operation: 9, id, payload };
  }

  #id(at: number): number {
    const id = (this.#body[at]! << 8) | this.#body[at + 1]!;
    if (id === 0) fail("packet identifier 0");
    return id;
  }
}

function fail(reason: string): never {
  throw new AgentError("mqtt/packet", `MQTT: ${reason}`);
}
