// The Range header (RFC 9110 14), as S3 takes it: one range; whatever else it says is as if it were not there. Pure.

export interface ByteRange {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** @returns undefined for the whole, "unsatisfiable" for 416 */
export function parseRange(
  header: string | undefined,
  size: number,
): ByteRange | "unsatisfiable" | undefined {
  // Assumed for several ranges: S3 "doesn't support" them, which is read as not seeing them.
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "") ?? [];
  if (first === undefined || last === undefined || first + last === "") return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { from: size - length, to: size };
  }
  const from = Number(first);
  const to = last === "" ? size : Math.min(Number(last) + 1, size);
  if (last !== "" && Number(last) < from) return undefined;
  return from >= size ? "unsatisfiable" : { from, to };
}
