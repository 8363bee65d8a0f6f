// What could not be sent yet, kept on raw flash: records of three classes, each oldest first, until they are acknowledged.
import { AgentError } from "../errors.js";
import type { Flash } from "../host.js";
import { limits } from "../limits.js";
import { toUtf8 } from "../util/bytes.js";
import { crc32 } from "../util/crc32.js";
import { badChain } from "./chains.js";
import {
  align,
  extensionBytes,
  headBytes,
  headerBytes,
  headOf,
  isDone,
  isTime,
  noLimit,
  topicUnit,
} from "./format.js";
import {
  type Gap,
  gapOf,
  Ledger,
  type Reason,
  type Target,
  wholeSector,
  withTime,
} from "./ledger.js";
import { Medium } from "./medium.js";
import { type ClassPolicy, checkPolicies, defaultPolicies } from "./policies.js";
import { type Census, Ring } from "./ring.js";
import type { Content, Found, Sector } from "./sector.js";

export interface OutboxOptions {
  /** Of the classes 0 to 2; default: `defaultPolicies`. */
  readonly policies?: readonly ClassPolicy[];
  /** A random number of 32 bits, for a partition that has none yet: with it, ids of two lives of one device differ. */
  readonly generation: number;
}

export interface OutboxRecord {
  /** 0 to 2, of `priorities`. */
  readonly priority: number;
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Epoch ms of the event, as well as is known. */
  readonly time: number;
  /** Whether it came from a clock that was set; others never grow too old. */
  readonly isTimeCertain: boolean;
  /** Seconds from `time` on in which the record is of use; default: the class's. */
  readonly ageLimitSeconds?: number | undefined;
}

export interface Entry extends OutboxRecord {
  /** Grows within a class, is never used twice on one partition and names the record for good. */
  readonly id: number;
}

export interface OutboxStatus {
  readonly generation: number;
  /** Of the classes 0 to 2. */
  readonly sectors: readonly number[];
  readonly free: number;
  readonly bad: number;
  /** Erases of a block in the mean, so far. */
  readonly meanErases: number;
  /** The ledger could not be written: gaps may be told too small. */
  readonly isLame: boolean;
}

/** Where a record stands, and the next one. */
interface Place {
  readonly sector: Sector;
  readonly at: number;
  readonly next: number;
}

/** Words of each class: where what is, in bytes from its sector's start; 0 is not known. */
const stride = 16;
/** Behind the newest record. */
const end = 0;
/** Before the oldest that is not done with. */
const tail = 1;
/** The last that was looked at, its block, and where the next one may be. */
const cursorBlock = 2;
const cursorAt = 3;
const cursorNext = 4;
/** Topics that stand in the newest sector: how many were put there, where. */
const topicCount = 5;
const topics = 6;
const topicPlaces = 6;
/** The class's policy. */
const mostSectors = 12;
const isDropping = 13;
const ageLimitLow = 14;
const ageLimitHigh = 15;

const writeTries = 4;

export class Outbox {
  readonly #ring: Ring;
  readonly #ledger: Ledger;

  /**
   * Mounts: reads the first bytes of each block and the ledger's sector.
   *
   * @throws AgentError "outbox/partition" for flash that does not fit, "outbox/record" for policies that do not, "outbox/flash"
   */
  constructor(flash: Flash, options: OutboxOptions) {
    const medium = new Medium(flash);
    const policies = options.policies ?? defaultPolicies(medium.blocks);
    checkPolicies(policies, medium.blocks);
    this.#ring = new Ring(medium, options.generation);
    this.#ledger = new Ledger(this.#ring);
    policies.forEach(({ sectors, whenFull, ageLimitSeconds = noLimit }, priority) => {
      this.setMark(priority, mostSectors, sectors);
      this.setMark(priority, isDropping, whenFull === "drop-oldest" ? 1 : 0);
      this.setMark(priority, ageLimitLow, ageLimitSeconds & 0xffff);
      this.setMark(priority, ageLimitHigh, ageLimitSeconds >>> 16);
    });
    const sequences = this.#ring.mount();
    const target = this.#ledger.mount();
    if (target !== undefined) this.complete(target, sequences.indexOf(target.sequence));
  }

  /** Of the partition's life: tells its ids from those of another. */
  get generation(): number {
    return this.#ring.generation;
  }

  get status(): OutboxStatus {
    const { available, chains, generation, medium, sequence } = this.#ring;
    return {
      generation,
      sectors: [chains.count(0), chains.count(1), chains.count(2)],
      free: available,
      bad: chains.count(badChain),
      meanErases: sequence / medium.blocks,
      isLame: this.#ledger.isLame,
    };
  }

  /** What the partition's blocks are; reads each block's first bytes. */
  census(): Census {
    return this.#ring.census();
  }

  close(): void {
    this.#ring.medium.close();
  }

  // -- in --

  /**
   * Keeps a record; it survives a power cut from the moment this returns.
   *
   * @returns its id, or undefined when its class is full and takes no more: that is counted
   * @throws  AgentError "outbox/record" for a record that can never be kept, "outbox/flash" when the flash takes nothing any more
   */
  append(record: OutboxRecord): number | undefined {
    const { priority, payload, time, isTimeCertain } = record;
    const topic = toUtf8(record.topic);
    this.check(record, topic);
    const ageLimit = record.ageLimitSeconds ?? this.ageLimitOf(priority);
    const content: Content = { payload, time, isTimeCertain, ageLimit };
    const hash = crc32(topic);
    for (let tries = 0; tries < writeTries; tries++) {
      let sector = this.head(priority);
      let place = sector ? this.topicPlace(sector, topic, hash) : 0;
      if (sector === undefined || !this.fits(sector, content, topic, place)) {
        sector = this.open(priority, time);
        place = 0;
      }
      if (sector === undefined) {
        if (this.isWornOut) break;
        return this.refuse(priority, time);
      }
      if (place === 0) place = this.putTopic(sector, topic, hash);
      const at = this.mark(priority, end);
      if (
        place > 0 &&
        sector.write(at, place / topicUnit(this.#ring.medium.blockLength), content)
      ) {
        this.setMark(priority, end, at + sizeIn(sector, content));
        return sector.idAt(at);
      }
      // The sector does not take it: no more of it is used.
      sector.markAccounted(at);
      this.setMark(priority, end, this.#ring.medium.blockLength);
    }
    throw new AgentError("outbox/flash", "outbox: no sector takes a record any more");
  }

  private refuse(priority: number, time: number): undefined {
    if (!this.#ledger.enter([gapOf(priority, "refused", time)]))
      throw new AgentError("outbox/flash", "outbox: no block takes anything any more");
  }

  private check(
    { priority, payload, time, ageLimitSeconds = 0 }: OutboxRecord,
    topic: Uint8Array,
  ): void {
    const { blockLength } = this.#ring.medium;
    const fault = (what: string) => new AgentError("outbox/record", `outbox: ${what}`);
    if (priority !== 0 && priority !== 1 && priority !== 2)
      throw fault(`there is no class ${priority}`);
    if (topic.length === 0 || topic.length > limits.outboxTopicBytes)
      throw fault(`a topic of ${topic.length} bytes, from 1 to ${limits.outboxTopicBytes}`);
    if (!isTime(time)) throw fault(`${time} is no time`);
    if (!Number.isInteger(ageLimitSeconds) || ageLimitSeconds < 0 || ageLimitSeconds >= noLimit)
      throw fault(`${ageLimitSeconds} is no age limit`);
    const topicRoom = topicUnit(blockLength) + align(headBytes + topic.length);
    const room = blockLength - headerBytes - topicRoom - headBytes - extensionBytes;
    const most = Math.min(room, limits.outboxPayloadBytes);
    if (payload.length > most)
      throw fault(`a payload of ${payload.length} bytes, at most ${most} in one sector`);
  }

  private fits(sector: Sector, content: Content, topic: Uint8Array, place: number): boolean {
    const { blockLength } = this.#ring.medium;
    let at = this.mark(sector.kind, end);
    if (place === 0) at = alignTo(topicUnit(blockLength), at) + align(headBytes + topic.length);
    return at + sizeIn(sector, content) <= blockLength;
  }

  /** @returns its place, or 0 when the sector does not take it */
  private putTopic(sector: Sector, topic: Uint8Array, hash: number): number {
    const { kind } = sector;
    const place = alignTo(topicUnit(this.#ring.medium.blockLength), this.mark(kind, end));
    this.setMark(kind, end, place);
    if (!sector.writeTopic(place, topic, hash)) return 0;
    this.setMark(kind, end, place + align(headBytes + topic.length));
    this.rememberTopic(kind, place);
    return place;
  }

  /** The newest sector; where its records end is looked up once. */
  private head(priority: number): Sector | undefined {
    const { chains, medium } = this.#ring;
    if (chains.count(priority) === 0) return undefined;
    const sector = this.#ring.sector(chains.last(priority));
    if (this.mark(priority, end) > 0) return sector;
    let at = headerBytes;
    let found = sector.next(at, medium.blockLength);
    for (; found.bytes !== undefined; found = sector.next(at, medium.blockLength)) {
      if (sector.isTopic(found.bytes)) this.rememberTopic(priority, found.at);
      at = found.end;
    }
    this.setMark(priority, end, sector.continueAt(at, found));
    return sector;
  }

  private topicPlace(sector: Sector, topic: Uint8Array, hash: number): number {
    const { kind } = sector;
    const count = Math.min(topicPlaces, this.mark(kind, topicCount));
    for (let i = 0; i < count; i++) {
      const place = this.mark(kind, topics + i);
      if (sector.isTopicAt(place, topic, hash)) return place;
    }
    return 0;
  }

  private rememberTopic(kind: number, place: number): void {
    const count = this.mark(kind, topicCount);
    this.setMark(kind, topics + (count % topicPlaces), place);
    this.setMark(kind, topicCount, count + 1);
  }

  // -- room --

  private open(priority: number, time: number): Sector | undefined {
    const { chains } = this.#ring;
    while (chains.count(priority) >= this.mark(priority, mostSectors)) {
      if (this.mark(priority, isDropping) === 0) return undefined;
      this.evict(priority);
    }
    // One block stays for the ledger, which has to be able to move.
    for (;;) {
      const sector = this.#ring.open(priority, time, this.ageLimitOf(priority), 1);
      if (sector !== undefined) {
        this.setMark(priority, end, headerBytes);
        this.setMark(priority, topicCount, 0);
        return sector;
      }
      const victim = this.victimFor(priority);
      // What a worn partition still holds is worth more than another block that refuses.
      if (victim === undefined || this.isWornOut) return undefined;
      this.evict(victim);
    }
  }

  /** Half of the blocks refuse to be erased or written. */
  private get isWornOut(): boolean {
    const { chains, medium } = this.#ring;
    return 2 * chains.count(badChain) >= medium.blocks;
  }

  /** A class whose oldest sector goes: less important ones first. No class loses its newest. */
  private victimFor(priority: number): number | undefined {
    const { chains } = this.#ring;
    for (let other = 2; other > priority; other--) if (chains.count(other) > 1) return other;
    return this.mark(priority, isDropping) === 1 && chains.count(priority) > 1
      ? priority
      : undefined;
  }

  /** Drops a class's oldest sector: what is left in it stands in the ledger first. @throws AgentError "outbox/flash" when it cannot */
  private evict(priority: number): void {
    const sector = this.#ring.sector(this.#ring.chains.first(priority));
    const { blockLength } = this.#ring.medium;
    const gaps: Gap[] = [];
    let lost: Gap | undefined;
    let found = sector.next(this.mark(priority, tail) || headerBytes, blockLength);
    for (; ; found = sector.next(found.end, blockLength)) {
      if (found.damagedAt > 0) gaps.push(gapOf(priority, "damaged", lost?.to ?? sector.baseTime));
      if (found.bytes === undefined) break;
      if (sector.isTopic(found.bytes) || isDone(found.bytes[0]!)) continue;
      lost = withTime(lost, priority, "full", sector.timeOf(found.bytes));
    }
    if (lost !== undefined) gaps.push(lost);
    const { sequence } = sector;
    if (gaps.length > 0 && !this.#ledger.enter(gaps, { sequence, first: 0, last: wholeSector }))
      throw new AgentError("outbox/flash", "outbox: what would be lost cannot be told");
    this.release(priority);
  }

  private release(priority: number): void {
    const block = this.#ring.chains.first(priority);
    this.#ring.release(priority);
    this.setMark(priority, tail, 0);
    if (this.mark(priority, cursorBlock) === block) this.setMark(priority, cursorAt, 0);
  }

  // -- out --

  /**
   * The oldest record of a class that is not done with; what is too old, or not readable, is dropped on the way, and counted.
   *
   * @param after  the id of a record: only later ones. So several can be on their way
   * @param now    epoch ms, absent when the clock is not set: then nothing is too old
   */
  peek(priority: number, after = 0, now?: number): Entry | undefined {
    const { chains } = this.#ring;
    if (!isClass(priority)) return undefined;
    let at = this.resume(priority, after);
    if (at === 0) {
      this.settle(priority);
      if (chains.count(priority) === 0) return undefined;
      at = this.mark(priority, tail) || headerBytes;
      this.setMark(priority, cursorBlock, chains.first(priority));
    }
    let block: number | undefined = this.mark(priority, cursorBlock);
    while (block !== undefined) {
      const entry = this.peekIn(priority, block, at, after, now);
      if (entry !== undefined) return entry;
      block = chains.after(priority, block);
      at = headerBytes;
    }
    return undefined;
  }

  /** Where to go on behind the record that was looked at last, or 0. */
  private resume(priority: number, after: number): number {
    const last = this.mark(priority, cursorAt);
    if (after === 0 || last === 0) return 0;
    const sector = this.#ring.sector(this.mark(priority, cursorBlock));
    return sector.idAt(last) === after ? this.mark(priority, cursorNext) : 0;
  }

  private peekIn(
    priority: number,
    block: number,
    from: number,
    after: number,
    now: number | undefined,
  ): Entry | undefined {
    const sector = this.sectorAt(priority, block);
    const limit = this.limitOf(priority, block);
    for (let at = from; ; ) {
      const found = sector.next(at, limit);
      this.accountFor(sector, found);
      if (found.bytes === undefined) return undefined;
      at = found.end;
      if (!isPending(sector, found) || sector.idAt(found.at) <= after) continue;
      if (sector.isExpired(found.bytes, now)) {
        this.age(sector, found, limit, now);
        continue;
      }
      const entry = this.entryOf(sector, found);
      if (entry === undefined) {
        this.dropAt(sector, found, "damaged");
        continue;
      }
      this.setMark(priority, cursorBlock, block);
      this.setMark(priority, cursorAt, found.at);
      this.setMark(priority, cursorNext, found.end);
      return entry;
    }
  }

  private entryOf(sector: Sector, { at, bytes }: Found): Entry | undefined {
    const { isTimeCertain, length, topic } = headOf(bytes!);
    const text = sector.topicAt(topic * topicUnit(this.#ring.medium.blockLength));
    if (text === undefined) return undefined;
    const ageLimit = sector.ageLimitOf(bytes!);
    return {
      id: sector.idAt(at),
      priority: sector.kind,
      topic: text,
      payload: bytes!.slice(bytes!.length - length),
      time: sector.timeOf(bytes!),
      isTimeCertain,
      ageLimitSeconds: ageLimit === noLimit ? undefined : ageLimit,
    };
  }

  /**
   * The record is delivered: it will not be seen again.
   *
   * @returns false when it is not there any more: dropped in the meantime, or acknowledged before
   * @throws  AgentError "outbox/flash" when that cannot be noted: it will be seen again
   */
  acknowledge({ id, priority }: Pick<Entry, "id" | "priority">): boolean {
    const place = this.find(priority, id);
    if (place === undefined) return false;
    this.finish(place.sector, place.at);
    this.afterDone(priority, place);
    return true;
  }

  /** Gives a record up, and counts it. @returns false when it is not there any more */
  drop({ id, priority, time }: Pick<Entry, "id" | "priority" | "time">, reason: Reason): boolean {
    const place = this.find(priority, id);
    if (place === undefined) return false;
    const { sector, at } = place;
    const { sequence } = sector;
    this.#ledger.enter([gapOf(priority, reason, time)], { sequence, first: at, last: at });
    this.finish(sector, at);
    this.afterDone(priority, place);
    return true;
  }

  private find(priority: number, id: number): Place | undefined {
    const { chains, medium } = this.#ring;
    const sequence = Math.floor(id / medium.blockLength);
    const at = id % medium.blockLength;
    if (!isClass(priority) || chains.count(priority) === 0) return undefined;
    let block: number | undefined = chains.first(priority);
    while (block !== undefined) {
      const sector = this.#ring.sector(block);
      if (sector.sequence === sequence) {
        const next = sector.pendingAt(at);
        return next > 0 ? { sector, at, next } : undefined;
      }
      if (sector.sequence > sequence) return undefined;
      block = chains.after(priority, block);
    }
    return undefined;
  }

  private finish(sector: Sector, at: number): void {
    if (sector.markDone(at) || sector.pendingAt(at) === 0) return;
    if (!sector.markAccounted(at))
      throw new AgentError("outbox/flash", `outbox: block ${sector.block}: done cannot be noted`);
  }

  private afterDone(priority: number, { sector, at, next }: Place): void {
    if (sector.block !== this.#ring.chains.first(priority)) return;
    const first = this.mark(priority, tail);
    if (at === first) this.setMark(priority, tail, next);
    if (first === 0 || at === first) this.settle(priority);
  }

  /** Moves on to the oldest record that is not done with; sectors that have none are given back. */
  private settle(priority: number): void {
    const { chains } = this.#ring;
    while (chains.count(priority) > 0) {
      const block = chains.first(priority);
      const sector = this.sectorAt(priority, block);
      const limit = this.limitOf(priority, block);
      let found = sector.next(this.mark(priority, tail) || headerBytes, limit);
      while (found.bytes !== undefined && !isPending(sector, found)) {
        this.accountFor(sector, found);
        found = sector.next(found.end, limit);
      }
      this.accountFor(sector, found);
      if (found.bytes !== undefined || block === chains.last(priority)) {
        this.setMark(priority, tail, found.at);
        return;
      }
      this.release(priority);
    }
  }

  private sectorAt(priority: number, block: number): Sector {
    return block === this.#ring.chains.last(priority)
      ? this.head(priority)!
      : this.#ring.sector(block);
  }

  private limitOf(priority: number, block: number): number {
    return block === this.#ring.chains.last(priority)
      ? this.mark(priority, end)
      : this.#ring.medium.blockLength;
  }

  // -- losses --

  /** Another number after each loss, and after each report. */
  get lossMark(): number {
    return this.#ledger.mark;
  }

  /** How many reports have arrived; one that did not, and the one that follows it, have the same number. */
  get reports(): number {
    return this.#ledger.reports;
  }

  /** What was not reported yet. */
  gaps(): Gap[] {
    return this.#ledger.gaps();
  }

  /** A record that was dropped for newer ones, or as too old, has arrived after all: not counted as lost, unless that was reported. */
  arrived({ priority, time }: Pick<Entry, "priority" | "time">): void {
    const gap = this.gaps().find(
      ({ from, priority: of, reason, to }) =>
        of === priority && (reason === "full" || reason === "aged") && from <= time && time <= to,
    );
    if (gap) this.#ledger.enter([{ ...gap, count: -1, from: time, to: time }]);
  }

  /** These have reached the cloud. @returns whether that is noted; if not, they will be told again */
  reported(gaps: readonly Gap[]): boolean {
    return gaps.length === 0 || this.#ledger.reported(gaps);
  }

  private accountFor(sector: Sector, { damagedAt }: Found): void {
    if (damagedAt === 0) return;
    const { baseTime, kind, sequence } = sector;
    const target = { sequence, first: damagedAt, last: damagedAt };
    this.#ledger.enter([gapOf(kind, "damaged", baseTime)], target);
    sector.markAccounted(damagedAt);
  }

  private dropAt(sector: Sector, { at, bytes }: Found, reason: Reason): void {
    const { kind, sequence } = sector;
    const gap = gapOf(kind, reason, sector.timeOf(bytes!));
    this.#ledger.enter([gap], { sequence, first: at, last: at });
    this.finish(sector, at);
  }

  /** Drops a run of records that are too old, up to the sector's end: one entry for all of them. */
  private age(sector: Sector, first: Found, limit: number, now: number | undefined): void {
    let gap: Gap | undefined;
    let last = first.at;
    for (let found = first; found.bytes !== undefined; found = sector.next(found.end, limit)) {
      if (found !== first && found.damagedAt > 0) break;
      if (!isPending(sector, found)) continue;
      if (!sector.isExpired(found.bytes, now)) break;
      gap = withTime(gap, sector.kind, "aged", sector.timeOf(found.bytes));
      last = found.at;
    }
    this.#ledger.enter([gap!], { sequence: sector.sequence, first: first.at, last });
    this.finishRange(sector, first.at, last);
  }

  private finishRange(sector: Sector, first: number, last: number): void {
    let found = sector.next(first, this.#ring.medium.blockLength);
    for (; found.bytes !== undefined && found.at <= last; ) {
      if (isPending(sector, found)) this.finish(sector, found.at);
      if (found.end > last) return;
      found = sector.next(found.end, this.#ring.medium.blockLength);
    }
  }

  /** Does what the ledger's last entry told of, if a cut came before it. */
  private complete({ first, last }: Target, block: number): void {
    if (block < 0) return;
    const sector = this.#ring.sector(block);
    const { kind } = sector;
    if (last === wholeSector) {
      if (kind < 3 && block === this.#ring.chains.first(kind)) this.#ring.release(kind);
      return;
    }
    const found = sector.next(first, this.#ring.medium.blockLength);
    if (found.damagedAt === first) sector.markAccounted(first);
    else this.finishRange(sector, first, last);
  }

  /** The class's, in seconds. */
  private ageLimitOf(priority: number): number {
    return this.mark(priority, ageLimitLow) + this.mark(priority, ageLimitHigh) * 0x10000;
  }

  private mark(priority: number, what: number): number {
    return this.#ring.chains.word(priority * stride + what);
  }

  private setMark(priority: number, what: number, value: number): void {
    this.#ring.chains.setWord(priority * stride + what, value);
  }
}

function isClass(priority: number): boolean {
  return priority === 0 || priority === 1 || priority === 2;
}

function isPending(sector: Sector, { bytes }: Found): boolean {
  return !sector.isTopic(bytes!) && !isDone(bytes![0]!);
}

function alignTo(unit: number, at: number): number {
  return Math.ceil(at / unit) * unit;
}

function sizeIn(sector: Sector, content: Content): number {
  const extension = sector.needsExtension(content) ? extensionBytes : 0;
  return align(headBytes + extension + content.payload.length);
}
