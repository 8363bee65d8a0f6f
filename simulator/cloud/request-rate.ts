// Counts requests by name in each second of the clock. Pure but for its memory, which one second bounds.

export class RequestRate {
  readonly #perSecond: number;
  readonly #counts = new Map<string, number>();
  #second = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** @returns false when this one is too many for its second; it counts nevertheless */
  admits(name: string, nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) this.#counts.clear();
    this.#second = second;
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return count <= this.#perSecond;
  }
}
