// Executions and their timers: each change is a new version, kept and told before anything else happens.

import type { Deadlines } from "./deadlines.js";
import type { Clock } from "./environment.js";
import type { JobRecords } from "./job-records.js";
import {
  type ExecutionStatus,
  isTerminal,
  type Job,
  type JobExecution,
  type StatusDetails,
} from "./job-types.js";

export interface ExecutionChange {
  readonly status: ExecutionStatus;
  /** Replaces what was there (conflict 19 of the sources); absent: it stays. */
  readonly statusDetails?: StatusDetails;
  /** -1 takes the step timer away; absent: it stays. */
  readonly stepTimeoutInMinutes?: number;
  readonly forceCanceled?: boolean;
}

export interface JobExecutionsOptions {
  readonly records: JobRecords;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** @param before undefined for a new one */
  onChange(execution: JobExecution, before: JobExecution | undefined): void;
}

const minuteMs = 60_000;
const noRetries = { FAILED: 0, TIMED_OUT: 0 } as const;

export class JobExecutions {
  readonly #options: JobExecutionsOptions;

  constructor(options: JobExecutionsOptions) {
    this.#options = options;
  }

  /** The timers of a cloud that was started again. */
  resume(): void {
    const { records } = this.#options;
    for (const { jobId } of records.jobs()) {
      if (records.isActive(jobId)) for (const each of records.executions(jobId)) this.#arm(each);
    }
  }

  /** Numbers go on by one (conflict 21 of the sources), versions start at 1 (conflict 18). */
  queue(job: Job, thing: string, retries: JobExecution["retries"] = noRetries): void {
    const { records, clock } = this.#options;
    const now = clock.now();
    const execution: JobExecution = {
      jobId: job.jobId,
      thing,
      number: (records.find(job.jobId, thing)?.number ?? 0) + 1,
      status: "QUEUED",
      version: 1,
      queuedAt: now,
      lastUpdatedAt: now,
      retries,
      order: records.nextOrder(),
    };
    this.#options.onChange(records.put(execution), undefined);
  }

  change(before: JobExecution, change: ExecutionChange): JobExecution {
    const { records, clock, onChange } = this.#options;
    const now = clock.now();
    const { inProgressEndsAt, stepEndsAt, ...rest } = before;
    const isStart = change.status === "IN_PROGRESS" && before.status === "QUEUED";
    const minutes = records.job(before.jobId)?.timeoutConfig?.inProgressTimeoutInMinutes;
    const ends = {
      inProgressEndsAt:
        isStart && minutes !== undefined ? now + minutes * minuteMs : inProgressEndsAt,
      stepEndsAt: stepEndOf(change.stepTimeoutInMinutes, stepEndsAt, now),
    };
    const { statusDetails, forceCanceled } = change;
    const after: JobExecution = {
      ...rest,
      status: change.status,
      version: before.version + 1,
      lastUpdatedAt: now,
      ...(isStart ? { startedAt: now } : {}),
      ...(statusDetails === undefined ? {} : { statusDetails }),
      ...(forceCanceled === undefined ? {} : { forceCanceled }),
      ...(isTerminal(change.status) ? {} : defined(ends)),
    };
    records.put(after);
    this.#arm(after);
    onChange(after, before);
    return after;
  }

  /** No timer runs on for what is gone. */
  remove(execution: JobExecution): void {
    this.#options.deadlines.delete(nameOf(execution));
    this.#options.records.remove(execution);
  }

  #arm(execution: JobExecution): void {
    const { deadlines, records } = this.#options;
    const { jobId, thing, number } = execution;
    const name = nameOf(execution);
    const at = timeoutOf(execution);
    if (at === undefined) return deadlines.delete(name);
    deadlines.set(name, at, () => {
      const current = records.find(jobId, thing, number);
      if (current?.status === "IN_PROGRESS") this.change(current, { status: "TIMED_OUT" });
    });
  }
}

/** The step timer never outlasts the other one. */
export function timeoutOf({ inProgressEndsAt, stepEndsAt }: JobExecution): number | undefined {
  const ends = [inProgressEndsAt, stepEndsAt].filter(end => end !== undefined);
  return ends.length === 0 ? undefined : Math.min(...ends);
}

const nameOf = ({ thing, jobId, number }: JobExecution): string => `${thing}/${jobId}/${number}`;

function stepEndOf(
  minutes: number | undefined,
  before: number | undefined,
  now: number,
): number | undefined {
  if (minutes === undefined) return before;
  return minutes === -1 ? undefined : now + minutes * minuteMs;
}

function defined<T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
