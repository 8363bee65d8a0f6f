// One sector's records: finds the next that is whole, whatever lies between. Made when a sector is looked at, and dropped again.
import { fromUtf8 } from "../util/bytes.js";
import {
  align,
  begin,
  grain,
  type Header,
  headBytes,
  headerBytes,
  headOf,
  isBlank,
  isDone,
  isNearlyBlank,
  isRecord,
  noLimit,
  readTime,
  readUint32,
  seal,
  sizeOf,
  topicUnit,
  writeTime,
  writeUint32,
} from "./format.js";
import type { Medium } from "./medium.js";

/** A program page of NOR flash: a write that was cut off leaves no trace beyond it. */
const pageBytes = 256;

/** What was found from a place on. */
export interface Found {
  /** Where the record starts, or where there is nothing any more. */
  readonly at: number;
  /** Where the next one may start; without a record: where the search began, if nothing at all was found, else its limit. */
  readonly end: number;
  /** The record, whole; undefined when there is none. */
  readonly bytes: Uint8Array | undefined;
  /** Where something stands in front of it that is no record and was not accounted for, or 0. */
  readonly damagedAt: number;
}

/** What a record of a class is made of, besides its topic. */
export interface Content {
  readonly payload: Uint8Array;
  readonly time: number;
  readonly isTimeCertain: boolean;
  /** Seconds, or `noLimit`. */
  readonly ageLimit: number;
}

export class Sector {
  readonly block: number;
  readonly kind: number;
  readonly sequence: number;
  readonly baseTime: number;
  readonly ageLimit: number;
  readonly #medium: Medium;

  constructor(medium: Medium, block: number, header: Header) {
    this.#medium = medium;
    this.block = block;
    this.kind = header.kind;
    this.sequence = header.sequence;
    this.baseTime = header.baseTime;
    this.ageLimit = header.ageLimit;
  }

  private get base(): number {
    return this.block * this.#medium.blockLength;
  }

  /** Grows with each record of a class, and is never given twice. */
  idAt(at: number): number {
    return this.sequence * this.#medium.blockLength + at;
  }

  /** The next record from `at` on, before `limit`, that is whole; topics are records here. */
  next(at: number, limit: number): Found {
    const head = new Uint8Array(headBytes);
    let garbageAt = 0;
    let isStrayed = false;
    let place = at;
    while (place + headBytes <= limit) {
      this.#medium.read(head, this.base + place);
      // No record begins with a blank word; before a topic there may be some, where topics are aligned to more.
      if (isBlank(head, 0, grain)) {
        place = this.startOfData(place + (isBlank(head) ? headBytes : grain), limit);
        continue;
      }
      // A bit that turned over where nothing was written: no record, no damage, yet nothing can be written over it.
      if (isNearlyBlank(head)) {
        isStrayed = true;
        place = this.startOfData(place + headBytes, limit);
        continue;
      }
      const bytes =
        this.wholeAt(head, place, limit) ??
        (place === at ? this.mendedAt(head, place, limit) : undefined);
      if (bytes !== undefined) {
        const end = place + align(bytes.length);
        return { at: place, end, bytes, damagedAt: this.damagedAt(garbageAt) };
      }
      if (garbageAt === 0) garbageAt = place;
      place += grain;
    }
    const end = garbageAt === 0 && !isStrayed ? at : limit;
    return { at: limit, end, bytes: undefined, damagedAt: this.damagedAt(garbageAt) };
  }

  private damagedAt(garbageAt: number): number {
    return garbageAt === 0 || this.isAccounted(garbageAt) ? 0 : garbageAt;
  }

  private startOfData(from: number, limit: number): number {
    return (this.#medium.startOfData(this.base + from, this.base + limit) - this.base) & -grain;
  }

  private isAccounted(at: number): boolean {
    const word = new Uint8Array(grain);
    this.#medium.read(word, this.base + at);
    return readUint32(word, 0) === 0;
  }

  /** The record that stands there, if it is one; a head with a single wrong bit is mended as well. */
  private recordAt(at: number, limit: number): Uint8Array | undefined {
    const head = new Uint8Array(headBytes);
    this.#medium.read(head, this.base + at);
    return this.wholeAt(head, at, limit) ?? this.mendedAt(head, at, limit);
  }

  private wholeAt(head: Uint8Array, at: number, limit: number): Uint8Array | undefined {
    const parsed = headOf(head);
    const size = sizeOf(parsed);
    if (at + size > limit || !this.isPlausible(parsed.topic, at)) return undefined;
    const bytes = new Uint8Array(size);
    bytes.set(head);
    if (size > headBytes) this.#medium.read(bytes.subarray(headBytes), this.base + at + headBytes);
    return isRecord(bytes, size, this.sequence, at) ? bytes : undefined;
  }

  private mendedAt(head: Uint8Array, at: number, limit: number): Uint8Array | undefined {
    for (let bit = 0; bit < 24; bit++) {
      const mask = 1 << (bit & 7);
      head[1 + (bit >>> 3)]! ^= mask;
      const bytes = this.wholeAt(head, at, limit);
      if (bytes !== undefined) return bytes;
      head[1 + (bit >>> 3)]! ^= mask;
    }
    return undefined;
  }

  /** Spares most of what is no record the reading and the checksum. */
  private isPlausible(topic: number, at: number): boolean {
    if (this.kind === 3) return topic === 1;
    if (topic === 0) return true;
    const place = topic * topicUnit(this.#medium.blockLength);
    return place >= headerBytes && place < at;
  }

  topicAt(place: number): string | undefined {
    const bytes = this.recordAt(place, this.#medium.blockLength);
    if (bytes === undefined || headOf(bytes).topic !== 0) return undefined;
    return fromUtf8(bytes, headBytes);
  }

  /** Whether this very topic stands there. */
  isTopicAt(place: number, topic: Uint8Array, hash: number): boolean {
    const bytes = new Uint8Array(headBytes + topic.length);
    if (place + bytes.length > this.#medium.blockLength) return false;
    this.#medium.read(bytes, this.base + place);
    const { length, topic: ownTopic } = headOf(bytes);
    if (ownTopic !== 0 || length !== topic.length || readUint32(bytes, 4) !== hash) return false;
    for (let i = 0; i < length; i++) if (bytes[headBytes + i] !== topic[i]) return false;
    return true;
  }

  timeOf(bytes: Uint8Array): number {
    return headOf(bytes).isExtended
      ? readTime(bytes, headBytes + 4)
      : this.baseTime + readUint32(bytes, 4);
  }

  /** Seconds, or `noLimit`. */
  ageLimitOf(bytes: Uint8Array): number {
    return headOf(bytes).isExtended ? readUint32(bytes, headBytes) : this.ageLimit;
  }

  isExpired(bytes: Uint8Array, now: number | undefined): boolean {
    const limit = this.ageLimitOf(bytes);
    if (now === undefined || limit === noLimit || !headOf(bytes).isTimeCertain) return false;
    return now - this.timeOf(bytes) > limit * 1000;
  }

  /** Whether a record needs the words of an extension here. */
  needsExtension({ time, ageLimit }: Content): boolean {
    const { baseTime, ageLimit: usual } = this;
    return ageLimit !== usual || time < baseTime || time - baseTime > 0xffffffff;
  }

  /** @returns whether it is there now, whole */
  write(at: number, topic: number, content: Content): boolean {
    const { payload, time, isTimeCertain, ageLimit } = content;
    const isExtended = this.needsExtension(content);
    const head = { length: payload.length, topic, isTimeCertain, isExtended };
    const bytes = begin(head);
    const size = sizeOf(head);
    writeUint32(bytes, 4, isExtended ? 0 : time - this.baseTime);
    if (isExtended) {
      writeUint32(bytes, headBytes, ageLimit);
      writeTime(bytes, headBytes + 4, time);
    }
    bytes.set(payload, size - payload.length);
    return this.seal(bytes, size, at);
  }

  writeTopic(at: number, topic: Uint8Array, hash: number): boolean {
    const head = { length: topic.length, topic: 0, isTimeCertain: true, isExtended: false };
    const bytes = begin(head);
    writeUint32(bytes, 4, hash);
    bytes.set(topic, headBytes);
    return this.seal(bytes, sizeOf(head), at);
  }

  private seal(bytes: Uint8Array, size: number, at: number): boolean {
    seal(bytes, size, this.sequence, at);
    return this.#medium.write(bytes, this.base + at);
  }

  /** Notes in place that a record is done. May be repeated. */
  markDone(at: number): boolean {
    if (this.#medium.takesBytes) return this.#medium.write(new Uint8Array(1), this.base + at);
    const word = new Uint8Array(grain);
    this.#medium.read(word, this.base + at);
    word[0] = 0;
    return this.#medium.write(word, this.base + at);
  }

  /** Notes in place that what stands there was accounted for. */
  markAccounted(at: number): boolean {
    return this.#medium.write(new Uint8Array(grain), this.base + at);
  }

  /** @returns where the record ends that stands there and has not been done with, or 0 */
  pendingAt(at: number): number {
    const bytes = this.recordAt(at, this.#medium.blockLength);
    const isPending = bytes !== undefined && !this.isTopic(bytes) && !isDone(bytes[0]!);
    return isPending ? at + align(bytes.length) : 0;
  }

  /**
   * Where the next record goes, behind the last whole one that ends at `end`: what a cut left there was never promised, is accounted
   * for, and the page it stands in is left.
   *
   * @param rest  what was found from `end` on: no record
   */
  continueAt(end: number, rest: Found): number {
    if (rest.end === end) return end;
    const limit = this.#medium.blockLength;
    const last = this.#medium.endOfData(this.base + end, this.base + limit) - this.base;
    if (rest.damagedAt > 0) this.markAccounted(rest.damagedAt);
    return Math.min(limit, Math.ceil(last / pageBytes) * pageBytes);
  }

  isTopic(bytes: Uint8Array): boolean {
    return this.kind !== 3 && headOf(bytes).topic === 0;
  }
}
