// When a job tries again, gives up, or goes faster (reference 4.6). Pure.

import type { Job, JobCounts, JobExecution } from "./job-types.js";

const minuteMs = 60_000;

type Retries = JobExecution["retries"];

/** @returns the retries used up by the next try; undefined when there is none */
export function retryOf(job: Job, { status, retries }: JobExecution): Retries | undefined {
  if (status !== "FAILED" && status !== "TIMED_OUT") return undefined;
  const criteria = job.jobExecutionsRetryConfig?.criteriaList ?? [];
  // Assumed: ALL counts whatever was tried before, another only its own.
  const isLeft = criteria.some(({ failureType, numberOfRetries }) => {
    if (failureType === "ALL") return retries.FAILED + retries.TIMED_OUT < numberOfRetries;
    return failureType === status && retries[status] < numberOfRetries;
  });
  return isLeft ? { ...retries, [status]: retries[status] + 1 } : undefined;
}

/**
 * Assumed: things notified are all that have an execution, and a share is a share of them; of each thing its latest
 * execution counts, so that one which is tried again has not failed.
 */
export function isAborted({ abortConfig }: Job, counts: JobCounts): boolean {
  const notified = notifiedOf(counts);
  return (abortConfig?.criteriaList ?? []).some(each => {
    const { failureType, minNumberOfExecutedThings, thresholdPercentage } = each;
    if (notified < minNumberOfExecutedThings) return false;
    const failed =
      failureType === "ALL"
        ? counts.FAILED + counts.REJECTED + counts.TIMED_OUT
        : counts[failureType];
    return failed > 0 && (failed * 100) / notified >= thresholdPercentage;
  });
}

function notifiedOf(counts: JobCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** A minute of a rollout; undefined when it knows no rate. */
export type Minute = NonNullable<Job["minute"]>;

/**
 * The minute that `now` is in. Assumed: minutes count from the first thing's turn; what a minute leaves unused is
 * lost; a criterion is met again after as many things more; without maximumPerMinute the rate ends at 1000.
 */
export function minuteOf(job: Job, counts: JobCounts, now: number): Minute | undefined {
  const { maximumPerMinute = 1000, exponentialRate } = job.jobExecutionsRolloutConfig ?? {};
  const { minute } = job;
  const isUnlimited = job.jobExecutionsRolloutConfig?.maximumPerMinute === undefined;
  if (isUnlimited && exponentialRate === undefined) return undefined;
  const capped = (rate: number): number => Math.min(rate, maximumPerMinute);
  if (minute === undefined) {
    const rate = capped(exponentialRate?.baseRatePerMinute ?? maximumPerMinute);
    return { startedAt: now, rate, used: 0, countedAt: 0 };
  }
  if (now - minute.startedAt < minuteMs) return minute;
  const next = { ...minute, startedAt: now, used: 0 };
  if (exponentialRate === undefined) return next;
  const { numberOfNotifiedThings, numberOfSucceededThings } = exponentialRate.rateIncreaseCriteria;
  const count = numberOfNotifiedThings === undefined ? counts.SUCCEEDED : notifiedOf(counts);
  const step = numberOfNotifiedThings ?? numberOfSucceededThings ?? 1;
  if (count - minute.countedAt < step) return next;
  return { ...next, rate: capped(minute.rate * exponentialRate.incrementFactor), countedAt: count };
}

export function endOf({ startedAt }: Minute): number {
  return startedAt + minuteMs;
}

export interface Schedule {
  readonly startAt?: number;
  readonly endAt?: number;
}

const leadMs = 30 * minuteMs;
const yearMs = 365 * 24 * 60 * minuteMs;

/** @returns what is wrong, as a text (botocore model "SchedulingConfig") */
export function scheduleOf(config: Job["schedulingConfig"], now: number): Schedule | string {
  const { startTime, endTime, endBehavior, maintenanceWindows = [] } = config ?? {};
  if (maintenanceWindows.length > 0) return "maintenanceWindows are not served here";
  const startAt = startTime === undefined ? undefined : timeOf(startTime);
  const endAt = endTime === undefined ? undefined : timeOf(endTime);
  if (Number.isNaN(startAt) || Number.isNaN(endAt)) return "There is no such time";
  if (startAt !== undefined && startAt < now + leadMs) return "startTime is not in 30 minutes yet";
  if (startAt !== undefined && startAt > now + yearMs) return "startTime is over a year away";
  if (endAt === undefined) {
    return endBehavior === undefined
      ? { ...(startAt === undefined ? {} : { startAt }) }
      : "endBehavior without endTime";
  }
  if (endAt < (startAt ?? now) + leadMs) return "endTime is not 30 minutes after the start yet";
  if (endAt > (startAt ?? now) + 2 * yearMs) return "endTime is over two years after the start";
  return { ...(startAt === undefined ? {} : { startAt }), endAt };
}

/** UTC, assumed. */
function timeOf(text: string): number {
  const at = Date.parse(`${text.replace(" ", "T")}Z`);
  // Date knows a 31 February; the service is assumed not to.
  const isReal = !Number.isNaN(at) && new Date(at).toISOString().startsWith(text.slice(0, 10));
  return isReal ? at : Number.NaN;
}
