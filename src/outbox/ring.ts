// The partition's sectors: reads their headers, opens the one that was free longest, gives them back. Knows no records.
import { AgentError } from "../errors.js";
import { badChain, Chains, freeChain, otherChain } from "./chains.js";
import { encodeHeader, grain, type Header, headerBytes, parseHeader } from "./format.js";
import type { Medium } from "./medium.js";
import { Sector } from "./sector.js";

/** What the blocks of the partition are, by their first bytes. */
export interface Census {
  /** Sectors of the log, in use. */
  readonly used: number;
  readonly blank: number;
  /** Given back after use, not erased yet. */
  readonly freed: number;
  /** Neither: strangers' bytes, or what a cut erase left. Used when their turn comes. */
  readonly foreign: number;
  /** Of another version of the log, or of other blocks: used when there is nothing else. */
  readonly other: number;
}

export class Ring {
  readonly medium: Medium;
  readonly chains: Chains;
  #generation: number;
  #sequence = 0;
  /** The sector that was looked at last: most calls are about the same. */
  #last: Sector | undefined;

  /** @param generation tells the ids of this partition's life from those of another; for a partition without one */
  constructor(medium: Medium, generation: number) {
    this.medium = medium;
    this.chains = new Chains(medium.blocks);
    this.#generation = generation;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Sectors opened so far: with `blocks`, the mean of erases. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Blocks that can be taken. */
  get available(): number {
    return this.chains.count(freeChain) + this.chains.count(otherChain);
  }

  /** Reads each block's header, once. @returns each block's sequence; 0 is none */
  mount(): Uint32Array {
    const { blocks, blockLength } = this.medium;
    const sequences = new Uint32Array(blocks);
    const isOther = new Uint8Array(blocks);
    const hints = new Int32Array(4).fill(-1);
    const bytes = new Uint8Array(headerBytes);
    let newest = blocks - 1;
    for (let block = 0; block < blocks; block++) {
      this.medium.read(bytes, block * blockLength);
      const reading = parseHeader(bytes, blockLength);
      if (typeof reading === "string") {
        if (reading === "other") isOther[block] = 1;
        continue;
      }
      const isOurs = this.enlist(block, reading, sequences, hints);
      if (isOurs && reading.sequence > this.#sequence) {
        newest = block;
        this.#sequence = reading.sequence;
        this.#generation = reading.generation;
      }
    }
    for (let i = 1; i <= blocks; i++) {
      const block = (newest + i) % blocks;
      if (sequences[block] === 0)
        this.chains.append(isOther[block] ? otherChain : freeChain, block);
    }
    return sequences;
  }

  /** Reads each block's header again. */
  census(): Census {
    const { blocks, blockLength } = this.medium;
    const counts = { used: 0, blank: 0, freed: 0, foreign: 0, other: 0 };
    const bytes = new Uint8Array(headerBytes);
    for (let block = 0; block < blocks; block++) {
      this.medium.read(bytes, block * blockLength);
      const reading = parseHeader(bytes, blockLength);
      counts[typeof reading === "string" ? reading : "used"]++;
    }
    return counts;
  }

  /** Puts a block where its sequence belongs; most follow the one before. @returns false for a sequence that stands there already */
  private enlist(
    block: number,
    header: Header,
    sequences: Uint32Array,
    hints: Int32Array,
  ): boolean {
    const { kind, sequence } = header;
    if (sequence === 0 || sequences.includes(sequence)) return false;
    const { chains } = this;
    const hint = hints[kind]!;
    let before = hint >= 0 && sequences[hint]! < sequence ? hint : undefined;
    let next =
      before !== undefined
        ? chains.after(kind, before)
        : chains.count(kind) > 0
          ? chains.first(kind)
          : undefined;
    while (next !== undefined && sequences[next]! < sequence) {
      before = next;
      next = chains.after(kind, next);
    }
    chains.insert(kind, block, before);
    sequences[block] = sequence;
    hints[kind] = block;
    return true;
  }

  /** @throws AgentError "outbox/flash" when its header cannot be read any more */
  sector(block: number): Sector {
    if (this.#last?.block === block) return this.#last;
    const { medium } = this;
    const bytes = new Uint8Array(headerBytes);
    medium.read(bytes, block * medium.blockLength);
    const reading = parseHeader(bytes, medium.blockLength);
    if (typeof reading === "string")
      throw new AgentError("outbox/flash", `outbox: block ${block}: its header is ${reading}`);
    this.#last = new Sector(medium, block, reading);
    return this.#last;
  }

  /**
   * Erases the block that was free longest and makes it the last of a chain.
   *
   * @param spare  blocks that stay for others
   * @returns      undefined when no block is left; those that refuse are set aside
   */
  open(kind: number, baseTime: number, ageLimit: number, spare: number): Sector | undefined {
    const { chains, medium } = this;
    while (this.available > spare) {
      const block = (chains.shift(freeChain) ?? chains.shift(otherChain))!;
      const sequence = this.#sequence + 1;
      const header = { kind, generation: this.#generation, sequence, baseTime, ageLimit };
      const bytes = encodeHeader(header, medium.blockLength);
      if (medium.erase(block) && medium.write(bytes, block * medium.blockLength)) {
        this.#sequence = sequence;
        chains.append(kind, block);
        this.#last = new Sector(medium, block, header);
        return this.#last;
      }
      chains.append(badChain, block);
    }
    return undefined;
  }

  /** Gives a chain's oldest sector back. Its header goes first, so that half an erase never brings its records back. */
  release(chain: number): void {
    this.free(this.chains.shift(chain)!);
  }

  /** Gives up a chain's newest sector, which was never finished. */
  abandon(chain: number): void {
    this.free(this.chains.pop(chain));
  }

  private free(block: number): void {
    if (this.#last?.block === block) this.#last = undefined;
    this.medium.write(new Uint8Array(grain), block * this.medium.blockLength);
    this.chains.append(freeChain, block);
  }
}
