// Full-jitter exponential backoff, as a function of the attempt and one random number.
import type { Host } from "../host.js";

export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * @param attempt  0 for the first retry
 * @param chance   uniform in [0, 1)
 * @returns        milliseconds, uniform in [0, min(cap, base * 2^attempt))
 * @see            "Exponential Backoff And Jitter", AWS Architecture Blog
 */
export function fullJitter(backoff: Backoff, attempt: number, chance: number): number {
  const ceiling = Math.min(backoff.capMs, backoff.baseMs * 2 ** Math.min(attempt, 30));
  return Math.floor(ceiling * chance);
}

/** Uniform in [0, 1), from the host's generator; without it the wait is the longest, not the shortest. */
export function chanceFrom({ crypto }: Pick<Host, "crypto">): number {
  try {
    const [a, b, c] = crypto.random(3);
    return (a! * 65_536 + b! * 256 + c!) / 16_777_216;
  } catch (_notReady) {
    return 1 - Number.EPSILON;
  }
}
