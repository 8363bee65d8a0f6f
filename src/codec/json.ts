// JSON in both directions, bounded. Reading is by shape: only named members become values, all else is checked and
// passed over without a property, a string or a level of recursion, since on XS each of those can be used up by a peer.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { fromUtf8, Joiner, toUtf8 } from "../util/bytes.js";

/**
 * What stands where: a leaf type, or an object's members. `scalar` takes string, number, boolean or null; `raw` takes anything,
 * and is the bytes of its text.
 */
export type Shape =
  | "string"
  | "number"
  | "integer"
  | "boolean"
  | "scalar"
  | "strings"
  | "raw"
  | { readonly [name: string]: Shape };

export type Scalar = string | number | boolean | null;

/**
 * `undefined` where a member is absent or, for objects, null. A scalar that is an array, an object, a number beyond a double or
 * a text with an unpaired surrogate reads as `unsupported`.
 */
export type Read<S> = S extends "string"
  ? string
  : S extends "number" | "integer"
    ? number
    : S extends "boolean"
      ? boolean
      : S extends "scalar"
        ? Scalar | typeof unsupported
        : S extends "strings"
          ? Map<string, string>
          : S extends "raw"
            ? Uint8Array
            : { readonly [K in keyof S]: Read<S[K]> | undefined };

/** Stands for a value of a kind the shape has no use for. */
export const unsupported: unique symbol = Symbol("unsupported");

/** For a text whose writer may be wrong in parts of it: what is wrong is told, and the rest is read. */
export interface Judge {
  /** A member that the shape does not name, of the object at `path`. */
  onOther(path: string, name: string): void;
}

/**
 * @param shape  the members wanted; every one may be absent
 * @param where  names the text in an error, and begins every path
 * @param judge  when given, an object of another kind reads as `unsupported` as well, and other members are told
 * @throws       AgentError "codec/json" or "codec/utf8" when the text is no JSON, nests deeper than `limits.jsonDepth`,
 *               or a wanted member has another type; the message has the path and the byte
 * @see          RFC 8259
 */
export function readJson<S extends Shape>(
  bytes: Uint8Array,
  shape: S,
  where: string,
  judge?: Judge,
): Read<S> {
  const reader = new Reader(bytes, where, judge);
  const value = reader.read(shape, where, 0);
  reader.end();
  return value as Read<S>;
}

/**
 * The elements of an array, each as its own JSON text.
 *
 * @param most  elements; more are refused
 * @throws      AgentError "codec/json" or "codec/utf8", as `readJson`
 */
export function readElements(
  bytes: Uint8Array,
  most: number,
  where: string,
): readonly Uint8Array[] {
  const reader = new Reader(bytes, where, undefined);
  const found = reader.elements(where, most);
  reader.end();
  return found;
}

const quote = 34;
const openBrace = 123;
const closeBrace = 125;
const openBracket = 91;
const closeBracket = 93;
const comma = 44;
const colon = 58;

class Reader {
  readonly #bytes: Uint8Array;
  readonly #where: string;
  readonly #judge: Judge | undefined;
  #at = 0;

  constructor(bytes: Uint8Array, where: string, judge: Judge | undefined) {
    this.#bytes = bytes;
    this.#where = where;
    this.#judge = judge;
  }

  read(shape: Shape, path: string, depth: number): unknown {
    const first = this.peek();
    if (shape === "raw")
      return first === 110 ? (this.read("scalar", path, depth) ?? undefined) : this.raw(depth);
    if (typeof shape === "object") {
      if (first === openBrace) return this.members(shape, path, depth);
    } else if (shape === "strings") {
      if (first === openBrace) return this.strings(path, depth);
    } else {
      if (first === openBrace || first === openBracket) {
        if (shape !== "scalar") this.fail(`${path} is not a ${shape}`);
        this.skip(depth);
        return unsupported;
      }
      const value = this.scalar();
      if (shape === "scalar") return value;
      if (value === unsupported) this.fail(`${path} is out of range or no text`);
      if (fits(shape, value)) return value;
      if (value !== null) this.fail(`${path} is not a ${shape}`);
      return undefined;
    }
    if (first === 110) {
      this.scalar();
      return undefined;
    }
    if (!this.#judge) this.fail(`${path} is not an object`);
    this.skip(depth);
    return unsupported;
  }

  /** A view of the text, not a copy. */
  private raw(depth: number): Uint8Array {
    const start = this.#at;
    this.skip(depth);
    return this.#bytes.subarray(start, this.#at);
  }

  /** @returns the elements' own texts; a view of each, not a copy */
  elements(path: string, most: number): readonly Uint8Array[] {
    if (this.peek() !== openBracket) this.fail(`${path} is not an array`);
    this.#at++;
    const found: Uint8Array[] = [];
    if (this.peek() === closeBracket) {
      this.#at++;
      return found;
    }
    for (;;) {
      if (found.length >= most) this.fail(`${path} has more than ${most} elements`);
      this.space();
      found.push(this.raw(1));
      const next = this.peek();
      this.#at++;
      if (next === closeBracket) return found;
      if (next !== comma) this.fail("',' or ']' expected");
    }
  }

  end(): void {
    this.space();
    if (this.#at < this.#bytes.length) this.fail("more after the value");
  }

  private members(shape: { readonly [name: string]: Shape }, path: string, depth: number): unknown {
    if (depth >= limits.jsonDepth) this.fail(`nesting deeper than ${limits.jsonDepth}`);
    const names = Object.keys(shape);
    const result: Record<string, unknown> = {};
    for (const name of names) result[name] = undefined;
    this.eachMember(key => {
      const name = names.find(known => known === key);
      if (name === undefined) {
        this.#judge?.onOther(path, key);
        this.skip(depth + 1);
      } else result[name] = this.read(shape[name]!, `${path}.${name}`, depth + 1);
    });
    return result;
  }

  private strings(path: string, depth: number): Map<string, string> {
    const result = new Map<string, string>();
    this.eachMember(key => {
      if (this.#judge) {
        const value = this.read("scalar", path, depth + 1);
        if (result.size < limits.names) result.set(key, typeof value === "string" ? value : "");
        return;
      }
      if (result.size >= limits.names) this.fail(`${path} has more than ${limits.names} members`);
      result.set(key, this.read("string", `${path}.${key}`, 1) as string);
    });
    return result;
  }

  private eachMember(take: (key: string) => void): void {
    this.#at++;
    if (this.peek() === closeBrace) {
      this.#at++;
      return;
    }
    for (;;) {
      if (this.peek() !== quote) this.fail("a member name must be a string");
      const key = this.string();
      if (this.peek() !== colon) this.fail("':' expected");
      this.#at++;
      take(key === unsupported ? "\ufffd" : key);
      const next = this.peek();
      this.#at++;
      if (next === closeBrace) return;
      if (next !== comma) this.fail("',' or '}' expected");
    }
  }

  /** Passes over one value, checking it; open brackets are remembered in a list, not by recursion. */
  private skip(depth: number): void {
    const open: boolean[] = [];
    for (;;) {
      if (this.skipStart(open, depth)) continue;
      for (;;) {
        const isObject = open[open.length - 1];
        if (isObject === undefined) return;
        const next = this.peek();
        this.#at++;
        if (next === comma) {
          if (isObject) this.skipName();
          break;
        }
        if (next !== (isObject ? closeBrace : closeBracket))
          this.fail("',' or a closing bracket expected");
        open.pop();
      }
    }
  }

  /** @returns true when a container was opened that has members: the first of them starts here. */
  private skipStart(open: boolean[], depth: number): boolean {
    const first = this.peek();
    if (first !== openBrace && first !== openBracket) {
      this.skipScalar();
      return false;
    }
    if (depth + open.length >= limits.jsonDepth)
      this.fail(`nesting deeper than ${limits.jsonDepth}`);
    const isObject = first === openBrace;
    this.#at++;
    if (this.peek() === (isObject ? closeBrace : closeBracket)) {
      this.#at++;
      return false;
    }
    open.push(isObject);
    if (isObject) this.skipName();
    return true;
  }

  private skipName(): void {
    if (this.peek() !== quote) this.fail("a member name must be a string");
    this.string();
    if (this.peek() !== colon) this.fail("':' expected");
    this.#at++;
  }

  private scalar(): Scalar | typeof unsupported {
    const first = this.peek();
    if (first === quote) return this.string();
    if (first === 116) return this.word("true", true);
    if (first === 102) return this.word("false", false);
    if (first === 110) return this.word("null", null);
    return this.number();
  }

  /** As `#scalar`, without making a value of it: how long a number is or how large matters to nobody then. */
  private skipScalar(): void {
    const first = this.peek();
    const isWord = first === quote || first === 116 || first === 102 || first === 110;
    if (isWord) this.scalar();
    else this.passNumber();
  }

  private word<T>(word: string, value: T): T {
    for (let i = 0; i < word.length; i++) {
      if (this.#bytes[this.#at + i] !== word.charCodeAt(i)) this.fail("not a JSON value");
    }
    this.#at += word.length;
    return value;
  }

  private number(): number | typeof unsupported {
    const start = this.#at;
    this.passNumber();
    if (this.#at - start > 40) return unsupported;
    const value = Number(fromUtf8(this.#bytes, start, this.#at));
    return Number.isFinite(value) ? value : unsupported;
  }

  /** RFC 8259 section 6. */
  private passNumber(): void {
    if (this.#bytes[this.#at] === 45) this.#at++;
    if (this.#bytes[this.#at] === 48) this.#at++;
    else this.digits();
    if (this.#bytes[this.#at] === 46) {
      this.#at++;
      this.digits();
    }
    if (((this.#bytes[this.#at] ?? 0) | 32) !== 101) return;
    this.#at++;
    const sign = this.#bytes[this.#at];
    if (sign === 43 || sign === 45) this.#at++;
    this.digits();
  }

  private digits(): void {
    const start = this.#at;
    while (isDigit(this.#bytes[this.#at])) this.#at++;
    if (this.#at === start) this.fail("not a JSON value");
  }

  private string(): string | typeof unsupported {
    const start = ++this.#at;
    let plain = true;
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) this.fail("string without an end");
      if (byte < 32) this.fail("control character in a string");
      if (byte === quote) break;
      if (byte === 92) {
        plain = false;
        this.#at++;
      }
      this.#at++;
    }
    const end = this.#at++;
    return plain ? fromUtf8(this.#bytes, start, end) : this.unescape(start, end);
  }

  private unescape(start: number, end: number): string | typeof unsupported {
    const parts: string[] = [];
    let from = start;
    let isText = true;
    for (let at = start; at < end; at++) {
      if (this.#bytes[at] !== 92) continue;
      parts.push(fromUtf8(this.#bytes, from, at));
      const code = this.#bytes[at + 1]!;
      if (code === 117) {
        const point = this.escapedPoint(at, end);
        if (point >= 0xd800 && point <= 0xdfff) isText = false;
        parts.push(String.fromCodePoint(point));
        at += point > 0xffff ? 11 : 5;
      } else {
        const index = '"\\/bfnrt'.indexOf(String.fromCharCode(code));
        if (index < 0) this.fail("unknown escape in a string");
        parts.push('"\\/\b\f\n\r\t'.charAt(index));
        at++;
      }
      from = at + 1;
    }
    parts.push(fromUtf8(this.#bytes, from, end));
    return isText ? parts.join("") : unsupported;
  }

  /** A surrogate without its other half stands for itself. */
  private escapedPoint(at: number, end: number): number {
    const high = this.hex4(at + 2, end);
    if (high < 0xd800 || high > 0xdfff) return high;
    const isPair = high < 0xdc00 && this.#bytes[at + 6] === 92 && this.#bytes[at + 7] === 117;
    const low = isPair ? this.hex4(at + 8, end) : 0;
    if (low < 0xdc00 || low > 0xdfff) return high;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  }

  private hex4(from: number, end: number): number {
    let value = 0;
    for (let i = from; i < from + 4; i++) {
      const byte = i < end ? this.#bytes[i]! : 0;
      const lower = byte | 32;
      const digit =
        byte >= 48 && byte <= 57 ? byte - 48 : lower >= 97 && lower <= 102 ? lower - 87 : -1;
      if (digit < 0) this.fail("bad \\u escape in a string");
      value = value * 16 + digit;
    }
    return value;
  }

  private space(): void {
    while (this.#at < this.#bytes.length && isSpace(this.#bytes[this.#at]!)) this.#at++;
  }

  private peek(): number {
    this.space();
    return this.#bytes[this.#at] ?? -1;
  }

  private fail(reason: string): never {
    throw new AgentError(
      "codec/json",
      `${this.#where}: ${reason} (byte ${this.#at} of ${this.#bytes.length})`,
    );
  }
}

function fits(shape: string, value: Scalar): boolean {
  if (shape === "integer") return Number.isSafeInteger(value);
  return shape === typeof value;
}

function isSpace(byte: number): boolean {
  return byte === 32 || byte === 10 || byte === 13 || byte === 9;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 48 && byte <= 57;
}

/** What `writeJson` takes. A member that is undefined is left out. */
export type Json =
  | Scalar
  | readonly Json[]
  | ReadonlyMap<string, Json>
  | { readonly [name: string]: Json | undefined };

/**
 * Own writer, because XS refuses `JSON.stringify` of anything that lives in flash.
 *
 * @throws AgentError "codec/json" for a number that is not finite and for nesting deeper than `limits.jsonDepth`.
 */
export function writeJson(value: Json, depth = 0): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return writeString(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value))
      throw new AgentError("codec/json", `${value} cannot be written as JSON`);
    return String(value);
  }
  const texts = new Joiner();
  eachText(value, depth, text => texts.push(text));
  return texts.end();
}

/**
 * The same in UTF-8, for what is long: counted first, so that on XS nothing but the bytes themselves is in memory at once.
 *
 * @param room bytes left free before it
 * @throws AgentError as `writeJson`, "codec/utf8" as `toUtf8`
 */
export function encodeJson(
  value: { readonly [name: string]: Json | undefined },
  room = 0,
): Uint8Array {
  let length = 0;
  eachText(value, 0, text => {
    // Bounded, as in `writeString`: a pattern over a long text would want the stack.
    length += /^[ -~]{0,96}$/.test(text) ? text.length : toUtf8(text).length;
  });
  const bytes = new Uint8Array(room + length);
  let at = room;
  eachText(value, 0, text => {
    const piece = toUtf8(text);
    bytes.set(piece, at);
    at += piece.length;
  });
  return bytes;
}

/** Hands on the text of a list or an object, piece by piece. */
function eachText(value: Exclude<Json, Scalar>, depth: number, put: (text: string) => void): void {
  if (depth >= limits.jsonDepth) {
    throw new AgentError("codec/json", `nesting deeper than ${limits.jsonDepth} cannot be written`);
  }
  const isArray = isList(value);
  let before = isArray ? "[" : "{";
  const putMember = (start: string, member: Json) => {
    if (typeof member === "object" && member !== null) {
      put(start);
      eachText(member, depth + 1, put);
    } else put(start + writeJson(member));
    before = ",";
  };
  if (isArray) {
    for (const item of value) putMember(before, item);
  } else if (value instanceof Map) {
    for (const [name, member] of value as ReadonlyMap<string, Json>)
      putMember(`${before}${writeString(name)}:`, member);
  } else {
    const record = value as { readonly [name: string]: Json | undefined };
    for (const name of Object.keys(record)) {
      const member = record[name];
      if (member !== undefined) putMember(`${before}${writeString(name)}:`, member);
    }
  }
  const end = isArray ? "]" : "}";
  put(before === "," ? end : before + end);
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}

function writeString(text: string): string {
  // Most texts are short, and nothing in them is to be escaped.
  if (/^[ !#-[\]-~]{0,64}$/.test(text)) return `"${text}"`;
  const parts = new Joiner();
  parts.push('"');
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code === quote || code === 92) parts.push(`\\${character}`);
    else if (code < 32) parts.push(`\\u00${code < 16 ? "0" : ""}${code.toString(16)}`);
    else parts.push(character);
  }
  parts.push('"');
  return parts.end();
}
