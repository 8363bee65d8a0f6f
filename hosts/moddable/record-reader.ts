// Cuts a TCP byte stream into TLS records (RFC 5246 6.2), with the length checked before room is made.
import type { SessionStream } from "ssl/session";
import { recordType } from "./handshake-guard.js";
import { TLSError } from "./tls-error.js";

export const headerBytes = 5;
const maxPlainBytes = 16_384;
/** Explicit nonce and tag of AES-GCM. */
export const sealBytes = 24;

export class RecordReader {
  readonly #header = new Uint8Array(headerBytes);
  #record: Uint8Array | undefined;
  #filled = 0;

  /**
   * @param isSealed       whether records are encrypted by now
   * @param fragmentBytes  bound on their content that the server has agreed to, if any
   * @returns              the next whole record, header included; undefined while it has not arrived
   * @throws               TLSError
   */
  next(stream: SessionStream, isSealed: boolean, fragmentBytes?: number): Uint8Array | undefined {
    if (this.#record === undefined) {
      if (!this.#fill(stream, this.#header)) return undefined;
      this.#record = new Uint8Array(headerBytes + this.#length(isSealed, fragmentBytes));
      this.#record.set(this.#header);
      this.#filled = headerBytes;
    }
    if (!this.#fill(stream, this.#record)) return undefined;
    const record = this.#record;
    this.#record = undefined;
    this.#filled = 0;
    return record;
  }

  #fill(stream: SessionStream, target: Uint8Array): boolean {
    const count = Math.min(target.length - this.#filled, stream.readable);
    if (count > 0) {
      stream.read(target.subarray(this.#filled, this.#filled + count));
      this.#filled += count;
    }
    return this.#filled === target.length;
  }

  #length(isSealed: boolean, fragmentBytes = maxPlainBytes): number {
    const [type, major, , high, low] = this.#header as unknown as [
      number,
      number,
      number,
      number,
      number,
    ];
    if (type < recordType.changeCipherSpec || type > recordType.applicationData || major !== 3) {
      throw new TLSError("protocolVersion", "server does not speak TLS");
    }
    const length = high * 256 + low;
    const seal = isSealed ? sealBytes : 0;
    if (length > fragmentBytes + seal) throw new TLSError("recordOverflow", `record of ${length}`);
    if (length <= seal && !(isSealed && length === seal)) {
      throw new TLSError("decodeError", `record of ${length}`);
    }
    return length;
  }
}
