// Distinguished Encoding Rules (X.690), writing: what a certification request needs. Reading is in der-reader.ts.
import { concat } from "../util/bytes.js";

export const tag = Object.freeze({
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
});

/** One element: tag, definite length in its shortest form, content. */
export function element(tagByte: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concat(content);
  return concat([Uint8Array.of(tagByte, ...lengthOctets(body.length)), body]);
}

function lengthOctets(length: number): number[] {
  if (length < 0x80) return [length];
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [0x80 | octets.length, ...octets];
}

/** @param arcs at least two, the first two below 3 and 40 */
export function objectIdentifier(...arcs: readonly number[]): Uint8Array {
  const octets: number[] = [arcs[0]! * 40 + arcs[1]!];
  for (const arc of arcs.slice(2)) {
    const groups = [arc % 128];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) {
      groups.unshift(0x80 | (rest % 128));
    }
    octets.push(...groups);
  }
  return element(tag.objectIdentifier, Uint8Array.from(octets));
}

/** A BIT STRING of whole octets. */
export function bitString(bytes: Uint8Array): Uint8Array {
  return element(tag.bitString, Uint8Array.of(0), bytes);
}
