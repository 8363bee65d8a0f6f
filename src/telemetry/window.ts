// A window of readings: of numbers what they were on the whole, of other values the last. As large after a thousand as after one.
import type { Json } from "../codec/json.js";
import { limits } from "../limits.js";
import type { Readings } from "./telemetry.js";

/** What is told of the numbers of a window. */
export type Aggregate = "mean" | "min" | "max" | "count" | "last";

/** All there are, in the order they have in a message. */
export const aggregates: readonly Aggregate[] = Object.freeze([
  "mean",
  "min",
  "max",
  "count",
  "last",
]);

/** Places of each name's numbers, in the order of `aggregates`. */
const mean = 0;
const min = 1;
const max = 2;
const count = 3;
const last = 4;
const stride = 5;

export class Window {
  /** Ticks of its first reading. */
  readonly startTicks: number;
  /** Epoch ms of the same moment; undefined as long as the clock is not set. */
  time: number | undefined;
  readonly #names: string[] = [];
  #numbers: Float64Array;
  /** What is no number, at the place of its name. */
  #others: (string | boolean | undefined)[] | undefined;

  /** @param names how many are expected; more may come */
  constructor(startTicks: number, names: number) {
    this.startTicks = startTicks;
    this.#numbers = new Float64Array(names * stride);
  }

  /** The clock has been set since: then the beginning is known as well. */
  learn(ticks: number, now: number | undefined): void {
    if (now === undefined) return;
    this.time ??= Math.round(now - (ticks - this.startTicks));
  }

  /** How many names it has. */
  get size(): number {
    return this.#names.length;
  }

  /**
   * Readings come with the same names in the same order, as a rule: then nothing is searched.
   *
   * @param guess  the place where `name` may be
   * @returns      -1 when it has no place
   */
  placeOf(name: string, guess: number): number {
    return this.#names[guess] === name ? guess : this.#names.indexOf(name);
  }

  isNumber(place: number): boolean {
    return this.#numbers[place * stride + count]! > 0;
  }

  /** Takes readings that have no fault. */
  add(readings: Readings): void {
    let guess = 0;
    for (const name of Object.keys(readings)) {
      const value = readings[name];
      if (value === undefined || value === null) continue;
      let place = this.placeOf(name, guess);
      if (place < 0) place = this.#names.push(name) - 1;
      guess = place + 1;
      if (typeof value === "number") this.addNumber(place, value);
      else {
        this.#others ??= [];
        this.#others[place] = value as string | boolean;
      }
    }
  }

  private addNumber(place: number, value: number): void {
    const at = place * stride;
    if (at >= this.#numbers.length) this.grow();
    const numbers = this.#numbers;
    const n = numbers[at + count]! + 1;
    numbers[at + count] = n;
    numbers[at + last] = value;
    if (n === 1) {
      numbers[at + mean] = value;
      numbers[at + min] = value;
      numbers[at + max] = value;
      return;
    }
    if (value < numbers[at + min]!) numbers[at + min] = value;
    if (value > numbers[at + max]!) numbers[at + max] = value;
    numbers[at + mean] = nextMean(numbers[at + mean]!, value, n);
  }

  private grow(): void {
    const numbers = new Float64Array(this.#names.length * stride);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
  }

  /**
   * What there is to tell, in parts of at most `limits.windowBytes` as JSON.
   *
   * @param seconds how long the window was
   */
  tell(seconds: number, wanted: readonly Aggregate[]): readonly Readings[] {
    const parts: Record<string, Json>[] = [];
    let byteLength: number = limits.windowBytes;
    for (let place = 0; place < this.#names.length; place++) {
      const name = this.#names[place]!;
      const value = this.valueAt(place, wanted);
      // A colon, and a comma or a brace.
      const more = textBytes(name) + valueBytes(value) + 2;
      if (byteLength + more > limits.windowBytes) {
        const head = { windowSeconds: seconds };
        byteLength = valueBytes(head);
        parts.push(head);
      }
      byteLength += more;
      parts.at(-1)![name] = value;
    }
    return parts;
  }

  private valueAt(place: number, wanted: readonly Aggregate[]): Json {
    const at = place * stride;
    if (!this.isNumber(place)) return this.#others![place]!;
    const value: Record<string, number> = {};
    for (const aggregate of wanted)
      value[aggregate] = this.#numbers[at + aggregates.indexOf(aggregate)]!;
    return value;
  }
}

/** As JSON, at most. */
function valueBytes(value: Json): number {
  if (typeof value === "string") return textBytes(value);
  if (typeof value !== "object" || value === null) return String(value).length;
  let bytes = 2;
  // Names of our own, a colon, and a comma.
  for (const name of Object.keys(value))
    bytes += name.length + 4 + String((value as Record<string, number>)[name]).length;
  return bytes;
}

/** Escaped it is six bytes for a character, unless all are plain. */
function textBytes(text: string): number {
  return text.length * (/^[ !#-[\]-~]{0,128}$/.test(text) ? 1 : 6) + 2;
}

/** Never a sum, which would overflow and lose what is small; the difference of two numbers may overflow, that of their shares not. */
function nextMean(before: number, value: number, n: number): number {
  const difference = value - before;
  return Number.isFinite(difference) ? before + difference / n : before + (value / n - before / n);
}
