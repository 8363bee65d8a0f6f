// NOR flash as it is: erasing turns a block's bits to 1, writing only turns bits to 0, both can be cut in the middle, blocks wear out.
import { AgentError } from "../../src/errors.js";
import type { Flash, FlashProvider, FlashStatus } from "../../src/host.js";
import type { Operation, Tear } from "./power.js";
import { Random } from "./random.js";

export interface NorOptions {
  readonly blocks?: number;
  readonly blockLength?: number;
  readonly writeAlign?: number;
  /** For everything that happens by chance. */
  readonly seed?: number;
}

/** Performs a flash operation, or cuts it off: `Power` does. */
export interface Spender {
  readonly isOn: boolean;
  spend(operation: Operation): void;
}

export interface NorCounts {
  /** Calls of `write`. */
  readonly writes: number;
  /** Bytes given to `write`. */
  readonly programmed: number;
  readonly erases: number;
  readonly reads: number;
  readonly readBytes: number;
  /** Broken rules; each was thrown as well. */
  readonly faults: number;
}

const always: Spender = Object.freeze({
  isOn: true,
  spend: ({ perform }: Operation) => perform(),
});

export class NorFlash {
  readonly #status: FlashStatus;
  readonly #bytes: Uint8Array;
  readonly #erases: Uint32Array;
  readonly #endurance = new Map<number, number>();
  readonly #random: Random;
  readonly #seed: number;
  #counts = { writes: 0, programmed: 0, erases: 0, reads: 0, readBytes: 0, faults: 0 };

  constructor(options: NorOptions = {}) {
    const { blocks = 256, blockLength = 4096, writeAlign = 1, seed = 1 } = options;
    const size = blocks * blockLength;
    this.#status = Object.freeze({ size, blocks, blockLength, writeAlign, eraseValue: 0xff });
    this.#bytes = new Uint8Array(size).fill(0xff);
    this.#erases = new Uint32Array(blocks);
    this.#seed = seed;
    this.#random = new Random(seed);
  }

  get counts(): NorCounts {
    return { ...this.#counts };
  }

  /** Of each block. */
  get erases(): readonly number[] {
    return [...this.#erases];
  }

  /** What it holds, for a test to look at and to spoil. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  resetCounts(): void {
    this.#counts = { writes: 0, programmed: 0, erases: 0, reads: 0, readBytes: 0, faults: 0 };
    this.#erases.fill(0);
  }

  /** Another with the same content and wear; counts start anew. */
  clone(): NorFlash {
    const { blocks, blockLength, writeAlign } = this.#status;
    const copy = new NorFlash({ blocks, blockLength, writeAlign: writeAlign!, seed: this.#seed });
    copy.#bytes.set(this.#bytes);
    copy.#erases.set(this.#erases);
    for (const [block, count] of this.#endurance) copy.#endurance.set(block, count);
    return copy;
  }

  /** From so many erases on the block does not come clean any more, or takes no more zeros. */
  wearOut(block: number, erases: number): void {
    this.#endurance.set(block, erases);
  }

  /** Turns bits over, anywhere. */
  flip(bits: number): void {
    for (let i = 0; i < bits; i++)
      this.#bytes[this.#random.below(this.#bytes.length)]! ^= 1 << this.#random.below(8);
  }

  /** The partition as one boot sees it. */
  provider(path: string, power: Spender = always): FlashProvider {
    return {
      open: options => {
        if (options.path !== path) throw refused(`no partition ${options.path}`);
        return this.open(power, options.mode === "r");
      },
    };
  }

  open(power: Spender = always, isReadOnly = false): Flash {
    let isOpen = true;
    const check = (from: number, length: number, align: number) => {
      if (!isOpen) throw refused("closed");
      if (!power.isOn) throw new Error("the power is off");
      const isInside = from >= 0 && length >= 0 && from + length <= this.#bytes.length;
      if (!isInside || !Number.isInteger(from)) this.#fault(`${length} bytes at ${from}: outside`);
      if (from % align !== 0 || length % align !== 0)
        this.#fault(`${length} bytes at ${from}: not aligned to ${align}`);
    };
    const toChange = () => {
      if (isReadOnly) throw refused("read-only");
    };
    return {
      status: () => this.#status,
      read: ((target: number | Uint8Array, offset: number) => {
        const length = typeof target === "number" ? target : target.length;
        check(offset, length, 1);
        this.#counts.reads++;
        this.#counts.readBytes += length;
        if (typeof target === "number") return this.#bytes.slice(offset, offset + length).buffer;
        target.set(this.#bytes.subarray(offset, offset + length));
        return length;
      }) as Flash["read"],
      write: (bytes, offset) => {
        toChange();
        check(offset, bytes.length, this.#status.writeAlign!);
        const copy = bytes.slice();
        this.#refuseRising(copy, offset);
        power.spend({
          name: `write ${offset}+${copy.length}`,
          perform: () => this.#program(copy, offset),
          tear: tear => this.#tearProgram(copy, offset, tear),
        });
      },
      eraseBlock: (first, end = first + 1) => {
        toChange();
        const { blocks } = this.#status;
        const areCounts = Number.isInteger(first) && Number.isInteger(end);
        if (!areCounts || first < 0 || first > end || end > blocks)
          this.#fault(`blocks ${first} to ${end} of ${blocks}: outside`);
        for (let block = first; block < end; block++) {
          check(block * this.#status.blockLength, this.#status.blockLength, 1);
          power.spend({
            name: `erase ${block}`,
            perform: () => this.#erase(block),
            tear: tear => this.#tearErase(block, tear),
          });
        }
      },
      close: () => {
        isOpen = false;
      },
    };
  }

  #fault(what: string): never {
    this.#counts.faults++;
    throw refused(what);
  }

  #refuseRising(bytes: Uint8Array, offset: number): void {
    for (let i = 0; i < bytes.length; i++) {
      const old = this.#bytes[offset + i]!;
      if ((old & bytes[i]!) !== bytes[i]) {
        this.#fault(`0x${bytes[i]!.toString(16)} over 0x${old.toString(16)} at ${offset + i}`);
      }
    }
  }

  #isWorn(block: number): boolean {
    return this.#erases[block]! >= (this.#endurance.get(block) ?? Number.POSITIVE_INFINITY);
  }

  #program(bytes: Uint8Array, offset: number): void {
    this.#counts.writes++;
    this.#counts.programmed += bytes.length;
    const block = Math.floor(offset / this.#status.blockLength);
    // Of worn blocks every other one erases well, and then has a bit in each byte that does not fall.
    const stuck = block % 2 === 1 && this.#isWorn(block) ? 0x10 : 0;
    for (let i = 0; i < bytes.length; i++) this.#bytes[offset + i]! &= bytes[i]! | stuck;
  }

  #tearProgram(bytes: Uint8Array, offset: number, { part, isMixed }: Tear): void {
    if (!isMixed) {
      this.#program(bytes.subarray(0, Math.round(part * bytes.length)), offset);
      return;
    }
    const torn = bytes.map(byte => byte | this.#chanceBits(1 - part));
    this.#program(torn, offset);
  }

  #erase(block: number): void {
    const { blockLength } = this.#status;
    this.#counts.erases++;
    this.#erases[block]!++;
    const start = block * blockLength;
    this.#bytes.fill(0xff, start, start + blockLength);
    if (block % 2 === 0 && this.#isWorn(block))
      this.#bytes[start + this.#random.below(blockLength)]! &= 0xf7;
  }

  #tearErase(block: number, { part, isMixed }: Tear): void {
    const { blockLength } = this.#status;
    this.#counts.erases++;
    this.#erases[block]!++;
    const start = block * blockLength;
    if (!isMixed) {
      this.#bytes.fill(0xff, start, start + Math.round(part * blockLength));
      return;
    }
    for (let at = start; at < start + blockLength; at++) this.#bytes[at]! |= this.#chanceBits(part);
  }

  /** A byte each of whose bits is 1 by this chance. */
  #chanceBits(chance: number): number {
    let bits = 0;
    for (let bit = 0; bit < 8; bit++)
      if (this.#random.below(1 << 16) < chance * (1 << 16)) bits |= 1 << bit;
    return bits;
  }
}

/** As every host's flash does. */
function refused(what: string): AgentError {
  return new AgentError("storage/write", `NOR flash: ${what}`);
}
