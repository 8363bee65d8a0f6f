// One line of the result.
import type { Summary } from "./long-case.js";
import type { Grade, Verdict } from "./verdict.js";

export interface Row {
  readonly name: string;
  readonly isQualification: boolean;
  /** Of MQTT; undefined where it does not matter. */
  readonly version: 4 | 5 | undefined;
  /** Absent: not examined, for the reason in `note`. */
  readonly verdict: Verdict | undefined;
  readonly note?: string;
  /** Of the device's time. */
  readonly ms: number;
  readonly summary?: Summary;
}

export function countOf(rows: readonly Row[], grade: Grade): number {
  return rows.filter(({ verdict }) => verdict?.grade === grade).length;
}

export const notYet = (name: string, isQualification: boolean, note: string): Row => ({
  name,
  isQualification,
  version: undefined,
  verdict: undefined,
  note,
  ms: 0,
});
