// What becomes of a byte string when it is cut, or when one octet of it is another: every such neighbour, or a sample.

export type Extent =
  /** All 255 other values of each octet. */
  | "every value"
  /** Its eight changed bits, and two other values that depend on nothing but its place. */
  | "bits and two values"
  /** One of its bits. */
  | "one bit";

export interface Range {
  readonly extent: Extent;
  readonly from: number;
  readonly to: number;
}

/** How often each answer came. */
export type Counts = Record<string, number>;

const bits = [1, 2, 4, 8, 16, 32, 64, 128];
const every = Array.from({ length: 255 }, (_, i) => i + 1);

/** What an octet is changed by (XOR), so never nothing. */
function masksAt(at: number, extent: Extent): readonly number[] {
  if (extent === "every value") return every;
  if (extent === "one bit") return [1 << (at % 8)];
  const chance = Math.imul(at + 1, 0x9e3779b1) >>> 0;
  return [...bits, 1 + (chance % 255), 1 + ((chance >>> 8) % 255)];
}

/** Asks about the string cut after each length and changed in each octet of the range; a mutant lasts as long as one call. */
export function countMutants(
  original: Uint8Array,
  { extent, from, to }: Range,
  answerOf: (mutant: Uint8Array) => string,
): Counts {
  const counts: Counts = {};
  const count = (mutant: Uint8Array) => {
    const answer = answerOf(mutant);
    counts[answer] = (counts[answer] ?? 0) + 1;
  };
  const mutant = original.slice();
  for (let at = from; at < Math.min(to, original.length); at++) {
    count(original.subarray(0, at));
    for (const mask of masksAt(at, extent)) {
      mutant[at] = original[at]! ^ mask;
      count(mutant);
    }
    mutant[at] = original[at]!;
  }
  return counts;
}

/** The whole of it, every value. */
export function countAllMutants(
  original: Uint8Array,
  answerOf: (mutant: Uint8Array) => string,
): Counts {
  const whole = { extent: "every value", from: 0, to: original.length } as const;
  return countMutants(original, whole, answerOf);
}

export const sum = (counts: Counts) =>
  Object.values(counts).reduce((total, count) => total + count, 0);
