// Examines a device in real time, on real sockets: any device that dials.
import { type Case, judge } from "./case.js";
import { Examiner, type Version } from "./examiner.js";
import type { Front } from "./front.js";
import { longCase, summaryOf } from "./long-case.js";
import type { Row } from "./row.js";
import type { RealTime } from "./time.js";
import { fail } from "./verdict.js";
import { versionOf } from "./virtual.js";

export interface SocketOptions {
  readonly front: Front;
  readonly time: RealTime;
  /** As an examiner's. */
  readonly version?: Version | undefined;
  readonly topic?: string | undefined;
  readonly desired?: object | undefined;
  /** How long a device may take to dial before a case begins: it may be in a long backoff. */
  readonly patienceMs: number;
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
