// What a case ends with, in Device Advisor's words: pass, pass with warnings, fail.

export type Grade = "pass" | "warn" | "fail";

export interface Verdict {
  readonly grade: Grade;
  /** What was seen, for a person. */
  readonly seen: string;
}

export const pass = (seen: string): Verdict => ({ grade: "pass", seen });
export const warn = (seen: string): Verdict => ({ grade: "warn", seen });
export const fail = (seen: string): Verdict => ({ grade: "fail", seen });

const order: readonly Grade[] = Object.freeze(["pass", "warn", "fail"]);

/** The worst of several; the first one when there are equals. */
export function worstOf(verdicts: readonly Verdict[]): Verdict | undefined {
  return verdicts.reduce<Verdict | undefined>(
    (worst, each) =>
      worst === undefined || order.indexOf(each.grade) > order.indexOf(worst.grade) ? each : worst,
    undefined,
  );
}

/** `1 connect`, `2 connects`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** `0.8 s`, `12 s`. */
export function seconds(ms: number): string {
  return `${ms < 9950 ? (ms / 1000).toFixed(1) : Math.round(ms / 1000)} s`;
}
