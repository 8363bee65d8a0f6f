// Bytes to packets and back: framing is ours, so that a length is judged before it is buffered;
// the inside of a packet is mqtt-packet's.

import { generate, type Packet, type Parser, parser } from "mqtt-packet";
import {
  type PacketProperties,
  protocolOf,
  readProperties,
  withoutProperties,
} from "./properties.js";
import { ConnectRefused, MalformedPacket, reason } from "./reasons.js";

export type ProtocolVersion = 4 | 5;

/** @returns total length once the header is complete. @throws MalformedPacket */
function frameLength(bytes: Uint8Array, limit: number): number | undefined {
  const type = (bytes[0] ?? 0) >> 4;
  if (bytes.length > 0 && type === 0) throw new MalformedPacket("packet type 0 does not exist");
  let length = 0;
  for (let index = 1; index <= 4; index++) {
    const byte = bytes[index];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 128 ** (index - 1);
    if (byte >= 0x80) continue;
    const total = 1 + index + length;
    if (total > limit) {
      // Assumed: the guide's list for DISCONNECT lacks 0x95, the standard's has it.
      const detail = `packet of ${total} bytes, at most ${limit}`;
      throw new MalformedPacket(detail, reason.packetTooLarge);
    }
    return total;
  }
  throw new MalformedPacket("remaining length has more than four bytes");
}

/** Cuts a byte stream into packets; holds at most one unfinished packet. */
export class FrameReader {
  readonly #limit: number;
  #partial = new Uint8Array(0);
  #filled = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @throws MalformedPacket from the header, and whatever `onFrame` throws */
  push(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#filled > 0) {
        rest = this.#complete(rest, onFrame);
        continue;
      }
      const total = frameLength(rest, this.#limit);
      if (total === undefined || total > rest.length) {
        this.#partial = new Uint8Array(total ?? 5);
        this.#partial.set(rest);
        this.#filled = rest.length;
        return;
      }
      onFrame(rest.subarray(0, total));
      rest = rest.subarray(total);
    }
  }

  /** Adds to the unfinished packet what belongs to it. @returns the bytes that do not */
  #complete(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): Uint8Array {
    const total = frameLength(this.#partial.subarray(0, this.#filled), this.#limit);
    if (total === undefined) {
      this.#partial[this.#filled++] = chunk[0] ?? 0;
      return this.#finish(onFrame, chunk.subarray(1));
    }
    if (this.#partial.length < total) this.#grow(total);
    const taken = Math.min(chunk.length, total - this.#filled);
    this.#partial.set(chunk.subarray(0, taken), this.#filled);
    this.#filled += taken;
    return this.#finish(onFrame, chunk.subarray(taken));
  }

  #finish(onFrame: (frame: Uint8Array) => void, rest: Uint8Array): Uint8Array {
    const total = frameLength(this.#partial.subarray(0, this.#filled), this.#limit);
    if (total !== undefined && total === this.#filled) {
      const frame = this.#partial.subarray(0, total);
      this.#filled = 0;
      this.#partial = new Uint8Array(0);
      onFrame(frame);
    }
    return rest;
  }

  #grow(total: number): void {
    const grown = new Uint8Array(total);
    grown.set(this.#partial.subarray(0, this.#filled));
    this.#partial = grown;
  }
}

const pingreq = 12;
/** Packets that have no room for anything else in MQTT 3.1.1: whole length by packet type. */
const exactLengths: ReadonlyMap<number, number> = new Map([
  [4, 4],
  [pingreq, 2],
  [14, 2],
]);

/** Packet types that AWS takes from a client; PUBREC, PUBREL, PUBCOMP and AUTH are not among them ("mqtt"). */
const fromClients: ReadonlySet<number> = new Set([1, 3, 4, 8, 10, 12, 14]);

export interface Decoded extends PacketProperties {
  readonly packet: Packet;
}

/** Decodes the packets of one connection, in the version of its CONNECT. */
export class PacketDecoder {
  readonly #parser: Parser = parser();
  #version: ProtocolVersion | undefined;
  #packet: Packet | undefined;
  #error: string | undefined;

  constructor() {
    this.#parser.on("packet", packet => {
      this.#packet = packet;
    });
    this.#parser.on("error", (error: unknown) => {
      this.#error = error instanceof Error ? error.message : "unreadable packet";
    });
  }

  /** Undefined before the first CONNECT could be read. */
  get version(): ProtocolVersion | undefined {
    return this.#version;
  }

  /** @param frame exactly one packet. @throws MalformedPacket, ConnectRefused when its version is not spoken here */
  decode(frame: Uint8Array): Decoded {
    const type = (frame[0] ?? 0) >> 4;
    const version = this.#version ?? openingVersion(type, frame);
    if (!fromClients.has(type) || (type === 1 && this.#version !== undefined)) {
      const what = type === 1 ? "a second CONNECT" : `packet type ${type}`;
      throw new MalformedPacket(`${what} is not for a client to send`, reason.protocolError);
    }
    if (version === 4 || type === pingreq) checkLength(type, frame);
    const properties = version === 5 ? readProperties(frame) : withoutProperties;
    const packet = this.#parse(frame);
    this.#version = version;
    return { packet, ...properties };
  }

  #parse(frame: Uint8Array): Packet {
    this.#packet = undefined;
    this.#error = undefined;
    try {
      this.#parser.parse(Buffer.from(frame.buffer, frame.byteOffset, frame.length));
    } catch (cause) {
      const detail = "a field reaches past the end of its packet";
      throw new MalformedPacket(detail, reason.malformed, { cause });
    }
    if (this.#error !== undefined) throw new MalformedPacket(this.#error);
    if (this.#packet === undefined) throw new MalformedPacket("a packet is cut short");
    return this.#packet;
  }
}

/** The version of the first packet, which is a CONNECT. @throws MalformedPacket, ConnectRefused */
function openingVersion(type: number, frame: Uint8Array): ProtocolVersion {
  if (type !== 1) throw new MalformedPacket(`packet type ${type} before CONNECT`);
  const { name, version } = protocolOf(frame);
  if (name === "MQTT" && (version === 4 || version === 5)) return version;
  const detail = `${name.slice(0, 8)} version ${version}`;
  if (name !== "MQTT" && name !== "MQIsdp") throw new MalformedPacket(`protocol ${detail}`);
  throw new UnsupportedVersion(version, detail);
}

/** Carries the version in whose words the refusal is put. */
export class UnsupportedVersion extends ConnectRefused {
  readonly answerIn: ProtocolVersion;

  constructor(version: number, detail: string) {
    super("UNACCEPTABLE_PROTOCOL_VERSION", reason.unsupportedVersion, detail);
    this.answerIn = version > 5 ? 5 : 4;
  }
}

function checkLength(type: number, frame: Uint8Array): void {
  const exact = exactLengths.get(type);
  if (exact === undefined || frame.length === exact) return;
  throw new MalformedPacket(`packet has ${frame.length} bytes, expected ${exact}`);
}

export function encode(packet: Packet, protocolVersion: ProtocolVersion): Uint8Array {
  return generate(packet, { protocolVersion });
}

/** The packet identifier. @throws MalformedPacket when missing or 0 (MQTT 3.1.1 2.3.1) */
export function packetIdOf(packet: Packet): number {
  const id = packet.messageId;
  if (id === undefined || id < 1) throw new MalformedPacket(`${packet.cmd} without a packet id`);
  return id;
}
