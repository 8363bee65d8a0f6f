// Seeded chance. Good enough for a simulated world, never for a key that matters.

export class Random {
  #state: number;

  /** @param seed any whole number; the same one gives the same chance, on every engine */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 2^32). The mulberry32 generator. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return (x ^ (x >>> 14)) >>> 0;
  }

  /** Uniform whole number in [0, bound). */
  below(bound: number): number {
    return Math.floor((this.next() / 4_294_967_296) * bound);
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}
