// Bytes to packets and back: framing is ours, so that a length is judged before it is buffered;
// the inside of a packet is mqtt-packet's.

import { generate, type Packet, type Parser, parser } from "mqtt-packet";

/** The peer broke the protocol; the message says how. */
export class MalformedPacket extends Error {
  override readonly name = "MalformedPacket";
}

/** @returns total length once the header is complete. @throws MalformedPacket */
function frameLength(bytes: Uint8Array, limit: number): number | undefined {
  const type = (bytes[0] ?? 0) >> 4;
  if (bytes.length > 0 && (type === 0 || type === 15)) {
    throw new MalformedPacket(`packet type ${type} does not exist`);
  }
  let length = 0;
  for (let index = 1; index <= 4; index++) {
    const byte = bytes[index];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 128 ** (index - 1);
    if (byte >= 0x80) continue;
    const total = 1 + index + length;
    if (total > limit) throw new MalformedPacket(`packet of ${total} bytes, at most ${limit}`);
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

/** Packets that have no room for anything else in MQTT 3.1.1: whole length by packet type. */
const exactLengths: ReadonlyMap<number, number> = new Map([
  [4, 4],
  [12, 2],
  [14, 2],
]);

/** Decodes the packets of one connection. */
export class PacketDecoder {
  readonly #parser: Parser = parser();
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

  /** @param frame exactly one packet. @throws MalformedPacket */
  decode(frame: Uint8Array): Packet {
    const exact = exactLengths.get((frame[0] ?? 0) >> 4);
    if (exact !== undefined && frame.length !== exact) {
      throw new MalformedPacket(`packet has ${frame.length} bytes, expected ${exact}`);
    }
    this.#packet = undefined;
    this.#error = undefined;
    try {
      this.#parser.parse(Buffer.from(frame.buffer, frame.byteOffset, frame.length));
    } catch (cause) {
      throw new MalformedPacket("a field reaches past the end of its packet", { cause });
    }
    if (this.#error !== undefined) throw new MalformedPacket(this.#error);
    if (this.#packet === undefined) throw new MalformedPacket("a packet is cut short");
    return this.#packet;
  }
}

/** A packet in MQTT 3.1.1. */
export function encode(packet: Packet, protocolVersion: 4 | 5 = 4): Uint8Array {
  return generate(packet, { protocolVersion });
}

/** The packet identifier. @throws MalformedPacket when missing or 0 (MQTT 3.1.1 2.3.1) */
export function packetIdOf(packet: Packet): number {
  const id = packet.messageId;
  if (id === undefined || id < 1) throw new MalformedPacket(`${packet.cmd} without a packet id`);
  return id;
}
