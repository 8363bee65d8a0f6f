// Reading Distinguished Encoding Rules (X.690): one-byte tags, definite shortest lengths, nothing left over.
import { AgentError } from "../../src/errors.js";

/** One element; both views share the bytes given to the reader. */
export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag and length included: what a signature covers. */
  readonly encoded: Uint8Array;
}

/** Elements that stand next to each other. @throws AgentError "trust/der" from every method that meets anything else than DER. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #where: string;
  #at = 0;

  /** @param where named in errors, for example "certificate: validity" */
  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#where = where;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The next element, which has to have the tag when one is given. */
  next(tag?: number): Element {
    const start = this.#at;
    const found = this.#octet();
    if ((found & 0x1f) === 0x1f || (tag !== undefined && found !== tag)) {
      throw this.#error(`tag 0x${found.toString(16)} at ${start}`);
    }
    const length = this.#length();
    if (length > this.#bytes.length - this.#at) throw this.#error(`length ${length} at ${start}`);
    const content = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return { tag: found, content, encoded: this.#bytes.subarray(start, this.#at) };
  }

  /** The next element when it has the tag; otherwise undefined, and nothing is consumed. */
  optional(tag: number): Element | undefined {
    return this.#bytes[this.#at] === tag ? this.next(tag) : undefined;
  }

  /** A reader for what is inside the next element. */
  enter(tag: number): DerReader {
    return new DerReader(this.next(tag).content, this.#where);
  }

  /** Magnitude of the next INTEGER, without a leading zero octet; it has to be above or equal to zero. */
  unsigned(): Uint8Array {
    const { content } = this.next(0x02);
    const first = content[0];
    if (first === undefined || first >= 0x80) throw this.#error("INTEGER below zero or empty");
    if (first !== 0 || content.length === 1) return content;
    if (content[1]! < 0x80) throw this.#error("INTEGER not in its shortest form");
    return content.subarray(1);
  }

  /** Octets of the next BIT STRING, which has to be a whole number of them. */
  bits(): Uint8Array {
    const { content } = this.next(0x03);
    if (content[0] !== 0) throw this.#error("BIT STRING with unused bits");
    return content.subarray(1);
  }

  boolean(): boolean {
    const { content } = this.next(0x01);
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
      throw this.#error("BOOLEAN");
    }
    return content[0] === 0xff;
  }

  /** Says that nothing may follow. */
  end(): void {
    if (!this.isAtEnd) throw this.#error(`${this.#bytes.length - this.#at} bytes left over`);
  }

  #octet(): number {
    const octet = this.#bytes[this.#at];
    if (octet === undefined) throw this.#error("ends too early");
    this.#at++;
    return octet;
  }

  #length(): number {
    const first = this.#octet();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 2) throw this.#error(`length octet 0x${first.toString(16)}`);
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#octet();
    if (length < (count === 1 ? 0x80 : 0x100)) throw this.#error("length not in its shortest form");
    return length;
  }

  #error(what: string): AgentError {
    return new AgentError("trust/der", `${this.#where}: ${what}`);
  }
}

/** Lower-case hexadecimal; object identifiers are compared in this form. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += (byte < 16 ? "0" : "") + byte.toString(16);
  return text;
}
