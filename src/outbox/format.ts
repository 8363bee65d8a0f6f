// The bytes of the log: sector headers, records, ledger entries. Little-endian; README.md draws them. Knows no flash.
import { crc32, turnedBit } from "../util/crc32.js";

/** A sector's header, at its start. */
export const headerBytes = 32;
/** What stands before each record's content. */
export const headBytes = 12;
/** What stands between head and content of a record whose time or age limit is not the sector's. */
export const extensionBytes = 12;
/** Every position and length in the log is a multiple of it. */
export const grain = 4;
/** What an age limit is when there is none. */
export const noLimit = 0xffffffff;

const magic = 0x626f6b53; // "Skob"
const version = 1;
const longest = 0xfff;
const latest = 2 ** 48 - 1;

export function align(length: number): number {
  return (length + grain - 1) & -grain;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)) + bytes[at + 3]! * 0x1000000;
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value & 255;
  bytes[at + 1] = (value >>> 8) & 255;
  bytes[at + 2] = (value >>> 16) & 255;
  bytes[at + 3] = value >>> 24;
}

/** Epoch milliseconds in six bytes. */
export function readTime(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at) + (bytes[at + 4]! | (bytes[at + 5]! << 8)) * 2 ** 32;
}

export function writeTime(bytes: Uint8Array, at: number, time: number): void {
  writeUint32(bytes, at, time % 2 ** 32);
  const high = Math.floor(time / 2 ** 32);
  bytes[at + 4] = high & 255;
  bytes[at + 5] = high >>> 8;
}

/** Whole milliseconds that the format can keep. */
export function isTime(time: number): boolean {
  return Number.isInteger(time) && time >= 0 && time <= latest;
}

// -- checksums --

/** The message is everything from `from` to `size` but the checksum itself, which stands at `sumAt`. */
interface Checked {
  readonly from: number;
  readonly sumAt: number;
}

const headerCheck: Checked = Object.freeze({ from: 0, sumAt: headerBytes - 4 });
const recordCheck: Checked = Object.freeze({ from: 1, sumAt: 8 });

function sumOf(bytes: Uint8Array, { from, sumAt }: Checked, size: number, seed: number): number {
  const begin = crc32(bytes, from, sumAt, seed);
  return size === sumAt + 4 ? begin : crc32(bytes, sumAt + 4, size, begin);
}

/** Checks, and turns back a single bit that was turned over. @returns whether the bytes can be used */
function isWhole(bytes: Uint8Array, check: Checked, size: number, seed: number): boolean {
  const { from, sumAt } = check;
  const difference = (sumOf(bytes, check, size, seed) ^ readUint32(bytes, sumAt)) >>> 0;
  if (difference === 0) return true;
  // One bit of the checksum itself: the message is as it was.
  if ((difference & (difference - 1)) === 0) return true;
  const length = size - 4 - from;
  const bit = turnedBit(difference, length * 8);
  if (bit < 0) return false;
  const index = from + length - 1 - (bit >>> 3);
  bytes[index < sumAt ? index : index + 4]! ^= 0x80 >>> (bit & 7);
  return true;
}

// -- sectors --

export interface Header {
  /** 0 to 2 a class of records, 3 the ledger. */
  readonly kind: number;
  readonly generation: number;
  readonly sequence: number;
  /** Epoch ms that the records' times are counted from. */
  readonly baseTime: number;
  /** Seconds, or `noLimit`. */
  readonly ageLimit: number;
}

export function encodeHeader(header: Header, blockLength: number): Uint8Array {
  const bytes = new Uint8Array(headerBytes).fill(0xff);
  writeUint32(bytes, 0, magic);
  bytes[4] = version;
  bytes[5] = header.kind;
  bytes[6] = Math.log2(blockLength);
  writeUint32(bytes, 8, header.generation);
  writeUint32(bytes, 12, header.sequence);
  writeTime(bytes, 16, header.baseTime);
  writeUint32(bytes, 24, header.ageLimit);
  writeUint32(bytes, headerCheck.sumAt, sumOf(bytes, headerCheck, headerBytes, 0));
  return bytes;
}

/** What a block's first bytes say: a header, or one word. */
export type Reading = Header | "blank" | "freed" | "foreign" | "other";

/** @param bytes are mended in place when a single bit is wrong */
export function parseHeader(bytes: Uint8Array, blockLength: number): Reading {
  const first = readUint32(bytes, 0);
  if (first === 0) return "freed";
  if (isBlank(bytes)) return "blank";
  if (!isWhole(bytes, headerCheck, headerBytes, 0) || readUint32(bytes, 0) !== magic)
    return "foreign";
  const kind = bytes[5]!;
  if (bytes[4] !== version || bytes[6] !== Math.log2(blockLength) || kind > 3) return "other";
  return {
    kind,
    generation: readUint32(bytes, 8),
    sequence: readUint32(bytes, 12),
    baseTime: readTime(bytes, 16),
    ageLimit: readUint32(bytes, 24),
  };
}

export function isBlank(bytes: Uint8Array, from = 0, to = bytes.length): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0xff) return false;
  return true;
}

/** Whether at most one bit is not as an erase leaves it: no record, and no damage either. */
export function isNearlyBlank(bytes: Uint8Array): boolean {
  let zeros = 0;
  for (const byte of bytes) for (let rest = byte ^ 0xff; rest !== 0; rest &= rest - 1) zeros++;
  return zeros < 2;
}

// -- records --

/** A record's head without its state: where its topic stands counts in `topicUnit`s, 0 is a topic itself. */
export interface Head {
  readonly length: number;
  readonly topic: number;
  readonly isTimeCertain: boolean;
  readonly isExtended: boolean;
}

/** Ten bits have to do for the place of a topic. */
export function topicUnit(blockLength: number): number {
  return Math.max(grain, blockLength / 1024);
}

export function isDone(state: number): boolean {
  // By majority, so that a bit that fell over does not forget a record, nor bring one back.
  let ones = 0;
  for (let rest = state; rest !== 0; rest &= rest - 1) ones++;
  return ones < 5;
}

export function headOf(bytes: Uint8Array, at = 0): Head {
  const word = bytes[at + 1]! | (bytes[at + 2]! << 8) | (bytes[at + 3]! << 16);
  return {
    length: word & longest,
    topic: (word >>> 12) & 0x3ff,
    isTimeCertain: (word & 0x400000) !== 0,
    isExtended: (word & 0x800000) !== 0,
  };
}

/** Without what fills up the last word. */
export function sizeOf({ isExtended, length }: Head): number {
  return headBytes + (isExtended ? extensionBytes : 0) + length;
}

/** What the checksum of a record starts from, so that one in another place, or of another time, is none. */
function seedOf(sequence: number, at: number): number {
  return Math.imul(sequence, 0x9e3779b1) ^ at;
}

/** Starts a record: content and extension are for the caller to put in, `seal` comes last. */
export function begin(head: Head): Uint8Array {
  const bytes = new Uint8Array(align(sizeOf(head))).fill(0xff);
  const word =
    head.length |
    (head.topic << 12) |
    (head.isTimeCertain ? 0x400000 : 0) |
    (head.isExtended ? 0x800000 : 0);
  bytes[1] = word & 255;
  bytes[2] = (word >>> 8) & 255;
  bytes[3] = word >>> 16;
  return bytes;
}

export function seal(bytes: Uint8Array, size: number, sequence: number, at: number): void {
  writeUint32(bytes, 8, sumOf(bytes, recordCheck, size, seedOf(sequence, at)));
}

/** Whether this is a record of this place, mended in place when a single bit of its content is wrong. */
export function isRecord(bytes: Uint8Array, size: number, sequence: number, at: number): boolean {
  const before = headOf(bytes);
  if (!isWhole(bytes, recordCheck, size, seedOf(sequence, at))) return false;
  const after = headOf(bytes);
  return before.length === after.length && before.isExtended === after.isExtended;
}
