// Examines a device in real time, on real sockets: any device that dials.
import { stableMs } from "./backoff-cases.js";
import { type Case, judge } from "./case.js";
import { Examiner, type Version } from "./examiner.js";
import type { Front } from "./front.js";
import { longCase, summaryOf } from "./long-case.js";
import type { Row } from "./row.js";
import type { Time } from "./time.js";
import { fail } from "./verdict.js";
import { versionOf } from "./virtual.js";

export interface SocketOptions {
  /** Whose links go to its examiner. */
  readonly front: Pick<Front, "examiner">;
  readonly time: Time;
  /** As an examiner's. */
  readonly version?: Version | undefined;
  readonly topic?: string | undefined;
  readonly desired?: object | undefined;
  readonly job?: object | undefined;
  /** How long a device may take to dial before a case begins: it may be in a long backoff. */
  readonly patienceMs: number;
}

/** Lets a device be online until its backoff starts anew. @returns whether it was */
export async function rest({ front, time, version, patienceMs }: SocketOptions): Promise<boolean> {
  const examiner = await Examiner.open({ time, version });
  front.examiner = examiner;
  const endAt = time.ticks() + patienceMs;
  for (;;) {
    const leftMs = endAt - time.ticks();
    if (leftMs <= 0 || !(await time.until(() => examiner.online !== undefined, leftMs))) break;
    const { online } = examiner;
    if (!(await time.until(() => !online!.isOpen, stableMs))) break;
  }
  const isAtPeace = examiner.online !== undefined;
  examiner.end();
  front.examiner = undefined;
  return isAtPeace;
}

export async function examineOnSocket(which: Case, options: SocketOptions): Promise<Row> {
  const { front, time, patienceMs } = options;
  const { name, isQualification, presents } = which;
  const examiner = await Examiner.open({ ...options, presents });
  front.examiner = examiner;
  const hasDialed = await time.until(() => examiner.handshakes.length > 0, patienceMs);
  const startedAt = time.ticks();
  const verdict = hasDialed ? await judge(which, examiner) : fail("never connected");
  examiner.end();
  front.examiner = undefined;
  const version = which.needsTls ? undefined : versionOf(examiner);
  const row = { name, isQualification, version, verdict, ms: time.ticks() - startedAt };
  return which === longCase ? { ...row, summary: summaryOf(examiner) } : row;
}
