// Reading Distinguished Encoding Rules (X.690): one-byte tags, definite shortest lengths, nothing left over, bounded depth.
import { AgentError } from "../errors.js";
import { toHex } from "../util/bytes.js";
import { tag as tags } from "./der.js";

/** One element; both views share the bytes given to the reader. */
export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag and length included: what a signature covers. */
  readonly encoded: Uint8Array;
}

/** Levels that may be entered: a certificate's name constraints need nine. */
const maxDepth = 12;

/** Elements that stand next to each other. @throws AgentError "trust/der" from every method that meets anything else than DER. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #where: string;
  readonly #depth: number;
  #at = 0;

  /** @param where named in errors, for example "certificate: validity" */
  constructor(bytes: Uint8Array, where: string, depth = 0) {
    this.#bytes = bytes;
    this.#where = where;
    this.#depth = depth;
    if (depth > maxDepth) throw this.error(`more than ${maxDepth} levels`);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The next element, which has to have the tag when one is given. */
  next(tag?: number): Element {
    const start = this.#at;
    const found = this.octet();
    if ((found & 0x1f) === 0x1f || (tag !== undefined && found !== tag)) {
      throw this.error(`tag 0x${found.toString(16)} at ${start}`);
    }
    const length = this.length();
    if (length > this.#bytes.length - this.#at) throw this.error(`length ${length} at ${start}`);
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
    return this.inside(this.next(tag).content);
  }

  /** A reader one level below this one. */
  inside(content: Uint8Array): DerReader {
    return new DerReader(content, this.#where, this.#depth + 1);
  }

  /** A reader for what is inside the next element when it has the tag; otherwise undefined. */
  enterOptional(tag: number): DerReader | undefined {
    return this.#bytes[this.#at] === tag ? this.enter(tag) : undefined;
  }

  /** Content of the next INTEGER, in two's complement and its shortest form. */
  integer(): Uint8Array {
    const { content } = this.next(tags.integer);
    const first = content[0];
    if (first === undefined) throw this.error("INTEGER is empty");
    const isPadded = content.length > 1 && (first === 0 || first === 0xff);
    if (isPadded && (first & 0x80) === (content[1]! & 0x80)) {
      throw this.error("INTEGER not in its shortest form");
    }
    return content;
  }

  /** Magnitude of the next INTEGER, without a leading zero octet; it has to be above or equal to zero. */
  unsigned(): Uint8Array {
    const content = this.integer();
    if (content[0]! >= 0x80) throw this.error("INTEGER below zero");
    return content[0] === 0 && content.length > 1 ? content.subarray(1) : content;
  }

  /** The next INTEGER, which has to be from 0 to 255. */
  small(): number {
    const magnitude = this.unsigned();
    if (magnitude.length !== 1) throw this.error("INTEGER above 255");
    return magnitude[0]!;
  }

  /** Octets of the next BIT STRING, which has to be a whole number of them. */
  bits(): Uint8Array {
    const { content } = this.next(tags.bitString);
    if (content[0] !== 0) throw this.error("BIT STRING with unused bits");
    return content.subarray(1);
  }

  /** The next BIT STRING as a list of named bits, bit 0 as 0x8000; at least one and none above 15. @see X.690 11.2 */
  namedBits(): number {
    const { content } = this.next(tags.bitString);
    const unused = content[0] ?? 8;
    const last = content[content.length - 1] ?? 0;
    // The last bit that is there has to be set, and those behind it are zero.
    if (content.length < 2 || content.length > 3 || unused > 7 || last % 2 ** unused !== 0) {
      throw this.error("BIT STRING of named bits");
    }
    if (((last >> unused) & 1) === 0) throw this.error("BIT STRING of named bits not shortest");
    return content[1]! * 256 + (content[2] ?? 0);
  }

  /** The next OBJECT IDENTIFIER's content in hexadecimal: identifiers are compared in this form. */
  identifier(): string {
    const { content } = this.next(tags.objectIdentifier);
    let isFirst = true;
    for (const octet of content) {
      if (isFirst && octet === 0x80) throw this.error("OBJECT IDENTIFIER not in its shortest form");
      isFirst = octet < 0x80;
    }
    if (!isFirst || content.length === 0) throw this.error("OBJECT IDENTIFIER ends too early");
    return toHex(content);
  }

  boolean(): boolean {
    const { content } = this.next(tags.boolean);
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
      throw this.error("BOOLEAN");
    }
    return content[0] === 0xff;
  }

  /** A BOOLEAN DEFAULT FALSE: there only when it is true. @see X.690 11.5 */
  flag(): boolean {
    if (this.#bytes[this.#at] !== tags.boolean) return false;
    if (!this.boolean()) throw this.error("BOOLEAN that tells its default");
    return true;
  }

  /** Says that nothing may follow. */
  end(): void {
    if (!this.isAtEnd) throw this.error(`${this.#bytes.length - this.#at} bytes left over`);
  }

  error(what: string): AgentError {
    return new AgentError("trust/der", `${this.#where}: ${what}`);
  }

  private octet(): number {
    const octet = this.#bytes[this.#at];
    if (octet === undefined) throw this.error("ends too early");
    this.#at++;
    return octet;
  }

  /** At most 65535: what is longer is no certificate, signature or key. */
  private length(): number {
    const first = this.octet();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 2) throw this.error(`length octet 0x${first.toString(16)}`);
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.octet();
    if (length < (count === 1 ? 0x80 : 0x100)) throw this.error("length not in its shortest form");
    return length;
  }
}
