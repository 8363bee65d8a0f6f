// What a case is, and how one is judged.
import type { ServerName } from "./certificates.js";
import type { Examiner } from "./examiner.js";
import { fail, type Verdict } from "./verdict.js";

export interface Case {
  /** Device Advisor's test id. */
  readonly name: string;
  /** In the list of qualification tests. */
  readonly isQualification: boolean;
  /** Advised by the documentation, or its default. */
  readonly limitMs: number;
  /** Needs real sockets. */
  readonly needsTls?: boolean;
  /** The server's certificate at the beginning; default "good". */
  readonly presents?: ServerName;
  /** About how waits grow: a device that was examined before has to be at peace first. */
  readonly isAboutBackoff?: boolean;
  examine(examiner: Examiner): Promise<Verdict>;
}

/** Runs one case to its verdict; a device that breaks MQTT fails whatever the case is about. */
export async function judge(which: Case, examiner: Examiner): Promise<Verdict> {
  const verdict = await which.examine(examiner);
  examiner.end();
  const [fault] = examiner.faults;
  return fault === undefined ? verdict : fail(fault);
}
