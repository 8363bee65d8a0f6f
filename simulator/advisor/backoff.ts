// What kind of backoff a series of waits is. Pure; five waits are enough to tell, more are better.

export type BackoffKind =
  /** Grows, and no two devices would do the same. */
  | "jitter"
  /** Doubles, or nearly so, to the millisecond or with a little noise. */
  | "exponential"
  | "linear"
  | "constant"
  /** Not the same every time, but never longer either. */
  | "random"
  /** Fewer than `leastWaits`. */
  | "unknown";

/** What Device Advisor asks for: five retries at least. */
export const leastWaits = 5;

/** Timers and links are not exact. */
const noiseMs = 150;
/** Of a fit, in parts of the value: what is nearer to it is called by its name. */
const tolerance = 0.1;
const leastRatio = 1.4;

/** @param waits milliseconds between the end of one attempt and the start of the next, in order */
export function backoffKind(waits: readonly number[]): BackoffKind {
  if (waits.length < leastWaits) return "unknown";
  if (misfit(waits, constantOf(waits)) <= 1) return "constant";
  const rising = untilCap(waits);
  if (rising.length >= 4 && rising.at(-1)! > rising[0]! + noiseMs) {
    const exponential = misfit(rising, exponentialOf(rising));
    const linear = misfit(rising, lineOf(rising).at);
    if (Math.min(exponential, linear) <= 1) return exponential < linear ? "exponential" : "linear";
  }
  return grows(waits) ? "jitter" : "random";
}

/** How far the waits are from a model at most; up to 1 is near enough. */
function misfit(waits: readonly number[], model: ((i: number) => number) | undefined): number {
  if (!model) return Number.POSITIVE_INFINITY;
  const distances = waits.map((wait, i) => {
    const wanted = model(i);
    return Math.abs(wait - wanted) / (noiseMs + tolerance * Math.abs(wanted));
  });
  return Math.max(...distances);
}

function constantOf(waits: readonly number[]): () => number {
  const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
  return () => mean;
}

/** Least squares. */
function lineOf(values: readonly number[]): { readonly slope: number; at(i: number): number } {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let product = 0;
  let square = 0;
  values.forEach((value, i) => {
    product += (i - middle) * (value - mean);
    square += (i - middle) ** 2;
  });
  const slope = product / square;
  return { slope, at: i => mean + slope * (i - middle) };
}

/** A line through the logarithms; one that hardly rises is none. */
function exponentialOf(waits: readonly number[]): ((i: number) => number) | undefined {
  const line = lineOf(waits.map(wait => Math.log2(Math.max(wait, 1))));
  return line.slope < Math.log2(leastRatio) ? undefined : i => 2 ** line.at(i);
}

/** Without the equal waits at the end, once a backoff has reached its cap; the first of them may be cut short by it. */
function untilCap(waits: readonly number[]): readonly number[] {
  const last = waits.at(-1)!;
  let end = waits.length;
  while (end > 0 && Math.abs(waits[end - 1]! - last) <= noiseMs + last * 0.02) end--;
  return waits.length - end >= 2 ? waits.slice(0, end) : waits;
}

/** The second half is well above the first, by its longest wait or as a whole: chance alone rarely does either. */
function grows(waits: readonly number[]): boolean {
  const half = Math.floor(waits.length / 2);
  const [first, second] = [waits.slice(0, half), waits.slice(half)];
  if (Math.max(...second) > 2 * Math.max(...first, 1)) return true;
  return meanOfLogarithms(second) - meanOfLogarithms(first) > 2;
}

function meanOfLogarithms(waits: readonly number[]): number {
  return waits.reduce((sum, wait) => sum + Math.log2(Math.max(wait, 1)), 0) / waits.length;
}
