// Netstrings, `length:bytes,`: how the XS worker and we talk over two pipes.

const maximumBytes = 64 * 1024 * 1024;

export function encodeNetstring(parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.from(`${length}:`), ...parts, Buffer.from(",")]);
}

/** Cuts a byte stream into messages, whatever pieces it arrives in. */
export class NetstringReader {
  #pending: Buffer = Buffer.alloc(0);

  /** @returns the messages completed by `chunk`. @throws when the stream is not netstrings: it cannot be followed any further. */
  push(chunk: Buffer): Buffer[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const messages: Buffer[] = [];
    for (let message = this.#take(); message !== undefined; message = this.#take()) {
      messages.push(message);
    }
    return messages;
  }

  #take(): Buffer | undefined {
    const colon = this.#pending.indexOf(0x3a);
    if (colon < 0 && this.#pending.length <= 9) return undefined;
    const digits = this.#pending.toString("latin1", 0, Math.max(colon, 0));
    const length = /^[0-9]{1,9}$/.test(digits) ? Number(digits) : Number.NaN;
    if (!(length <= maximumBytes)) throw new Error(`XS worker: no netstring length in "${digits}"`);
    const end = colon + 1 + length;
    if (this.#pending.length <= end) return undefined;
    if (this.#pending[end] !== 0x2c) throw new Error(`XS worker: no comma after ${length} bytes`);
    const message = this.#pending.subarray(colon + 1, end);
    this.#pending = this.#pending.subarray(end + 1);
    return message;
  }
}
