// Bytes and text. Works by code point throughout, because strings on XS are indexed by code point and on Node are not.
import { AgentError } from "../errors.js";

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const result = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function isSurrogate(point: number): boolean {
  return point >= 0xd800 && point <= 0xdfff;
}

function utf8Length(point: number): number {
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

/** @throws AgentError "codec/utf8" when `text` holds an unpaired surrogate. */
export function toUtf8(text: string): Uint8Array {
  // Most texts are ASCII: one pass. Not by index, which on XS counts from the start each time.
  const ascii = new Uint8Array(text.length);
  let at = 0;
  for (const character of text) {
    const point = character.codePointAt(0)!;
    if (point > 0x7f) return anyToUtf8(text);
    ascii[at++] = point;
  }
  return ascii;
}

function anyToUtf8(text: string): Uint8Array {
  let length = 0;
  for (const character of text) {
    const point = character.codePointAt(0)!;
    if (isSurrogate(point)) {
      throw new AgentError("codec/utf8", `text: unpaired surrogate 0x${point.toString(16)}`);
    }
    length += utf8Length(point);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const character of text) at = putPoint(bytes, at, character.codePointAt(0)!);
  return bytes;
}

function putPoint(bytes: Uint8Array, at: number, point: number): number {
  const length = utf8Length(point);
  if (length === 1) {
    bytes[at] = point;
    return at + 1;
  }
  const lead = length === 2 ? 0xc0 : length === 3 ? 0xe0 : 0xf0;
  bytes[at] = lead | (point >> (6 * (length - 1)));
  for (let i = 1; i < length; i++)
    bytes[at + i] = 0x80 | ((point >> (6 * (length - 1 - i))) & 0x3f);
  return at + length;
}

/**
 * Strict UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above U+10FFFF.
 *
 * @throws AgentError "codec/utf8" with the position.
 */
export function fromUtf8(bytes: Uint8Array, from = 0, to = bytes.length): string {
  const parts: string[] = [];
  let points: number[] = [];
  let at = from;
  while (at < to) {
    const byte = bytes[at]!;
    const point = byte < 0x80 ? byte : pointAt(bytes, at, to);
    points.push(point);
    at += byte < 0x80 ? 1 : utf8Length(point);
    if (points.length === 64) {
      parts.push(String.fromCodePoint(...points));
      points = [];
    }
  }
  if (points.length > 0) parts.push(String.fromCodePoint(...points));
  return parts.join("");
}

function pointAt(bytes: Uint8Array, at: number, to: number): number {
  const lead = bytes[at]!;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  let point = lead & (0x7f >> length);
  for (let i = 1; i < length; i++) {
    const next = at + i < to ? bytes[at + i]! : 0;
    if ((next & 0xc0) !== 0x80) point = -1;
    if (point >= 0) point = (point << 6) | (next & 0x3f);
  }
  if (
    lead < 0xc2 ||
    lead > 0xf4 ||
    point > 0x10ffff ||
    point < 0 ||
    isSurrogate(point) ||
    utf8Length(point) !== length
  ) {
    throw new AgentError("codec/utf8", `text: byte ${at} (0x${lead.toString(16)}) is not UTF-8`);
  }
  return point;
}

/** Joins texts, 64 at a time: on XS each of them takes a slot and a chunk for as long as it waits, in an array that is copied to grow. */
export class Joiner {
  readonly #joined: string[] = [];
  #texts: string[] = [];

  push(text: string): void {
    if (this.#texts.push(text) < 64) return;
    this.#joined.push(this.#texts.join(""));
    this.#texts = [];
  }

  /** @returns all of it */
  end(): string {
    this.#joined.push(this.#texts.join(""));
    return this.#joined.join("");
  }
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function toBase64(bytes: Uint8Array): string {
  const parts = new Joiner();
  for (let i = 0; i < bytes.length; i += 3) {
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const left = bytes.length - i;
    parts.push(
      alphabet.charAt(group >> 18) +
        alphabet.charAt((group >> 12) & 63) +
        (left > 1 ? alphabet.charAt((group >> 6) & 63) : "=") +
        (left > 2 ? alphabet.charAt(group & 63) : "="),
    );
  }
  return parts.end();
}

function sextet(code: number): number {
  if (code >= 65 && code <= 90) return code - 65;
  if (code >= 97 && code <= 122) return code - 71;
  if (code >= 48 && code <= 57) return code + 4;
  return code === 43 ? 62 : code === 47 ? 63 : -1;
}

/**
 * RFC 4648 section 4, padded; white space between characters is passed over, as PEM needs.
 *
 * @returns undefined when anything else stands in the text.
 */
export function fromBase64(text: string): Uint8Array | undefined {
  const ascii = toUtf8(text);
  const bytes = new Uint8Array(Math.ceil((ascii.length * 3) / 4));
  let length = 0;
  let group = 0;
  let sextets = 0;
  let padding = 0;
  for (const code of ascii) {
    if (code === 10 || code === 13 || code === 32 || code === 9) continue;
    if (code === 61) {
      padding++;
      continue;
    }
    const value = sextet(code);
    if (value < 0 || padding > 0) return undefined;
    group = ((group << 6) | value) & 0xffffff;
    if (++sextets % 4 === 0) {
      bytes[length++] = group >> 16;
      bytes[length++] = (group >> 8) & 255;
      bytes[length++] = group & 255;
    }
  }
  const rest = sextets % 4;
  if ((sextets + padding) % 4 !== 0 || padding > 2 || rest === 1) return undefined;
  if (rest >= 2) bytes[length++] = (rest === 2 ? group >> 4 : group >> 10) & 255;
  if (rest === 3) bytes[length++] = (group >> 2) & 255;
  return bytes.subarray(0, length);
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += (byte < 16 ? "0" : "") + byte.toString(16);
  return text;
}
