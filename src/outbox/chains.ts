// Which block belongs to what, in which order, and where in it what is: all in one array of bytes, since on XS an object for each
// of 256 blocks would take 8 KB, and each further array 112 bytes.

/** Chains 0 to 2 are the classes', oldest sector first. */
export const ledgerChain = 3;
/** Blocks to take, longest free first. */
export const freeChain = 4;
/** Blocks of another version of the log: taken when there is no other. */
export const otherChain = 5;
/** Blocks that refused to be erased or written; tried again after a restart. */
export const badChain = 6;

/** Words for those who use the chains: 16 for each class, then the ledger's. */
export const userWords = 3 * 16 + 2;

/** Of each chain: first block, last block, how many. */
const chainFields = 3;
const chainWords = 7 * chainFields;
const wordBytes = 2 * (chainWords + userWords);

export class Chains {
  /** The words; then, of each block, the next in its chain, in one byte as long as that does. */
  readonly #bytes: Uint8Array;

  constructor(blocks: number) {
    this.#bytes = new Uint8Array(wordBytes + (blocks > 256 ? 2 * blocks : blocks));
  }

  /** A word of 16 bits for those who use the chains. */
  word(index: number): number {
    return this.pair(2 * (chainWords + index));
  }

  setWord(index: number, value: number): void {
    this.setPair(2 * (chainWords + index), value);
  }

  first(chain: number): number {
    return this.pair(2 * chainFields * chain);
  }

  last(chain: number): number {
    return this.pair(2 * chainFields * chain + 2);
  }

  count(chain: number): number {
    return this.pair(2 * chainFields * chain + 4);
  }

  /** @returns the block behind `block`, or undefined behind the last */
  after(chain: number, block: number): number | undefined {
    return block === this.last(chain) ? undefined : this.next(block);
  }

  append(chain: number, block: number): void {
    if (this.count(chain) === 0) this.setFirst(chain, block);
    else this.setNext(this.last(chain), block);
    this.setLast(chain, block);
    this.addCount(chain, 1);
  }

  /** @param before the block to stand in front of `block`; undefined puts it first */
  insert(chain: number, block: number, before: number | undefined): void {
    if (this.count(chain) === 0 || before === this.last(chain)) {
      this.append(chain, block);
      return;
    }
    if (before === undefined) {
      this.setNext(block, this.first(chain));
      this.setFirst(chain, block);
    } else {
      this.setNext(block, this.next(before));
      this.setNext(before, block);
    }
    this.addCount(chain, 1);
  }

  /** Takes the first, if there is one. */
  shift(chain: number): number | undefined {
    if (this.count(chain) === 0) return undefined;
    const block = this.first(chain);
    this.setFirst(chain, this.next(block));
    this.addCount(chain, -1);
    return block;
  }

  /** Takes the last. */
  pop(chain: number): number {
    const block = this.last(chain);
    let before = this.first(chain);
    for (let left = this.count(chain) - 2; left > 0; left--) before = this.next(before);
    this.setLast(chain, before);
    this.addCount(chain, -1);
    return block;
  }

  private setFirst(chain: number, block: number): void {
    this.setPair(2 * chainFields * chain, block);
  }

  private setLast(chain: number, block: number): void {
    this.setPair(2 * chainFields * chain + 2, block);
  }

  private addCount(chain: number, change: number): void {
    this.setPair(2 * chainFields * chain + 4, this.count(chain) + change);
  }

  private get isWide(): boolean {
    return this.#bytes.length > wordBytes + 256;
  }

  private next(block: number): number {
    return this.isWide ? this.pair(wordBytes + 2 * block) : this.#bytes[wordBytes + block]!;
  }

  private setNext(block: number, next: number): void {
    if (this.isWide) this.setPair(wordBytes + 2 * block, next);
    else this.#bytes[wordBytes + block] = next;
  }

  private pair(at: number): number {
    return this.#bytes[at]! | (this.#bytes[at + 1]! << 8);
  }

  private setPair(at: number, value: number): void {
    this.#bytes[at] = value & 255;
    this.#bytes[at + 1] = value >>> 8;
  }
}
