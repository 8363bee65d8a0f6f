// CBOR (RFC 8949) in both directions, for provisioning and file streams. Reading is by shape, as of JSON: what nobody asked for is
// checked and passed over. Definite lengths only, no tags, no floats: a service that answers requests like ours sends none.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { concat, fromUtf8, toUtf8 } from "../util/bytes.js";
import type { Json, Read, Shape } from "./json.js";

/** Members that JSON has no form for. */
export type CborBytes = Uint8Array | { readonly [name: string]: Json | Uint8Array | undefined };

const unsigned = 0;
const negative = 1;
const byteString = 2;
const text = 3;
const array = 4;
const map = 5;
const simple = 7;

/**
 * @param shape  the members wanted; every one may be absent
 * @param where  names the item in an error
 * @throws       AgentError "codec/cbor" when this is no item of the kinds above, nests deeper than `limits.jsonDepth`, or a
 *               wanted member has another type
 */
export function readCbor<S extends Shape>(bytes: Uint8Array, shape: S, where: string): Read<S> {
  const reader = new Reader(bytes, where);
  const value = reader.read(shape, where, 0);
  reader.end();
  return value as Read<S>;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #where: string;
  #at = 0;

  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#where = where;
  }

  read(shape: Shape, path: string, depth: number): unknown {
    if (this.#bytes[this.#at] === 0xf6) {
      this.#at++;
      return undefined;
    }
    const [type, argument] = this.head();
    if (typeof shape === "object" || shape === "strings") {
      if (type !== map) this.fail(`${path} is not a map`);
      return shape === "strings"
        ? this.strings(argument, path)
        : this.members(argument, shape, path, depth);
    }
    if (type === text && shape === "string") return this.text(argument);
    if (type === byteString && shape === "raw") {
      const start = this.take(argument);
      return this.#bytes.subarray(start, this.#at);
    }
    if (type <= negative && (shape === "integer" || shape === "number"))
      return type === unsigned ? argument : -1 - argument;
    if (type === simple && shape === "boolean" && argument <= 21) return argument === 21;
    return this.fail(`${path} is not a ${shape}`);
  }

  end(): void {
    if (this.#at < this.#bytes.length) this.fail("more after the item");
  }

  private members(
    count: number,
    shape: { readonly [name: string]: Shape },
    path: string,
    depth: number,
  ): unknown {
    const names = Object.keys(shape);
    const result: Record<string, unknown> = {};
    for (const name of names) result[name] = undefined;
    for (let i = 0; i < count; i++) {
      const key = this.key();
      const name = names.find(known => known === key);
      if (name === undefined) this.skip(depth + 1);
      else if (result[name] !== undefined) this.fail(`${path}.${name} twice`);
      else result[name] = this.read(shape[name]!, `${path}.${name}`, depth + 1);
    }
    return result;
  }

  private strings(count: number, path: string): Map<string, string> {
    if (count > limits.names) this.fail(`${path} has more than ${limits.names} members`);
    const result = new Map<string, string>();
    for (let i = 0; i < count; i++) {
      const key = this.key();
      result.set(key, this.read("string", `${path}.${key}`, 1) as string);
    }
    return result;
  }

  private key(): string {
    const [type, argument] = this.head();
    if (type !== text) this.fail("a key must be a text string");
    return this.text(argument);
  }

  private text(length: number): string {
    const start = this.take(length);
    return fromUtf8(this.#bytes, start, this.#at);
  }

  /** Passes over one item. Bounded: each level costs a byte of input, and levels are counted. */
  private skip(depth: number): void {
    if (depth > limits.jsonDepth) this.fail(`nesting deeper than ${limits.jsonDepth}`);
    const [type, argument] = this.head();
    if (type === text || type === byteString) this.take(argument);
    if (type === array) for (let i = 0; i < argument; i++) this.skip(depth + 1);
    if (type === map) {
      for (let i = 0; i < argument; i++) {
        this.key();
        this.skip(depth + 1);
      }
    }
  }

  /** @returns major type and argument */
  private head(): readonly [type: number, argument: number] {
    const first = this.#bytes[this.take(1)]!;
    const type = first >> 5;
    const info = first & 31;
    if (type === 6) this.fail("a tag");
    if (type === simple && (info < 20 || info > 23))
      this.fail("neither false, true, null nor undefined");
    if (info < 24) return [type, info];
    if (info > 27) this.fail("no definite length");
    const length = 2 ** (info - 24);
    const start = this.take(length);
    let argument = 0;
    for (let i = 0; i < length; i++) argument = argument * 256 + this.#bytes[start + i]!;
    if (!Number.isSafeInteger(argument)) this.fail(`number ${argument} is out of range`);
    return [type, argument];
  }

  /** @returns where the `length` bytes begin that are used up now */
  private take(length: number): number {
    if (length > this.#bytes.length - this.#at) this.fail("ends too soon");
    this.#at += length;
    return this.#at - length;
  }

  private fail(reason: string): never {
    const place = `byte ${this.#at} of ${this.#bytes.length}`;
    throw new AgentError("codec/cbor", `${this.#where}: ${reason} (${place})`);
  }
}

/**
 * Bytes are written as a byte string.
 *
 * @throws AgentError "codec/cbor" for a number that is no whole number, and for nesting deeper than `limits.jsonDepth`
 */
export function writeCbor(value: Json | CborBytes, depth = 0): Uint8Array {
  if (depth > limits.jsonDepth)
    throw new AgentError("codec/cbor", "nesting is too deep to be written");
  if (value === null) return Uint8Array.of(0xf6);
  if (typeof value === "boolean") return Uint8Array.of(value ? 0xf5 : 0xf4);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value))
      throw new AgentError("codec/cbor", `${value} is no whole number`);
    return value < 0 ? head(negative, -1 - value) : head(unsigned, value);
  }
  if (typeof value === "string") {
    const bytes = toUtf8(value);
    return concat([head(text, bytes.length), bytes]);
  }
  if (value instanceof Uint8Array) return concat([head(byteString, value.length), value]);
  if (Array.isArray(value)) {
    const items = (value as readonly Json[]).map(item => writeCbor(item, depth + 1));
    return concat([head(array, items.length), ...items]);
  }
  const members = Object.entries(
    value as { readonly [name: string]: Json | Uint8Array | undefined },
  );
  const written = members.filter(([, member]) => member !== undefined);
  const parts = written.flatMap(([name, member]) => [
    writeCbor(name, depth + 1),
    writeCbor(member!, depth + 1),
  ]);
  return concat([head(map, written.length), ...parts]);
}

/** In its shortest form. */
function head(type: number, argument: number): Uint8Array {
  const lead = type << 5;
  if (argument < 24) return Uint8Array.of(lead | argument);
  const length = argument < 0x100 ? 1 : argument < 0x10000 ? 2 : argument < 0x100000000 ? 4 : 8;
  const bytes = new Uint8Array(1 + length);
  bytes[0] = lead | (24 + Math.log2(length));
  for (let i = length; i > 0; i--) {
    bytes[i] = argument % 256;
    argument = Math.floor(argument / 256);
  }
  return bytes;
}
