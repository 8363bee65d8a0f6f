// What was not kept, and why: a log of its own beside the records. An entry stands before what it tells of is done, and names it,
// so that a cut in between is completed and counted once.
import { ledgerChain, userWords } from "./chains.js";
import {
  align,
  grain,
  headBytes,
  headerBytes,
  isTime,
  noLimit,
  readTime,
  readUint32,
  writeTime,
  writeUint32,
} from "./format.js";
import type { Ring } from "./ring.js";
import type { Sector } from "./sector.js";

/** Why records were not delivered. */
export const reasons = Object.freeze([
  /** The oldest, dropped for newer or more important ones. */
  "full",
  /** Past its age limit. */
  "aged",
  /** Not readable any more: at least so many. */
  "damaged",
  /** New ones, not taken since the class was full. */
  "refused",
  /** Dropped by whoever was to send it: it would never be taken. */
  "rejected",
] as const);

export type Reason = (typeof reasons)[number];

export interface Gap {
  readonly priority: number;
  readonly reason: Reason;
  readonly count: number;
  /** Epoch ms of the first and of the last of them. */
  readonly from: number;
  readonly to: number;
}

/** What an entry says will be done: records from `first` to `last` of a sector, or all of it. */
export interface Target {
  readonly sequence: number;
  readonly first: number;
  readonly last: number;
}

/** `last` of a target that is a whole sector. */
export const wholeSector = 0xffff;

const endWord = userWords - 2;
const lameWord = userWords - 1;
const targetBytes = 8;
const gapBytes = 20;
const cells = 3 * reasons.length;

export class Ledger {
  readonly #ring: Ring;

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  /** An entry could not be written: gaps may be told too small. */
  get isLame(): boolean {
    return this.#ring.chains.word(lameWord) === 1;
  }

  /** Another number after each loss, and after each report. */
  get mark(): number {
    return this.#ring.chains.last(ledgerChain) * 0x10000 + this.end;
  }

  private get end(): number {
    return this.#ring.chains.word(endWord);
  }

  private set end(end: number) {
    this.#ring.chains.setWord(endWord, end);
  }

  /** @returns what the last entry wanted done, whether or not it was */
  mount(): Target | undefined {
    const { chains } = this.#ring;
    while (chains.count(ledgerChain) > 0) {
      const sector = this.#ring.sector(chains.last(ledgerChain));
      const limit = this.#ring.medium.blockLength;
      let last: Uint8Array | undefined;
      let end = headerBytes;
      let found = sector.next(end, limit);
      for (; found.bytes !== undefined; found = sector.next(end, limit)) {
        last = found.bytes;
        end = found.end;
      }
      this.end = sector.continueAt(end, found);
      if (last !== undefined) {
        while (chains.count(ledgerChain) > 1) this.#ring.release(ledgerChain);
        return targetOf(last);
      }
      // Cut off before its first entry, which repeats the ledger before: that one is still there.
      this.#ring.abandon(ledgerChain);
    }
    return undefined;
  }

  /** Everything that was not reported yet. */
  gaps(): Gap[] {
    return this.read().gaps;
  }

  /** How many reports have arrived: names the one to come, which holds more and more until it does. */
  get reports(): number {
    return this.read().reports;
  }

  private read(): { readonly gaps: Gap[]; readonly reports: number } {
    const { chains, medium } = this.#ring;
    const totals: Gap[] = [];
    let reports = 0;
    if (chains.count(ledgerChain) === 0) return { gaps: totals, reports };
    const sector = this.#ring.sector(chains.last(ledgerChain));
    let at = headerBytes;
    for (;;) {
      const { bytes, end } = sector.next(at, Math.min(this.end, medium.blockLength));
      if (bytes === undefined) return { gaps: totals.filter(({ count }) => count > 0), reports };
      if (readUint32(bytes, headBytes) === 0)
        reports = Math.max(reports, readUint32(bytes, headBytes + grain));
      for (let place = headBytes + targetBytes; place < bytes.length; place += gapBytes)
        add(totals, gapAt(bytes, place));
      at = end;
    }
  }

  /** @returns whether they stand there now */
  enter(gaps: readonly Gap[], target?: Target): boolean {
    return this.put(encode(gaps, target));
  }

  /** Takes back what has arrived. @returns whether that stands there now */
  reported(gaps: readonly Gap[]): boolean {
    const taken = gaps.map(gap => ({ ...gap, count: -gap.count }));
    return this.put(encode(taken, undefined, this.reports + 1));
  }

  private put(payload: Uint8Array): boolean {
    for (let tries = 0; tries < 3; tries++) {
      const sector = this.roomFor(headBytes + payload.length);
      if (sector === undefined) break;
      if (this.write(sector, payload)) return true;
    }
    this.#ring.chains.setWord(lameWord, 1);
    return false;
  }

  private write(sector: Sector, payload: Uint8Array): boolean {
    const { baseTime: time, ageLimit } = sector;
    const at = this.end;
    const isWritten = sector.write(at, 1, { payload, time, isTimeCertain: true, ageLimit });
    this.end = isWritten ? at + align(headBytes + payload.length) : this.#ring.medium.blockLength;
    return isWritten;
  }

  private roomFor(size: number): Sector | undefined {
    const { chains, medium } = this.#ring;
    if (chains.count(ledgerChain) > 0 && this.end + align(size) <= medium.blockLength)
      return this.#ring.sector(chains.last(ledgerChain));
    const { gaps, reports } = this.read();
    const sector = this.#ring.open(ledgerChain, 0, noLimit, 0);
    if (sector === undefined) return undefined;
    this.end = headerBytes;
    if (!this.write(sector, encode(gaps, undefined, reports))) {
      this.#ring.abandon(ledgerChain);
      return undefined;
    }
    while (chains.count(ledgerChain) > 1) this.#ring.release(ledgerChain);
    return sector;
  }
}

function add(totals: Gap[], gap: Gap): void {
  const index = totals.findIndex(
    ({ priority, reason }) => priority === gap.priority && reason === gap.reason,
  );
  const old = totals[index];
  if (old === undefined) {
    if (totals.length < cells) totals.push(gap);
    return;
  }
  const count = Math.max(0, old.count + gap.count);
  if (gap.count < 0) {
    // What is left came after what was reported.
    totals[index] = { ...old, count, from: Math.min(old.to, Math.max(old.from, gap.to)) };
  } else if (old.count === 0) totals[index] = gap;
  else {
    const from = Math.min(old.from, gap.from);
    totals[index] = { ...old, count, from, to: Math.max(old.to, gap.to) };
  }
}

/** @param reports how many have arrived, in an entry without a target */
function encode(gaps: readonly Gap[], target: Target | undefined, reports = 0): Uint8Array {
  const bytes = new Uint8Array(targetBytes + gaps.length * gapBytes);
  writeUint32(bytes, 0, target?.sequence ?? 0);
  writeUint32(bytes, grain, target ? target.first | (target.last << 16) : reports);
  gaps.forEach(({ priority, reason, count, from, to }, index) => {
    const at = targetBytes + index * gapBytes;
    bytes[at] = priority;
    bytes[at + 1] = reasons.indexOf(reason);
    writeUint32(bytes, at + 4, count);
    writeTime(bytes, at + 8, isTime(from) ? from : 0);
    writeTime(bytes, at + 14, isTime(to) ? to : 0);
  });
  return bytes;
}

function gapAt(bytes: Uint8Array, at: number): Gap {
  return {
    priority: bytes[at]!,
    reason: reasons[bytes[at + 1]!] ?? "damaged",
    count: readUint32(bytes, at + 4) | 0,
    from: readTime(bytes, at + 8),
    to: readTime(bytes, at + 14),
  };
}

function targetOf(bytes: Uint8Array): Target | undefined {
  const sequence = readUint32(bytes, headBytes);
  const range = readUint32(bytes, headBytes + grain);
  return sequence === 0 ? undefined : { sequence, first: range & 0xffff, last: range >>> 16 };
}

/** Of one record. */
export function gapOf(priority: number, reason: Reason, time: number): Gap {
  return { priority, reason, count: 1, from: time, to: time };
}

/** One record more. */
export function withTime(
  gap: Gap | undefined,
  priority: number,
  reason: Reason,
  time: number,
): Gap {
  if (gap === undefined) return gapOf(priority, reason, time);
  const from = Math.min(gap.from, time);
  return { ...gap, count: gap.count + 1, from, to: Math.max(gap.to, time) };
}
