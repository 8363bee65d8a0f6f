// A threshold with hysteresis: tells when a reading leaves its range, and when it has come back far enough.

export interface ThresholdOptions {
  /** An alert is raised by what is greater. */
  readonly above?: number;
  /** An alert is raised by what is less. */
  readonly below?: number;
  /** How far the reading has to come back before the alert is cleared, and may be raised again; default 0. */
  readonly hysteresis?: number;
}

/** On which side the reading is out of its range. */
export type Side = "above" | "below" | "within";

/** @returns where a reading is now, that was `before` with the one before it */
export function sideOf(options: ThresholdOptions, before: Side, value: number): Side {
  const { above = Infinity, below = -Infinity, hysteresis = 0 } = options;
  if (before === "above" && value > above - hysteresis) return "above";
  if (before === "below" && value < below + hysteresis) return "below";
  if (value > above) return "above";
  return value < below ? "below" : "within";
}

/** @returns what is wrong with a threshold, or undefined when it may be used */
export function faultOfThreshold(options: ThresholdOptions): string | undefined {
  const { above, below, hysteresis = 0 } = options;
  if (above === undefined && below === undefined) return "has neither above nor below";
  for (const name of ["above", "below", "hysteresis"] as const) {
    const value = options[name];
    if (value !== undefined && !Number.isFinite(value)) return `.${name} ${value} is not a number`;
  }
  if (hysteresis < 0) return `.hysteresis ${hysteresis} is below 0`;
  if (above === undefined || below === undefined) return undefined;
  if (below > above) return `.below ${below} is greater than .above ${above}`;
  // Else one reading could be out of its range on both sides.
  return hysteresis > above - below
    ? `.hysteresis ${hysteresis} is wider than from .below ${below} to .above ${above}`
    : undefined;
}
