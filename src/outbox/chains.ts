// Which block belongs to what, and in which order: lists of blocks in typed arrays, since 256 objects would be 8 KB on XS.

/** Chains 0 to 2 are the classes', oldest sector first. */
export const ledgerChain = 3;
/** Blocks to take, longest free first. */
export const freeChain = 4;
/** Blocks of another version of the log: taken when there is no other. */
export const otherChain = 5;
/** Blocks that refused to be erased or written; tried again after a restart. */
export const badChain = 6;

const fields = 3;

export class Chains {
  /** Of each block, the next in its chain; the last one's is without meaning. */
  readonly #next: Uint8Array | Uint16Array;
  /** Of each chain: first block, last block, how many. */
  readonly #ends = new Uint16Array(7 * fields);

  constructor(blocks: number) {
    this.#next = blocks > 256 ? new Uint16Array(blocks) : new Uint8Array(blocks);
  }

  first(chain: number): number {
    return this.#ends[chain * fields]!;
  }

  last(chain: number): number {
    return this.#ends[chain * fields + 1]!;
  }

  count(chain: number): number {
    return this.#ends[chain * fields + 2]!;
  }

  /** @returns the block behind `block`, or undefined behind the last */
  after(chain: number, block: number): number | undefined {
    return block === this.last(chain) ? undefined : this.#next[block]!;
  }

  append(chain: number, block: number): void {
    if (this.count(chain) === 0) this.#ends[chain * fields] = block;
    else this.#next[this.last(chain)] = block;
    this.#ends[chain * fields + 1] = block;
    this.#ends[chain * fields + 2]!++;
  }

  /** @param before the block to stand in front of `block`; undefined puts it first */
  insert(chain: number, block: number, before: number | undefined): void {
    if (this.count(chain) === 0 || before === this.last(chain)) {
      this.append(chain, block);
      return;
    }
    if (before === undefined) {
      this.#next[block] = this.first(chain);
      this.#ends[chain * fields] = block;
    } else {
      this.#next[block] = this.#next[before]!;
      this.#next[before] = block;
    }
    this.#ends[chain * fields + 2]!++;
  }

  /** Takes the first, if there is one. */
  shift(chain: number): number | undefined {
    if (this.count(chain) === 0) return undefined;
    const block = this.first(chain);
    this.#ends[chain * fields] = this.#next[block]!;
    this.#ends[chain * fields + 2]!--;
    return block;
  }

  /** Takes the last. */
  pop(chain: number): number {
    const block = this.last(chain);
    let before = this.first(chain);
    for (let left = this.count(chain) - 2; left > 0; left--) before = this.#next[before]!;
    this.#ends[chain * fields + 1] = before;
    this.#ends[chain * fields + 2]!--;
    return block;
  }
}
