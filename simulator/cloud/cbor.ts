// CBOR from devices (RFC 8949), as strictly as JSON: the same kinds of value, bounded depth, names once.

import { decode, encode, type Token, Tokenizer } from "cborg";
import { type Json, withoutPrototypes } from "./json.js";

export type CborResult =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly fault: "not-cbor" | "too-deep" };

/** What JSON has too; byte strings, tags and `undefined` are no part of any request. */
const kinds: ReadonlySet<string> = new Set([
  "uint",
  "negint",
  "float",
  "string",
  "array",
  "map",
  "true",
  "false",
  "null",
]);

/** Lengths are definite and, like integers, in their shortest form: assumed, the guide does not say. */
const strictness = Object.freeze({
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  rejectDuplicateMapKeys: true,
  retainStringBytes: true,
});

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class TooDeep extends Error {}

/** The library descends by recursion: depth is judged before it does. */
class BoundedTokenizer extends Tokenizer {
  readonly #limit: number;
  /** Items that each open array or map still waits for. */
  readonly #open: number[] = [];
  readonly #takesBytes: boolean;

  constructor(bytes: Uint8Array, limit: number, takesBytes: boolean) {
    super(bytes, strictness);
    this.#limit = limit;
    this.#takesBytes = takesBytes;
  }

  override next(): Token {
    const token = super.next();
    const { name } = token.type;
    if (!kinds.has(name) && !(this.#takesBytes && name === "bytes"))
      throw new Error(`${name} is not taken`);
    this.#count();
    if (name === "string" && token.byteValue !== undefined)
      token.value = utf8.decode(token.byteValue);
    if (name === "array" || name === "map") {
      if (this.#open.length >= this.#limit) throw new TooDeep();
      const items = Number(token.value) * (name === "map" ? 2 : 1);
      this.#open.push(items);
    }
    return token;
  }

  /** One item of the innermost that still waits for some; those behind it are complete. */
  #count(): void {
    while (this.#open.at(-1) === 0) this.#open.pop();
    const last = this.#open.length - 1;
    if (last >= 0) this.#open[last] = (this.#open[last] ?? 0) - 1;
  }
}

/** Never throws, whatever the bytes. */
export function parseCbor(bytes: Uint8Array, depthLimit: number): CborResult {
  try {
    return { ok: true, value: withoutPrototypes(decoded(bytes, depthLimit, false) as Json) };
  } catch (error) {
    return { ok: false, fault: error instanceof TooDeep ? "too-deep" : "not-cbor" };
  }
}

/** For requests with byte strings. Never throws. @returns undefined for what is no CBOR of bounded depth */
export function parseCborWithBytes(
  bytes: Uint8Array,
  depthLimit: number,
): { readonly value: unknown } | undefined {
  try {
    return { value: decoded(bytes, depthLimit, true) };
  } catch {
    return undefined;
  }
}

function decoded(bytes: Uint8Array, depthLimit: number, takesBytes: boolean): unknown {
  const plain = new Uint8Array(bytes);
  const tokenizer = new BoundedTokenizer(plain, depthLimit, takesBytes);
  return decode(plain, { ...strictness, tokenizer });
}

export function encodeCbor(value: object): Uint8Array {
  return encode(value);
}
