// Jobs and executions as the control plane shows them (botocore model "iot"): seconds with a fraction, ARNs. Pure.

import { secondsLeft } from "./job-data.js";
import { countsOf } from "./job-events.js";
import type { Job, JobExecution } from "./job-types.js";
import type { JobDescription } from "./jobs.js";
import type { Json, JsonObject } from "./json.js";
import { arnPrefix } from "./policy.js";

const seconds = (ms: number): number => ms / 1000;

/** What a client is told when it made or cancelled one. */
export function jobReceipt({ jobId, description }: Job): JsonObject {
  return {
    jobArn: `${arnPrefix}job/${jobId}`,
    jobId,
    ...(description === undefined ? {} : { description }),
  };
}

export function jobSummary(job: Job): JsonObject {
  const { jobId, targetSelection, status, createdAt, lastUpdatedAt, completedAt } = job;
  return {
    jobArn: `${arnPrefix}job/${jobId}`,
    jobId,
    targetSelection,
    status,
    createdAt: seconds(createdAt),
    lastUpdatedAt: seconds(lastUpdatedAt),
    ...(completedAt === undefined ? {} : { completedAt: seconds(completedAt) }),
    isConcurrent: job.targetSelection === "CONTINUOUS", // assumed
  };
}

/** Members that are told as they came. */
const echoed = [
  "targets",
  "description",
  "presignedUrlConfig",
  "jobExecutionsRolloutConfig",
  "abortConfig",
  "timeoutConfig",
  "jobExecutionsRetryConfig",
  "schedulingConfig",
  "namespaceId",
  "jobTemplateArn",
  "documentParameters",
  "forceCanceled",
  "reasonCode",
  "comment",
] as const satisfies readonly (keyof Job)[];

export function jobDetails(job: JobDescription): JsonObject {
  const details = jobSummary(job);
  for (const name of echoed) if (job[name] !== undefined) details[name] = job[name] as Json;
  // Assumed: while some have not got it, all targets are being processed.
  const processingTargets = job.waiting.length > 0 ? [...job.targets] : [];
  details.jobProcessDetails = { processingTargets, ...countsOf(job.counts) };
  return details;
}

export function executionSummary(execution: JobExecution): JsonObject {
  const { status, queuedAt, startedAt, lastUpdatedAt, number, retries } = execution;
  return {
    status,
    queuedAt: seconds(queuedAt),
    ...(startedAt === undefined ? {} : { startedAt: seconds(startedAt) }),
    lastUpdatedAt: seconds(lastUpdatedAt),
    executionNumber: number,
    retryAttempt: retries.FAILED + retries.TIMED_OUT,
  };
}

export function executionDetails(execution: JobExecution, now: number): JsonObject {
  const { retryAttempt, ...summary } = executionSummary(execution);
  const { jobId, thing, version, statusDetails, forceCanceled } = execution;
  const left = secondsLeft(execution, now);
  return {
    jobId,
    ...summary,
    ...(forceCanceled === undefined ? {} : { forceCanceled }),
    ...(statusDetails === undefined ? {} : { statusDetails: { detailsMap: statusDetails } }),
    thingArn: `${arnPrefix}thing/${thing}`,
    versionNumber: version,
    ...(left === undefined ? {} : { approximateSecondsBeforeTimedOut: left }),
  };
}
